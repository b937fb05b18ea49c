//! Agents' programs that are newer than those this samocode was tested with: what is unknown in their
//! output is counted and said once, and the session continues.

use crate::agent::Agent;
use crate::agent::canary::{Met, is_newer};
use crate::agent::unknown::Unknown;
use crate::session::event;
use crate::session::journal::Event;

use super::iterate::Plan;
use super::{Trouble, Worker, pinging};

impl Worker<'_> {
    /// Counts what was unknown in a run, if the agent's program is newer than the one that was
    /// tested, and records it unless the session has heard of all of it.
    pub(super) async fn note_unknown(
        &mut self,
        agent: &Agent,
        plan: &Plan,
        unknown: &Unknown,
    ) -> Result<(), Trouble> {
        let Some(tested) = agent.spec().tested().filter(|_| !unknown.is_empty()) else {
            return Ok(());
        };
        let environment = self.environment(plan, &std::env::temp_dir());
        let version = match pinging(self.notify, agent.version(&environment)).await {
            Ok(version) => version,
            Err(error) => {
                tracing::warn!("cannot tell how old {} is: {error}", agent.word());
                return Ok(());
            }
        };
        if !is_newer(&version, tested) {
            tracing::info!("unknown in the output of {version}: {}", unknown.describe());
            return Ok(());
        }
        if let Err(error) = Met::add(&self.setup.state_dir, agent.word(), &version, unknown) {
            tracing::warn!("{error}");
        }
        let found = event::Unfamiliar {
            agent: agent.word().to_owned(),
            version,
            tested: tested.to_owned(),
            unknown: unknown.iter().map(|(name, times)| (name.to_owned(), times)).collect(),
        };
        if self.writer.state().notes.has_found(&found) {
            return Ok(());
        }
        Ok(self.writer.record(Event::Unfamiliar(found))?)
    }
}
