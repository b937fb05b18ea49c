//! Confining the agent of a run.

use std::path::Path;

use crate::agent::confine::{self, Confinement, Place, Repository, caches};
use crate::agent::{Agent, Environment};
use crate::config::confine::{Confine, Level};
use crate::config::dirs;
use crate::git;

use super::Worker;

/// Where an agent works, and with what.
pub(crate) struct Scene<'a> {
    /// The home folder.
    pub(crate) home: &'a Path,
    /// The agent.
    pub(crate) agent: &'a Agent,
    /// The folder it works in.
    pub(crate) work: &'a Path,
    /// The session's folder.
    pub(crate) session: &'a Path,
    /// The run's folder for temporary files.
    pub(crate) temporary: &'a Path,
}

impl Scene<'_> {
    /// How the agent is confined here, `None` if it is not; and points its tools to their caches.
    pub(crate) fn confinement(
        &self,
        keys: &Confine,
        environment: &mut Environment,
    ) -> Option<Confinement> {
        let Self { home, agent, work, session, temporary } = *self;
        let stores = git::stores(work);
        let place = Place {
            home,
            environment,
            program: agent.program(),
            files: confine::named_files(agent),
            work,
            session,
            temporary,
            repository: stores.map(|git::Stores { common, own }| Repository { common, own }),
            login: agent.login_places(home, environment),
        };
        let confinement = Confinement::of(keys, &place)?;
        let cache = caches::folder(environment, home);
        caches::redirect(environment, &cache, &keys.write);
        Some(confinement)
    }
}

impl Worker<'_> {
    /// What the settings demand in this phase.
    fn demanded(&self) -> &Confine {
        self.setup.settings.confine(self.writer.state().phase())
    }

    /// Why this host cannot confine the agent as demanded.
    pub(super) fn not_confined(&self) -> Option<String> {
        confine::obstacle(self.demanded().level, &confine::support())
    }

    /// How the agent is confined, for the journal; `None` if it is not.
    pub(super) fn confined(&self) -> Option<String> {
        let level = self.demanded().level;
        (level != Level::Off).then(|| confine::describe(level, &confine::support()))
    }

    /// How the agent of a run is confined; and points its tools to their caches.
    pub(super) fn confinement(
        &self,
        agent: &Agent,
        environment: &mut Environment,
        temporary: &Path,
    ) -> Option<Confinement> {
        let scene = Scene {
            home: &dirs::home(&self.setup.env).unwrap_or_default(),
            agent,
            work: Path::new(self.writer.state().working_dir().unwrap_or_default()),
            session: self.writer.folder.path(),
            temporary,
        };
        scene.confinement(self.demanded(), environment)
    }
}
