//! What the settings have to know of agents: their names, their keys, and whose a variable is.
//!
//! The agents declare it themselves, each in its own folder, and their registry hands it down. So
//! the settings are read and secrets are kept apart without a word about any agent here.

use std::path::PathBuf;

use super::keys::{self, KEYS, Key};
use super::secret::is_secret;
use super::{Dirs, Env, EnvFile, Warning};
use crate::session::Phase;

/// What one kind of agent declares.
#[derive(Debug, Clone, Copy)]
pub struct AgentWords {
    /// Its name, as it stands in `SAMOCODE_AGENT`.
    pub name: &'static str,
    /// Whether a command line follows the name, as in `command:PROGRAM ARGS`.
    pub takes_command: bool,
    /// Which variables of agents it gets.
    pub reach: Reach,
    /// The keys that set it up, such as where its program is.
    pub keys: &'static [Key],
    /// The variables of its program.
    pub variables: Variables,
    /// What it logs in with.
    pub credentials: Credentials,
}

/// Which of the variables that agents declare reach an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Its own, and what all may know.
    Own,
    /// Every agent's: it may be a wrapper of any.
    All,
    /// None, and no secret of any kind.
    Nothing,
}

/// The variables of one program.
#[derive(Debug, Clone, Copy)]
pub struct Variables {
    /// What the names of its own variables begin with.
    pub prefixes: &'static [&'static str],
    /// Further names of its own.
    pub names: &'static [&'static str],
    /// What names begin with that it shares with everyone, secrets excepted: settings of a cloud.
    pub shared: &'static [&'static str],
    /// Those that say where its files are; recorded in the unit.
    pub places: &'static [&'static str],
    /// What it sets for the programs it runs. Where such an agent started samocode, they would
    /// make a new one take itself for a part of the old.
    pub of_parent: &'static [&'static str],
    /// What it gets unless the environment says otherwise.
    pub defaults: &'static [(&'static str, &'static str)],
}

impl Variables {
    /// No variables at all, to be filled in by name.
    pub const NONE: Self =
        Self { prefixes: &[], names: &[], shared: &[], places: &[], of_parent: &[], defaults: &[] };
}

/// What a program logs in with, and where it keeps it.
#[derive(Debug, Clone, Copy)]
pub struct Credentials {
    /// The variable that names its folder, and the folder below the home folder without it.
    pub folder: Option<(&'static str, &'static str)>,
    /// The variable with the address of its service.
    pub base_url: &'static str,
    /// Variables that hold keys, in the order in which they count.
    pub keys: &'static [&'static str],
    /// Files of its folder that a login writes.
    pub logins: &'static [&'static str],
    /// Variables that turn it to another service with credentials of its own.
    pub switches: &'static [&'static str],
    /// How a human logs in, up to the file that a key goes into.
    pub remedy: &'static str,
}

impl Credentials {
    /// For a program that needs none.
    pub const NONE: Self =
        Self { folder: None, base_url: "", keys: &[], logins: &[], switches: &[], remedy: "" };

    /// The folder with the program's settings and logins, in the environment it gets.
    #[must_use]
    pub fn folder(&self, env: &Env) -> Option<PathBuf> {
        let (variable, default) = self.folder?;
        let of_home = || super::dirs::home(env).unwrap_or_default().join(default);
        Some(env.get(variable).map_or_else(of_home, PathBuf::from))
    }
}

impl AgentWords {
    /// Whether a variable is this program's own.
    #[must_use]
    pub fn owns(&self, name: &str) -> bool {
        let variables = &self.variables;
        variables.names.contains(&name) || begins_with(name, variables.prefixes)
    }

    /// Whether a variable is among those it shares with everyone.
    #[must_use]
    pub fn shares(&self, name: &str) -> bool {
        begins_with(name, self.variables.shared)
    }
}

/// Whose a variable is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// An agent's, or several agents'.
    Agent,
    /// An agent's that others may know, unless it is a secret.
    Shared,
    /// Of the notices; never an agent's.
    Notices,
    /// For everyone: proxies and certificates.
    Everyone,
}

/// The variables of the notices.
const NOTICES: &[&str] = &["TELEGRAM_"];

/// Variables for everyone besides those that end in `_PROXY`.
const EVERYONES: &[&str] = &["NODE_EXTRA_CA_CERTS"];

/// What all agents declare.
#[derive(Debug, Clone)]
pub struct Vocabulary {
    agents: Vec<&'static AgentWords>,
}

impl Vocabulary {
    /// Of these agents, in the order in which they are named to people.
    #[must_use]
    pub fn new(agents: impl IntoIterator<Item = &'static AgentWords>) -> Self {
        Self { agents: agents.into_iter().collect() }
    }

    /// All agents.
    #[must_use]
    pub fn agents(&self) -> &[&'static AgentWords] {
        &self.agents
    }

    /// The agent of this name.
    #[must_use]
    pub fn agent(&self, name: &str) -> Option<&'static AgentWords> {
        self.agents.iter().find(|agent| agent.name == name).copied()
    }

    /// What `SAMOCODE_AGENT` may be, for a message.
    #[must_use]
    pub fn allowed_agents(&self) -> String {
        let as_typed = |agent: &&AgentWords| match agent.takes_command {
            true => format!("{}:PROGRAM ARGS", agent.name),
            false => agent.name.to_owned(),
        };
        let mut names: Vec<String> = self.agents.iter().map(as_typed).collect();
        let last = names.pop().unwrap_or_default();
        if names.is_empty() {
            format!("use {last}")
        } else {
            format!("use {} or {last}", names.join(", "))
        }
    }

    /// All keys in the order in which they are shown: those of agents stand behind the choice of
    /// one.
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

    /// The known key that is most like a mistyped one, if any is like it.
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

    /// Whose a variable is; `None` for one that belongs to no agent, notice or proxy. Only what has
    /// an owner is read from the file of credentials.
    #[must_use]
    pub fn owner(&self, name: &str) -> Option<Owner> {
        if self.agents.iter().any(|agent| agent.owns(name)) {
            Some(Owner::Agent)
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

    /// Whether a variable goes on to an agent, as far as it depends on whose it is.
    #[must_use]
    pub fn reaches(&self, agent: &AgentWords, name: &str, value: &str) -> bool {
        let is_secret = is_secret(name, value);
        match (self.owner(name), agent.reach) {
            (Some(Owner::Notices), _) => false,
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

    /// Variables that some agent's program sets for those it runs.
    #[must_use]
    pub fn is_of_parent(&self, name: &str) -> bool {
        self.agents.iter().any(|agent| agent.variables.of_parent.contains(&name))
            || (self.owner(name).is_some() && name.ends_with("_FILE_DESCRIPTOR"))
    }

    /// Variables of the file of credentials that nobody gets.
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

    /// The variables that agents get from the file of credentials, in words.
    fn handed_on(&self) -> String {
        let mut words: Vec<String> = Vec::new();
        for variables in self.agents.iter().map(|agent| &agent.variables) {
            let begin = variables.prefixes.iter().chain(variables.shared);
            words.extend(begin.map(|prefix| format!("{prefix}*")));
            words.extend(variables.names.iter().map(|name| (*name).to_owned()));
        }
        format!("{}, *_PROXY and {}", words.join(", "), EVERYONES.join(", "))
    }
}

fn begins_with(name: &str, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| name.starts_with(prefix))
}

/// Agents for the tests of this folder, which knows no real ones.
#[cfg(test)]
pub(crate) mod sample {
    use super::*;
    use crate::config::keys::{Kind, key};

    const NOTHING: AgentWords = AgentWords {
        name: "",
        takes_command: false,
        reach: Reach::Own,
        keys: &[],
        variables: Variables::NONE,
        credentials: Credentials::NONE,
    };
    const CLAUDE: AgentWords = AgentWords {
        name: "claude",
        keys: &[
            key("CLAUDE_PATH", "claude", Kind::Program, "the program"),
            key("CLAUDE_MODEL", "opus", Kind::Text, "the model"),
            key("CLAUDE_MAX_TURNS", "300", Kind::Number(1, 1_000_000), "turns"),
        ],
        variables: Variables { prefixes: &["ANTHROPIC_", "CLAUDE_"], ..Variables::NONE },
        ..NOTHING
    };
    const CODEX: AgentWords = AgentWords {
        name: "codex",
        variables: Variables { prefixes: &["OPENAI_"], ..Variables::NONE },
        ..NOTHING
    };
    const REHEARSAL: AgentWords =
        AgentWords { name: "rehearsal", reach: Reach::Nothing, ..NOTHING };
    const COMMAND: AgentWords =
        AgentWords { name: "command", takes_command: true, reach: Reach::All, ..NOTHING };

    /// Four of them.
    pub(crate) fn vocabulary() -> Vocabulary {
        Vocabulary::new([&CLAUDE, &CODEX, &REHEARSAL, &COMMAND])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_suffix_names_a_phase_only_where_the_key_takes_one() {
        let words = sample::vocabulary();
        assert_eq!(
            words.lookup("SAMOCODE_AGENT_TESTING").map(|(k, p)| (k.name, p)),
            Some(("SAMOCODE_AGENT", Some(Phase::Testing)))
        );
        assert_eq!(words.lookup("SAMOCODE_BUDGET_USD_DAY").map(|(_, p)| p), Some(None));
        for unknown in [
            "CLAUDE_MODEL_TESTING",
            "SAMOCODE_AGENT_",
            "SAMOCODE_AGENT_testing",
            "SAMOCODE_AGENT_SHIPPING",
            "",
        ] {
            assert!(words.lookup(unknown).is_none(), "{unknown}");
        }
    }

    #[test]
    fn the_nearest_key_is_suggested_and_nothing_for_what_is_like_none() {
        for (typed, expected) in [
            ("WORKTREE", Some("WORKTREES")),
            ("SESSION", Some("SESSIONS")),
            ("main_repo", Some("MAIN_REPO")),
            ("SAMOCODE_AGNET", Some("SAMOCODE_AGENT")),
            ("STALL_AFTER", Some("SAMOCODE_STALL_AFTER")),
            ("CLAUDE_MAX_TURN", Some("CLAUDE_MAX_TURNS")),
            ("SAMOCODE_STALL_AFTER_TESTNG", Some("SAMOCODE_STALL_AFTER_TESTING")),
            ("FROBNICATE", None),
        ] {
            assert_eq!(sample::vocabulary().nearest(typed).as_deref(), expected, "{typed}");
        }
    }

    #[test]
    fn agents_are_listed_as_they_are_typed() {
        let allowed = sample::vocabulary().allowed_agents();
        assert_eq!(allowed, "use claude, codex, rehearsal or command:PROGRAM ARGS");
    }

    #[test]
    fn variables_of_the_env_file_that_nobody_gets_are_warned_of() {
        let path = Path::new("env");
        let text = b"ANTHROPIC_API_KEY=sk-1\nGITHUB_TOKEN=gh-1\n";
        let file = EnvFile::of(&crate::config::file::ConfigFile::parse(path, text).unwrap());
        let warnings = sample::vocabulary().not_handed_on(&file, &Dirs::of_home(Path::new("/h")));
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert_eq!(
            warnings[0].to_string(),
            "/h/.config/samocode/env:2: GITHUB_TOKEN is not handed to agents: only ANTHROPIC_*, \
             CLAUDE_*, OPENAI_*, *_PROXY and NODE_EXTRA_CA_CERTS are"
                .replace("/h/.config", "~/.config")
        );
    }
}
