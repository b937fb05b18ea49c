//! Writes that need not be on the disk yet.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::crash::crash_at;
use super::error::{Attempt, Result};
use super::files::{open, sync_end};

/// A file with writes that may not be on the disk yet.
#[derive(Debug)]
#[must_use]
pub struct Unsynced {
    file: File,
    path: PathBuf,
}

impl Unsynced {
    pub(super) fn new(file: File, path: &Path) -> Self {
        Self { file, path: path.to_owned() }
    }

    /// A file that an earlier process may have left unsynced; `None` if it does not exist.
    ///
    /// # Errors
    /// If it exists but cannot be opened.
    pub fn of(path: &Path) -> Result<Option<Self>> {
        match open(path, OFlags::WRONLY | OFlags::APPEND) {
            Ok(file) => Ok(Some(Self::new(file, path))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).attempt("open", path),
        }
    }

    /// Waits until the writes are on the disk.
    ///
    /// # Errors
    /// If the disk reports an error.
    pub fn sync(self) -> Result<()> {
        sync_end(&self.file, &self.path).attempt("append to", &self.path)
    }

    /// The same in another thread. Nothing may depend on it before [`Synced::confirm`].
    pub fn sync_aside(self) -> Synced {
        Synced { result: self.file.sync_data(), path: self.path }
    }
}

/// The result of a sync in another thread.
#[derive(Debug)]
#[must_use]
pub struct Synced {
    path: PathBuf,
    result: io::Result<()>,
}

impl Synced {
    /// Whether the writes are on the disk.
    ///
    /// # Errors
    /// What the disk reported.
    pub fn confirm(self) -> Result<()> {
        self.result.attempt("append to", &self.path)?;
        crash_at("appended to and synced", &self.path);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::append_unsynced;
    use super::*;

    #[test]
    fn a_sync_in_another_thread_reports_its_failure_with_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history");
        let file = append_unsynced(&path, b"a line\n").unwrap();
        file.sync_aside().confirm().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"a line\n");
        // A pipe has nothing to sync.
        let (reader, _writer) = io::pipe().unwrap();
        let pipe = File::from(std::os::fd::OwnedFd::from(reader));
        let failed = Unsynced::new(pipe, Path::new("/the/pipe")).sync_aside();
        let error = failed.confirm().unwrap_err();
        assert!(error.to_string().contains("/the/pipe"), "{error}");
    }
}
