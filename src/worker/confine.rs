//! Confining the agent of a run.

use std::path::{Path, PathBuf};

use crate::agent::confine::{self, Confinement, Place, Repository, caches, words};
use crate::agent::{Agent, Environment, Task};
use crate::config::confine::{Confine, Level};
use crate::config::dirs;
use crate::git;
use crate::platform::cage::Cage;
use crate::platform::confinement::CageError;

use super::Worker;

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

    /// Builds the cage of a run, tells the agent about it, and points its tools to their caches.
    pub(super) fn cage(
        &self,
        agent: &Agent,
        task: &mut Task,
        mut environment: Environment,
        temporary: &Path,
    ) -> Result<(Environment, Option<Cage>), CageError> {
        let demanded = self.demanded();
        let home = dirs::home(&self.setup.env).unwrap_or_default();
        let work = PathBuf::from(self.writer.state().working_dir().unwrap_or_default());
        let stores = git::stores(&work);
        let place = Place {
            home: &home,
            environment: &environment,
            program: agent.program(),
            files: confine::named_files(agent),
            work: &work,
            session: self.writer.folder.path(),
            temporary,
            repository: stores.map(|git::Stores { common, own }| Repository { common, own }),
            login: agent.login_places(&home, &environment),
        };
        let Some(confinement) = Confinement::of(demanded, &place) else {
            return Ok((environment, None));
        };
        let cache = caches::folder(&environment, &home);
        caches::redirect(&mut environment, &cache, &demanded.write);
        task.system_prompt.push_str(&words::for_agent(&confinement));
        let cage = confinement.cage()?;
        Ok((environment, Some(cage)))
    }
}
