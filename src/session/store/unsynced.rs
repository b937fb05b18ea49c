//! Writes that need not be on the disk yet, and a thread that waits for the disk meanwhile.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

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
}

/// Files that a thread of their own is syncing.
#[derive(Debug)]
#[must_use]
pub struct Syncing(JoinHandle<Vec<(PathBuf, io::Result<()>)>>);

impl Syncing {
    /// Starts to sync files in the background, in their order. Gives them back if there can be no
    /// thread.
    pub fn start(files: Vec<Unsynced>) -> std::result::Result<Self, Vec<Unsynced>> {
        let (hand_over, taken) = std::sync::mpsc::channel::<Vec<Unsynced>>();
        let sync = |Unsynced { file, path }| (path, file.sync_data());
        let thread = std::thread::Builder::new()
            .name("sync".to_owned())
            .spawn(move || taken.recv().unwrap_or_default().into_iter().map(sync).collect());
        match thread {
            Ok(thread) => match hand_over.send(files) {
                Ok(()) => Ok(Self(thread)),
                Err(unsent) => Err(unsent.0),
            },
            Err(_) => Err(files),
        }
    }

    /// Waits until the files are on the disk.
    ///
    /// # Errors
    /// The first error that the disk reported.
    pub fn wait(self) -> Result<()> {
        let synced = self.0.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        for (path, result) in synced {
            result.attempt("append to", &path)?;
            crash_at("appended to and synced", &path);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::append_unsynced;
    use super::*;

    #[test]
    fn files_are_synced_in_the_background_and_a_failure_names_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history");
        let file = append_unsynced(&path, b"a line\n").unwrap();
        Syncing::start(vec![file]).unwrap().wait().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"a line\n");
        // A pipe has nothing to sync.
        let (reader, _writer) = io::pipe().unwrap();
        let pipe = File::from(std::os::fd::OwnedFd::from(reader));
        let failed = Syncing::start(vec![Unsynced::new(pipe, Path::new("/the/pipe"))]).unwrap();
        let error = failed.wait().unwrap_err();
        assert!(error.to_string().contains("/the/pipe"), "{error}");
    }
}
