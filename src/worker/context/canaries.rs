//! Agents' programs that are newer than those this samocode was tested with: what is unknown in their
//! output is counted and said once, and the session continues.

use crate::agent::canary::{Met, is_newer, is_older};
use crate::agent::environment::RunIds;
use crate::agent::unknown::Unknown;
use crate::agent::{Agent, AgentError, Outcome, REGISTRY};
use crate::session::event;
use crate::session::journal::Event;

use super::super::under_way::Ended;
use super::super::{Trouble, Worker, pinging};

impl Worker<'_> {
    /// Adds to the reason of a run that failed before it reported anything that the agent's program
    /// is older than the one that was tested: it may not know the flags it was given.
    pub(in crate::worker) async fn explain_age(&self, agent: &Agent, ended: &mut Ended) {
        let Outcome::Failed { why } = &mut ended.outcome else { return };
        let Some(tested) = agent.spec().tested().filter(|_| !ended.reported.anything) else {
            return;
        };
        let version = self.version(agent).await;
        if let Ok(version) = version
            && is_older(&version, tested)
        {
            *why += &format!(
                "; {} {version} is older than {tested}, which samocode was tested with: update it",
                agent.word()
            );
        }
    }

    /// Counts what was unknown in a run, if the agent's program is newer than the one that was
    /// tested, and records it unless the session has heard of all of it.
    pub(in crate::worker) async fn note_unknown(
        &mut self,
        agent: &Agent,
        unknown: &Unknown,
    ) -> Result<(), Trouble> {
        let Some(tested) = agent.spec().tested().filter(|_| !unknown.is_empty()) else {
            return Ok(());
        };
        let version = match self.version(agent).await {
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

    async fn version(&self, agent: &Agent) -> Result<String, AgentError> {
        let run = RunIds {
            tmpdir: tempfile::env::temp_dir(),
            path_additions: agent.path_additions().to_vec(),
            ..RunIds::default()
        };
        let (env, file) = (&self.setup.env, &self.env_file);
        let environment = REGISTRY.environment(env, file, agent.name(), &run);
        let environment = environment.into_iter().collect();
        pinging(self.notify, agent.version(&environment)).await
    }
}
