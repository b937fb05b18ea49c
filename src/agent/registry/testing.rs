//! Agents for tests, chosen as a user would.

use std::path::Path;

use super::Registry;
use crate::agent::{Agent, AgentError};
use crate::config::file::ConfigFile;
use crate::config::{
    AgentManifest, AgentName, Credentials, Dirs, Env, EnvFile, Flags, Reach, Settings, Variables,
};
use crate::session::Phase;

/// One that cannot be used yet.
pub(crate) static PLANNED: AgentManifest = AgentManifest {
    name: "later",
    takes_command: false,
    reach: Reach::Own,
    keys: &[],
    variables: Variables::NONE,
    credentials: Credentials::NONE,
};

/// The settings of a user whose file is this text.
pub(crate) fn settings(registry: &Registry, text: &str) -> Settings {
    let path = Path::new("/h/.config/samocode/config");
    let user = ConfigFile::parse(path, text.as_bytes()).unwrap();
    let (env, none, dirs) = (Env::default(), EnvFile::default(), Dirs::of_home(Path::new("/h")));
    let (words, flags) = (registry.vocabulary(), Flags::default());
    Settings::of_layers(&words, &dirs, &user, None, &none, &env, &flags).unwrap()
}

/// The agent that `name` chooses there, its program found on the usual PATH.
pub(crate) fn agent_of(registry: &Registry, name: &str, text: &str) -> Result<Agent, AgentError> {
    agent_in(registry, name, text, Phase::Investigation)
}

/// The same in a phase.
pub(crate) fn agent_in(
    registry: &Registry,
    name: &str,
    text: &str,
    phase: Phase,
) -> Result<Agent, AgentError> {
    let words = registry.vocabulary();
    let name = AgentName::parse(name, Path::new("/h"), None, &words).unwrap();
    let env = Env::from_iter([("PATH", "/usr/bin:/bin")]);
    registry.agent(&name, phase, &settings(registry, text), &env, Path::new("/bin/samocode"))
}
