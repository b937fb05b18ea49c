//! The worker's ends in order: nothing left to do, interrupted, given up.

use crate::service::exit::WorkerExit;
use crate::service::{Action, Token};
use crate::session::event;
use crate::session::journal::{End, Event};
use crate::session::state::{CRASH_LOOP, Standing};
use crate::session::store::crash_point;

use super::{Trouble, Worker, mail, notices};

/// What a project with convoys has in its folder of sessions.
const CONVOYS: [&str; 2] = ["_convoys", "_convoy.json"];

impl Worker<'_> {
    /// Gives up after too many quick deaths in a row.
    pub(super) fn gives_up(&mut self) -> Result<bool, Trouble> {
        if self.writer.state().deaths.count < CRASH_LOOP {
            return Ok(false);
        }
        self.writer.record(Event::WorkerEnded(event::WorkerEnded { end: End::GaveUp }))?;
        self.writer.settle()?;
        self.writer.write_hook()?;
        Ok(true)
    }

    /// Exits because there is nothing left to do. The worker tells the manager that it is stopping
    /// before it checks the inbox a last time. Later mail then starts the unit again; earlier mail
    /// is found by the check, and the worker asks for a new start.
    pub(super) async fn rest(&mut self) -> Result<WorkerExit, Trouble> {
        self.end_outage()?;
        self.make_room()?;
        self.note_kept(None)?;
        self.writer.catch_up_in_background()?;
        self.tell_human();
        self.note_last_deliveries().await?;
        self.report_to_parent();
        self.report_to_convoy();
        if let (Standing::Done, Some(spool)) = (&self.writer.state().standing, &self.setup.spool)
            && let Some(token) = Token::new(Action::Disable, &self.setup.instance)
            && let Err(error) = spool.leave(&token)
        {
            tracing::warn!("the unit stays enabled: {error}");
        }
        // Only the count of quick deaths depends on it, and a reboot resets that anyway.
        self.writer.note(Event::WorkerEnded(event::WorkerEnded { end: End::Settled }))?;
        self.writer.write_hook()?;
        self.writer.catch_up()?;
        self.notify.status(&notices::status_line(self.writer.state(), None, None));
        crash_point("at rest, the manager does not know");
        self.notify.stopping();
        crash_point("at rest, before the last look into the inbox");
        if let Err(error) = self.notify.barrier() {
            tracing::warn!("the service manager did not confirm the end: {error}");
        }
        if mail::has_more(self.writer.state(), &self.writer.folder) && !self.writer.state().stopped
        {
            return Ok(WorkerExit::Interrupted);
        }
        // Whoever made room before the manager knew of this end started nothing.
        if self.is_next() {
            return Ok(WorkerExit::Interrupted);
        }
        Ok(match self.writer.state().standing {
            Standing::Paused { .. } if self.setup.foreground => WorkerExit::Paused,
            _ => WorkerExit::Settled,
        })
    }

    /// Has the waker look after the session's convoy, if the project has any: others may wait for
    /// this one. Before the unit is disabled, so that a power cut in between leaves one that starts.
    fn report_to_convoy(&self) {
        let sessions = &self.setup.project.sessions;
        if !CONVOYS.iter().any(|file| sessions.join(file).exists()) {
            return;
        }
        if let Some(spool) = &self.setup.spool
            && let Some(token) = Token::new(Action::Advance, &self.setup.instance)
            && let Err(error) = spool.leave(&token)
        {
            tracing::warn!("cannot update the convoy: {error}");
        }
    }

    pub(super) fn interrupted(&mut self) -> Result<WorkerExit, Trouble> {
        // Stopped in the middle of a run, it rests until a human starts it.
        if self.writer.state().stopped {
            self.note_kept(None)?;
        }
        self.writer.record(Event::WorkerEnded(event::WorkerEnded { end: End::Interrupted }))?;
        self.writer.write_hook()?;
        self.notify.stopping();
        Ok(WorkerExit::Interrupted)
    }
}
