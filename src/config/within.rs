//! Folders that are a session's: its agent can write there, so no file there says what the project is.
//!
//! ```text
//! WORKTREES/.samocode-repositories/NAME.kept/project   the project's file, for whoever is in WORKTREES/NAME
//! ```

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::session::store::Folder;

/// Where the repositories of confined sessions are, below WORKTREES.
pub const REPOSITORIES: &str = ".samocode-repositories";
/// What follows a session's name in the name of the folder there that no agent can write to.
pub const KEPT: &str = ".kept";
/// The file in that folder that names the project's.
pub const PROJECT: &str = "project";

/// A confined session's folder or worktree.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Within {
    /// What it is in.
    pub(super) outer: PathBuf,
    /// The file of its project, if that is known.
    pub(super) project: Option<PathBuf>,
}

/// The folder of a confined session that a folder is in. The outermost: an agent could make up others
/// below it.
pub(super) fn session(cwd: &Path) -> Option<Within> {
    cwd.ancestors().filter_map(itself).last()
}

fn itself(folder: &Path) -> Option<Within> {
    let outer = folder.parent()?;
    let mut kept = folder.file_name()?.to_owned();
    kept.push(KEPT);
    let kept = outer.join(REPOSITORIES).join(kept);
    if kept.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
        let named = std::fs::read(kept.join(PROJECT)).ok();
        let project = named.map(|bytes| PathBuf::from(OsStr::from_bytes(&bytes)));
        return Some(Within { outer: outer.to_owned(), project });
    }
    Folder::new(folder).record()?;
    Some(Within { outer: outer.to_owned(), project: None })
}
