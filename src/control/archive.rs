//! Putting several sessions away at once, and bringing one back.

use std::cmp::Reverse;
use std::fs;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::git::{self, Checkout, Plan, Start, WorktreePlan};
use crate::session::names::{name_in_folder, nearest};
use crate::session::order;
use crate::session::state::StateName;
use crate::session::store::{Folder, Lock, crash_point, read_journal};

use crate::worker::confine::repository;

use super::context::Context;
use super::error::{Attempt as _, Class, Error, Result};
use super::operation::{Operation, Perform};
use super::registry;
use super::remove::{ARCHIVE, Removed, check_at_rest, put_away};
use super::session::Session;
use super::target::Target;
use super::timer;

/// Removes sessions as [`Remove`](super::remove::Remove) does: those named, and with `done` all of
/// the project that are done. If a named one may not be archived, nothing is done to any.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Archive {
    /// Names, dated folder names or instances, as typed.
    pub sessions: Vec<String>,
    /// All sessions of the project that are done.
    pub done: bool,
    /// With `done`: only those that have been done for this many seconds.
    pub older_s: Option<u64>,
    /// Of those named, also the ones that are stopped, blocked or failed.
    pub unfinished: bool,
}

/// What became of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archived {
    /// Those that were archived.
    pub archived: Vec<Removed>,
    /// Those that could not be, and are as they were.
    pub left: Vec<Left>,
}

/// A session that could not be archived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// The session's name, without date and project.
    pub session: String,
    /// Why it was not archived; nothing of it was changed.
    pub error: Error,
}

/// Brings an archived session back: its folder, its worktree, and the work that was saved from it.
/// Does not start it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restore {
    /// A name or the name of its folder in the archive, as typed.
    pub session: String,
}

/// A session that was brought back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// The session's name, without date and project.
    pub session: String,
    /// The instance of its unit, which every verb takes as a name.
    pub instance: String,
    /// The session's folder, absolute.
    pub folder: PathBuf,
    /// The session's state when the call was made.
    pub state: StateName,
    /// Its worktree, if that could be made again.
    pub worktree: Option<PathBuf>,
    /// The reference whose files are in the worktree again, uncommitted as they were.
    pub rescued: Option<String>,
}

#[async_trait]
impl Perform for Archive {
    async fn perform(self, on: &Operation<'_>) -> Result<Archived> {
        refuse_agents(on)?;
        let (context, mut chosen) = match self.sessions.first() {
            Some(_) => Target::resolve_all(on.caller, &on.warnings, &self.sessions)?,
            None if self.done => (Context::here(on.caller, &on.warnings)?, Vec::new()),
            None => {
                return Err(Error::usage("say which sessions to archive")
                    .hint("samocode archive SESSION…, or samocode archive --done"));
            }
        };
        for (at, session) in chosen.iter().enumerate() {
            if chosen[..at].iter().any(|other| other.folder == session.folder) {
                return Err(Error::usage(format!("{} is named twice", session.name)));
            }
        }
        chosen.iter().try_for_each(|session| self.check(session))?;
        if self.done {
            for session in registry::all(&context)? {
                let is_named = chosen.iter().any(|named| named.folder == session.folder);
                if is_named || !self.is_due(&session)? {
                    continue;
                }
                match timer::of(&session) {
                    Some(timer) => on.warnings.add(format!(
                        "{} stays, for its timer: it starts {}; archive it by its name to end that",
                        session.name,
                        timer.in_short()
                    )),
                    None => chosen.push(session),
                }
            }
        }
        // Those below others first.
        order::by_key(&mut chosen, |session| Reverse(session.folder.path().components().count()));
        let mut all = Archived { archived: Vec::new(), left: Vec::new() };
        let of = chosen.len();
        for (done, session) in chosen.into_iter().enumerate() {
            let name = session.name.clone();
            on.step(done + 1, of, format!("archiving {name}"));
            match put_away(on, Target { context: context.clone(), session }).await {
                Ok(removed) => all.archived.push(removed),
                Err(error) => {
                    let error = on.caller.pasteable(error);
                    all.left.push(Left { session: name, error });
                }
            }
            crash_point("one of several sessions is archived");
        }
        Ok(all)
    }
}

fn refuse_agents(on: &Operation<'_>) -> Result<()> {
    match on.caller.session() {
        Some(_) => Err(Error::refused("sessions are archived by humans, not by agents")),
        None => Ok(()),
    }
}

impl Archive {
    /// Whether a session that was named may be archived.
    fn check(&self, session: &Session) -> Result<()> {
        check_at_rest(session)?;
        let (name, instance) = (&session.name, &session.instance);
        match session.hook()?.state {
            StateName::Done => Ok(()),
            StateName::Waiting => {
                Err(Error::refused(format!("{name} is waiting for you")).hint(format!(
                    "see what for: samocode why {instance}; or stop it: samocode stop {instance}"
                )))
            }
            StateName::Stopped | StateName::Blocked | StateName::Failed if self.unfinished => {
                Ok(())
            }
            state @ (StateName::Stopped | StateName::Blocked | StateName::Failed) => {
                Err(Error::refused(format!("{name} is {state}, not done"))
                    .hint(format!("archive it anyway: samocode archive {instance} --unfinished")))
            }
            state => Err(Error::refused(format!("{name} is {state}"))
                .hint(format!("stop it first: samocode stop --now {instance}"))),
        }
    }

    /// Whether a session is done, and has been for long enough.
    fn is_due(&self, session: &Session) -> Result<bool> {
        if session.is_worked_on() {
            return Ok(false);
        }
        let hook = session.hook()?;
        let age = Timestamp::now().duration_since(hook.since);
        let least = i64::try_from(self.older_s.unwrap_or(0)).unwrap_or(i64::MAX);
        Ok(hook.state == StateName::Done && age >= SignedDuration::from_secs(least))
    }
}

#[async_trait]
impl Perform for Restore {
    async fn perform(self, on: &Operation<'_>) -> Result<Restored> {
        refuse_agents(on)?;
        let context = Context::here(on.caller, &on.warnings)?;
        context.project.check_sessions()?;
        let sessions = &context.project.sessions;
        let kept = find(sessions, &self.session)?;
        let folder = kept.home.join(&kept.folder);
        if fs::symlink_metadata(&folder).is_ok() {
            return Err(Error::refused(format!(
                "cannot restore {}: {} exists again",
                kept.name,
                folder.display()
            ))
            .hint(format!("archive that one first: samocode archive {}", kept.folder)));
        }
        let action = || format!("move {} to {}", kept.path.display(), folder.display());
        on.step(1, 1, format!("restoring {}", kept.name));
        // The worktree first: if it cannot be made, the session stays in the archive.
        let (worktree, rescued) = worktree_of(&context, &kept).await?;
        crash_point("the worktree is back");
        fs::rename(&kept.path, &folder).attempt(action)?;
        for place in [&kept.home, &kept.home.join(ARCHIVE)] {
            fs::File::open(place).and_then(|place| place.sync_all()).attempt(action)?;
        }
        let restored = Folder::new(&folder);
        if restored.lacks_record() {
            // In the archive its record is in its folder, which the agent of the one above may not write.
            restored.set_apart(Lock::take(&restored)?)?;
        }
        let target = on.resolve(&kept.folder)?;
        Ok(Restored {
            state: target.session.hook()?.state,
            session: target.session.name,
            instance: target.session.instance,
            folder,
            worktree,
            rescued,
        })
    }
}

/// A session in the archive.
struct Kept {
    path: PathBuf,
    /// Where its folder was.
    home: PathBuf,
    /// The name that its folder had.
    folder: String,
    name: String,
}

/// Makes the worktree again on the session's branch, with the files that were saved from it.
async fn worktree_of(context: &Context, kept: &Kept) -> Result<(Option<PathBuf>, Option<String>)> {
    let folder = Folder::new(&kept.path);
    let (since, branch) =
        folder.read_hook().map(|hook| (hook.since, hook.branch)).unwrap_or_default();
    let (Some(branch), Some(_)) = (branch, git::root(&context.project.main_repo)?) else {
        return Ok((None, None));
    };
    let checkout = Checkout::of_session(&context.project, &kept.folder);
    let is_there = matches!(
        checkout.plan(&branch)?,
        Plan::Worktree(WorktreePlan { start: Start::Attach(_), .. })
    );
    if !is_there {
        context.warnings.add(format!("branch {branch} no longer exists; no worktree was made"));
        return Ok((None, None));
    }
    // Its worker gives it what a new one gets.
    folder.mark_unready()?;
    let programs = git::Programs::of(&context.dirs.state);
    let made = checkout.make(&branch, &programs, repository(&context.settings)).await?;
    made.notes.iter().for_each(|note| context.warnings.add(note.to_string()));
    let root = checkout.root().to_owned();
    let rescued = git::bring_back(&root, &kept.name).await?;
    // HEAD was on no branch, or the branch has moved since.
    if rescued.is_none()
        && let Some(saved) = git::saved_since(&root, &kept.name, since)?
    {
        context.warnings.add(format!(
            "{saved} has what was saved from the worktree; it was not brought back, since branch {branch} is at another commit; look at it with: git -C {} show {saved}",
            crate::service::quoted(&root)
        ));
    }
    Ok((Some(root), rescued))
}

/// Finds what was typed in the archive: the name of a folder there, or the newest session of that
/// name.
fn find(sessions: &Path, typed: &str) -> Result<Kept> {
    let archive = sessions.join(ARCHIVE);
    let mut all: Vec<(String, Kept)> = Vec::new();
    for home in homes(sessions)? {
        for entry in entries(&home.join(ARCHIVE))? {
            let own = entry.file_name().to_string_lossy().into_owned();
            let is_below = home != sessions;
            if let Some(kept) = kept(entry.path(), &home, &own, is_below) {
                all.push((own, kept));
            }
        }
    }
    // The same name again got a number in the archive: the one with the longest name is newer.
    order::by(&mut all, |(a, one), (b, other)| {
        (&other.folder, b.len(), b).cmp(&(&one.folder, a.len(), a))
    });
    let at = all.iter().position(|(own, _)| own == typed);
    let at = at.or_else(|| all.iter().position(|(_, kept)| kept.name == typed));
    if let Some(at) = at {
        return Ok(all.swap_remove(at).1);
    }
    let message = format!("there is no session '{typed}' in {}", archive.display());
    let error = Error::new(Class::NotFound, message);
    Err(match nearest(typed, all.iter().map(|(_, kept)| kept.name.as_str())) {
        Some(near) => error.hint(format!("did you mean '{near}'?")),
        None => error.hint(format!("see what is there: ls {}", crate::service::quoted(&archive))),
    })
}

/// The folders that sessions lie in: the project's, and those of sessions with others below them.
fn homes(sessions: &Path) -> Result<Vec<PathBuf>> {
    let mut homes = vec![sessions.to_owned()];
    for entry in entries(sessions)? {
        if name_in_folder(&entry.file_name().to_string_lossy()).is_some() {
            let folder = Folder::new(entry.path());
            let below = folder.descendants();
            let all = std::iter::once(folder).chain(below);
            homes.extend(all.filter(Folder::coordinates).map(|folder| folder.workers()));
        }
    }
    Ok(homes)
}

fn entries(folder: &Path) -> Result<Vec<fs::DirEntry>> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => {
            Ok(entries.attempt(|| format!("read {}", folder.display()))?.flatten().collect())
        }
    }
}

/// A session in the archive of `home`. Those below others need no date in their name.
fn kept(path: PathBuf, home: &Path, own: &str, is_below: bool) -> Option<Kept> {
    let plain = name_in_folder(own).or_else(|| is_below.then_some(own))?.to_owned();
    let home = home.to_owned();
    // By its files; a folder that has none keeps its name.
    let folder = Folder::new(&path);
    let named = read_journal(&folder, |_| {}).map(|(state, _)| state.name).unwrap_or_default();
    let is_numbered = plain
        .strip_prefix(&format!("{named}-"))
        .is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
    if named.is_empty() || !is_numbered {
        return Some(Kept { path, home, folder: own.to_owned(), name: plain });
    }
    let day = own.strip_suffix(&plain)?;
    Some(Kept { folder: format!("{day}{named}"), name: named, path, home })
}

#[cfg(test)]
mod tests;
