//! The state of a session: what the journal's entries add up to.

use jiff::Timestamp;
use serde_json::Value;

use super::history::HistoryLine;
use super::journal::{Entry, RunCost, Step, Usage};
use super::phase::Phase;

mod fold;
mod iteration;
mod machine;
mod visit;

pub use super::deaths::{CRASH_LOOP, Deaths};
pub use super::standing::{Standing, Word};
pub use iteration::{Conversation, Failures, Iteration, OpenRun, RunState};
pub use machine::Machine;
pub use visit::Visit;

/// Where the agent works, once that is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The folder.
    pub working_dir: String,
    /// The branch; `None` without a repository.
    pub branch: Option<String>,
    /// The commit the branch began from.
    pub base: Option<String>,
}

/// What the last run cost, as the ledger of its day gets it.
#[derive(Debug, Clone, PartialEq)]
pub struct LastCost {
    /// The run's id.
    pub run: String,
    /// When it ended.
    pub at: Timestamp,
    /// US dollars.
    pub usd: f64,
    /// Tokens.
    pub tokens: Usage,
}

/// What all runs of a session cost.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Costs {
    /// US dollars.
    pub usd: f64,
    /// Tokens.
    pub tokens: Usage,
    /// The last run's part.
    pub last: Option<LastCost>,
}

impl Costs {
    fn add(&mut self, run: &str, at: Timestamp, cost: &RunCost) {
        let (usd, tokens) = (cost.usd.unwrap_or(0.0), cost.tokens);
        self.usd += usd;
        self.tokens.add(tokens);
        self.last = Some(LastCost { run: run.to_owned(), at, usd, tokens });
    }
}

/// The last signal, as it stands in the history.
#[derive(Debug, Clone, PartialEq)]
pub struct LastSignal {
    /// Its line of the history.
    pub line: HistoryLine,
    /// Where it led.
    pub step: Step,
}

/// How a human sent a session elsewhere, which the flow log says until the next run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redirection {
    /// A new task, at this time.
    Task(Timestamp),
    /// Another phase, set by hand at this time.
    Phase(Timestamp),
}

/// The state of a session: a pure function of its journal.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    /// The number of the last entry.
    pub seq: u64,
    /// When the last entry was written.
    pub at: Timestamp,
    /// When the session began.
    pub created: Timestamp,
    /// The session's name.
    pub name: String,
    /// What is to be done: the first task, then the one it was resumed with.
    pub task: String,
    /// What the investigation should begin with.
    pub dive: Option<String>,
    /// Where the agent works; `None` until that is made.
    pub place: Option<Place>,
    /// The phase the session is in, and what is counted there.
    pub visit: Visit,
    /// Iterations in all phases together, the one under way included.
    pub total: u32,
    /// Where the session stands.
    pub standing: Standing,
    /// Since when.
    pub since: Timestamp,
    /// Whether the human was told where the session stands.
    pub told: bool,
    /// Whether a human stopped it.
    pub stopped: bool,
    /// Whether a human has started the session since its last run: no limit or pause that was
    /// found before holds it up then.
    pub forced: bool,
    /// The iteration that has begun and of which no signal was taken yet.
    pub iteration: Option<Iteration>,
    /// What the next conversation is given.
    pub handoff: Option<Value>,
    /// Messages taken from the inbox that no finished run has seen.
    pub unseen: Vec<String>,
    /// The last signal.
    pub last_signal: Option<LastSignal>,
    /// How a human sent the session elsewhere since its last run.
    pub redirection: Option<Redirection>,
    /// Whether the effects of the last signal, or of a human's word, may not all be on disk.
    pub unsettled: bool,
    /// The size of the model's context in tokens, as last told.
    pub context_window: Option<u64>,
    /// What all runs cost.
    pub costs: Costs,
    /// When the stream or the kernel last showed progress, as far as the journal knows.
    pub last_progress: Option<Timestamp>,
    /// The machine the workers ran on.
    pub machine: Machine,
    /// Quick deaths of the worker.
    pub deaths: Deaths,
}

impl State {
    /// Adds up a journal.
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
    pub const fn word(&self) -> Word {
        match self.standing {
            Standing::Done => Word::Done,
            _ if self.stopped => Word::Stopped,
            Standing::New => Word::New,
            Standing::Running => Word::Running,
            Standing::Waiting { .. } => Word::Waiting,
            Standing::Blocked { .. } => Word::Blocked,
            Standing::Queued => Word::Queued,
            Standing::Limited { .. } => Word::Limited,
            Standing::Paused { .. } => Word::Paused,
            Standing::GaveUp => Word::Failed,
        }
    }

    /// The phase.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.visit.phase
    }

    /// The folder the agent works in, once it is made.
    #[must_use]
    pub fn working_dir(&self) -> Option<&str> {
        self.place.as_ref().map(|place| place.working_dir.as_str())
    }

    /// The branch, where the session has one.
    #[must_use]
    pub fn branch(&self) -> Option<&str> {
        self.place.as_ref()?.branch.as_deref()
    }

    /// The commit the branch began from.
    #[must_use]
    pub fn base(&self) -> Option<&str> {
        self.place.as_ref()?.base.as_deref()
    }

    /// The run that was started and whose end is not known.
    #[must_use]
    pub fn open_run(&self) -> Option<&OpenRun> {
        match &self.iteration.as_ref()?.run {
            RunState::Open(open) => Some(open),
            RunState::Ended { .. } | RunState::Over => None,
        }
    }

    /// The conversation of the iteration under way.
    #[must_use]
    pub fn conversation(&self) -> Option<&Conversation> {
        self.iteration.as_ref()?.conversation.as_ref()
    }

    /// Adds one entry.
    pub fn apply(&mut self, entry: &Entry) {
        self.seq = entry.seq;
        self.at = entry.at;
        let before = self.word();
        self.fold(entry);
        if self.word() != before {
            self.since = entry.at;
        }
    }
}

#[cfg(test)]
mod tests;
