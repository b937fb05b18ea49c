//! What samocode knows of one program that works as an agent. Each has a folder of its own with one
//! [`AgentSpec`] in it, and one line in the [registry](super::registry); no other room knows it.

use std::path::{Path, PathBuf};

use super::doctor::{Exam, Finding};
use super::event::Decoder;
use super::outcome::{Facts, Outcome, judge};
use super::{Agent, AgentError, Environment, Launch, Task};
use crate::config::{AgentName, AgentWords, Settings};

/// One kind of agent: how it is set up, found, started, understood and judged.
///
/// A spec holds no state. What a run needs to remember is the decoder's.
pub trait AgentSpec: Sync {
    /// What it declares for the settings: its name, keys, variables and credentials.
    fn words(&self) -> &'static AgentWords;

    /// What its program can do.
    fn capabilities(&self) -> Capabilities;

    /// Which program it is, as set.
    fn program(&self, name: &AgentName, settings: &Settings) -> Program;

    /// Why it would not run for this user in this environment, if so.
    fn refusal(&self, root: bool, environment: &Environment) -> Option<AgentError> {
        let _ = (root, environment);
        None
    }

    /// How a run is started.
    fn launch(&self, agent: &Agent, task: &Task) -> Launch;

    /// A new decoder for one run in `working_dir`, below which files are named relatively.
    fn decoder(&self, working_dir: &Path) -> Box<dyn Decoder>;

    /// What the end of a run means. What the program writes to files of its own, such as an error's
    /// class or a limit's reset time, is looked up here where its stream is silent about it.
    fn outcome(&self, facts: &Facts<'_>) -> Outcome {
        judge(facts)
    }

    /// By what in its own folder it is logged in, in words, where that can be seen.
    fn logged_in(&self, folder: &Path) -> Option<Login> {
        let logins = self.words().credentials.logins;
        let file = logins.iter().map(|file| folder.join(file)).find(|file| file.is_file())?;
        Some(Login { how: "logged in by", file })
    }

    /// What `doctor` looks at besides program, version and credentials.
    fn check(&self, agent: &Agent, exam: &Exam<'_>) -> Vec<Finding> {
        let _ = (agent, exam);
        Vec::new()
    }
}

/// A login that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// What the file is to it, as in "HOW FILE".
    pub how: &'static str,
    /// The file.
    pub file: PathBuf,
}

/// What an agent's program can do. What it cannot, the worker does without: it begins a fresh
/// conversation, leaves mail for the next run, or counts tokens in place of dollars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Whether a conversation can be resumed in a later run.
    pub resumes: bool,
    /// Who names a conversation.
    pub conversation: ConversationId,
    /// Whether it takes messages while it runs.
    pub live_input: bool,
    /// Whether every complete run ends with [`Event::Finished`](super::Event::Finished), so that its
    /// absence tells.
    pub reports_end: bool,
    /// Whether it reports what a run cost, in dollars.
    pub cost: bool,
    /// Whether it reports the account's usage limits.
    pub limits: bool,
    /// The key that bounds its turns, where it can be bounded.
    pub max_turns: Option<&'static str>,
    /// Whether it tells of a reply while that is being written.
    pub partial_messages: bool,
    /// Whether `PROGRAM --version` prints a version; any other program may take it for a task.
    pub tells_version: bool,
}

/// Who names a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConversationId {
    /// We do, before the start.
    Ours,
    /// The agent does: [`Event::Started`](super::Event::Started) has the id, and until then there is
    /// nothing to resume.
    Agents,
}

/// Which program an agent is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// samocode itself.
    BuiltIn,
    /// A path, or a name to be looked for on PATH.
    Named {
        /// The path or name.
        program: String,
        /// The key that sets it.
        key: &'static str,
    },
}
