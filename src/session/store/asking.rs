//! A question for whose answer someone waits: `_mail/.asking-ID`, locked for as long as they do.
//! The worker leaves the answer to them, so that the agent sees it once; if they are killed, the lock
//! is gone and the worker delivers it like any other mail.

use std::fs::{self, File, TryLockError};
use std::path::PathBuf;

use rustix::fs::OFlags;

use super::error::{Attempt, Result};
use super::files::{make_subfolder, open};
use super::folder::Folder;

/// Someone waits for the answer to a question, until this is dropped.
#[derive(Debug)]
pub struct Asking {
    mark: PathBuf,
    _lock: File,
}

impl Drop for Asking {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.mark);
    }
}

/// How many messages a run has sent: `_mail/.sent-RUN`, a byte each.
const SENT: &str = ".sent-";

impl Folder {
    /// Marks that the caller waits for the answer to the question with this ID.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn ask(&self, id: &str) -> Result<Asking> {
        make_subfolder(&self.mail())?;
        make_subfolder(&self.inbox())?;
        let mark = self.asking(id);
        let lock = open(&mark, OFlags::RDWR | OFlags::CREATE).attempt("open", &mark)?;
        match lock.try_lock() {
            Ok(()) | Err(TryLockError::WouldBlock) => Ok(Asking { mark, _lock: lock }),
            Err(TryLockError::Error(error)) => Err(error).attempt("lock", &mark),
        }
    }

    /// Whether someone waits for the answer to the question with this ID.
    #[must_use]
    pub fn is_asking(&self, id: &str) -> bool {
        open(&self.asking(id), OFlags::RDONLY)
            .is_ok_and(|mark| matches!(mark.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    fn asking(&self, id: &str) -> PathBuf {
        self.mail().join(format!(".asking-{id}"))
    }

    /// Counts a message that this session's agent sends in a run; returns how many it has sent in
    /// it, this one included. The counts of other runs are dropped.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn count_sent(&self, run: &str) -> Result<u64> {
        let folder = self.mail();
        make_subfolder(&folder)?;
        let own = format!("{SENT}{}", run.replace('/', "-"));
        for entry in fs::read_dir(&folder).attempt("read", &folder)?.flatten() {
            let name = entry.file_name();
            if name.to_string_lossy().starts_with(SENT) && name.to_string_lossy() != own {
                let _ = fs::remove_file(entry.path());
            }
        }
        let path = folder.join(own);
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE;
        let file = open(&path, flags).attempt("open", &path)?;
        std::io::Write::write_all(&mut &file, b".").attempt("write", &path)?;
        Ok(file.metadata().attempt("read", &path)?.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_open_for_as_long_as_somebody_waits() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path());
        assert!(!folder.is_asking("q"));
        let asking = folder.ask("q").unwrap();
        assert!(folder.is_asking("q") && !folder.is_asking("p"));
        drop(asking);
        assert!(!folder.is_asking("q"));
        fs::write(folder.asking("dead"), "").unwrap();
        assert!(!folder.is_asking("dead"), "of someone who was killed");
    }

    #[test]
    fn messages_are_counted_for_each_run() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path());
        let counts = ["r1", "r1", "r2", "r2", "r1"].map(|run| folder.count_sent(run).unwrap());
        assert_eq!(counts, [1, 2, 1, 2, 1]);
    }
}
