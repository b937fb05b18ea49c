//! Taking over what a run left in the session's own repository, where it has one.

use crate::git::{Checkout, Fetched, Repository};
use crate::session::Hint as _;
use crate::session::event;
use crate::session::journal::Event;
use crate::session::store::crash_point;
use crate::worker::under_way::end_strays;
use crate::worker::{Trouble, Worker, pinging};

impl Worker<'_> {
    /// Does [`take_work_over`](Self::take_work_over) for a run whose worker died.
    pub(in crate::worker) async fn take_lost_work_over(&mut self) -> Result<(), Trouble> {
        let is_own = |checkout: &Checkout| checkout.repository() == Repository::Own;
        if !self.checkout().is_some_and(|checkout| is_own(&checkout)) {
            return Ok(());
        }
        if let Some(open) = self.writer.state().open_run() {
            // What it left could change files while they are put back.
            end_strays(&open.run);
        }
        self.take_work_over().await
    }

    /// Brings the session's commits into the project's repository, and records it if the branch there
    /// cannot have them. Nothing that the agent set up in its repository runs after this.
    pub(in crate::worker) async fn take_work_over(&mut self) -> Result<(), Trouble> {
        let Some(checkout) = self.checkout() else { return Ok(()) };
        if checkout.repository() == Repository::Projects {
            return Ok(());
        }
        let lacking = match pinging(self.notify, checkout.take_over()).await {
            Ok(Fetched::Up) => None,
            Ok(Fetched::Aside { why, remedy }) => Some(format!("{why}: {remedy}")),
            Err(error) => Some(error.in_one_line()),
        };
        crash_point("a run's work is taken over");
        if self.writer.state().notes.branch() != lacking.as_deref() {
            self.writer.record(Event::Fetched(event::Fetched { lacking }))?;
        }
        Ok(())
    }
}
