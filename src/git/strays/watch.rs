//! Reads the refs that a run could move. A ref's file is replaced whenever the ref moves, which changes
//! the folder it is in: as long as folders and the few single files are as they were, nothing is read.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::git::command::{git_for_reading, read};
use crate::git::leftovers::{Found, look, pointed_to, registered_in};
use crate::git::plain;

use super::stamp::Stamp;

/// The folders of refs that are watched.
const WATCHED: [&str; 3] = ["refs/heads", "refs/tags", "refs/notes"];
/// With more refs in files of their own than this, a repository is not watched.
const MOST: usize = 20_000;

/// Where the refs of a repository were at some moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refs {
    /// Those that git keeps in one file.
    packed: Arc<BTreeMap<String, String>>,
    /// Those that have a file of their own, which counts; and each detached HEAD as `HEAD of FOLDER`.
    loose: BTreeMap<String, String>,
    /// The stash, newest first: commit and message.
    pub(super) stash: Vec<(String, String)>,
    /// The state of the folder in which git registers worktrees; `None` if it is not known.
    pub(super) worktrees: Option<Stamp>,
}

impl Refs {
    /// The commit that a ref names, by its full name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.loose.get(name).or_else(|| self.packed.get(name)).map(String::as_str)
    }

    /// The names of the refs that are not where they were `before`.
    pub(super) fn moved(&self, before: &Self) -> BTreeSet<String> {
        let mut names: BTreeSet<&String> = self.loose.keys().chain(before.loose.keys()).collect();
        if !Arc::ptr_eq(&self.packed, &before.packed) {
            names.extend(self.packed.keys().chain(before.packed.keys()));
        }
        let is_moved = |name: &&String| self.get(name) != before.get(name);
        names.into_iter().filter(is_moved).cloned().collect()
    }
}

/// Watches the refs of a worktree's repository.
#[derive(Debug)]
pub struct Watch {
    /// git's folder that all worktrees share.
    pub(super) common: PathBuf,
    /// The folder of the sessions' worktrees, which are watched by their own workers.
    pub(super) place: PathBuf,
    /// The folder of the sessions: an agent may make a worktree of its own beside theirs.
    pub(super) sessions: PathBuf,
    /// All that the refs were read from; `None` before the first look.
    sources: Option<Vec<(PathBuf, Option<Stamp>)>>,
    /// The refs' files as they were read last.
    files: HashMap<PathBuf, (Stamp, String)>,
    packed: (Option<Stamp>, Arc<BTreeMap<String, String>>),
    /// git's folders of the worktrees that are not in the sessions' place under the same name.
    others: (Option<Stamp>, Vec<PathBuf>),
    /// The worktrees of those folders, as far as somebody asked.
    folders: HashMap<PathBuf, Option<PathBuf>>,
    refs: Arc<Refs>,
}

impl Watch {
    /// Of the repository of a worktree; `place` is the folder with the worktrees of the sessions in the
    /// folder `sessions`. `None` if there is no such worktree.
    #[must_use]
    pub fn of(worktree: &Path, place: &Path, sessions: &Path) -> Option<Self> {
        let Ok(Found::Worktree(admin)) = look(worktree) else { return None };
        let common = plain::line(&admin.join("commondir")).ok()?;
        let common = pointed_to(&common, &admin)?.canonicalize().ok()?;
        Some(Self {
            common,
            place: place.canonicalize().unwrap_or_else(|_| place.to_owned()),
            sessions: sessions.to_owned(),
            sources: None,
            files: HashMap::new(),
            packed: (None, Arc::default()),
            others: (None, Vec::new()),
            folders: HashMap::new(),
            refs: Arc::default(),
        })
    }

    /// Where the refs are now; `None` if there are too many, or the repository was moved away.
    pub fn look(&mut self) -> Option<Arc<Refs>> {
        if !self.common.is_dir() {
            return None;
        }
        let now = SystemTime::now();
        let is_same = |(path, known): &(PathBuf, Option<Stamp>)| {
            Stamp::of(path) == *known && known.as_ref().is_none_or(|stamp| !stamp.is_recent(now))
        };
        if self.sources.as_ref().is_some_and(|sources| sources.iter().all(is_same)) {
            return Some(Arc::clone(&self.refs));
        }
        let mut reading = Reading { watch: self, sources: Vec::new(), loose: BTreeMap::new() };
        let stash = reading.all()?;
        let Reading { sources, loose, .. } = reading;
        let is_there = |path: &Path| {
            path.ends_with("HEAD") || loose.contains_key(&name_in(&self.common, path))
        };
        self.files.retain(|path, _| is_there(path));
        self.sources = Some(sources);
        let packed = Arc::clone(&self.packed.1);
        let worktrees = self.others.0.clone();
        self.refs = Arc::new(Refs { packed, loose, stash, worktrees });
        Some(Arc::clone(&self.refs))
    }

    /// Where the refs were at a moment in the past, as far as reflogs tell: not of those that were
    /// deleted since.
    pub fn look_back(&mut self, since: SystemTime) -> Option<Refs> {
        let mut before = Refs { worktrees: None, ..Refs::clone(&*self.look()?) };
        let since_epoch = since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        for name in before.loose.keys().cloned().collect::<Vec<_>>() {
            let log = self.common.join("logs").join(&name);
            let written = std::fs::metadata(&log).and_then(|meta| meta.modified());
            if written.is_ok_and(|written| written >= since)
                && let Ok(bytes) = plain::read(&log)
            {
                match value_at(&String::from_utf8_lossy(&bytes), since_epoch.as_secs()) {
                    Some(commit) => before.loose.insert(name, commit),
                    None => before.loose.remove(&name),
                };
            }
        }
        Some(before)
    }
}

/// The commit that a ref with this reflog named at a moment, in seconds since 1970; `None` if there
/// was no such ref.
fn value_at(log: &str, moment: u64) -> Option<String> {
    let old = match entries(log).find(|entry| entry.time >= moment) {
        Some(entry) => Some(entry.old),
        None => log.lines().last().and_then(|line| line.split(' ').nth(1)),
    };
    old.filter(|id| is_id(id)).map(str::to_owned)
}

/// A line of a reflog.
pub(super) struct LogEntry<'a> {
    /// The commit before.
    pub(super) old: &'a str,
    /// When it was changed, in seconds since 1970.
    pub(super) time: u64,
    /// What changed it.
    pub(super) what: &'a str,
}

/// The lines of a reflog, oldest first: OLD NEW NAME <MAIL> TIME ZONE\tWHAT.
pub(super) fn entries(log: &str) -> impl Iterator<Item = LogEntry<'_>> {
    log.lines().filter_map(|line| {
        let (who, what) = line.split_once('\t').unwrap_or((line, ""));
        let time = who.rsplit(' ').nth(1)?.parse().ok()?;
        Some(LogEntry { old: line.split(' ').next()?, time, what })
    })
}

pub(super) fn is_id(text: &str) -> bool {
    text.len() >= 40
        && text.bytes().all(|byte| byte.is_ascii_hexdigit())
        && text.bytes().any(|byte| byte != b'0')
}

/// The name of the ref in a file.
fn name_in(common: &Path, file: &Path) -> String {
    file.strip_prefix(common).unwrap_or(file).to_string_lossy().into_owned()
}

/// Reads all refs once.
struct Reading<'w> {
    watch: &'w mut Watch,
    sources: Vec<(PathBuf, Option<Stamp>)>,
    loose: BTreeMap<String, String>,
}

impl Reading<'_> {
    /// Returns the stash; `None` if there are too many refs.
    fn all(&mut self) -> Option<Vec<(String, String)>> {
        let common = self.watch.common.clone();
        let tables = self.source(common.join("reftable/tables.list"));
        if tables.is_some() {
            self.ask();
        } else {
            for folder in WATCHED {
                self.folder(&common.join(folder))?;
            }
            let packed = common.join("packed-refs");
            let stamp = self.source(packed.clone());
            if self.watch.packed.0 != stamp
                || stamp.as_ref().is_some_and(|stamp| stamp.is_recent(SystemTime::now()))
            {
                let text = plain::read(&packed).unwrap_or_default();
                let read = in_packed(&String::from_utf8_lossy(&text));
                if *self.watch.packed.1 != read {
                    self.watch.packed.1 = Arc::new(read);
                }
                self.watch.packed.0 = stamp;
            }
        }
        if let Some(commit) = self.detached(&common) {
            let folder = if common.ends_with(".git") { common.parent() } else { None };
            self.head(folder.unwrap_or(&common), commit);
        }
        self.worktrees();
        if tables.is_some() {
            return Some(self.ask_for_stash());
        }
        let stash = common.join("logs/refs/stash");
        let there = self.source(stash.clone());
        let text = there.and_then(|_| plain::read(&stash).ok()).unwrap_or_default();
        Some(in_stash(&String::from_utf8_lossy(&text)))
    }

    /// Remembers that the refs depend on this file or folder.
    fn source(&mut self, path: PathBuf) -> Option<Stamp> {
        let stamp = Stamp::of(&path);
        self.sources.push((path, stamp.clone()));
        stamp
    }

    fn folder(&mut self, folder: &Path) -> Option<()> {
        self.source(folder.to_owned());
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.folder(&path)?;
                continue;
            }
            if path.extension().is_some_and(|word| word == "lock") {
                continue;
            }
            if self.loose.len() >= MOST {
                return None;
            }
            self.file(&path);
        }
        Some(())
    }

    fn file(&mut self, path: &Path) {
        let Some(stamp) = Stamp::of(path) else { return };
        let value = self.content(path, stamp);
        if is_id(&value) {
            self.loose.insert(name_in(&self.watch.common, path), value);
        }
    }

    /// What a small file holds, which is read only if it may have changed.
    fn content(&mut self, path: &Path, stamp: Stamp) -> String {
        let now = SystemTime::now();
        let known = self.watch.files.get(path);
        if let Some((_, text)) = known.filter(|(known, _)| *known == stamp && !stamp.is_recent(now))
        {
            return text.clone();
        }
        let text = plain::word(path);
        self.watch.files.insert(path.to_owned(), (stamp, text.clone()));
        text
    }

    /// The commit of the HEAD in one of git's folders, if it is on no branch.
    fn detached(&mut self, admin: &Path) -> Option<String> {
        let head = admin.join("HEAD");
        let stamp = self.source(head.clone())?;
        Some(self.content(&head, stamp)).filter(|text| is_id(text))
    }

    /// A HEAD that is on no branch is a ref of its own.
    fn head(&mut self, folder: &Path, commit: String) {
        self.loose.insert(format!("HEAD of {}", folder.display()), commit);
    }

    /// Reads the HEADs of worktrees that are no session's.
    fn worktrees(&mut self) {
        let all = self.watch.common.join("worktrees");
        let stamp = self.source(all.clone());
        if self.watch.others.0 != stamp
            || stamp.as_ref().is_some_and(|stamp| stamp.is_recent(SystemTime::now()))
        {
            // What is a session's under the same name is not opened.
            let Watch { place, sessions, .. } = &*self.watch;
            let placed: HashSet<OsString> = names_in(place).collect();
            let begun: HashSet<OsString> = names_in(sessions).collect();
            let is_session = |name: &OsString| {
                placed.contains(name)
                    && begun.contains(name)
                    && place.join(name).join(".git").exists()
            };
            let others = names_in(&all).filter(|name| !is_session(name));
            let others: Vec<_> = others.map(|name| all.join(name)).collect();
            self.watch.folders.clear();
            self.watch.others = (stamp, others);
        }
        for admin in self.watch.others.1.clone() {
            // Most are on a branch. There may be hundreds: nothing else of those is read.
            let Some(commit) = self.detached(&admin) else { continue };
            let folder = || registered_in(&admin).map(|known| known.folder);
            let folder = self.watch.folders.entry(admin.clone()).or_insert_with(folder).clone();
            if let Some(folder) = folder.filter(|folder| !self.watch.is_of_session(folder)) {
                self.head(&folder, commit);
            }
        }
    }

    /// Asks git, where refs are in no files of their own.
    fn ask(&mut self) {
        let mut command = git_for_reading(&self.watch.common);
        command.args(["for-each-ref", "--format=%(objectname) %(refname)"]).args(WATCHED);
        let listed = read(&mut command).map(|done| done.stdout).unwrap_or_default();
        self.loose = in_packed(&String::from_utf8_lossy(&listed));
    }

    fn ask_for_stash(&self) -> Vec<(String, String)> {
        let mut command = git_for_reading(&self.watch.common);
        command.args(["log", "-g", "--no-show-signature", "--format=%H %gs", "refs/stash", "--"]);
        let listed = read(&mut command).map(|done| done.stdout).unwrap_or_default();
        let listed = String::from_utf8_lossy(&listed).into_owned();
        let entries = listed.lines().filter_map(|line| line.split_once(' '));
        entries.map(|(id, message)| (id.to_owned(), message.to_owned())).collect()
    }
}

/// The names of what is in a folder.
fn names_in(folder: &Path) -> impl Iterator<Item = OsString> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name())
}

/// The branches and tags in git's file of packed refs.
fn in_packed(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    lines
        .filter(|(id, name)| {
            is_id(id) && WATCHED.iter().any(|folder| name.starts_with(&format!("{folder}/")))
        })
        .map(|(id, name)| (name.to_owned(), id.to_owned()))
        .collect()
}

/// The entries of the stash, newest first, from its reflog.
fn in_stash(log: &str) -> Vec<(String, String)> {
    let entry = |line: &str| {
        let (ids, message) = line.split_once('\t').unwrap_or((line, ""));
        let id = ids.split(' ').nth(1).filter(|id| is_id(id))?;
        Some((id.to_owned(), message.to_owned()))
    };
    log.lines().rev().filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reflog_tells_where_a_branch_was() {
        let (a, b, zero) = ("a".repeat(40), "b".repeat(40), "0".repeat(40));
        let log = format!(
            "{zero} {a} T <t@x> 100 +0000\tbranch: Created\n{a} {b} T U <t@x> 200 +0100\tcommit: x\n"
        );
        for (moment, expected) in
            [(50, None), (100, None), (101, Some(&a)), (200, Some(&a)), (201, Some(&b))]
        {
            assert_eq!(value_at(&log, moment).as_ref(), expected, "{moment}");
        }
        assert_eq!(value_at("rubbish", 1), None);
    }
}
