//! Agents: the programs that do the work in an iteration. What each is given, how it is started,
//! what it tells while it runs, and how its end is judged.
//!
//! ```text
//! prompt, roles      what the agent is told           (pure; roles read files)
//! claude, command,   how it is started and understood (pure)
//! rehearsal
//! process, run       one process and its stream       (effects)
//! stream             bytes to log and events
//! outcome, cost      what its end means               (pure)
//! ```

pub mod claude;
pub mod command;
pub mod cost;
pub mod event;
pub mod outcome;
pub mod process;
pub mod prompt;
pub mod rehearsal;
pub mod roles;
pub mod run;
pub mod stream;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;

pub use event::{Cost, Decoder, Event, Finished, Limit, Tool, Usage};
pub use outcome::{Outcome, judge};

/// The environment of an agent: names and values, complete.
pub type Environment = Vec<(OsString, OsString)>;

/// A variable's value.
#[must_use]
pub fn variable<'a>(environment: &'a Environment, name: &str) -> Option<&'a OsStr> {
    environment.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_os_str())
}

/// What one run is asked to do.
#[derive(Debug, Clone, Default)]
pub struct Task {
    /// The conversation's id, a UUID, chosen before the start so that it can be resumed whatever
    /// happens.
    pub conversation: String,
    /// Whether the conversation exists and goes on.
    pub resume: bool,
    /// What is said to the agent now.
    pub prompt: String,
    /// Workflow and role, which hold for the whole conversation.
    pub system_prompt: String,
    /// The model's name, as the agent knows it.
    pub model: Option<String>,
    /// The most turns the agent may take.
    pub max_turns: Option<u32>,
    /// What the agent may spend on this run, in US dollars.
    pub max_budget_usd: Option<f64>,
    /// Whether messages may follow while it runs, where the agent takes any.
    pub live_input: bool,
}

/// How an agent's process is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// The program: a path, or a name to look for on the PATH of the agent's environment.
    pub program: PathBuf,
    /// Its arguments. Never a secret, as everybody on the machine can read them.
    pub args: Vec<OsString>,
    /// What it gets on its standard input.
    pub input: Input,
    /// Variables it gets where the environment does not have them.
    pub defaults: Vec<(&'static str, &'static str)>,
}

/// What a process gets on its standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// `/dev/null`.
    Null,
    /// This, then the end of the file.
    Text(Vec<u8>),
    /// This, and what follows while it runs; it ends when the feed is closed.
    Feed(Vec<u8>),
}

/// Why an agent cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// No agent has this name.
    #[error("'{0}' is not an agent: use claude, rehearsal or command:PROGRAM ARGS")]
    Unknown(String),
    /// An agent that is planned.
    #[error(
        "agent '{0}' is not built in yet: use claude, or command:PROGRAM ARGS with a script that calls {0}"
    )]
    NotBuilt(String),
    /// `command:` without a sound command line after it.
    #[error("'{0}' is no command line: {1}; write command:PROGRAM ARGS")]
    BadCommand(String, &'static str),
    /// The agent would refuse to run as root.
    #[error(
        "{0} does not run as root: run the session as a normal user (--run-as USER), or set IS_SANDBOX=1 where root is confined, as in a container"
    )]
    Root(&'static str),
    /// The agent cannot be started.
    #[error(transparent)]
    Start(#[from] process::StartError),
    /// The agent did not tell its version.
    #[error("'{program} --version' {what}: is this the right program? Set its path in .samocode")]
    NoVersion {
        /// The program.
        program: String,
        /// What happened instead.
        what: String,
    },
}

/// A program that does the work of an iteration.
#[async_trait]
pub trait Agent: Send + Sync {
    /// The name as it stands in `SAMOCODE_AGENT`, without arguments.
    fn name(&self) -> &str;

    /// The program: a path or a name on PATH.
    fn program(&self) -> &Path;

    /// How a run is started.
    fn launch(&self, task: &Task) -> Launch;

    /// A new decoder for the output of one run in `working_dir`, below which files are named
    /// relatively.
    fn decoder(&self, working_dir: &Path) -> Box<dyn Decoder>;

    /// Whether a conversation can be gone on with in a later run.
    fn resumes(&self) -> bool;

    /// The bytes that carry a message to the agent while it runs; `None` where it takes none.
    fn message(&self, text: &str) -> Option<Vec<u8>>;

    /// Whether every complete run ends with [`Event::Finished`], so that its absence tells.
    fn reports_end(&self) -> bool;

    /// Whether the agent would run at all for this user in this environment.
    ///
    /// # Errors
    /// [`AgentError::Root`] where it would refuse, [`AgentError::Start`] where its program is not
    /// to be found.
    fn ready(&self, root: bool, environment: &Environment) -> Result<PathBuf, AgentError> {
        let _ = root;
        Ok(process::find_program(self.program(), variable(environment, "PATH"))?)
    }

    /// The version the program tells, for `doctor`.
    ///
    /// # Errors
    /// When it cannot be started, or tells none within [`VERSION_TIMEOUT`].
    async fn version(&self, environment: &Environment) -> Result<String, AgentError> {
        ask_version(self.program(), environment).await
    }
}

/// How long a program may take to tell its version.
pub const VERSION_TIMEOUT: Duration = Duration::from_secs(10);

async fn ask_version(program: &Path, environment: &Environment) -> Result<String, AgentError> {
    let found = process::find_program(program, variable(environment, "PATH"))?;
    let told = |what: String| AgentError::NoVersion { program: found.display().to_string(), what };
    let asked = tokio::process::Command::new(&found)
        .arg("--version")
        .env_clear()
        .envs(environment.iter().map(|(key, value)| (key, value)))
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(VERSION_TIMEOUT, asked)
        .await
        .map_err(|_| told(format!("said nothing for {} s", VERSION_TIMEOUT.as_secs())))?
        .map_err(|error| told(format!("could not be started ({error})")))?;
    let said = String::from_utf8_lossy(&output.stdout);
    match said.lines().map(str::trim).find(|line| !line.is_empty()) {
        Some(line) if output.status.success() => Ok(event::cut(line, 200).to_owned()),
        _ => {
            let errors = String::from_utf8_lossy(&output.stderr);
            let why = errors.lines().map(str::trim).find(|line| !line.is_empty());
            let why = why.map_or_else(String::new, |line| format!(": {}", event::cut(line, 200)));
            Err(told(format!("ended with {}{why}", output.status)))
        }
    }
}

/// Where the programs of the agents are.
#[derive(Debug, Clone)]
pub struct Programs {
    /// `CLAUDE_PATH`: a path or a name on PATH.
    pub claude: PathBuf,
    /// samocode itself, which has the rehearsal built in.
    pub samocode: PathBuf,
}

/// The agent that `SAMOCODE_AGENT` names.
///
/// # Errors
/// For an unknown name, one that is not built yet, and a `command:` that is no command line.
pub fn choose(word: &str, programs: &Programs) -> Result<Box<dyn Agent>, AgentError> {
    let word = word.trim();
    if let Some(line) = word.strip_prefix("command:") {
        return Ok(Box::new(command::Command::parse(line)?));
    }
    match word {
        "claude" => Ok(Box::new(claude::Claude::new(programs.claude.clone()))),
        "rehearsal" => Ok(Box::new(rehearsal::Rehearsal::new(programs.samocode.clone()))),
        "codex" | "gemini" => Err(AgentError::NotBuilt(word.to_owned())),
        _ => Err(AgentError::Unknown(word.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_are_chosen_by_name_and_others_are_told_what_to_use() {
        let programs = Programs { claude: "claude".into(), samocode: "/usr/bin/samocode".into() };
        for (word, name) in
            [("claude", "claude"), (" rehearsal ", "rehearsal"), ("command:sh -c true", "command")]
        {
            assert_eq!(choose(word, &programs).unwrap().name(), name);
        }
        let told = |word: &str| match choose(word, &programs) {
            Ok(agent) => panic!("{} was chosen", agent.name()),
            Err(error) => error.to_string(),
        };
        assert!(told("codex").contains("not built in yet: use claude, or command:PROGRAM"));
        assert!(told("cluade").starts_with("'cluade' is not an agent: use claude,"));
        assert!(told("command:").contains("write command:PROGRAM ARGS"));
    }
}
