//! Saves the work that only a worktree has, before the worktree is removed.
//!
//! The branch stays, and with it what is committed there. Everything else goes with the worktree:
//! changed and untracked files, what is staged, and commits that only its HEAD, its operations or
//! its reflog know. [`rescue`] makes one commit of it and a reference that keeps it:
//!
//! ```text
//! refs/samocode/rescue/SESSION/TIME   files as they are in the worktree
//!   parent 1                          HEAD
//!   parent 2                          what is staged, if that is something else
//!   other parents                     commits that are on no branch
//! ```
//!
//! It works on a copy of the index and runs no hooks, so the worktree is left as it is.

mod back;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use tokio::process::Command;

use super::command::{Finished, git_command, git_for_reading, read, run};
use super::{Error, plain, programs::Barred, quoted, remove::Reflog};

pub use back::{bring_back, saved_since};

/// Longest wait for git: it may have to read gigabytes of untracked files.
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// Where rescued work is kept, below it the session and the time.
const RESCUED: &str = "refs/samocode/rescue/";

/// References that belong to one worktree and go with it.
const OF_WORKTREE: [&str; 3] = ["worktree", "bisect", "rewritten"];

/// Files of a worktree in git's folder that name commits, a line each.
const NAMING_COMMITS: [&str; 9] = [
    "HEAD",
    "ORIG_HEAD",
    "MERGE_HEAD",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
    "REBASE_HEAD",
    "MERGE_AUTOSTASH",
    "rebase-merge/autostash",
    "rebase-apply/autostash",
];

/// How many entries of the reflog of HEAD are looked at, newest first.
const REFLOG: &str = "--max-count=1000";

/// Work that was saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rescued {
    /// The reference that keeps it.
    pub reference: String,
    /// How many files differ from the last commit.
    pub files: usize,
    /// How many commits were on no branch.
    pub commits: usize,
}

impl Rescued {
    /// The command that makes a branch of it.
    #[must_use]
    pub fn command(&self, repo: &Path, session: &str) -> String {
        format!("git -C {} branch {session}-rescued {}", quoted(repo), self.reference)
    }
}

/// A repository inside the worktree with work that is in no other place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nested {
    /// The root of that repository, inside the worktree.
    pub path: PathBuf,
    /// How many of its files are not committed.
    pub files: usize,
    /// How many of its commits are on no remote.
    pub commits: usize,
}

/// What [`rescue`] found in a worktree that is about to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// All of it is on branches.
    Nothing,
    /// There was work on no branch, and it was saved under a reference.
    Saved(Rescued),
    /// It cannot be saved in this repository.
    Nested(Nested),
}

/// Saves what only the worktree at `root` has. Saving the same again changes nothing.
///
/// # Errors
/// git's. The worktree is unchanged then.
pub(super) async fn rescue(root: &Path, session: &str, reflog: Reflog) -> Result<Found, Error> {
    let work = Worktree { reflog, ..Worktree::open(root).await? };
    let found = work.rescue(session).await;
    let _ = fs::remove_dir_all(&work.scratch);
    found
}

/// What one commit would have to hold.
struct Contents {
    head: Option<String>,
    /// The files as they are.
    tree: String,
    /// What is staged, if it is neither that nor the last commit.
    staged: Option<String>,
    /// The tips of the commits that are on no branch.
    tips: Vec<String>,
    files: usize,
    commits: usize,
}

struct Worktree<'r> {
    root: &'r Path,
    /// Its folder in the repository.
    admin: PathBuf,
    /// A folder of ours in that, for the copy of the index.
    scratch: PathBuf,
    /// Options that keep the repository's own filters from running: an agent may have set them.
    no_filters: Vec<OsString>,
    doing: String,
    reflog: Reflog,
}

impl<'r> Worktree<'r> {
    async fn open(root: &'r Path) -> Result<Self, Error> {
        let doing = format!("save the work in {}", root.display());
        let mut command = git_command(root);
        command.args(["rev-parse", "--absolute-git-dir"]);
        let admin = PathBuf::from(run(command, &doing, LIMIT).await?.line(doing.clone())?);
        let scratch = admin.join("samocode-rescue");
        // One who was killed left it.
        let _ = fs::remove_dir_all(&scratch);
        fs::create_dir(&scratch).map_err(|source| Error::Io {
            doing: "create the folder",
            path: scratch.clone(),
            source,
        })?;
        let no_filters = Barred::all_filters(root).await?.without_filters();
        Ok(Self { root, admin, scratch, no_filters, doing, reflog: Reflog::Stays })
    }

    async fn rescue(&self, session: &str) -> Result<Found, Error> {
        let contents = self.contents().await?;
        if let Some(nested) = self.nested().await? {
            return Ok(Found::Nested(nested));
        }
        if contents.files == 0 && contents.commits == 0 && contents.staged.is_none() {
            return Ok(Found::Nothing);
        }
        let saved = |reference| {
            Found::Saved(Rescued { reference, files: contents.files, commits: contents.commits })
        };
        let folder = format!("{RESCUED}{}/", component(session));
        if let Some(known) = self.known(&folder, &contents)? {
            return Ok(saved(known));
        }
        let commit = self.commit(session, &contents).await?;
        Ok(saved(self.keep(&folder, &commit).await?))
    }

    async fn contents(&self) -> Result<Contents, Error> {
        let head = self.asked(&["rev-parse", "--verify", "--quiet", "HEAD^{commit}"])?;
        let head_tree = match &head {
            Some(head) => self.line(self.git(&["rev-parse", &format!("{head}^{{tree}}")])).await?,
            None => self.line(self.git(&["mktree"])).await?,
        };
        let staged = self.copy_index(head.as_deref()).await?;
        // Files that someone marked as unchanged may have changed; its exit code tells of others.
        let refreshed = self.indexed(&["update-index", "-q", "--really-refresh"]);
        run(refreshed, &self.doing, LIMIT).await?;
        let mut added = git_command(self.root);
        added.args(&self.no_filters);
        added.args(["-c", "core.safecrlf=false", "-c", "core.splitIndex=false"]);
        added.env("GIT_INDEX_FILE", self.index()).args(["add", "--all", "--", ":/"]);
        run(added, &self.doing, LIMIT).await?.checked(&self.doing)?;
        let tree = self.line(self.indexed(&["write-tree"])).await?;
        let staged = staged.filter(|staged| *staged != tree && *staged != head_tree);
        let (tips, commits) = self.loose(head.as_deref()).await?;
        let files = self.count_differences(&head_tree, &tree)?;
        Ok(Contents { head, tree, staged, tips, files, commits })
    }

    /// Copies the index and returns its tree; `None` if there is none to write, as in a conflict.
    async fn copy_index(&self, head: Option<&str>) -> Result<Option<String>, Error> {
        let from = self.admin.join("index");
        match fs::copy(&from, self.index()) {
            Ok(_) => {
                let written = run(self.indexed(&["write-tree"]), &self.doing, LIMIT).await?;
                Ok(written.line(&self.doing).ok())
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let args = head.map_or(["read-tree", "--empty"], |head| ["read-tree", head]);
                run(self.indexed(&args), &self.doing, LIMIT).await?.checked(&self.doing)?;
                Ok(None)
            }
            Err(source) => Err(Error::Io { doing: "copy", path: from, source }),
        }
    }

    /// The tips of the commits that only this worktree knows, and how many commits they hold.
    async fn loose(&self, head: Option<&str>) -> Result<(Vec<String>, usize), Error> {
        let mut known: Vec<String> = head.map(str::to_owned).into_iter().collect();
        for file in NAMING_COMMITS {
            let text = plain::text(&self.admin.join(file)).unwrap_or_default();
            known.extend(text.lines().map(str::trim).filter(|line| is_id(line)).map(str::to_owned));
        }
        let own = OF_WORKTREE.map(|own| format!("refs/{own}"));
        let mut listed = vec!["for-each-ref", "--format=%(objectname)"];
        listed.extend(own.iter().map(String::as_str));
        known.extend(self.lines(&listed)?);
        // A reflog that stays needs no saving.
        let branch = self.asked(&["symbolic-ref", "--quiet", "HEAD"])?;
        let branch = branch.filter(|_| self.reflog == Reflog::Stays);
        let kept = match &branch {
            Some(branch) => self.lines(&["log", "-g", "--format=%H", branch]).unwrap_or_default(),
            None => Vec::new(),
        };
        let reflog = self.lines(&["log", "-g", REFLOG, "--format=%H", "HEAD"]).unwrap_or_default();
        known.extend(reflog.into_iter().filter(|id| !kept.contains(id)));
        known.sort_unstable();
        known.dedup();
        if known.is_empty() {
            return Ok((Vec::new(), 0));
        }
        let mut args = vec!["rev-list".to_owned(), "--ignore-missing".to_owned()];
        args.extend(known.iter().cloned());
        args.push("--not".to_owned());
        args.extend(OF_WORKTREE.map(|own| format!("--exclude=refs/{own}/*")));
        args.push("--glob=refs/*".to_owned());
        let loose = self.lines(&args)?;
        let mut tips: Vec<String> = known.into_iter().filter(|id| loose.contains(id)).collect();
        if tips.len() > 1 {
            let mut args = vec!["merge-base".to_owned(), "--independent".to_owned()];
            args.append(&mut tips);
            tips = self.lines(&args)?;
        }
        Ok((tips, loose.len()))
    }

    /// The first repository inside the worktree with work that is in no other place.
    async fn nested(&self) -> Result<Option<Nested>, Error> {
        let mut command = git_for_reading(self.root);
        command.env("GIT_INDEX_FILE", self.index()).args(["ls-files", "--stage", "-z"]);
        let listed = read(&mut command)?.checked(&self.doing)?;
        let links = listed.stdout.split(|byte| *byte == 0).filter_map(|entry| {
            let entry = entry.strip_prefix(b"160000 ")?;
            let at = entry.iter().position(|byte| *byte == b'\t')?;
            Some(self.root.join(as_path(&entry[at + 1..])))
        });
        for path in links.filter(|path| fs::symlink_metadata(path.join(".git")).is_ok()) {
            let files = super::changed_files(&path).await?;
            let mut command = git_for_reading(&path);
            command.args(["rev-list", "--count", "--all", "HEAD", "--not", "--remotes"]);
            let doing = format!("look for commits in {}", path.display());
            let line = read(&mut command)?.line(&doing)?;
            let commits =
                line.trim().parse().map_err(|_| Error::Git { doing, said: line.clone() })?;
            if files > 0 || commits > 0 {
                return Ok(Some(Nested { path, files, commits }));
            }
        }
        Ok(None)
    }

    /// The reference with just these contents, from a removal that did not finish.
    fn known(&self, folder: &str, contents: &Contents) -> Result<Option<String>, Error> {
        let all = self.lines(&["for-each-ref", "--format=%(refname) %(tree) %(parent)", folder])?;
        Ok(all.into_iter().find_map(|line| {
            let mut words = line.split(' ');
            let (name, tree) = (words.next()?, words.next()?);
            let parents: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
            let is_same = tree == contents.tree
                && contents.staged.is_none()
                && parents.first().copied() == contents.head.as_deref()
                && contents.tips.iter().all(|tip| parents.contains(&tip.as_str()));
            is_same.then(|| name.to_owned())
        }))
    }

    async fn commit(&self, session: &str, contents: &Contents) -> Result<String, Error> {
        let mut parents: Vec<String> = contents.head.clone().into_iter().collect();
        if let Some(staged) = &contents.staged {
            let message = format!("What was staged in the worktree of {session}");
            parents.push(self.line(self.committed(staged, &parents, &message)).await?);
        }
        parents.extend(
            contents.tips.iter().filter(|tip| Some(*tip) != contents.head.as_ref()).cloned(),
        );
        let message = format!("What was in the worktree of {session} and on no branch");
        self.line(self.committed(&contents.tree, &parents, &message)).await
    }

    fn committed(&self, tree: &str, parents: &[String], message: &str) -> Command {
        let mut command = self.git(&["commit-tree", tree, "-m", message]);
        for parent in parents {
            command.args(["-p", parent]);
        }
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "samocode");
            command.env(format!("GIT_{who}_EMAIL"), "samocode@localhost");
        }
        command
    }

    /// Makes the reference and reads it back.
    async fn keep(&self, folder: &str, commit: &str) -> Result<String, Error> {
        let time = Timestamp::now().strftime(back::TIME).to_string();
        let mut name = format!("{folder}{time}");
        for number in 2.. {
            let known = self.asked(&["rev-parse", "--verify", "--quiet", &name])?;
            match known.as_deref() {
                Some(known) if known == commit => break,
                Some(_) => name = format!("{folder}{time}-{number}"),
                None => {
                    // Only if there is still none.
                    let made = self.git(&["update-ref", &name, commit, ""]);
                    run(made, &self.doing, LIMIT).await?.checked(&self.doing)?;
                }
            }
        }
        Ok(name)
    }

    fn count_differences(&self, from: &str, to: &str) -> Result<usize, Error> {
        let mut command = git_for_reading(self.root);
        command.args(["diff-tree", "-r", "-z", "--name-only", "--no-renames", from, to]);
        let listed = read(&mut command)?.checked(&self.doing)?;
        Ok(listed.stdout.iter().filter(|byte| **byte == 0).count())
    }

    fn index(&self) -> PathBuf {
        self.scratch.join("index")
    }

    fn git(&self, args: &[&str]) -> Command {
        let mut command = git_command(self.root);
        command.args(&self.no_filters).args(args);
        command
    }

    /// A command that works on the copy of the index.
    fn indexed(&self, args: &[&str]) -> Command {
        let mut command = git_command(self.root);
        command.args(&self.no_filters).args(["-c", "core.splitIndex=false"]).args(args);
        command.env("GIT_INDEX_FILE", self.index());
        command
    }

    async fn line(&self, command: Command) -> Result<String, Error> {
        run(command, &self.doing, LIMIT).await?.line(&self.doing)
    }

    /// The line that git prints, or `None` if it says by its exit code that there is none.
    fn asked(&self, args: &[&str]) -> Result<Option<String>, Error> {
        let finished = self.read(args)?;
        Ok(if finished.status.success() { Some(finished.line(&self.doing)?) } else { None })
    }

    fn lines(&self, args: &[impl AsRef<std::ffi::OsStr>]) -> Result<Vec<String>, Error> {
        let finished = self.read(args)?.checked(&self.doing)?;
        Ok(String::from_utf8_lossy(&finished.stdout).lines().map(str::to_owned).collect())
    }

    fn read(&self, args: &[impl AsRef<std::ffi::OsStr>]) -> Result<Finished, Error> {
        let mut command = git_for_reading(self.root);
        command.args(&self.no_filters).args(args);
        read(&mut command)
    }
}

fn is_id(text: &str) -> bool {
    text.len() >= 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn as_path(bytes: &[u8]) -> &Path {
    use std::os::unix::ffi::OsStrExt as _;
    Path::new(std::ffi::OsStr::from_bytes(bytes))
}

/// A session's name as a component of a reference.
fn component(session: &str) -> String {
    if git2::Reference::is_valid_name(&format!("{RESCUED}{session}/0")) {
        return session.to_owned();
    }
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    session.chars().map(plain).collect()
}

#[cfg(test)]
mod tests;
