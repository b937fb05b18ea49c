//! The files of timers: `_timers/INSTANCE.json` beside the folders of the sessions.

use std::fs::{File, OpenOptions};
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
    pub(super) async fn lock(&self) -> Result<File> {
        store::make_folder(&self.folder)?;
        let opened = OpenOptions::new().write(true).create(true).truncate(false).open(&self.lock);
        let shown = self.lock.display().to_string();
        let file = opened.attempt(|| format!("open {shown}"))?;
        let locked = threads::apart_or_here(move || file.lock().map(|()| file)).await;
        locked.unwrap_or_else(Err).attempt(|| format!("lock {shown}"))
    }
}
