//! Agents: the programs that do the work in an iteration. This module finds and starts them,
//! decodes their output, and judges how they ended.
//!
//! ```text
//! spec, registry         the description of one program; the list of all
//! claude, codex, …       one program each; no other module knows about it
//! prompt, roles          instructions and prompts            (pure; roles read files)
//! find, environment      its program, and the variables it gets
//! account, doctor        its credentials, and whether it would work
//! confine                what it may reach
//! process, run, stream   one process and its output          (effects)
//! salvage, fields, …     what can be read of a damaged line  (pure)
//! outcome, remedy        how its end is judged               (pure)
//! cost, price            what it cost, reported or estimated (price reads a file)
//! trial                  a tiny real conversation that checks all of this
//! unknown, canary        what of its output is unknown, in a run and in all
//! ```

pub mod account;
pub mod acp;
mod at_home;
pub mod canary;
pub mod claude;
pub mod codex;
pub mod command;
mod command_words;
pub mod confine;
pub mod cost;
pub mod doctor;
pub mod environment;
mod error;
pub mod event;
pub mod exam;
mod fields;
pub mod find;
pub mod gemini;
mod lenient;
mod mend;
pub mod outcome;
pub mod price;
pub mod process;
pub mod prompt;
pub mod quota;
pub mod registry;
pub mod rehearsal;
pub mod remedy;
pub mod roles;
pub mod run;
mod salvage;
pub mod spec;
pub mod stream;
pub mod trial;
pub mod unknown;
pub mod unseen;
pub mod version;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

pub use account::Account;
pub use error::AgentError;
pub use event::{Cost, Decoder, Denied, Event, Finished, Limit, Tool, Usage, Window};
pub use outcome::{Outcome, judge};
pub use registry::{REGISTRY, vocabulary};
pub use spec::{AgentSpec, Capabilities, ConversationId, Kept, Records};

use crate::config::AgentName;

/// The environment of an agent: names and values, complete.
pub type Environment = Vec<(OsString, OsString)>;

/// The value of a variable, if it is set.
#[must_use]
pub fn variable<'a>(environment: &'a Environment, name: &str) -> Option<&'a OsStr> {
    environment.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_os_str())
}

/// The input of one run.
#[derive(Debug, Clone, Default)]
pub struct Task {
    /// The conversation's id, a UUID, chosen before the start so that it can be resumed whatever
    /// happens; for an agent that names its conversations itself, the id of the one to resume.
    pub conversation: String,
    /// Whether the conversation exists and is resumed.
    pub resume: bool,
    /// The prompt of this run.
    pub prompt: String,
    /// Workflow and role, which apply to the whole conversation.
    pub system_prompt: String,
    /// The budget of this run, in US dollars.
    pub max_budget_usd: Option<f64>,
    /// Who the repository's commits are by, for an agent that hides git's configuration.
    pub identity: Option<Identity>,
    /// The environment that it will get.
    pub environment: Environment,
    /// Whether messages may follow while it runs, if the agent takes any.
    pub live_input: bool,
}

impl Task {
    /// System prompt and prompt in one text, for agents that do not distinguish them.
    #[must_use]
    pub fn whole_prompt(&self) -> String {
        if self.system_prompt.is_empty() {
            return self.prompt.clone();
        }
        format!("{}\n\n{}", self.system_prompt.trim_end(), self.prompt)
    }
}

/// Who commits: a name and an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The name in `user.name`, for commits.
    pub name: String,
    /// The address in `user.email`, for commits.
    pub email: String,
}

/// How to start an agent's process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// The program: a path, or a name to look up on the PATH of the agent's environment.
    pub program: PathBuf,
    /// Its arguments. Never secrets: everyone on the machine can read them.
    pub args: Vec<OsString>,
    /// What its standard input is connected to.
    pub input: Input,
    /// Variables it gets unless the environment already sets them.
    pub defaults: Vec<(&'static str, OsString)>,
    /// Files of ours that it reads, written before it starts. Never secrets.
    pub files: Vec<(PathBuf, Vec<u8>)>,
}

impl Launch {
    /// The agent's program on a terminal.
    fn on_terminal(agent: &Agent, args: Vec<OsString>) -> Self {
        let program = agent.program().to_owned();
        Self { program, args, input: Input::Null, defaults: Vec::new(), files: Vec::new() }
    }
}

/// The standard input of an agent's process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// `/dev/null`: it reads nothing.
    Null,
    /// This text, then end of file.
    Text(Vec<u8>),
    /// This text, then messages while it runs; closing the feed ends it.
    Feed(Vec<u8>),
}

/// An agent that was chosen, with its program located and its settings.
#[derive(Clone)]
pub struct Agent {
    spec: &'static dyn AgentSpec,
    name: AgentName,
    program: PathBuf,
    path_additions: Vec<PathBuf>,
    values: BTreeMap<&'static str, String>,
}

impl Agent {
    /// The spec of its program.
    #[must_use]
    pub const fn spec(&self) -> &'static dyn AgentSpec {
        self.spec
    }

    /// Its name in `SAMOCODE_AGENT`, without a command line; the journal uses it too.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        self.name.word()
    }

    /// The name as it was chosen, including any command line.
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

    /// The value of one of the keys that its spec declares, if it has one.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// The capabilities of its program.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        self.spec.capabilities()
    }

    /// The folders with its settings and login, given its environment.
    #[must_use]
    pub fn login_folders(&self, home: &Path, environment: &Environment) -> Vec<PathBuf> {
        let env = environment.iter().map(|(name, value)| (name, value)).collect();
        let own = self.spec.manifest().credentials.folder(&env);
        let known = at_home::folders(&self.name).into_iter().map(|folder| home.join(folder));
        own.into_iter().chain(known).chain(self.spec.own_folders(environment)).collect()
    }

    /// The files with its settings and login besides, unless a variable names a folder: they are in it.
    #[must_use]
    pub fn login_files(&self, home: &Path, environment: &Environment) -> Vec<PathBuf> {
        let folder = self.spec.manifest().credentials.folder;
        if folder.is_some_and(|(name, _)| variable(environment, name).is_some()) {
            return Vec::new();
        }
        self.spec.files_at_home().iter().map(|file| home.join(file)).collect()
    }

    /// How to start a run of this task.
    #[must_use]
    pub fn launch(&self, task: &Task) -> Launch {
        self.spec.launch(self, task)
    }

    /// How its interactive mode resumes this task's conversation on a terminal.
    #[must_use]
    pub fn interactive(&self, task: &Task) -> Option<Launch> {
        self.spec.interactive(self, task)
    }

    /// A new decoder for one run in `working_dir`.
    #[must_use]
    pub fn decoder(&self, working_dir: &Path) -> Box<dyn Decoder> {
        self.spec.decoder(working_dir)
    }

    /// The other side of a run of this task: a decoder that replies, for an agent that asks.
    #[must_use]
    pub fn driver(&self, task: &Task, working_dir: &Path) -> Box<dyn Decoder> {
        self.spec.driver(task, working_dir)
    }

    /// Judges the end of a run.
    #[must_use]
    pub fn outcome(&self, facts: &outcome::Facts<'_>) -> Outcome {
        self.spec.outcome(facts)
    }

    /// What its own files say about a run that has ended.
    #[must_use]
    pub fn records(&self, facts: &outcome::Facts<'_>) -> Records {
        self.spec.records(facts)
    }

    /// What to change where it is not allowed to make its calls, if its settings show that.
    #[must_use]
    pub fn denies(&self, environment: &Environment, working_dir: &Path) -> Option<String> {
        self.spec.denies(environment, working_dir)
    }

    /// Checks that it would run for this user in this environment.
    ///
    /// # Errors
    /// Why it would refuse.
    pub fn ready(&self, root: bool, environment: &Environment) -> Result<(), AgentError> {
        self.spec.refusal(self, root, environment).map_or(Ok(()), Err)
    }

    /// The version its program prints.
    ///
    /// # Errors
    /// When it cannot be started, or prints none within [`version::VERSION_TIMEOUT`].
    pub async fn version(&self, environment: &Environment) -> Result<String, AgentError> {
        version::ask(&self.program, environment).await
    }
}
