//! When the session's folder cannot be written: nothing can be kept there then, not even that it
//! is so. A note on another file system says it to those who look, and a message to the human.
//!
//! ```text
//! $XDG_RUNTIME_DIR/samocode/paused/INSTANCE.json
//! ```
//!
//! The worker holds the note with `flock` while it waits: one that a dead worker left is not
//! believed.

use std::cell::RefCell;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::{Dirs, Env};
use crate::notify::{About, Notice, Outbox};
use crate::service::Notify;
use crate::session::journal::Event;
use crate::session::store::StoreError;

use super::signals::{Request, Signals};
use super::{Setup, Worker, tick};

/// How long a worker waits before it tries again after the disk refused it.
const PAUSE: Duration = Duration::from_secs(15);

/// What a note says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    /// The session's folder: another project's session may have had the same instance.
    folder: PathBuf,
    /// What the disk said, and of what.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
}

/// The notes of a user's workers.
#[derive(Debug)]
pub struct Notes {
    /// `None` where there is no file system for them.
    folder: Option<PathBuf>,
}

impl Notes {
    /// The notes of the user whose environment this is.
    #[must_use]
    pub fn of(env: &Env) -> Self {
        Self { folder: Dirs::runtime(env).map(|runtime| runtime.join("paused")) }
    }

    /// What keeps a session from going on now, if its worker waits for its folder.
    #[must_use]
    pub fn now(&self, instance: &str, folder: &Path) -> Option<Outage> {
        let file = File::open(self.path(instance)?).ok()?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => read(&file, folder),
            _ => None,
        }
    }

    /// The same, though its worker may be gone: what kept it from going on when it was last heard.
    #[must_use]
    pub fn last(&self, instance: &str, folder: &Path) -> Option<Outage> {
        read(&File::open(self.path(instance)?).ok()?, folder)
    }

    fn path(&self, instance: &str) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.join(format!("{instance}.json")))
    }
}

fn read(mut file: &File, folder: &Path) -> Option<Outage> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).ok()?;
    let outage: Outage = serde_json::from_slice(&bytes).ok()?;
    (outage.folder == folder).then_some(outage)
}

/// What a worker does while its folder refuses it.
pub(super) struct Outages<'a> {
    setup: &'a Setup,
    notify: &'a Notify,
    notes: Notes,
    outbox: Outbox,
    current: RefCell<Option<Current>>,
}

struct Current {
    outage: Outage,
    /// Held for its lock.
    _note: Option<File>,
}

impl<'a> Outages<'a> {
    pub(super) fn new(setup: &'a Setup, notify: &'a Notify) -> Self {
        let outbox = Outbox::new(setup.channels.notifiers.clone());
        Self { setup, notify, notes: Notes::of(&setup.env), outbox, current: RefCell::new(None) }
    }

    /// The outage that is not known to be over.
    pub(super) fn current(&self) -> Option<Outage> {
        self.current.borrow().as_ref().map(|current| current.outage.clone())
    }

    /// It is over: what was to be kept has been kept.
    pub(super) fn over(&self) {
        if self.current.take().is_some()
            && let Some(path) = self.notes.path(&self.setup.instance)
        {
            // A note that stays is not believed.
            let _ = fs::remove_file(path);
        }
    }

    /// Says what is wrong, aloud when it begins, and waits before everything is begun anew. True
    /// when asked to end.
    pub(super) async fn wait(&self, signals: &mut Signals, error: &StoreError) -> bool {
        let error = error.to_string();
        if self.current().is_none_or(|outage| outage.reason != error) {
            self.note(&error);
        }
        self.notify.ready();
        // What cannot be written down is no reason to stay when asked to end: the next start
        // recovers.
        if signals.end {
            return true;
        }
        let until = tokio::time::Instant::now() + PAUSE;
        loop {
            self.notify.status(&format!("paused: {error}"));
            self.notify.watchdog();
            let tick = tokio::time::Instant::now() + tick(self.notify);
            tokio::select! {
                ask = signals.next() => if ask == Request::End { return true },
                () = tokio::time::sleep_until(until.min(tick)) => {}
            }
            if tokio::time::Instant::now() >= until {
                return false;
            }
        }
    }

    fn note(&self, error: &str) {
        let folder = self.setup.folder.path().to_owned();
        let instance = &self.setup.instance;
        let current = self.current.take().map(|current| current.outage);
        if current.is_none() {
            tracing::error!("paused: {error}; mend it, it is tried again until it works");
        }
        // A worker that was killed while it waited has told the human already.
        let before = self.notes.last(instance, &folder).filter(|before| before.reason == error);
        let known = current.or(before);
        let is_told = known.is_some();
        // People read it: no fractions.
        let now = Timestamp::now();
        let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
        let since = known.map_or(now, |outage| outage.since);
        let outage = Outage { folder, reason: error.to_owned(), since };
        if !is_told {
            let about = About {
                id: format!("{instance}-paused-{since}"),
                session: instance.clone(),
                project: self.setup.project.name.clone(),
                phase: None,
            };
            self.outbox.post(Notice::paused(&about, error, None));
        }
        let note = self.notes.path(instance).and_then(|path| write(&path, &outage).ok());
        self.current.replace(Some(Current { outage, _note: note }));
    }
}

impl Worker<'_> {
    /// The next step is found and all that it needs can be written: what refused before is mended.
    /// Not sooner, or what still refuses would be written down and told each time it is tried.
    pub(super) fn end_outage(&mut self) -> Result<(), StoreError> {
        if let Some(Outage { since, reason: what, .. }) = self.outages.current() {
            self.writer.record(Event::Outage { since, what })?;
            self.outages.over();
        }
        Ok(())
    }
}

/// Writes a note and keeps it locked.
fn write(path: &Path, outage: &Outage) -> std::io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    file.lock()?;
    file.set_len(0)?;
    file.write_all(&serde_json::to_vec(outage)?)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_believed_while_its_writer_lives_and_of_the_same_session_only() {
        let runtime = tempfile::tempdir().unwrap();
        let env = [("XDG_RUNTIME_DIR", runtime.path().as_os_str())].into_iter().collect();
        let notes = Notes::of(&env);
        let folder = PathBuf::from("/s/26-11-20-jwt");
        let outage =
            Outage { folder: folder.clone(), reason: "full".into(), since: Timestamp::UNIX_EPOCH };
        assert_eq!(notes.now("jwt", &folder), None);
        let note = write(&notes.path("jwt").unwrap(), &outage).unwrap();
        assert_eq!(notes.now("jwt", &folder), Some(outage.clone()));
        assert_eq!(notes.now("jwt", Path::new("/other/26-11-20-jwt")), None);
        drop(note);
        assert_eq!(notes.now("jwt", &folder), None);
        assert_eq!(notes.last("jwt", &folder), Some(outage));
    }
}
