//! Running only as many sessions at once as may run: a place to run in, or the wait for one.

use jiff::Timestamp;

use crate::service::Scope;
use crate::session::event;
use crate::session::journal::Event;
use crate::session::state::Standing;
use crate::session::store::StoreError;

use super::queue::{self, Absent, Limit, Queue, Slot, Waiting};
use super::{Setup, Trouble, Worker, notices, tick};

/// Whether the session may run.
#[derive(Debug)]
pub(super) enum Admission {
    /// It has not asked yet.
    Unasked,
    /// It has a slot, which it keeps until it exits or is held up.
    Admitted(#[expect(dead_code, reason = "held, not read")] Slot),
    /// It waits in this process.
    Waits(Box<Waiting>),
    /// It waits without one: the worker is to end.
    Queued,
}

impl Worker<'_> {
    pub(super) const fn is_admitted(&self) -> bool {
        matches!(self.admission, Admission::Admitted(_))
    }

    /// Takes a slot if one is free and nobody is before it.
    pub(super) fn ask_to_run(&mut self) -> Result<bool, StoreError> {
        if !self.is_admitted() {
            let turn = match &self.admission {
                Admission::Waits(waiting) => waiting.turn().to_owned(),
                _ => self.turn(),
            };
            if let Some(slot) = self.setup.queue().take(&turn, self.setup.limit(), None)? {
                self.admission = Admission::Admitted(slot);
            }
        }
        Ok(self.is_admitted())
    }

    /// Gives up its slot, or its wait for one, and has the next session started.
    pub(super) fn make_room(&mut self) -> Result<(), StoreError> {
        self.share.take_if(|share| share.is_at_work());
        if matches!(self.admission, Admission::Unasked | Admission::Queued) {
            return Ok(());
        }
        self.admission = Admission::Unasked;
        self.setup.pass_on()
    }

    /// Its turn among those that wait: since it has been queued, else from now on.
    fn turn(&self) -> String {
        let state = self.writer.state();
        let is_queued = state.standing == Standing::Queued;
        let since = if is_queued { state.since } else { Timestamp::now() };
        queue::turn(self.setup.settings.priority, since, &self.setup.instance)
    }

    /// Waits for a slot: without a process if a service manager can start it again, else until one
    /// may be free.
    pub(super) async fn queue(&mut self) -> Result<(), Trouble> {
        self.end_outage()?;
        if self.writer.state().standing != Standing::Queued {
            let cap = self.setup.limit().cap;
            self.writer.record(Event::Queued(event::Queued { cap }))?;
            self.writer.settle()?;
            // Others believe its turn only while the hook says so.
            self.writer.write_hook()?;
        }
        self.notify.status(&notices::status_line(self.writer.state(), None, None));
        self.notify.watchdog();
        if let Some(absent) = self.setup.absent() {
            let slot = self.setup.queue().take(&self.turn(), self.setup.limit(), Some(&absent))?;
            self.admission = slot.map_or(Admission::Queued, Admission::Admitted);
            return Ok(());
        }
        match &mut self.admission {
            Admission::Waits(waiting) => tokio::select! {
                _ = self.signals.next() => {}
                () = waiting.changed(tick(self.notify)) => {}
            },
            // One may have become free before it began to wait: look again at once.
            _ => {
                let waiting = Waiting::begin(&self.setup.queue(), self.turn())?;
                self.admission = Admission::Waits(Box::new(waiting));
            }
        }
        Ok(())
    }

    /// Whether a slot became free for it while its worker was about to end.
    pub(super) fn is_next(&self) -> bool {
        let is_next = || self.setup.queue().is_next(&self.setup.instance, self.setup.limit());
        matches!(self.admission, Admission::Queued) && is_next().unwrap_or(false)
    }
}

impl Setup {
    fn queue(&self) -> Queue {
        Queue::of(&self.state_dir)
    }

    /// How many sessions may run at once.
    fn limit(&self) -> Limit<'_> {
        Limit::of(&self.project, &self.settings)
    }

    /// How the session is started when a slot is free; `None` if nobody would.
    fn absent(&self) -> Option<Absent> {
        let spool = self.spool.as_ref().filter(|_| !self.foreground)?;
        Some(Absent {
            folder: self.folder.path().to_owned(),
            config: self.project.config.clone(),
            spool: spool.dir().to_owned(),
            system: self.scope == Scope::System,
            cap: self.limit().cap,
        })
    }

    /// Has the next sessions started, if slots are free.
    pub(super) fn pass_on(&self) -> Result<(), StoreError> {
        self.queue().pass_on(Some(self.limit()))
    }
}
