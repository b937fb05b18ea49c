//! A repository of a session's own. In a worktree that is linked to the project's repository a
//! confined agent could not work: a commit there writes objects and references that all share. In
//! this one all of git works, and nothing of the project's can be written.
//!
//! ```text
//! WORKTREES/.samocode-repositories/
//!   NAME/        bare; the session's worktree is linked to it; the project's objects are its alternates
//!   NAME.kept/   what is put back into it after each run, where no agent can write
//! ```
//!
//! Its branch is fetched into the project's repository after each run. There samocode keeps
//!
//! ```text
//! refs/samocode/base/BRANCH   where the branch began, so that no gc deletes what the clone builds on
//! refs/samocode/work/BRANCH   what was fetched last
//! refs/samocode/moved/BRANCH  where samocode last moved the branch: anything else is a human's doing
//! ```
//!
//! The folder NAME appears whole, by a rename, and only then is a worktree made from it. Whatever is
//! done with it may be repeated.

mod fetch;
mod lfs;
mod links;
mod make;
mod nested;
mod put_back;
mod references;
mod remove;
mod settings;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use super::Error;
use super::command::bare_git;
use super::reader::{Reader, open};
use crate::config::Project;
use crate::config::within::{KEPT, PROJECT, REPOSITORIES};

pub use fetch::Fetched;
pub(super) use make::Made;

/// Branches that sessions' work was fetched as, in the project's repository.
const WORK: &str = "refs/samocode/work";
/// Where samocode moved those branches last.
const MOVED: &str = "refs/samocode/moved";
/// Where those branches began.
const BASE: &str = "refs/samocode/base";
/// The work that was saved from worktrees.
const RESCUED: &str = "refs/samocode/rescue";

/// The repository of one session, whether it is there yet or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OwnRepository {
    /// The repository.
    folder: PathBuf,
    /// What is put back into it.
    kept: PathBuf,
    /// The project's folder, in the repository whose objects it shares.
    source: PathBuf,
    /// The project's file.
    project: PathBuf,
}

/// Files in the folder of what is kept.
const CONFIG: &str = "config";
const BRANCH: &str = "branch";
/// Folders that are put back whole.
const MIRRORED: [&str; 2] = ["hooks", "info"];

impl OwnRepository {
    /// That of the session in a folder of this name.
    pub(super) fn of(worktrees: &Path, name: &Path, project: &Project) -> Self {
        let all = worktrees.join(REPOSITORIES);
        let mut kept = all.join(name).into_os_string();
        kept.push(KEPT);
        Self {
            folder: all.join(name),
            kept: kept.into(),
            source: project.main_repo.clone(),
            project: project.config.clone(),
        }
    }

    /// Whether it was made.
    pub(super) fn exists(&self) -> bool {
        self.folder.symlink_metadata().is_ok_and(|meta| meta.is_dir())
    }

    /// The repository's folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder with the project's objects, which it reads.
    pub(super) fn shared(&self) -> Result<PathBuf, Error> {
        Ok(self.main()?.place().common.join("objects"))
    }

    /// The project's repository.
    fn main(&self) -> Result<Box<dyn Reader>, Error> {
        open(&self.source)?.ok_or_else(|| Error::NoneThere { folder: self.source.clone() })
    }

    /// The session's branch.
    fn branch(&self) -> Result<String, Error> {
        let path = self.kept.join(BRANCH);
        super::plain::text(&path).map_err(io("read", &path))
    }

    /// git on this repository, whatever the user's settings say of bare ones.
    fn git(&self) -> std::process::Command {
        let mut command = bare_git();
        command.args(super::command::WITHOUT_HOOKS).arg("--git-dir").arg(&self.folder);
        command
    }
}

/// An error of the file system.
fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { doing, path, source }
}

/// An error of the store of files.
fn stored(error: crate::session::store::StoreError) -> Error {
    let crate::session::store::StoreError { action, path, source } = error;
    Error::Io { doing: action, path, source }
}
