//! The session's lock file, held with `flock`.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use jiff::Timestamp;
use rustix::fs::OFlags;

use super::error::{Attempt, StoreError};
use super::files::open;
use super::folder::Folder;

/// The session's lock, which ensures that a session has only one worker.
#[derive(Debug)]
pub struct Lock(File);

/// Why the lock could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it; the text says which.
    #[error("{0}")]
    Held(String),
    /// The lock file cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Lock {
    /// Tries to take the lock, without waiting.
    ///
    /// # Errors
    /// [`LockError::Held`] with the holder's description of itself, otherwise a [`StoreError`].
    pub fn take(folder: &Folder) -> Result<Self, LockError> {
        let lock = Self::take_file(&folder.lock())?;
        // The record may have been moved while its lock was taken.
        match fs::symlink_metadata(folder.lock()) {
            Ok(there) if !lock.is(&there)? => {
                Err(LockError::Held("a process that moves its record".to_owned()))
            }
            _ => Ok(lock),
        }
    }

    /// Whether this is the lock of the file that was found.
    fn is(&self, there: &fs::Metadata) -> Result<bool, StoreError> {
        let ours = self.0.metadata().attempt("read", Path::new("the lock"))?;
        Ok((ours.dev(), ours.ino()) == (there.dev(), there.ino()))
    }

    /// Tries to take the lock that a file is.
    pub(super) fn take_file(path: &Path) -> Result<Self, LockError> {
        let mut file = open(path, OFlags::RDWR | OFlags::CREATE).attempt("open", path)?;
        match file.try_lock() {
            Ok(()) => {
                // Fixed width, so that it can be rewritten in place. Only people read it.
                let holder =
                    format!("process {:<10} since {:<40}\n", std::process::id(), Timestamp::now());
                file.write_all(holder.as_bytes()).attempt("write", path)?;
                Ok(Self(file))
            }
            Err(fs::TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.take(200).read_to_string(&mut holder);
                let holder = holder.split_whitespace().collect::<Vec<_>>().join(" ");
                Err(LockError::Held(if holder.is_empty() {
                    "another process".to_owned()
                } else {
                    holder
                }))
            }
            Err(fs::TryLockError::Error(error)) => Err(error).attempt("lock", path)?,
        }
    }

    /// Whether another process holds the lock. Takes it only for a moment to find out.
    #[must_use]
    pub fn is_held(folder: &Folder) -> bool {
        open(&folder.lock(), OFlags::RDONLY)
            .is_ok_and(|file| matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock)))
    }

    /// The lock's file, to pass on across an exec.
    #[must_use]
    pub const fn file(&self) -> &File {
        &self.0
    }

    /// Adopts a lock passed on across an exec, if `file` is this folder's lock.
    #[must_use]
    pub fn adopt(folder: &Folder, file: File) -> Option<Self> {
        let (ours, theirs) = (file.metadata().ok()?, fs::symlink_metadata(folder.lock()).ok()?);
        let same = ours.dev() == theirs.dev() && ours.ino() == theirs.ino();
        (same && file.try_lock().is_ok()).then_some(Self(file))
    }
}
