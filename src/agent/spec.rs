//! The description of one agent program. Each has its own folder with one [`AgentSpec`], and one
//! line in the [registry](super::registry); no other module knows about it.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use super::event::{Decoder, Usage, Window};
use super::exam::{Exam, Finding};
use super::outcome::{Facts, Outcome, judge};
use super::{Agent, AgentError, Environment, Launch, Task};
use crate::config::{AgentManifest, AgentName, Credentials, Settings};

/// One kind of agent: how it is configured, found, started, decoded and judged.
///
/// A spec holds no state; the decoder remembers what a run needs.
pub trait AgentSpec: Sync {
    /// Its declarations for the settings: name, keys, variables and credentials.
    fn manifest(&self) -> &'static AgentManifest;

    /// The capabilities of its program.
    fn capabilities(&self) -> Capabilities;

    /// Which program it is, according to the settings.
    fn program(&self, name: &AgentName, settings: &Settings) -> Program;

    /// The program to start, given the one that was found: what a wrapper would start, if it is one
    /// that does not pass signals on.
    fn executable(&self, found: PathBuf) -> PathBuf {
        found
    }

    /// Why it would refuse to run for this user in this environment, if it would.
    fn refusal(&self, agent: &Agent, root: bool, environment: &Environment) -> Option<AgentError> {
        let _ = (agent, root, environment);
        None
    }

    /// How to start a run of this task.
    fn launch(&self, agent: &Agent, task: &Task) -> Launch;

    /// How its interactive mode resumes this task's conversation on a terminal; `None` if it has
    /// none.
    fn interactive(&self, agent: &Agent, task: &Task) -> Option<Launch> {
        let _ = (agent, task);
        None
    }

    /// A new decoder for one run in `working_dir`, which shows files below it with relative paths.
    fn decoder(&self, working_dir: &Path) -> Box<dyn Decoder>;

    /// The other side of a run of this task, which also replies to what the program asks. The
    /// decoder, unless the program has to be given the task step by step.
    fn driver(&self, task: &Task, working_dir: &Path) -> Box<dyn Decoder> {
        let _ = task;
        self.decoder(working_dir)
    }

    /// Judges the end of a run. Details that the program writes only to its own files, such as an
    /// error's class or a limit's reset time, are looked up here.
    fn outcome(&self, facts: &Facts<'_>) -> Outcome {
        judge(facts)
    }

    /// What its own files say about a run that has ended, besides the outcome.
    fn records(&self, facts: &Facts<'_>) -> Records {
        let _ = facts;
        Records::default()
    }

    /// What to change where it is not allowed to make its calls, if its settings show that.
    fn denies(&self, environment: &Environment, working_dir: &Path) -> Option<String> {
        let _ = (environment, working_dir);
        None
    }

    /// Where it keeps what was said in a working folder, in its own folder, if that is known.
    fn transcripts(&self, folder: &Path, working_dir: &Path) -> Option<PathBuf> {
        let _ = (folder, working_dir);
        None
    }

    /// How long it keeps a conversation in its own folder, if it deletes them after a while.
    fn kept(&self, folder: &Path, working_dir: &Path, conversation: &str) -> Option<Kept> {
        let _ = (folder, working_dir, conversation);
        None
    }

    /// The version of its program that this samocode was tested with, as `--version` prints it.
    fn tested(&self) -> Option<&'static str> {
        None
    }

    /// The login found in its own folder, if there is one.
    fn logged_in(&self, folder: &Path) -> Option<Login> {
        let logins = self.manifest().credentials.logins;
        let file = logins.iter().map(|file| folder.join(file)).find(|file| file.is_file())?;
        Some(Login { how: "logged in by", file })
    }

    /// What helps when its credentials are refused, worded so that the env file's path can follow.
    /// `has` tells which variables it gets.
    fn log_in(&self, has: &dyn Fn(&str) -> bool) -> String {
        let Credentials { keys, switches, remedy, .. } = self.manifest().credentials;
        let set = |names: &[&'static str]| names.iter().copied().find(|name| has(name));
        if let Some(key) = set(keys) {
            return format!("fix {key} in");
        }
        if let Some(switch) = set(switches) {
            return format!(
                "fix the credentials of the service that {switch} chooses, or put them into"
            );
        }
        if remedy.is_empty() { "log in again, or fix".to_owned() } else { remedy.to_owned() }
    }

    /// Folders that its program writes, besides that of its settings and login.
    fn own_folders(&self, environment: &Environment) -> Vec<PathBuf> {
        let _ = environment;
        Vec::new()
    }

    /// Files in the home folder that its program writes, besides those in its own folder.
    fn files_at_home(&self) -> &'static [&'static str] {
        &[]
    }

    /// The token of a login in its own folder, if that has to be refreshed and shows when.
    fn token(&self, folder: &Path) -> Option<Token> {
        let _ = folder;
        None
    }

    /// Further checks by `doctor`, besides program, version and credentials.
    fn check(&self, agent: &Agent, exam: &Exam<'_>) -> Vec<Finding> {
        let _ = (agent, exam);
        Vec::new()
    }
}

/// What a program's own files say about a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Records {
    /// The tokens of the whole conversation so far.
    pub conversation_usage: Option<Usage>,
    /// The model that answered.
    pub model: Option<String>,
    /// How full the account's windows are.
    pub windows: Vec<Window>,
}

/// How long a program keeps a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// When the conversation was last used; `None` if the program has no file of it.
    pub used: Option<Timestamp>,
    /// For how long it may be unused until the program deletes it.
    pub unused: SignedDuration,
    /// The rule, in a sentence without a full stop.
    pub rule: String,
}

/// A login that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// How the file logs it in, as in "HOW FILE".
    pub how: &'static str,
    /// The file that holds the login.
    pub file: PathBuf,
}

/// A token that ends and that the program refreshes by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// When the token ends and a run would refresh it.
    pub ends: Timestamp,
    /// How to get one that lasts, worded so that the env file's path can follow.
    pub lasting: &'static str,
}

/// The capabilities of an agent's program. The worker makes up for missing ones: it starts a fresh
/// conversation, leaves mail for the next run, or counts tokens instead of dollars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Whether a conversation can be resumed in a later run.
    pub resumes: bool,
    /// Who names a conversation.
    pub conversation: ConversationId,
    /// Whether only one process at a time can have a conversation open, so that one that was left
    /// behind keeps the next run from resuming it.
    pub one_writer: bool,
    /// Whether it takes messages while it runs.
    pub live_input: bool,
    /// Whether every complete run ends with [`Event::Finished`](super::Event::Finished), so that
    /// its absence means a failure.
    pub reports_end: bool,
    /// Whether it reports what a run cost, in dollars.
    pub cost: bool,
    /// Whether it reports the account's usage limits.
    pub limits: bool,
    /// Whether Google's quota of a day, whose end it does not report, is told from other limits.
    pub day_quota: bool,
    /// The key that limits its turns, if they can be limited.
    pub max_turns: Option<&'static str>,
    /// Whether it reports on a reply while it is being written.
    pub partial_messages: bool,
    /// Whether `PROGRAM --version` prints a version; any other program may take it for a task.
    pub tells_version: bool,
    /// Whether its tools do not see git's configuration, so that it needs the name and address for
    /// commits from us.
    pub wants_identity: bool,
}

impl Capabilities {
    /// The row of the agent of this name in the README's table.
    #[must_use]
    pub fn row(&self, name: &str) -> String {
        let retried = match self.day_quota {
            true => "no: retried every 15 min; Google's quota of a day at midnight Pacific time",
            false => "no: retried every 15 min",
        };
        let yes = |has: bool, otherwise: &'static str| if has { "yes" } else { otherwise };
        format!(
            "| `{name}` | {} | {} | {} | {} | {} |",
            yes(self.resumes, "no: a fresh conversation"),
            yes(self.live_input, "no: in its next run"),
            yes(self.cost, "no: estimated from tokens"),
            yes(self.limits, retried),
            self.max_turns.map_or_else(|| "no".to_owned(), |key| format!("`{key}`")),
        )
    }

    /// What it cannot do, for a person who has chosen it; empty if it can do everything.
    #[must_use]
    pub fn lacks(&self) -> String {
        let all = [
            (!self.resumes, "a run that is cut off starts a fresh conversation"),
            (!self.live_input, "messages reach it in its next run"),
            (!self.cost, "its cost is estimated from tokens"),
            (!self.limits, "it does not say when a usage limit ends"),
            (self.max_turns.is_none(), "its turns cannot be limited"),
        ];
        let lacking = all.into_iter().filter(|(lacks, _)| *lacks).map(|(_, what)| what);
        lacking.collect::<Vec<_>>().join("; ")
    }
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
        /// What the key's value has before the path.
        before: &'static str,
    },
}
