//! All agents. To add one: a folder with its [`AgentSpec`], and a line in [`REGISTRY`].

use std::path::Path;

use jiff::Timestamp;

use super::environment::{RunIds, add_of_program, agent_environment};
use super::event::Decoder;
use super::find::find_program;
use super::spec::{AgentSpec, Program};
use super::{Account, Agent, AgentError, account, acp, claude, codex, command, gemini, rehearsal};
use crate::config::{AgentManifest, AgentName, Env, EnvFile, Settings, Vocabulary};
use crate::session::Phase;

/// The agents of this samocode, in the order in which people see them.
pub static REGISTRY: Registry = Registry::new(&[
    Entry::Built(&claude::Claude),
    Entry::Built(&codex::Codex),
    Entry::Built(&gemini::Gemini),
    Entry::Built(&acp::Acp),
    Entry::Built(&rehearsal::Rehearsal),
    Entry::Built(&command::Command),
]);

/// The declarations of all agents of this samocode, for reading the settings.
#[must_use]
pub fn vocabulary() -> Vocabulary {
    REGISTRY.vocabulary()
}

/// A line of the registry.
#[derive(Clone, Copy)]
pub enum Entry {
    /// An agent that can be used.
    Built(&'static dyn AgentSpec),
    /// One that cannot yet. Its variables are known, so that its secrets reach no other agent.
    Planned(&'static AgentManifest),
}

impl Entry {
    fn manifest(&self) -> &'static AgentManifest {
        match self {
            Self::Built(spec) => spec.manifest(),
            Self::Planned(manifest) => manifest,
        }
    }
}

/// A set of agents, looked up by name.
#[derive(Clone, Copy)]
pub struct Registry {
    entries: &'static [Entry],
}

impl Registry {
    /// A registry with these entries.
    #[must_use]
    pub const fn new(entries: &'static [Entry]) -> Self {
        Self { entries }
    }

    /// The declarations of all entries, planned agents included.
    #[must_use]
    pub fn vocabulary(&self) -> Vocabulary {
        let planned = self.entries.iter().filter_map(|entry| match entry {
            Entry::Built(_) => None,
            Entry::Planned(manifest) => Some(manifest.name),
        });
        Vocabulary::new(self.entries.iter().map(Entry::manifest)).with_planned(planned)
    }

    /// The specs of all agents that can be used.
    pub fn specs(&self) -> impl Iterator<Item = &'static dyn AgentSpec> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Built(spec) => Some(*spec),
            Entry::Planned(_) => None,
        })
    }

    /// The spec of the usable agent with this name.
    #[must_use]
    pub fn spec(&self, word: &str) -> Option<&'static dyn AgentSpec> {
        self.specs().find(|spec| spec.manifest().name == word)
    }

    /// The agent that was chosen, its program found on the PATH of `env`. `samocode` is this
    /// program, which has some agents built in.
    ///
    /// # Errors
    /// [`AgentError::NotBuilt`] for one that is planned, [`AgentError::Unknown`], and
    /// [`AgentError::Program`] when its program is not found.
    pub fn agent(
        &self,
        name: &AgentName,
        phase: Phase,
        settings: &Settings,
        env: &Env,
        samocode: &Path,
    ) -> Result<Agent, AgentError> {
        let Some(spec) = self.spec(name.word()) else {
            let planned = self.entries.iter().any(|entry| entry.manifest().name == name.word());
            return Err(if planned {
                AgentError::NotBuilt(name.word())
            } else {
                AgentError::Unknown(name.to_string(), self.vocabulary().allowed_agents())
            });
        };
        let (program, path_additions) = match spec.program(name, settings) {
            Program::BuiltIn => (samocode.to_owned(), Vec::new()),
            Program::Named { program, key, before } => {
                let found = find_program(&program, key, before, env)?;
                (spec.executable(found.path), found.path_additions)
            }
        };
        let keys = spec.manifest().keys.iter();
        let values = keys
            .filter_map(|key| Some((key.name, settings.of_agents_in(key.name, phase)?.to_owned())));
        Ok(Agent { spec, name: name.clone(), program, path_additions, values: values.collect() })
    }

    /// A decoder for the stream of an agent of this name, as a journal has it. An agent that no
    /// longer exists is treated as a command: line by line.
    #[must_use]
    pub fn decoder(&self, word: &str, working_dir: &Path) -> Box<dyn Decoder> {
        match self.spec(word) {
            Some(spec) => spec.decoder(working_dir),
            None => Box::new(command::Lines),
        }
    }

    /// The whole environment of an agent; see [`agent_environment`].
    #[must_use]
    pub fn environment(&self, worker: &Env, file: &EnvFile, name: &AgentName, run: &RunIds) -> Env {
        let vocabulary = self.vocabulary();
        let mut env = agent_environment(&vocabulary, worker, file, name.word(), run);
        add_of_program(&mut env, &vocabulary, worker, file, name);
        env
    }

    /// When the token of the login ends that an agent uses, given the environment it will get. One
    /// with a key uses no login.
    #[must_use]
    pub fn token_ends(&self, name: &AgentName, env: &Env) -> Option<Timestamp> {
        let spec = self.spec(name.word())?;
        let credentials = &spec.manifest().credentials;
        let has_key =
            credentials.keys.iter().any(|key| env.text(key).is_some_and(|key| !key.is_empty()));
        let folder = credentials.folder(env).filter(|_| !has_key)?;
        Some(spec.token(&folder)?.ends)
    }

    /// What a human does when the credentials of an agent are refused, given the environment it gets
    /// and the user's env file.
    #[must_use]
    pub fn log_in(&self, name: &AgentName, env: &Env, env_file: &str) -> String {
        let has = |name: &str| env.get(name).is_some_and(|value| !value.is_empty());
        let advice = self.spec(name.word()).map(|spec| spec.log_in(&has));
        format!("{} {env_file}", advice.unwrap_or_else(|| "fix".to_owned()))
    }

    /// The account an agent will use, given the environment it will get; `None` for one that has
    /// none.
    #[must_use]
    pub fn account(&self, name: &AgentName, env: &Env) -> Option<Account> {
        account::of(&self.vocabulary(), name, env)
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
