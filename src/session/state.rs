//! The state of a session, computed from the entries of its journal.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::cost::Certainty;
use super::history::HistoryLine;
use super::journal::{Entry, RunCost, Step, Usage};
use super::notes::Notes;
use super::phase::Phase;
use super::{Elsewhere, Stray};

mod fold;
mod iteration;
mod machine;
mod visit;

pub use super::deaths::{CRASH_LOOP, Deaths};
pub use super::standing::{Standing, StateName};
pub use iteration::{Conversation, Failures, Iteration, OpenRun, RunState};
pub use machine::Machine;
pub use visit::Visit;

/// The place the agent works in, known once it is prepared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Absolute path of the folder the agent runs in.
    pub working_dir: String,
    /// The session's git branch; `None` without a repository.
    pub branch: Option<String>,
    /// The commit the branch starts from.
    pub base: Option<String>,
}

/// Cost of the last run, to be entered in the ledger of the day.
#[derive(Debug, Clone, PartialEq)]
pub struct LastCost {
    /// The ID of the run.
    pub run: String,
    /// When the run ended, which decides the day.
    pub at: Timestamp,
    /// Cost of the run, in US dollars.
    pub usd: f64,
    /// Tokens used by the run.
    pub tokens: Usage,
    /// The model, if it is known.
    pub model: Option<String>,
    /// Whether the agent reported a cost that could not be read.
    pub unread: bool,
}

/// Total cost of a session's runs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Costs {
    /// Cost of all runs, in US dollars.
    pub usd: f64,
    /// Tokens used by all runs.
    pub tokens: Usage,
    /// Runs that used tokens, or may have, and whose cost in US dollars is unknown.
    pub unpriced: u32,
    /// Whether the cost of some run is an estimate.
    pub estimated: bool,
    /// The last run's share of it.
    pub last: Option<LastCost>,
}

impl Costs {
    pub(super) fn add(&mut self, run: &str, at: Timestamp, cost: &RunCost) {
        let (usd, tokens) = (cost.usd.unwrap_or(0.0), cost.tokens);
        self.unpriced += u32::from(cost.is_unknown());
        self.estimated |= cost.estimated;
        // JSON, and with it the hook, has no infinity.
        self.usd = (self.usd + usd).min(f64::MAX);
        self.tokens.add(tokens);
        self.last = Some(LastCost {
            run: run.to_owned(),
            at,
            usd,
            tokens,
            model: cost.model.clone(),
            unread: cost.unread,
        });
    }

    /// What is known of the cost in US dollars.
    #[must_use]
    pub const fn certainty(&self) -> Certainty {
        Certainty { incomplete: self.unpriced > 0, estimated: self.estimated }
    }
}

/// The last accepted signal and the step that followed.
#[derive(Debug, Clone, PartialEq)]
pub struct LastSignal {
    /// Its line in the history.
    pub line: HistoryLine,
    /// The step it led to.
    pub step: Step,
}

/// A change of course by a human. Recovery adds it to the flow log until the next run starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redirection {
    /// A new task, given at this time.
    Task(Timestamp),
    /// Another phase, set by hand at this time.
    Phase(Timestamp),
}

/// The state of a session: a pure function of its journal.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    /// Number of the last journal entry.
    pub seq: u64,
    /// When the last entry was written.
    pub at: Timestamp,
    /// When the session was created.
    pub created: Timestamp,
    /// The session's name, without date or project.
    pub name: String,
    /// The current task: the first, or the one it was last resumed with.
    pub task: String,
    /// What to investigate first, if the person said so.
    pub dive: Option<String>,
    /// The instance of the session that began this one; `None` if a human did.
    pub parent: Option<String>,
    /// Whether its human lets it open the gates of the sessions below it.
    pub opens_gates: bool,
    /// Settings of this session alone, by key, as the last `run` with such flags said.
    pub chosen: BTreeMap<String, String>,
    /// The place the agent works in; `None` until it is prepared.
    pub place: Option<Place>,
    /// The current phase, with its counters.
    pub visit: Visit,
    /// The commit with which the quality phase was last left after reviews; empty outside of git.
    pub reviewed: Option<String>,
    /// Iterations in all phases together, including the current one.
    pub total: u32,
    /// The session's state, with its details.
    pub standing: Standing,
    /// When the session entered that state.
    pub since: Timestamp,
    /// Whether a notification about the current state was sent.
    pub notified: bool,
    /// Whether a human stopped the session.
    pub stopped: bool,
    /// Whether a human started the session since its last run, or for one that could not resume its
    /// conversation. Limits and pauses found before that no longer apply.
    pub forced: bool,
    /// The current iteration: started, and no signal accepted yet.
    pub iteration: Option<Iteration>,
    /// The state that a handoff passes to the next conversation.
    pub handoff: Option<Value>,
    /// IDs of messages taken from the inbox that no finished run has seen.
    pub unseen: Vec<String>,
    /// Those of them that no samocode command sent: their sender is not certain.
    pub unsigned: Vec<String>,
    /// IDs of unread messages that the last runs left in the inbox and that wake nothing.
    pub left: Vec<String>,
    /// The last accepted signal; `None` before the first.
    pub last_signal: Option<LastSignal>,
    /// A change of course by a human since the last run.
    pub redirection: Option<Redirection>,
    /// Whether effects of the last signal or of a human's action may still be missing on disk. The
    /// worker applies them before it records what keeps it from running or how it ended.
    pub unsettled: bool,
    /// The size of the model's context window in tokens, as last reported.
    pub context_window: Option<u64>,
    /// Total cost of all runs.
    pub costs: Costs,
    /// When the agent last made progress, as far as the journal knows.
    pub last_progress: Option<Timestamp>,
    /// Where the worktree's HEAD is, if it is not on the session's branch.
    pub elsewhere: Option<Elsewhere>,
    /// What changed in the repository beside the session's branch, as of the last run.
    pub strays: Vec<Stray>,
    /// Reboots of the machine and the damage they did.
    pub machine: Machine,
    /// Recent quick deaths of the worker, for the crash-loop delay.
    pub deaths: Deaths,
    /// What a human should know beside the state.
    pub notes: Notes,
}

impl State {
    /// Computes the state from a whole journal.
    #[must_use]
    pub fn of(entries: &[Entry]) -> Self {
        let mut state = Self::default();
        for entry in entries {
            state.apply(entry);
        }
        state
    }

    /// The state in one word.
    #[must_use]
    pub const fn name(&self) -> StateName {
        match self.standing {
            Standing::Done => StateName::Done,
            _ if self.stopped => StateName::Stopped,
            Standing::New => StateName::New,
            Standing::Running => StateName::Running,
            Standing::Waiting { .. } => StateName::Waiting,
            Standing::Blocked { .. } => StateName::Blocked,
            Standing::Queued | Standing::Held(_) | Standing::Scheduled(_) => StateName::Queued,
            Standing::Limited { .. } => StateName::Limited,
            Standing::Paused { .. } => StateName::Paused,
            Standing::GaveUp => StateName::Failed,
        }
    }

    /// The phase the session is in.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.visit.phase
    }

    /// The folder the agent works in, once it is prepared.
    #[must_use]
    pub fn working_dir(&self) -> Option<&str> {
        self.place.as_ref().map(|place| place.working_dir.as_str())
    }

    /// The session's git branch, if it has one.
    #[must_use]
    pub fn branch(&self) -> Option<&str> {
        self.place.as_ref()?.branch.as_deref()
    }

    /// The commit the branch starts from.
    #[must_use]
    pub fn base(&self) -> Option<&str> {
        self.place.as_ref()?.base.as_deref()
    }

    /// The run that was started and has no known end.
    #[must_use]
    pub fn open_run(&self) -> Option<&OpenRun> {
        match &self.iteration.as_ref()?.run {
            RunState::Open(open) => Some(open),
            RunState::Ended { .. } | RunState::Over => None,
        }
    }

    /// The agent's conversation in the current iteration.
    #[must_use]
    pub fn conversation(&self) -> Option<&Conversation> {
        self.iteration.as_ref()?.conversation.as_ref()
    }

    /// Updates the state with one more journal entry.
    pub fn apply(&mut self, entry: &Entry) {
        self.seq = entry.seq;
        self.at = entry.at;
        let before = self.name();
        self.fold(entry);
        if self.name() != before {
            self.since = entry.at;
        }
    }
}

#[cfg(test)]
mod tests;
