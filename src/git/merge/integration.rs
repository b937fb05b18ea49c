//! The worktree in which branches are merged and tested, with a detached HEAD.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

use super::super::command::{Finished, git_command, run, setting};
use super::super::confirm::confirm;
use super::super::leftovers::registered_as;
use super::super::plain;
use super::super::programs::{Barred, own_signer};
use super::super::reader::{open_worktree, tidy};
use super::super::{CHECKOUT_LIMIT, Error, Programs};
use super::{Conflict, ConflictKind, conflict};

/// Time limit for commands that touch only a few files of git's own.
const SHORT: Duration = Duration::from_secs(60);

/// A worktree that belongs to samocode alone. Nothing in it is worth keeping: what it holds is
/// either in a commit or made again.
#[derive(Debug, Clone)]
pub struct Integration {
    repo: PathBuf,
    path: PathBuf,
    /// Marks its processes, as `SAMOCODE_RUN` marks those of an agent.
    run: String,
    programs: Programs,
}

/// What became of a merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merged {
    /// The commit with both sides.
    Commit(String),
    /// These files conflict; nothing was merged.
    Conflicts(Vec<Conflict>),
    /// A hook refused the merge, or git failed for another reason, in its own words.
    Refused(String),
}

impl Integration {
    /// The worktree at `path` of a repository; it need not exist. Whatever git starts for it has
    /// `SAMOCODE_RUN=run` in its environment.
    #[must_use]
    pub fn new(repo: &Path, path: &Path, run: &str, programs: Programs) -> Self {
        Self { repo: repo.to_owned(), path: path.to_owned(), run: run.to_owned(), programs }
    }

    /// The root of the worktree in which branches are merged.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts it at a commit, exactly: makes it if it does not exist, completes or replaces what a
    /// killed process left, and discards everything that is not in the commit, except for files
    /// that git ignores, so that builds stay warm.
    ///
    /// # Errors
    /// git's, and [`Error::TimedOut`] after [`CHECKOUT_LIMIT`].
    pub async fn put_at(&self, commit: &str) -> Result<(), Error> {
        let barred = self.programs.barred(&self.repo).await?;
        if self.path.join(".git").exists() && self.reset(commit, &barred).await.is_ok() {
            return Ok(());
        }
        self.remove()?;
        if let Some(parent) = self.path.parent() {
            std::fs::create_dir_all(parent).map_err(|source| Error::Io {
                doing: "create the folder",
                path: parent.to_owned(),
                source,
            })?;
        }
        let doing = format!("make the worktree {}", self.path.display());
        let mut command = self.marked(barred.git(&self.repo, true));
        command.args(["worktree", "add", "--detach", "--force", "--"]).arg(&self.path).arg(commit);
        run(command, &doing, CHECKOUT_LIMIT).await?.checked(doing)?;
        self.confirmed().await?;
        self.reset(commit, &barred).await
    }

    async fn reset(&self, commit: &str, barred: &Barred) -> Result<(), Error> {
        self.confirmed().await?;
        // A git that was killed left these; nobody else works here.
        if let Some(known) = self.registration()? {
            for lock in ["index.lock", "HEAD.lock"] {
                let _ = std::fs::remove_file(known.join(lock));
            }
        }
        for args in [
            &["checkout", "--quiet", "--force", "--detach", commit][..],
            &["reset", "--quiet", "--hard", commit],
            &["clean", "--quiet", "-f", "-f", "-d"],
        ] {
            let doing = format!("put {} at {commit}", self.path.display());
            let mut command = self.marked(barred.git(&self.path, false));
            command.args(args);
            run(command, &doing, CHECKOUT_LIMIT).await?.checked(doing)?;
        }
        Ok(())
    }

    /// Makes sure that git in it works on it, and not on the human's checkout.
    async fn confirmed(&self) -> Result<(), Error> {
        confirm(&self.path, &self.repo, None).await.map(drop)
    }

    fn registration(&self) -> Result<Option<PathBuf>, Error> {
        registration(&self.repo, &self.path)
    }

    /// Merges a commit into HEAD with the git program, hooks and filters included, but for those
    /// that an agent may have added. A merge that does not work leaves no trace. Neither side is
    /// ever preferred.
    ///
    /// # Errors
    /// If git cannot be run, or takes too long.
    pub async fn merge(&self, commit: &str, message: &str) -> Result<Merged, Error> {
        let before = self.head()?;
        let barred = self.programs.barred(&self.repo).await?;
        if let Some(key) = self.signer().await? {
            return Ok(Merged::Refused(format!(
                "commit.gpgSign is on, and {key} in the repository's own settings names the \
                 program, which samocode does not run; samocode doctor has the remedy"
            )));
        }
        let mut command = self.marked(barred.git_for_merge(&self.path));
        // No conflict is resolved as it was elsewhere.
        command.args(setting("rerere.enabled", "false"));
        // A strategy that every git has, so that none from the settings (pull.twohead) is used.
        command.args(["merge", "--strategy=recursive", "--no-ff", "--no-edit", "--quiet"]);
        command.args(["-m", message, commit]);
        let doing = format!("merge {commit} in {}", self.path.display());
        let done = run(command, &doing, CHECKOUT_LIMIT).await?;
        if done.status.success() {
            return Ok(Merged::Commit(self.head()?));
        }
        let conflicts = self.conflicts(&barred).await?;
        let Finished { said, .. } = done;
        self.reset(&before, &barred).await?;
        Ok(if conflicts.is_empty() { Merged::Refused(said) } else { Merged::Conflicts(conflicts) })
    }

    /// The repository's own setting that names who signs, if commits are to be signed.
    async fn signer(&self) -> Result<Option<String>, Error> {
        let mut command = git_command(&self.repo);
        command.args(["config", "--type=bool", "--get", "commit.gpgSign"]);
        let doing = "ask whether merges are signed";
        let signs = run(command, doing, SHORT).await?.stdout.starts_with(b"true");
        if signs { own_signer(&self.repo).await } else { Ok(None) }
    }

    fn marked(&self, mut command: Command) -> Command {
        command.env("SAMOCODE_RUN", &self.run);
        command
    }

    /// The commit it is at.
    ///
    /// # Errors
    /// git's.
    pub fn head(&self) -> Result<String, Error> {
        let head = open_worktree(&self.path)?.commit("HEAD")?;
        head.map(|base| base.commit).ok_or_else(|| Error::NoCommit { repo: self.path.clone() })
    }

    /// The files that a merge left in conflict.
    async fn conflicts(&self, barred: &Barred) -> Result<Vec<Conflict>, Error> {
        let doing = format!("list the conflicts in {}", self.path.display());
        let mut command = barred.git(&self.path, false);
        command.args(["diff", "--name-only", "--diff-filter=U", "-z"]);
        let listed = run(command, &doing, SHORT).await?.checked(doing)?;
        let paths = listed.stdout.split(|byte| *byte == 0).filter(|path| !path.is_empty());
        Ok(paths
            .map(|path| {
                let path = String::from_utf8_lossy(path).into_owned();
                let text = plain::read(&self.path.join(&path)).unwrap_or_default();
                let hunks = conflict::hunks(&String::from_utf8_lossy(&text));
                Conflict { path, kind: ConflictKind::BothChanged, hunks }
            })
            .collect())
    }

    /// Removes it, whatever state it is in. Safe to repeat.
    ///
    /// # Errors
    /// If files cannot be removed, and git's.
    pub fn remove(&self) -> Result<(), Error> {
        remove(&self.repo, &self.path)
    }
}

fn registration(repo: &Path, path: &Path) -> Result<Option<PathBuf>, Error> {
    let common = open_worktree(repo)?.place().common.clone();
    Ok(registered_as(&common, &tidy(path)).map(|known| known.admin))
}

/// Removes the worktree in which branches were merged, whatever state it is in. Safe to repeat.
///
/// # Errors
/// If files cannot be removed, and git's.
pub fn remove(repo: &Path, path: &Path) -> Result<(), Error> {
    let gone = |path: &Path| match std::fs::remove_dir_all(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::Io { doing: "remove", path: path.to_owned(), source })
        }
        _ => Ok(()),
    };
    gone(path)?;
    // A `worktree add` that was killed left it locked, and git would never prune it.
    registration(repo, path)?.map_or(Ok(()), |admin| gone(&admin))
}
