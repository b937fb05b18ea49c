//! Agents: the programs that do the work in an iteration. What each is given, how it is started,
//! what it tells while it runs, and how its end is judged.
//!
//! ```text
//! spec, registry         what there is to know of a program, and which there are
//! claude, codex, …       one program each; nothing else knows of it
//! prompt, roles          what an agent is told               (pure; roles read files)
//! find, environment      where its program is, what it gets
//! account, doctor        what it logs in with, and whether it would work
//! process, run, stream   one process and its output          (effects)
//! outcome, cost          what its end means                  (pure)
//! ```

pub mod account;
pub mod claude;
pub mod codex;
pub mod command;
pub mod cost;
pub mod doctor;
pub mod environment;
mod error;
pub mod event;
pub mod find;
pub mod gemini;
pub mod outcome;
pub mod process;
pub mod prompt;
pub mod registry;
pub mod rehearsal;
pub mod roles;
pub mod run;
pub mod spec;
pub mod stream;
pub mod version;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

pub use account::Account;
pub use error::AgentError;
pub use event::{Cost, Decoder, Event, Finished, Limit, Tool, Usage};
pub use outcome::{Outcome, judge};
pub use registry::{REGISTRY, vocabulary};
pub use spec::{AgentSpec, Capabilities, ConversationId};

use crate::config::AgentName;

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
    /// happens; for an agent that names its conversations itself, its own id of the one to resume.
    pub conversation: String,
    /// Whether the conversation exists and is resumed.
    pub resume: bool,
    /// What is said to the agent now.
    pub prompt: String,
    /// Workflow and role, which hold for the whole conversation.
    pub system_prompt: String,
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
    pub defaults: Vec<(&'static str, OsString)>,
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

/// An agent that was chosen, with its program found and what is set for it.
#[derive(Clone)]
pub struct Agent {
    spec: &'static dyn AgentSpec,
    name: AgentName,
    program: PathBuf,
    path_additions: Vec<PathBuf>,
    values: BTreeMap<&'static str, String>,
}

impl Agent {
    /// What is known of its program.
    #[must_use]
    pub const fn spec(&self) -> &'static dyn AgentSpec {
        self.spec
    }

    /// Its name in `SAMOCODE_AGENT`, without a command line; as it stands in the journal.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        self.name.word()
    }

    /// How it was chosen, command line included.
    #[must_use]
    pub const fn name(&self) -> &AgentName {
        &self.name
    }

    /// Its program: an absolute path.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Folders that its PATH needs, for [`RunIds`](environment::RunIds).
    #[must_use]
    pub fn path_additions(&self) -> &[PathBuf] {
        &self.path_additions
    }

    /// The value of one of the keys that its spec declares, where it has one.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// What its program can do.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        self.spec.capabilities()
    }

    /// How a run is started.
    #[must_use]
    pub fn launch(&self, task: &Task) -> Launch {
        self.spec.launch(self, task)
    }

    /// A new decoder for one run in `working_dir`.
    #[must_use]
    pub fn decoder(&self, working_dir: &Path) -> Box<dyn Decoder> {
        self.spec.decoder(working_dir)
    }

    /// What the end of a run means.
    #[must_use]
    pub fn outcome(&self, facts: &outcome::Facts<'_>) -> Outcome {
        self.spec.outcome(facts)
    }

    /// Whether it would run at all for this user in this environment.
    ///
    /// # Errors
    /// Why it would refuse.
    pub fn ready(&self, root: bool, environment: &Environment) -> Result<(), AgentError> {
        self.spec.refusal(root, environment).map_or(Ok(()), Err)
    }

    /// The version its program prints.
    ///
    /// # Errors
    /// When it cannot be started, or prints none within [`version::VERSION_TIMEOUT`].
    pub async fn version(&self, environment: &Environment) -> Result<String, AgentError> {
        version::ask(&self.program, environment).await
    }
}
