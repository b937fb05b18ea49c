//! What events have in common when they change the state; the rest is theirs ([`Event`]).

use super::{Standing, State, Visit};
use crate::session::event::Event;
use crate::session::journal::Entry;
use crate::session::phase::Phase;

impl State {
    pub(super) fn fold(&mut self, entry: &Entry) {
        let stood = std::mem::discriminant(&self.standing);
        entry.event.fold(entry.at, self);
        if std::mem::discriminant(&self.standing) != stood {
            self.notified = matches!(&entry.event, Event::Paused(paused) if paused.quiet);
        }
    }

    /// Ends a wait for a human; any other state stays as it is.
    pub(in crate::session) fn end_wait(&mut self) {
        if matches!(self.standing, Standing::Waiting { .. }) {
            self.proceed();
        }
    }

    /// Unblocks the session, clearing the counters that led to the block.
    pub(in crate::session) fn retry(&mut self) {
        self.visit.retried();
        self.forced = true;
        self.proceed();
    }

    pub(in crate::session) fn proceed(&mut self) {
        self.standing = if self.place.is_none() { Standing::New } else { Standing::Running };
    }

    pub(in crate::session) fn enter(&mut self, phase: Phase) {
        self.iteration = None;
        self.visit = Visit::to(phase);
    }
}
