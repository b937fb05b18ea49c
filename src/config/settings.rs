//! Settings and where they come from: defaults, the user's file, the project's file, the
//! environment, flags. Later sources override earlier ones. The env file ranks just below the
//! environment.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::confine::{self, Confine};
use super::file::ConfigFile;
use super::layers::{ByPhase, Layers, Rank};
use super::{
    AgentName, Dirs, Env, EnvFile, Error, Project, Secret, Vocabulary, Warning, keys, values,
};
use crate::session::Phase;

/// Where a value is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: it is the default.
    Default,
    /// On a line of a file.
    File {
        /// The file, with `~` for the home folder.
        path: String,
        /// The line, from 1.
        line: u32,
    },
    /// In an environment variable.
    Environment,
    /// By a flag, such as `--agent`.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.pad("default"),
            Self::File { path, line } => f.pad(&format!("{path}:{line}")),
            Self::Environment => f.pad("environment"),
            Self::Flag(flag) => f.pad(flag),
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The settings that a command's flags override.
#[derive(Debug, Clone, Default)]
pub struct Flags(pub(super) Vec<(&'static str, String, String)>);

impl Flags {
    /// Adds the key and value that `flag`, such as `--agent`, sets.
    #[must_use]
    pub fn with(
        mut self,
        flag: &'static str,
        key: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        self.0.push((flag, key.into(), value.into()));
        self
    }

    /// Each key with its value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(_, key, value)| (key.as_str(), value.as_str()))
    }

    /// The environment that gives the same settings without the flags. `enable` passes it to
    /// [`recorded`](super::environment::recorded), so that the flags apply to the unit.
    #[must_use]
    pub fn over(&self, env: &Env) -> Env {
        let mut env = env.clone();
        for (_, key, value) in self.0.iter().filter(|(_, _, value)| !value.trim().is_empty()) {
            if let Some(known) = keys::KEYS.iter().find(|known| known.name == key) {
                // A flag applies to all phases, whatever the environment sets for one.
                keys::names(known).iter().for_each(|name| env.remove(name));
            }
            env.set(key, value);
        }
        env
    }
}

/// A row of `samocode config`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The key, with its phase where it is for one.
    pub key: String,
    /// The value as written; for a secret just "set".
    pub value: String,
    /// Where it is set.
    pub origin: Origin,
    /// One line on what the key does.
    pub doc: &'static str,
}

/// A spending limit; `None` means no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Budget {
    /// The limit in US dollars.
    pub usd: Option<f64>,
    /// In tokens, input and output together.
    pub tokens: Option<u64>,
}

/// The budgets of a session, a run and a day.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Budgets {
    /// For the whole session.
    pub session: Budget,
    /// For one run of an agent.
    pub run: Budget,
    /// For a day, over all sessions.
    pub day: Budget,
}

/// What a session's worktree gets before its first agent, and what runs before it is removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provision {
    /// `SAMOCODE_SETUP_COMMAND`, for the shell.
    pub setup: Option<String>,
    /// `SAMOCODE_TEARDOWN_COMMAND`, for the shell.
    pub teardown: Option<String>,
    /// `SAMOCODE_SETUP_TIMEOUT`: the time that each of them gets.
    pub limit: Duration,
    /// `SAMOCODE_SUBMODULES`: whether new worktrees have their submodules checked out.
    pub submodules: bool,
}

/// Which sleep of the host to prevent while an iteration runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inhibit {
    /// None: the host may sleep.
    None,
    /// Sleep because the host is idle.
    Idle,
}

/// All settings, checked. The table in the [`Vocabulary`] describes each.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `CLAUDE_TIMEOUT`, which applies to every agent's runs; the name comes from the predecessor.
    pub run_timeout: Duration,
    /// `SAMOCODE_MAX_RETRIES`: failed runs in a row before the session blocks.
    pub max_retries: u32,
    /// `SAMOCODE_RETRY_DELAY`: the pause before a failed run is retried.
    pub retry_delay: Duration,
    /// `GIT_BRANCH_PREFIX`, without a slash at its end.
    branch_prefix: Option<String>,
    /// `SAMOCODE_BUDGET_USD`, `SAMOCODE_BUDGET_TOKENS` and those for a run and a day.
    pub budgets: Budgets,
    /// `SAMOCODE_MEMORY_MAX`, as systemd takes it: bytes, `50%` or `infinity`.
    pub memory_max: String,
    /// `SAMOCODE_TASKS_MAX`, as systemd takes it.
    pub tasks_max: String,
    /// `SAMOCODE_CPU_WEIGHT`, as systemd takes it.
    pub cpu_weight: String,
    /// `SAMOCODE_DISK_FLOOR` in bytes: below this much free space, no run starts.
    pub disk_floor: u64,
    /// `SAMOCODE_DISK_MAX` in bytes: what a session may take on the disk.
    pub disk_max: Option<u64>,
    /// `SAMOCODE_CACHE_FOLDERS`: names of folders that can be made again.
    pub cache_folders: Vec<String>,
    /// `SAMOCODE_OWN_CACHES`: variables that name a folder of the session's own.
    pub own_caches: Vec<String>,
    /// `SAMOCODE_COMPRESS_LOGS_AFTER`; `None` leaves logs as they are.
    pub compress_logs_after: Option<Duration>,
    /// `SAMOCODE_CONTEXT_HANDOFF_AT`, in percent, 1 to 100.
    pub context_handoff_at: u8,
    /// `SAMOCODE_QUOTA_STOP_AT`, in percent, 1 to 100; `None` stops at the limit only.
    pub quota_stop_at: Option<u8>,
    /// `SAMOCODE_QUOTA_SPARE`: whether iterations wait until the account's other sessions are idle.
    pub quota_spare: bool,
    /// `SAMOCODE_MAX_RUNNING`; `None` derives it from the machine's memory.
    pub max_running: Option<u32>,
    /// `SAMOCODE_PRIORITY`, 0 to 9; the highest runs first.
    pub priority: u32,
    /// `SAMOCODE_TEST_COMMAND`: the command that tests the project.
    pub test_command: Option<String>,
    /// `SAMOCODE_TEST_TIMEOUT`: the time limit for the tests of a merge.
    pub test_timeout: Duration,
    /// What a worktree gets and loses with its session.
    pub provision: Provision,
    /// `SAMOCODE_REVIEWERS`: the agents whose verdict counts in the quality phase.
    pub reviewers: Vec<AgentName>,
    /// `SAMOCODE_REVIEW_ROUNDS`: rounds of review without agreement before a human decides.
    pub review_rounds: u32,
    /// `SAMOCODE_MAIL_BUDGET`: how many messages an agent may send in one run.
    pub mail_budget: u32,
    /// `SAMOCODE_INHIBIT`: which sleep to prevent during an iteration.
    pub inhibit: Inhibit,
    /// `TELEGRAM_BOT_TOKEN`: the bot that sends notices.
    pub telegram_bot_token: Option<Secret>,
    /// `TELEGRAM_CHAT_ID`: the chat that gets notices.
    pub telegram_chat_id: Option<String>,
    /// `TELEGRAM_API_URL`, without a slash at its end.
    pub telegram_api_url: String,
    agents: [AgentName; Phase::ALL.len()],
    of_agents: BTreeMap<&'static str, ByPhase>,
    stalls: [Duration; Phase::ALL.len()],
    confine: [Confine; Phase::ALL.len()],
    rows: Vec<Row>,
    warnings: Vec<Warning>,
}

impl Settings {
    /// The branch of the session `name`: its name, below `GIT_BRANCH_PREFIX` if that is set.
    #[must_use]
    pub fn branch_of(&self, name: &str) -> String {
        match &self.branch_prefix {
            Some(prefix) => format!("{prefix}/{name}"),
            None => name.to_owned(),
        }
    }

    /// Reads the user's files and merges all layers.
    ///
    /// # Errors
    /// [`Error::Value`] for the first bad value in effect, and what [`ConfigFile::read`] and
    /// [`EnvFile::read`] return.
    pub fn load(
        vocabulary: &Vocabulary,
        project: Option<&Project>,
        env: &Env,
        flags: &Flags,
    ) -> Result<Self, Error> {
        let dirs = Dirs::user(env)?;
        let user = ConfigFile::read_if_exists(&dirs.settings_file())?;
        let env_file = EnvFile::read(&dirs)?;
        Self::of_layers(vocabulary, &dirs, &user, project, &env_file, env, flags)
    }

    /// [`load`](Self::load) without reading any files.
    ///
    /// # Errors
    /// [`Error::Value`] for the first bad value in effect.
    pub fn of_layers(
        vocabulary: &Vocabulary,
        dirs: &Dirs,
        user: &ConfigFile,
        project: Option<&Project>,
        env_file: &EnvFile,
        env: &Env,
        flags: &Flags,
    ) -> Result<Self, Error> {
        let mut layers = Layers::new(dirs, vocabulary);
        layers.file(Rank::User, user);
        if let Some(project) = project {
            layers.file(Rank::Project, &project.file);
        }
        layers.env_file(env_file);
        layers.environment(env)?;
        layers.flags(flags);
        Self::of(layers)
    }

    /// Checks every value in effect.
    fn of(layers: Layers<'_>) -> Result<Self, Error> {
        let timeout = |text: &str| values::duration(text).filter(|time| !time.is_zero());
        let max_running = |text: &str| {
            if text.eq_ignore_ascii_case("by memory") {
                return Some(None);
            }
            u32::try_from(values::whole(text)?)
                .ok()
                .filter(|count| (1..=10_000).contains(count))
                .map(Some)
        };
        let inhibit = |text: &str| match text.to_ascii_lowercase().as_str() {
            "none" => Some(Inhibit::None),
            "idle" => Some(Inhibit::Idle),
            _ => None,
        };
        Ok(Self {
            of_agents: layers.of_agents()?,
            run_timeout: layers.value("CLAUDE_TIMEOUT", timeout)?,
            max_retries: layers.number("SAMOCODE_MAX_RETRIES")?,
            retry_delay: layers.value("SAMOCODE_RETRY_DELAY", values::duration)?,
            branch_prefix: layers.branch_prefix()?,
            budgets: Budgets {
                session: layers.budget("")?,
                run: layers.budget("_RUN")?,
                day: layers.budget("_DAY")?,
            },
            memory_max: layers.value("SAMOCODE_MEMORY_MAX", values::memory)?,
            tasks_max: layers.value("SAMOCODE_TASKS_MAX", values::tasks)?,
            cpu_weight: layers.value("SAMOCODE_CPU_WEIGHT", values::cpu_weight)?,
            disk_floor: layers.value("SAMOCODE_DISK_FLOOR", values::size)?,
            disk_max: layers.unless_none("SAMOCODE_DISK_MAX", values::size)?,
            cache_folders: layers.value("SAMOCODE_CACHE_FOLDERS", values::names)?,
            own_caches: layers
                .unless_none("SAMOCODE_OWN_CACHES", values::variables)?
                .unwrap_or_default(),
            compress_logs_after: Some(
                layers.value("SAMOCODE_COMPRESS_LOGS_AFTER", values::duration)?,
            )
            .filter(|age| !age.is_zero()),
            quota_stop_at: layers.unless_none("SAMOCODE_QUOTA_STOP_AT", values::percent)?,
            quota_spare: layers.value("SAMOCODE_QUOTA_SPARE", values::yes_no)?,
            context_handoff_at: layers.value("SAMOCODE_CONTEXT_HANDOFF_AT", values::percent)?,
            max_running: layers.value("SAMOCODE_MAX_RUNNING", max_running)?,
            priority: layers.number("SAMOCODE_PRIORITY")?,
            test_command: layers.text("SAMOCODE_TEST_COMMAND")?,
            test_timeout: layers.value("SAMOCODE_TEST_TIMEOUT", timeout)?,
            provision: Provision {
                setup: layers.text("SAMOCODE_SETUP_COMMAND")?,
                teardown: layers.text("SAMOCODE_TEARDOWN_COMMAND")?,
                limit: layers.value("SAMOCODE_SETUP_TIMEOUT", timeout)?,
                submodules: layers.value("SAMOCODE_SUBMODULES", values::yes_no)?,
            },
            reviewers: layers.agents("SAMOCODE_REVIEWERS")?,
            review_rounds: layers.number("SAMOCODE_REVIEW_ROUNDS")?,
            mail_budget: layers.number("SAMOCODE_MAIL_BUDGET")?,
            inhibit: layers.value("SAMOCODE_INHIBIT", inhibit)?,
            telegram_bot_token: layers.text("TELEGRAM_BOT_TOKEN")?.map(Secret::new),
            telegram_chat_id: layers.text("TELEGRAM_CHAT_ID")?,
            telegram_api_url: layers.value("TELEGRAM_API_URL", values::url)?,
            agents: layers.by_phase("SAMOCODE_AGENT", |name| layers.agent(name))?,
            stalls: layers.by_phase("SAMOCODE_STALL_AFTER", |name| layers.value(name, timeout))?,
            confine: confine::by_phase(&layers)?,
            rows: layers.rows(),
            warnings: layers.warnings,
        })
    }

    /// The agent for a phase: `SAMOCODE_AGENT_PHASE` or `SAMOCODE_AGENT`, whichever comes from the
    /// later source; within one source, the one for the phase.
    #[must_use]
    pub const fn agent(&self, phase: Phase) -> &AgentName {
        &self.agents[phase as usize]
    }

    /// Every agent that runs, with a phase in which it does.
    pub fn agents(&self) -> impl Iterator<Item = (Phase, &AgentName)> {
        let reviewers = self.reviewers.iter().map(|name| (Phase::Quality, name));
        Phase::ALL.into_iter().map(|phase| (phase, self.agent(phase))).chain(reviewers)
    }

    /// The value of a key that an agent declares, which is the same in all phases; `None` if it has neither a value nor a default.
    #[must_use]
    pub fn of_agents(&self, key: &str) -> Option<&str> {
        self.of_agents_in(key, Phase::Investigation)
    }

    /// The same in a phase, for a key that may differ by phase; looked up like
    /// [`agent`](Self::agent).
    #[must_use]
    pub fn of_agents_in(&self, key: &str, phase: Phase) -> Option<&str> {
        self.of_agents.get(key)?[phase as usize].as_deref()
    }

    /// How long a run may go without progress in a phase; looked up like [`agent`](Self::agent).
    #[must_use]
    pub const fn stall_after(&self, phase: Phase) -> Duration {
        self.stalls[phase as usize]
    }

    /// How the agent is confined in a phase; looked up like [`agent`](Self::agent).
    #[must_use]
    pub const fn confine(&self, phase: Phase) -> &Confine {
        &self.confine[phase as usize]
    }

    /// Every setting with its source, in the order of the table.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Problems in the files that are worth reporting.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}

#[cfg(test)]
mod tests;
