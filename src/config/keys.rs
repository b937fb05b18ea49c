//! The table of keys. Agents declare keys of their own, which the [`Vocabulary`](super::Vocabulary)
//! adds. The table drives parsing, `samocode config`, the reference of `.samocode`, and the choice
//! of variables that `enable` records.

use crate::session::Phase;

/// The kind of value that a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A folder; `~` is expanded, a relative one starts at the file's folder.
    Folder,
    /// A program: a name on PATH or a path.
    Program,
    /// Text without control characters.
    Text,
    /// An address that begins with `http://` or `https://`.
    Url,
    /// One of these words, or a file.
    WordOrFile(&'static [&'static str]),
    /// A prefix of branch names.
    BranchPrefix,
    /// A whole number between the two, both included.
    Number(u32, u32),
    /// A duration, which may be 0.
    Duration,
    /// A duration above 0.
    Timeout,
    /// The name of an agent, with a command line for some.
    Agent,
    /// The names of agents, with commas between them, or `none`.
    Agents,
    /// An amount in US dollars above 0, or `none`.
    Money,
    /// A number of tokens, or `none`.
    Tokens,
    /// A value for systemd's `MemoryMax=`.
    Memory,
    /// A value for systemd's `TasksMax=`.
    Tasks,
    /// A value for systemd's `CPUWeight=`.
    CpuWeight,
    /// A size in bytes.
    Size,
    /// A whole percentage from 1 to 100.
    Percent,
    /// How many sessions may run at once, or `by memory`.
    MaxRunning,
    /// Which sleep to prevent while an iteration runs: `none` or `idle`.
    Inhibit,
    /// How closely an agent is confined.
    Confine,
    /// Paths with `:` between them, or `none`.
    Paths,
    /// TCP ports, or `none`.
    Peers,
    /// UNIX sockets: `none` or `any`.
    Sockets,
    /// A switch: `yes` or `no`.
    YesNo,
    /// Names of folders, with spaces between them.
    Names,
    /// Names of environment variables, with spaces between them, or `none`.
    Variables,
}

impl Kind {
    /// The allowed values, worded as advice for a message.
    #[must_use]
    pub fn allowed(self) -> String {
        match self {
            Self::Folder => "use a folder's path".to_owned(),
            Self::Program => "use a program's name or path".to_owned(),
            Self::Text => "use text without control characters".to_owned(),
            Self::Url => "use an address, as in https://example.org".to_owned(),
            Self::WordOrFile(words) => format!("use {}, or the path of a file", words.join(", ")),
            Self::BranchPrefix => {
                "use a valid part of a branch name, such as feature or team/ai".to_owned()
            }
            Self::Number(low, high) => format!("use a whole number from {low} to {high}"),
            Self::Duration => {
                "use seconds or a duration, as in 1800, 30s, 10 min or 2h, up to a year".to_owned()
            }
            Self::Timeout => {
                "use seconds or a duration above 0, as in 1800, 30s, 10 min or 2h, up to a year"
                    .to_owned()
            }
            Self::Agent => "use the name of an agent".to_owned(),
            Self::Agents => {
                "use names of agents with commas between them, as in claude, codex".to_owned()
            }
            Self::Money => "use dollars above 0, as in 5 or 5.50, or none".to_owned(),
            Self::Tokens => "use a number above 0, as in 200000, 200k or 2M, or none".to_owned(),
            Self::Memory => "use a size, a percentage or infinity, as in 4G or 50%".to_owned(),
            Self::Tasks => "use a number above 0, a percentage or infinity, as in 4096".to_owned(),
            Self::CpuWeight => "use a whole number from 1 to 10000, or idle".to_owned(),
            Self::Size => "use a size, as in 1 GiB, 1G or 500M".to_owned(),
            Self::Percent => "use a whole percentage from 1 to 100, as in 80 or 80 %".to_owned(),
            Self::MaxRunning => "use a whole number from 1 to 10000, or by memory".to_owned(),
            Self::Inhibit => "use none or idle".to_owned(),
            Self::Confine => "use off, standard or strict".to_owned(),
            Self::Paths => {
                "use paths with : between them, as in ~/data:/srv/models, or none".to_owned()
            }
            Self::Peers => {
                "use hosts, ports and the word registries, as in registries, example.org, *.example.org:8443, 5432; or none"
                    .to_owned()
            }
            Self::Sockets => "use none or any".to_owned(),
            Self::YesNo => "use yes or no".to_owned(),
            Self::Names => "use names of folders, as in target node_modules".to_owned(),
            Self::Variables => {
                "use variables that name a cache's folder, as in YARN_CACHE_FOLDER, or none"
                    .to_owned()
            }
        }
    }
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Its name in files and in the environment.
    pub name: &'static str,
    /// The default, as it would be written; or `none` and the like.
    pub default: &'static str,
    /// The kind of value that a key takes.
    pub kind: Kind,
    /// One line on what it does.
    pub doc: &'static str,
    /// Whether its value is never shown or recorded.
    pub secret: bool,
    /// Whether `NAME_PHASE` sets it for one phase.
    pub by_phase: bool,
    /// Whether only a project's file may set it; such keys are required there.
    pub of_project: bool,
}

/// A typical row: not secret, the same in all phases, allowed in any file.
#[must_use]
pub const fn key(name: &'static str, default: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key { name, default, kind, doc, secret: false, by_phase: false, of_project: false }
}

impl Key {
    const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// The same key, which `NAME_PHASE` may set for one phase.
    #[must_use]
    pub const fn by_phase(mut self) -> Self {
        self.by_phase = true;
        self
    }

    const fn of_project(mut self) -> Self {
        self.of_project = true;
        self
    }
}

/// All keys, in the order in which they are shown.
pub const KEYS: &[Key] = &[
    key("MAIN_REPO", "none", Kind::Folder, "the repository that sessions branch from").of_project(),
    key("WORKTREES", "none", Kind::Folder, "where each session's git worktree is made")
        .of_project(),
    key("SESSIONS", "none", Kind::Folder, "where each session's folder of plain files is made")
        .of_project(),
    key("SAMOCODE_AGENT", "claude", Kind::Agent, "the program that does the work").by_phase(),
    key(
        "SAMOCODE_REVIEWERS",
        "none",
        Kind::Agents,
        "agents that review in the quality phase, as in claude, codex; all must approve",
    ),
    key(
        "SAMOCODE_REVIEW_ROUNDS",
        "3",
        Kind::Number(1, 100),
        "rounds of review without agreement before a human decides",
    ),
    key("CLAUDE_TIMEOUT", "1800", Kind::Timeout, "time limit of one run, however busy it is"),
    key(
        "SAMOCODE_MAX_RETRIES",
        "3",
        Kind::Number(0, 10_000),
        "failed runs in a row before the session blocks",
    ),
    key("SAMOCODE_RETRY_DELAY", "5", Kind::Duration, "pause before a failed run is retried"),
    key(
        "SAMOCODE_STALL_AFTER",
        "10 min",
        Kind::Timeout,
        "time without progress before the agent is nudged",
    )
    .by_phase(),
    key("GIT_BRANCH_PREFIX", "none", Kind::BranchPrefix, "branches are named PREFIX/SESSION"),
    key("SAMOCODE_TEST_COMMAND", "none", Kind::Text, "the command that tests the project"),
    key(
        "SAMOCODE_TEST_TIMEOUT",
        "30 min",
        Kind::Timeout,
        "time limit for the tests of a merge, each time they run",
    ),
    key(
        "SAMOCODE_SETUP_COMMAND",
        "none",
        Kind::Text,
        "runs in a new worktree before the first agent; may run more than once",
    ),
    key("SAMOCODE_TEARDOWN_COMMAND", "none", Kind::Text, "runs in a worktree before it is removed"),
    key(
        "SAMOCODE_SETUP_TIMEOUT",
        "30 min",
        Kind::Timeout,
        "time limit for the setup and teardown commands",
    ),
    key(
        "SAMOCODE_SUBMODULES",
        "no",
        Kind::YesNo,
        "yes: new worktrees have their submodules checked out",
    ),
    key("SAMOCODE_BUDGET_USD", "none", Kind::Money, "what a session may cost, in dollars"),
    key("SAMOCODE_BUDGET_USD_RUN", "none", Kind::Money, "what one run may cost, in dollars"),
    key("SAMOCODE_BUDGET_USD_DAY", "none", Kind::Money, "what a day may cost, in dollars"),
    key("SAMOCODE_BUDGET_TOKENS", "none", Kind::Tokens, "tokens a session may use"),
    key("SAMOCODE_BUDGET_TOKENS_RUN", "none", Kind::Tokens, "tokens one run may use"),
    key("SAMOCODE_BUDGET_TOKENS_DAY", "none", Kind::Tokens, "tokens a day may use"),
    key(
        "SAMOCODE_CONTEXT_HANDOFF_AT",
        "80 %",
        Kind::Percent,
        "how full the context may get before the agent hands over",
    ),
    key(
        "SAMOCODE_QUOTA_STOP_AT",
        "none",
        Kind::Percent,
        "how full an account's window may get before its sessions wait for the reset",
    ),
    key(
        "SAMOCODE_QUOTA_SPARE",
        "no",
        Kind::YesNo,
        "yes: an iteration starts only while no other session of the account is at work",
    ),
    key(
        "SAMOCODE_MEMORY_MAX",
        "50%",
        Kind::Memory,
        "memory limit of a session, including the agent and builds",
    ),
    key("SAMOCODE_TASKS_MAX", "4096", Kind::Tasks, "limit on a session's processes and threads"),
    key("SAMOCODE_CPU_WEIGHT", "100", Kind::CpuWeight, "CPU share relative to other units"),
    key("SAMOCODE_DISK_FLOOR", "1 GiB", Kind::Size, "free space below which sessions pause"),
    key("SAMOCODE_DISK_MAX", "none", Kind::Size, "what a session may take on the disk"),
    key(
        "SAMOCODE_CACHE_FOLDERS",
        "target node_modules .venv __pycache__ .pytest_cache .mypy_cache .tox .gradle .next build dist",
        Kind::Names,
        "ignored folders that samocode archive --caches removes",
    ),
    key(
        "SAMOCODE_OWN_CACHES",
        "none",
        Kind::Variables,
        "variables of package caches that sessions do not share: those of tools that do not lock them",
    ),
    key(
        "SAMOCODE_COMPRESS_LOGS_AFTER",
        "7d",
        Kind::Duration,
        "age at which a run's log is compressed; 0: never",
    ),
    key("SAMOCODE_MAX_RUNNING", "by memory", Kind::MaxRunning, "how many sessions may run at once"),
    key(
        "SAMOCODE_PRIORITY",
        "5",
        Kind::Number(0, 9),
        "queued sessions with the highest priority start first, then the oldest",
    ),
    key(
        "SAMOCODE_MAIL_BUDGET",
        "20",
        Kind::Number(0, 10_000),
        "messages that an agent may send in one run",
    ),
    key(
        "SAMOCODE_INHIBIT",
        "none",
        Kind::Inhibit,
        "idle: keeps the machine awake while an iteration runs",
    ),
    key(
        "SAMOCODE_CONFINE",
        "standard",
        Kind::Confine,
        "how closely the agent is confined: off, standard or strict",
    )
    .by_phase(),
    key(
        "SAMOCODE_ALLOW_READ",
        "none",
        Kind::Paths,
        "what a confined agent may read besides its own",
    )
    .by_phase(),
    key(
        "SAMOCODE_ALLOW_WRITE",
        "none",
        Kind::Paths,
        "what a confined agent may write besides its own",
    )
    .by_phase(),
    key(
        "SAMOCODE_ALLOW_CONNECT",
        "registries",
        Kind::Peers,
        "whom a strictly confined agent may connect to besides its own service",
    )
    .by_phase(),
    key(
        "SAMOCODE_ALLOW_SOCKETS",
        "none",
        Kind::Sockets,
        "any: a confined agent may use UNIX sockets",
    )
    .by_phase(),
    key(
        "TELEGRAM_BOT_TOKEN",
        "none",
        Kind::Text,
        "token of the bot that messages you; best kept in the env file",
    )
    .secret(),
    key("TELEGRAM_CHAT_ID", "none", Kind::Text, "the chat it sends messages to"),
    key("TELEGRAM_API_URL", "https://api.telegram.org", Kind::Url, "the Bot API server"),
];

/// The name of a key for one phase: `SAMOCODE_AGENT_TESTING`.
#[must_use]
pub fn for_phase(key: &Key, phase: Phase) -> String {
    format!("{}_{}", key.name, phase.as_str().to_ascii_uppercase())
}

/// Every name under which a key may be set.
#[must_use]
pub fn names(key: &'static Key) -> Vec<String> {
    let phases = Phase::ALL.into_iter().filter(|_| key.by_phase).map(|phase| for_phase(key, phase));
    std::iter::once(key.name.to_owned()).chain(phases).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut all: Vec<_> = KEYS.iter().flat_map(names).collect();
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
