//! The description of one agent program. Each has its own folder with one [`AgentSpec`], and one
//! line in the [registry](super::registry); no other module knows about it.

use std::path::{Path, PathBuf};

use super::doctor::{Exam, Finding};
use super::event::Decoder;
use super::outcome::{Facts, Outcome, judge};
use super::{Agent, AgentError, Environment, Launch, Task};
use crate::config::{AgentName, AgentWords, Settings};

/// One kind of agent: how it is configured, found, started, decoded and judged.
///
/// A spec holds no state; the decoder remembers what a run needs.
pub trait AgentSpec: Sync {
    /// Its declarations for the settings: name, keys, variables and credentials.
    fn words(&self) -> &'static AgentWords;

    /// The capabilities of its program.
    fn capabilities(&self) -> Capabilities;

    /// Which program it is, according to the settings.
    fn program(&self, name: &AgentName, settings: &Settings) -> Program;

    /// Why it would refuse to run for this user in this environment, if it would.
    fn refusal(&self, root: bool, environment: &Environment) -> Option<AgentError> {
        let _ = (root, environment);
        None
    }

    /// How to start a run of this task.
    fn launch(&self, agent: &Agent, task: &Task) -> Launch;

    /// A new decoder for one run in `working_dir`, which shows files below it with relative paths.
    fn decoder(&self, working_dir: &Path) -> Box<dyn Decoder>;

    /// Judges the end of a run. Details that the program writes only to its own files, such as an
    /// error's class or a limit's reset time, are looked up here.
    fn outcome(&self, facts: &Facts<'_>) -> Outcome {
        judge(facts)
    }

    /// The login found in its own folder, if there is one.
    fn logged_in(&self, folder: &Path) -> Option<Login> {
        let logins = self.words().credentials.logins;
        let file = logins.iter().map(|file| folder.join(file)).find(|file| file.is_file())?;
        Some(Login { how: "logged in by", file })
    }

    /// Files in the home folder that its program writes, besides those in its own folder.
    fn files_at_home(&self) -> &'static [&'static str] {
        &[]
    }

    /// Further checks by `doctor`, besides program, version and credentials.
    fn check(&self, agent: &Agent, exam: &Exam<'_>) -> Vec<Finding> {
        let _ = (agent, exam);
        Vec::new()
    }
}

/// A login that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// How the file logs it in, as in "HOW FILE".
    pub how: &'static str,
    /// The file that holds the login.
    pub file: PathBuf,
}

/// The capabilities of an agent's program. The worker makes up for missing ones: it starts a fresh
/// conversation, leaves mail for the next run, or counts tokens instead of dollars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Whether a conversation can be resumed in a later run.
    pub resumes: bool,
    /// Who names a conversation.
    pub conversation: ConversationId,
    /// Whether it takes messages while it runs.
    pub live_input: bool,
    /// Whether every complete run ends with [`Event::Finished`](super::Event::Finished), so that
    /// its absence means a failure.
    pub reports_end: bool,
    /// Whether it reports what a run cost, in dollars.
    pub cost: bool,
    /// Whether it reports the account's usage limits.
    pub limits: bool,
    /// The key that limits its turns, if they can be limited.
    pub max_turns: Option<&'static str>,
    /// Whether it reports on a reply while it is being written.
    pub partial_messages: bool,
    /// Whether `PROGRAM --version` prints a version; any other program may take it for a task.
    pub tells_version: bool,
}

/// Who names a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConversationId {
    /// samocode does, before the start.
    Ours,
    /// The agent does: [`Event::Started`](super::Event::Started) has the id, and until then there is
    /// nothing to resume.
    Agents,
}

/// Which program an agent is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// A part of samocode itself.
    BuiltIn,
    /// A path, or a name to look up on PATH.
    Named {
        /// The path or name, as configured.
        program: String,
        /// The key that sets it.
        key: &'static str,
    },
}
