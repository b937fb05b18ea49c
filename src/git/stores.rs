//! Where git keeps what a checkout consists of, besides its files.

use std::path::{Path, PathBuf};

/// The folders of the repository that a checkout belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stores {
    /// What all checkouts of the repository share: objects, references, settings, hooks.
    pub common: PathBuf,
    /// What is this checkout's own: its HEAD and index. The same as `common` unless it is linked.
    pub own: PathBuf,
}

/// The folders of the checkout in `folder`; `None` if it is none.
#[must_use]
pub fn stores(folder: &Path) -> Option<Stores> {
    let repository = git2::Repository::discover(folder).ok()?;
    let tidy = |path: &Path| path.components().collect();
    Some(Stores { common: tidy(repository.commondir()), own: tidy(repository.path()) })
}
