//! What the settings need to know about agents: their names, their keys, and their variables.
//!
//! Each agent declares this in its own folder, and the registry passes it in. So settings are read
//! and secrets are kept apart here without naming any agent.

use std::path::{Path, PathBuf};

use super::keys::{self, KEYS, Key};
use super::secret::is_secret;
use super::{Dirs, Env, EnvFile, Warning};
use crate::session::Phase;
use crate::session::names::nearest;

/// The declarations of one kind of agent.
#[derive(Debug, Clone, Copy)]
pub struct AgentManifest {
    /// Its name, as written in `SAMOCODE_AGENT`.
    pub name: &'static str,
    /// Whether a command line follows the name, as in `command:PROGRAM ARGS`.
    pub takes_command: bool,
    /// Which variables of agents it gets.
    pub reach: Reach,
    /// The keys that configure it, such as the path of its program.
    pub keys: &'static [Key],
    /// The variables of its program.
    pub variables: Variables,
    /// Its credentials, and where it keeps them.
    pub credentials: Credentials,
}

/// Which of the variables that agents declare reach an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Its own, and those that are open to all.
    Own,
    /// Every agent's, since it may wrap any of them.
    All,
    /// None, and no secret of any kind.
    Nothing,
}

/// The variables of one program.
#[derive(Debug, Clone, Copy)]
pub struct Variables {
    /// Prefixes of its own variables.
    pub prefixes: &'static [&'static str],
    /// Names of further variables of its own.
    pub names: &'static [&'static str],
    /// Variables that only one program gets, of those that a command line after the agent's name may
    /// name: the program's file name, and its variables.
    pub of_programs: &'static [(&'static str, &'static [&'static str])],
    /// Prefixes of variables that everyone may see unless they are secret, such as cloud settings.
    pub shared: &'static [&'static str],
    /// Prefixes of variables that decide where its requests go: provider, address, region, model.
    pub routes: &'static [&'static str],
    /// Variables that locate its files; recorded in the unit.
    pub places: &'static [&'static str],
    /// Variables it sets for the programs it runs. If such an agent started samocode, they would
    /// make a new agent take itself for a part of the old one.
    pub of_parent: &'static [&'static str],
    /// Variables it gets unless the environment already sets them.
    pub defaults: &'static [(&'static str, &'static str)],
}

impl Variables {
    /// No variables: a base for struct update syntax.
    pub const NONE: Self = Self {
        prefixes: &[],
        names: &[],
        of_programs: &[],
        shared: &[],
        routes: &[],
        places: &[],
        of_parent: &[],
        defaults: &[],
    };
}

/// The credentials of a program, and where it keeps them.
#[derive(Debug, Clone, Copy)]
pub struct Credentials {
    /// The variable that names its folder, and the folder below the home folder without it.
    pub folder: Option<(&'static str, &'static str)>,
    /// The variable with the address of its service.
    pub base_url: &'static str,
    /// The hosts of its service and of its login, as entries of `SAMOCODE_ALLOW_CONNECT`.
    pub hosts: &'static [&'static str],
    /// Variables that hold keys, in order of precedence.
    pub keys: &'static [&'static str],
    /// Files in its folder that a login writes.
    pub logins: &'static [&'static str],
    /// Variables that switch it to another service, which has its own credentials.
    pub switches: &'static [&'static str],
    /// How a human logs in, worded so that the env file's path can follow.
    pub remedy: &'static str,
}

impl Credentials {
    /// For a program that needs no credentials.
    pub const NONE: Self = Self {
        folder: None,
        base_url: "",
        hosts: &[],
        keys: &[],
        logins: &[],
        switches: &[],
        remedy: "",
    };

    /// The folder with the program's settings and logins, given its environment.
    #[must_use]
    pub fn folder(&self, env: &Env) -> Option<PathBuf> {
        let (variable, default) = self.folder?;
        let of_home = || super::dirs::home(env).unwrap_or_default().join(default);
        Some(env.get(variable).map_or_else(of_home, PathBuf::from))
    }
}

impl AgentManifest {
    /// Whether a variable is this program's own.
    #[must_use]
    pub fn owns(&self, name: &str) -> bool {
        let variables = &self.variables;
        variables.names.contains(&name) || begins_with(name, variables.prefixes)
    }

    /// The variables that the program of this path gets, and no other.
    #[must_use]
    pub fn of_program(&self, program: &Path) -> &'static [&'static str] {
        let programs = self.variables.of_programs.iter();
        let mut named = programs.filter(|(name, _)| program.file_name() == Some(name.as_ref()));
        named.next().map_or(&[], |(_, names)| *names)
    }

    fn is_of_program(&self, name: &str) -> bool {
        self.variables.of_programs.iter().any(|(_, names)| names.contains(&name))
    }

    /// Whether everyone may see this variable of the program.
    #[must_use]
    pub fn shares(&self, name: &str) -> bool {
        begins_with(name, self.variables.shared)
    }
}

/// The owner of a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// An agent's, or several agents'.
    Agent,
    /// A program's that some agent may be told to run. No other gets it.
    Program,
    /// An agent's, but open to others unless it is secret.
    Shared,
    /// For notices only; no agent gets it.
    Notices,
    /// For everyone: proxies and certificates.
    Everyone,
}

/// The variables that notices use.
const NOTICES: &[&str] = &["TELEGRAM_"];

/// Variables for everyone, besides those that end in `_PROXY`.
const EVERYONES: &[&str] = &[
    "NODE_EXTRA_CA_CERTS",
    "NODE_TLS_REJECT_UNAUTHORIZED",
    "NODE_USE_ENV_PROXY",
    "NODE_USE_SYSTEM_CA",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
];

/// The declarations of all agents together.
#[derive(Debug, Clone)]
pub struct Vocabulary {
    agents: Vec<&'static AgentManifest>,
    /// Names of agents that cannot be used yet.
    planned: Vec<&'static str>,
}

impl Vocabulary {
    /// A vocabulary of these agents, in the order in which people see them.
    #[must_use]
    pub fn new(agents: impl IntoIterator<Item = &'static AgentManifest>) -> Self {
        Self { agents: agents.into_iter().collect(), planned: Vec::new() }
    }

    /// The same, in which the agents with these names are known and cannot be chosen yet.
    #[must_use]
    pub fn with_planned(self, names: impl IntoIterator<Item = &'static str>) -> Self {
        Self { planned: names.into_iter().collect(), ..self }
    }

    /// The agents that can be chosen.
    pub fn choices(&self) -> impl Iterator<Item = &&'static AgentManifest> {
        self.agents.iter().filter(|agent| !self.planned.contains(&agent.name))
    }

    /// What to write instead of a name that no agent has: the allowed ones, and which of them is
    /// probably meant.
    #[must_use]
    pub fn instead_of_agent(&self, typed: &str) -> String {
        let allowed = self.allowed_agents();
        match nearest(typed, self.choices().map(|agent| agent.name)) {
            Some(near) => format!("{allowed}; did you mean '{near}'?"),
            None => allowed,
        }
    }

    /// The agents, in the order in which people see them.
    #[must_use]
    pub fn agents(&self) -> &[&'static AgentManifest] {
        &self.agents
    }

    /// The agent with this name, if there is one.
    #[must_use]
    pub fn agent(&self, name: &str) -> Option<&'static AgentManifest> {
        self.agents.iter().find(|agent| agent.name == name).copied()
    }

    /// The allowed values of `SAMOCODE_AGENT`, for a message.
    #[must_use]
    pub fn allowed_agents(&self) -> String {
        let as_typed = |agent: &&AgentManifest| match agent.takes_command {
            true => format!("{}:PROGRAM ARGS", agent.name),
            false => agent.name.to_owned(),
        };
        let mut names: Vec<String> = self.choices().map(as_typed).collect();
        let last = names.pop().unwrap_or_default();
        if names.is_empty() {
            format!("use {last}")
        } else {
            format!("use {} or {last}", names.join(", "))
        }
    }

    /// All keys in the order in which they are shown: agents' keys follow `SAMOCODE_AGENT`.
    pub fn keys(&self) -> impl Iterator<Item = &'static Key> {
        KEYS.iter().flat_map(|key| {
            let chooses = key.kind == keys::Kind::Agent;
            let agents = self.agents.iter().filter(move |_| chooses);
            std::iter::once(key).chain(agents.flat_map(|agent| agent.keys))
        })
    }

    /// The keys that agents declare.
    pub fn agents_keys(&self) -> impl Iterator<Item = &'static Key> {
        self.agents.iter().flat_map(|agent| agent.keys)
    }

    /// Every name under which a key may be set.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.keys().flat_map(keys::names)
    }

    /// The row of a key and, where the key has a suffix, the phase it is for.
    #[must_use]
    pub fn lookup(&self, name: &str) -> Option<(&'static Key, Option<Phase>)> {
        if let Some(key) = self.keys().find(|key| key.name == name) {
            return Some((key, None));
        }
        let (stem, _) = name.rsplit_once('_')?;
        let key = self.keys().find(|key| key.by_phase && key.name == stem)?;
        let phase = Phase::ALL.into_iter().find(|phase| keys::for_phase(key, *phase) == name)?;
        Some((key, Some(phase)))
    }

    /// The known key most similar to a mistyped one, if any comes close.
    #[must_use]
    pub fn nearest(&self, typed: &str) -> Option<String> {
        let upper = typed.to_ascii_uppercase();
        let likeness = |name: &str| {
            let bare = name.strip_prefix("SAMOCODE_").unwrap_or(name);
            strsim::jaro_winkler(&upper, name).max(strsim::jaro_winkler(&upper, bare))
        };
        let scored = self.names().map(|name| (likeness(&name), name));
        scored
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .filter(|(score, _)| *score > 0.87)
            .map(|(_, name)| name)
    }

    /// The known key that this is, but for a letter or two.
    #[must_use]
    pub fn misspelt(&self, typed: &str) -> Option<String> {
        const MOST: usize = 2;
        let upper = typed.to_ascii_uppercase();
        let scored = self.names().map(|name| (strsim::damerau_levenshtein(&upper, &name), name));
        scored.filter(|(far, _)| *far <= MOST).min().map(|(_, name)| name)
    }

    /// The owner of a variable; `None` for one that belongs to no agent, notice or proxy. Only
    /// variables with an owner are read from the credentials file.
    #[must_use]
    pub fn owner(&self, name: &str) -> Option<Owner> {
        if self.agents.iter().any(|agent| agent.owns(name)) {
            Some(Owner::Agent)
        } else if self.agents.iter().any(|agent| agent.is_of_program(name)) {
            Some(Owner::Program)
        } else if begins_with(name, NOTICES) {
            Some(Owner::Notices)
        } else if name.ends_with("_PROXY") || name.ends_with("_proxy") || EVERYONES.contains(&name)
        {
            Some(Owner::Everyone)
        } else if self.agents.iter().any(|agent| agent.shares(name)) {
            Some(Owner::Shared)
        } else {
            None
        }
    }

    /// Whether a variable decides where requests go: an agent's provider, or how it is reached.
    #[must_use]
    pub fn decides_route(&self, name: &str) -> bool {
        self.agents.iter().any(|agent| begins_with(name, agent.variables.routes))
            || self.owner(name) == Some(Owner::Everyone)
    }

    /// Whether an agent gets a variable, judged by the variable's owner alone.
    #[must_use]
    pub fn reaches(&self, agent: &AgentManifest, name: &str, value: &str) -> bool {
        let is_secret = is_secret(name, value);
        match (self.owner(name), agent.reach) {
            (Some(Owner::Notices | Owner::Program), _) => false,
            (Some(Owner::Agent), reach) => match reach {
                Reach::Own => agent.owns(name),
                Reach::All => true,
                Reach::Nothing => false,
            },
            (Some(Owner::Shared), Reach::Own) => agent.shares(name) || !is_secret,
            (Some(Owner::Shared | Owner::Everyone), Reach::All)
            | (Some(Owner::Everyone), Reach::Own) => true,
            (Some(Owner::Shared | Owner::Everyone), Reach::Nothing) | (None, _) => !is_secret,
        }
    }

    /// Variables that some agent sets for the programs it runs.
    #[must_use]
    pub fn is_of_parent(&self, name: &str) -> bool {
        self.agents.iter().any(|agent| agent.variables.of_parent.contains(&name))
            || (self.owner(name).is_some() && name.ends_with("_FILE_DESCRIPTOR"))
    }

    /// Variables in the credentials file that are passed to no agent.
    #[must_use]
    pub fn not_handed_on(&self, file: &EnvFile, dirs: &Dirs) -> Vec<Warning> {
        let path = dirs.short(&dirs.env_file());
        let others = file.iter().filter(|(name, ..)| self.owner(name).is_none());
        others
            .map(|(name, line, _)| Warning::NotHandedOn {
                at: format!("{path}:{line}"),
                key: name.to_owned(),
                only: self.handed_on(),
            })
            .collect()
    }

    /// The variables that agents get from the credentials file, as text.
    fn handed_on(&self) -> String {
        let mut words: Vec<String> = Vec::new();
        for variables in self.agents.iter().map(|agent| &agent.variables) {
            let begin = variables.prefixes.iter().chain(variables.shared);
            words.extend(begin.map(|prefix| format!("{prefix}*")));
            words.extend(variables.names.iter().map(|name| (*name).to_owned()));
        }
        let (last, rest) = EVERYONES.split_last().unwrap_or((&"", &[]));
        words.push("*_PROXY".to_owned());
        words.extend(rest.iter().map(|name| (*name).to_owned()));
        format!("{} and {last}", words.join(", "))
    }
}

fn begins_with(name: &str, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| name.starts_with(prefix))
}

/// Sample agents for the tests of this folder, which knows no real ones.
#[cfg(test)]
pub(crate) mod sample {
    use super::*;
    use crate::config::keys::{Kind, key};

    const NOTHING: AgentManifest = AgentManifest {
        name: "",
        takes_command: false,
        reach: Reach::Own,
        keys: &[],
        variables: Variables::NONE,
        credentials: Credentials::NONE,
    };
    const CLAUDE: AgentManifest = AgentManifest {
        name: "claude",
        keys: &[
            key("CLAUDE_PATH", "claude", Kind::Program, "the program"),
            key("CLAUDE_MODEL", "opus", Kind::Text, "the model"),
            key("CLAUDE_MAX_TURNS", "300", Kind::Number(1, 1_000_000), "turns"),
        ],
        variables: Variables { prefixes: &["ANTHROPIC_", "CLAUDE_"], ..Variables::NONE },
        ..NOTHING
    };
    const CODEX: AgentManifest = AgentManifest {
        name: "codex",
        variables: Variables { prefixes: &["OPENAI_"], ..Variables::NONE },
        ..NOTHING
    };
    const REHEARSAL: AgentManifest =
        AgentManifest { name: "rehearsal", reach: Reach::Nothing, ..NOTHING };
    const COMMAND: AgentManifest =
        AgentManifest { name: "command", takes_command: true, reach: Reach::All, ..NOTHING };

    /// A vocabulary of four agents.
    pub(crate) fn vocabulary() -> Vocabulary {
        Vocabulary::new([&CLAUDE, &CODEX, &REHEARSAL, &COMMAND])
    }
}

#[cfg(test)]
mod tests;
