//! Empty files that mark a state of the session outside of its journal.

use std::fs;
use std::path::PathBuf;

use rustix::fs::OFlags;

use super::error::{Attempt, Result};
use super::files::{open, sync_folder};
use super::folder::{Folder, STOP, UNREADY};

impl Folder {
    /// `_stop`, an empty file that marks a stop if the journal is not writable. Being empty, it
    /// fits on a full disk.
    #[must_use]
    pub fn stop_mark(&self) -> PathBuf {
        self.record_root().join(STOP)
    }

    /// Marks the session as stopped outside the journal.
    ///
    /// # Errors
    /// If not even an empty file can be created.
    pub fn mark_stopped(&self) -> Result<()> {
        let path = self.stop_mark();
        open(&path, OFlags::WRONLY | OFlags::CREATE).attempt("create", &path)?;
        sync_folder(&self.record_root())
    }

    /// Whether the session is marked as stopped outside the journal.
    #[must_use]
    pub fn is_marked_stopped(&self) -> bool {
        fs::symlink_metadata(self.stop_mark()).is_ok()
    }

    /// `_unready`, an empty file: the worktree was made again and has not got yet what a new one gets.
    #[must_use]
    pub fn unready_mark(&self) -> PathBuf {
        self.record_root().join(UNREADY)
    }

    /// Marks the worktree as not ready, before it is made again.
    ///
    /// # Errors
    /// If the file cannot be created.
    pub fn mark_unready(&self) -> Result<()> {
        let path = self.unready_mark();
        open(&path, OFlags::WRONLY | OFlags::CREATE).attempt("create", &path)?;
        sync_folder(&self.record_root())
    }

    /// Whether the worktree is marked as not ready.
    #[must_use]
    pub fn is_unready(&self) -> bool {
        fs::symlink_metadata(self.unready_mark()).is_ok()
    }
}
