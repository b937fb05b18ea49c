//! The files of timers: `_timers/INSTANCE.json` beside the folders of the sessions.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use crate::control::error::{Attempt as _, Class, Error, Result};
use crate::control::session::Session;
use crate::platform::threads;
use crate::session::store;

use super::record::Record;

const FOLDER: &str = "_timers";

/// The files of a session's timer.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    record: PathBuf,
    lock: PathBuf,
}

/// Keeps others from acting on a timer. The file of the lock goes with the timer's record.
#[derive(Debug)]
pub(super) struct Held {
    _file: File,
    lock: PathBuf,
    record: PathBuf,
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.record.exists() {
            // Still locked: whoever waits for it finds that it is no longer the one to lock.
            let _ = store::remove(&self.lock);
        }
    }
}

impl Files {
    pub(super) fn of(session: &Session) -> Self {
        let folder = session.folder.path();
        let folder = folder.parent().unwrap_or(folder).join(FOLDER);
        let file = |ending: &str| folder.join(format!("{}{ending}", session.instance));
        Self { record: file(".json"), lock: file(".lock"), folder }
    }

    /// The record; `None` if the session has no timer.
    pub(super) fn read(&self) -> Result<Option<Record>> {
        let Some(bytes) = store::read(&self.record)? else { return Ok(None) };
        let record = serde_json::from_slice(&bytes).map_err(|error| {
            let message = format!("cannot read the timer in {}: {error}", self.record.display());
            Error::new(Class::Internal, message)
        })?;
        Ok(Some(record))
    }

    pub(super) fn write(&self, record: &Record) -> Result<()> {
        let mut bytes = serde_json::to_vec_pretty(record)?;
        bytes.push(b'\n');
        Ok(store::replace(&self.record, &bytes)?)
    }

    pub(super) fn remove(&self) -> Result<()> {
        Ok(store::remove(&self.record)?)
    }

    /// Waits until no other process acts on this timer.
    pub(super) async fn lock(&self) -> Result<Held> {
        store::make_folder(&self.folder)?;
        let shown = self.lock.display().to_string();
        loop {
            let opened =
                OpenOptions::new().write(true).create(true).truncate(false).open(&self.lock);
            let file = opened.attempt(|| format!("open {shown}"))?;
            let locked = threads::apart_or_here(move || file.lock().map(|()| file)).await;
            let file = locked.unwrap_or_else(Err).attempt(|| format!("lock {shown}"))?;
            let ours = file.metadata().attempt(|| format!("look at {shown}"))?.ino();
            if fs::metadata(&self.lock).is_ok_and(|named| named.ino() == ours) {
                return Ok(Held {
                    _file: file,
                    lock: self.lock.clone(),
                    record: self.record.clone(),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_lock_goes_with_the_record_and_who_waited_locks_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        let files = Files {
            folder: folder.path().to_owned(),
            record: file("jwt.json"),
            lock: file("jwt.lock"),
        };
        fs::write(&files.record, "{}").unwrap();
        drop(files.lock().await.unwrap());
        assert!(files.lock.exists());

        let held = files.lock().await.unwrap();
        // It has opened the file by then.
        let (second, ()) = tokio::join!(files.lock(), async {
            files.remove().unwrap();
            drop(held);
        });
        let second = second.unwrap();
        assert!(files.lock.exists(), "nobody else may lock it meanwhile");
        drop(second);
        assert!(!files.lock.exists());
    }
}
