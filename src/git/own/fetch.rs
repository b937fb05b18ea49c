//! Takes a session's branch over into the project's repository.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::references::update;
use super::{MOVED, OwnRepository, WORK};
use crate::git::command::{git_command, git_for_reading, run, setting};
use crate::git::reader::open;
use crate::git::{Error, quoted};
use crate::session::store::crash_point;

/// Longest wait for git to copy a run's objects.
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// git's exit status for an unknown option.
const USAGE: i32 = 129;

/// What became of a session's commits in the project's repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// The branch has all of them.
    Up,
    /// They are kept, and the branch was left as it is.
    Aside {
        /// Why, as a sentence without a full stop.
        why: String,
        /// The command that takes them over.
        remedy: String,
    },
}

/// What a branch is in both repositories.
struct Standing {
    top: PathBuf,
    tip: String,
    /// The branch in the project's repository.
    at: Option<String>,
    /// What was fetched last.
    work: Option<String>,
    /// Where samocode moved the branch last.
    moved: Option<String>,
}

impl OwnRepository {
    /// Brings the session's commits into the project's repository, without running anything that
    /// the session's repository names. Call it only while no agent of the session runs, after
    /// [`put_back`](Self::put_back).
    ///
    /// # Errors
    /// git's; [`Error::Astray`] if objects were replaced by links.
    pub(in crate::git) async fn fetch(&self) -> Result<Fetched, Error> {
        let branch = self.branch()?;
        let name = format!("refs/heads/{branch}");
        let work = format!("{WORK}/{branch}");
        let moved = format!("{MOVED}/{branch}");
        let standing = self.standing([&name, &work, &moved])?;
        let Some(standing) = standing else { return Ok(Fetched::Up) };
        let Standing { tip, work: known, .. } = &standing;
        if known.as_ref() != Some(tip) {
            self.check_objects()?;
            self.copy_lfs()?;
            self.fetch_as(&[format!("+{name}:{work}")]).await?;
            crash_point("a session's commits are fetched, its branch is not moved");
        }
        self.move_up(&branch, &standing)
    }

    /// Brings commits into the project's repository while the agent runs, from a bundle that its own git
    /// made: nothing of its repository is read.
    ///
    /// # Errors
    /// git's.
    pub(in crate::git) async fn fetch_bundle(&self, bundle: &Path) -> Result<Fetched, Error> {
        let branch = self.branch()?;
        let name = format!("refs/heads/{branch}");
        let work = format!("{WORK}/{branch}");
        self.fetch_from(bundle, &[format!("+{name}:{work}")]).await?;
        let main = self.main()?;
        let commit = |name: &str| Ok::<_, Error>(main.commit(name)?.map(|base| base.commit));
        let Some(tip) = commit(&work)? else { return Ok(Fetched::Up) };
        let standing = Standing {
            top: main.place().top.clone(),
            at: commit(&name)?,
            work: Some(tip.clone()),
            moved: commit(&format!("{MOVED}/{branch}"))?,
            tip,
        };
        self.move_up(&branch, &standing)
    }

    /// Moves the branch in the project's repository to what was fetched, unless a human has moved it.
    fn move_up(&self, branch: &str, standing: &Standing) -> Result<Fetched, Error> {
        let Standing { top, tip, at, moved: before, .. } = standing;
        let name = format!("refs/heads/{branch}");
        let work = format!("{WORK}/{branch}");
        let moved = format!("{MOVED}/{branch}");
        let doing = format!("move branch {branch} in {}", top.display());
        let remember = format!("update {moved} {tip}\n");
        if at.as_ref() == Some(tip) {
            if before.as_ref() != Some(tip) {
                update(git_for_reading(top), &remember, &doing)?;
            }
            return Ok(Fetched::Up);
        }
        let main = self.main()?;
        if let Some(at) = at.as_ref().filter(|at| before.as_ref() != Some(at)) {
            if main.ahead(tip, at)? == 0 {
                return Ok(Fetched::Up);
            }
            if main.ahead(at, tip)? > 0 {
                let why = format!(
                    "branch {branch} has commits in {} that the session does not have, so its work was fetched as {work}",
                    top.display()
                );
                let worktree = self.worktree();
                let remedy = format!("git -C {} merge {at}", quoted(&worktree));
                return Ok(Fetched::Aside { why, remedy });
            }
        }
        let elsewhere = match main.main_on(&name)? {
            Some(folder) => Some(folder),
            None => main.worktree_on(&name, &|_| false)?,
        };
        if let Some(folder) = elsewhere {
            let why = format!(
                "branch {branch} is checked out in {}, so the session's work was fetched as {work}",
                folder.display()
            );
            let remedy = format!("git -C {} merge --ff-only {work}", quoted(&folder));
            return Ok(Fetched::Aside { why, remedy });
        }
        let line = match at {
            Some(at) => format!("update {name} {tip} {at}\n{remember}"),
            None => format!("create {name} {tip}\n{remember}"),
        };
        update(git_for_reading(top), &line, &doing)?;
        Ok(Fetched::Up)
    }

    fn standing(&self, [name, work, moved]: [&String; 3]) -> Result<Option<Standing>, Error> {
        let own = open(&self.folder)?
            .ok_or_else(|| Error::NoRepository { folder: self.folder.clone() })?;
        let Some(tip) = own.commit(name)? else { return Ok(None) };
        let main = self.main()?;
        let commit = |name: &str| Ok::<_, Error>(main.commit(name)?.map(|base| base.commit));
        Ok(Some(Standing {
            top: main.place().top.clone(),
            tip: tip.commit,
            at: commit(name)?,
            work: commit(work)?,
            moved: commit(moved)?,
        }))
    }

    /// Fetches references of the session's repository into the project's.
    pub(super) async fn fetch_as(&self, specs: &[String]) -> Result<(), Error> {
        self.fetch_from(&self.folder, specs).await
    }

    async fn fetch_from(&self, source: &Path, specs: &[String]) -> Result<(), Error> {
        let top = self.main()?.place().top.clone();
        let doing = format!("fetch the session's work from {}", source.display());
        let mut finished = None;
        for option in [Some("--no-write-fetch-head"), None] {
            let mut command = git_command(&top);
            for (key, value) in [
                ("gc.auto", "0"),
                ("maintenance.auto", "false"),
                ("fetch.prune", "false"),
                ("protocol.file.allow", "always"),
            ] {
                command.args(setting(key, value));
            }
            command.args(["fetch", "--quiet", "--no-tags", "--no-recurse-submodules"]);
            command.args(option).arg("--").arg(source).args(specs);
            let done = run(command, &doing, LIMIT).await?;
            let is_unknown = done.status.code() == Some(USAGE);
            finished = Some(done);
            // Before 2.29 there is no such option.
            if !is_unknown {
                break;
            }
        }
        finished.map_or(Ok(()), |done| done.checked(&doing).map(drop))
    }

    /// The session's worktree.
    fn worktree(&self) -> PathBuf {
        let name = self.folder.file_name().unwrap_or_default();
        let worktrees = self.folder.parent().and_then(std::path::Path::parent);
        worktrees.map_or_else(|| PathBuf::from(name), |worktrees| worktrees.join(name))
    }
}
