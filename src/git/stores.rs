//! Where git keeps what a checkout consists of, besides its files.

use std::path::{Path, PathBuf};

use super::leftovers::registered_in;
use super::reader::tidy;

/// The folders of the repository that a checkout belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stores {
    /// A repository that others use, too.
    Shared {
        /// What all its checkouts share: objects, references, settings, hooks.
        common: PathBuf,
        /// What is this checkout's own: its HEAD and index. The same as `common` unless it is linked.
        own: PathBuf,
    },
    /// A repository of the session's own.
    Own {
        /// The repository.
        folder: PathBuf,
        /// The folder with the project's objects, which it reads.
        objects: PathBuf,
    },
}

/// The folders of the checkout in `folder`; `None` if it is none, or if its files name a repository
/// that does not know it: an agent may have changed them.
#[must_use]
pub fn stores(folder: &Path) -> Option<Stores> {
    let repository = git2::Repository::discover(folder).ok()?;
    let (common, own) = (tidy(repository.commondir()), tidy(repository.path()));
    let root = tidy(repository.workdir()?);
    let is_known = if common == own {
        own == root.join(".git")
    } else {
        own.parent() == Some(&common.join("worktrees"))
            && registered_in(&own).is_some_and(|known| known.folder == root)
    };
    is_known.then_some(Stores::Shared { common, own })
}
