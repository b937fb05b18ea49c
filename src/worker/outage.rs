//! Outages: when the session's folder is not writable, the worker leaves a note on another file
//! system, notifies the human, and retries until it works.

use std::cell::RefCell;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use crate::config::Dirs;
use crate::notify::{About, Notice, Outbox};
use crate::platform::limits::Limit;
use crate::service::{Notify, quoted};
use crate::session::event;
use crate::session::journal::Event;
use crate::session::store::{HeldNote, Outage, OutageNotes, StoreError};

use super::signals::{Request, Signals};
use super::{Setup, Worker, tick};

/// How long the worker waits before it retries after a disk error.
const PAUSE: Duration = Duration::from_secs(15);

/// The outages of this worker's session folder.
pub(super) struct Outages<'a> {
    setup: &'a Setup,
    notify: &'a Notify,
    notes: OutageNotes,
    outbox: Outbox,
    current: RefCell<Option<Current>>,
}

struct Current {
    outage: Outage,
    /// Holds the note; `None` if it could not be written.
    _note: Option<HeldNote>,
}

impl<'a> Outages<'a> {
    pub(super) fn new(setup: &'a Setup, notify: &'a Notify) -> Self {
        let outbox = setup.channels.outbox().with_shelf(setup.shelf());
        let notes = OutageNotes::of(Dirs::runtime(&setup.env));
        Self { setup, notify, notes, outbox, current: RefCell::new(None) }
    }

    /// The current outage, if there is one.
    pub(super) fn current(&self) -> Option<Outage> {
        self.current.borrow().as_ref().map(|current| current.outage.clone())
    }

    /// Ends the outage, once it has been journaled.
    pub(super) fn over(&self) {
        if self.current.take().is_some() {
            self.notes.remove(&self.setup.instance);
        }
    }

    /// Reports the error, loudly the first time, and waits before the worker retries. Returns true
    /// if the worker was asked to stop.
    pub(super) async fn wait(&self, signals: &mut Signals, error: &StoreError) -> bool {
        let folder = self.setup.folder.path();
        let remedy = match Limit::at(&error.source, &error.path) {
            Some(limit) => format!(": {}", limit.remedy()),
            None if error.is_refused() && error.path.starts_with(folder) => {
                format!(": {}", permitting(folder))
            }
            None => String::new(),
        };
        let error = format!("{error}{remedy}");
        if self.current().is_none_or(|outage| outage.reason != error) {
            self.note(&error);
        }
        self.notify.ready();
        // A failed write is no reason to stay when asked to stop; the next start recovers.
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
            tracing::error!("paused: {error}; retrying until this is fixed");
        }
        // A worker that was killed while it waited has already notified the human.
        let before = self.notes.last(instance, &folder).filter(|before| before.reason == error);
        let known = current.or(before);
        let is_told = known.is_some();
        // Whole seconds, since people read it.
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
        let note = self.notes.hold(instance, &outage);
        self.current.replace(Some(Current { outage, _note: note }));
    }
}

/// The command that makes a folder accessible: one above it may be what is closed.
fn permitting(folder: &Path) -> String {
    let seen = folder.ancestors().find(|path| path.symlink_metadata().is_ok());
    match seen.filter(|seen| *seen != folder) {
        Some(closed) => format!("chmod u+rwx {}", quoted(closed)),
        None => format!("chmod -R u+rwX {}", quoted(folder)),
    }
}

impl Worker<'_> {
    /// Journals the end of the outage. Called only once everything the next step needs can be
    /// written, or each retry of a lasting outage would be journaled and notified.
    pub(super) fn end_outage(&mut self) -> Result<(), StoreError> {
        if let Some(Outage { since, reason: what, .. }) = self.outages.current() {
            self.writer.record(Event::Outage(event::Outage { since, what }))?;
            self.outages.over();
        }
        Ok(())
    }
}
