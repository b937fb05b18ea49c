//! The state of a session: what the journal's entries add up to.

use jiff::Timestamp;
use serde_json::Value;

use super::advance::Gate;
use super::journal::{Entry, Step, Usage};
use super::phase::Phase;

mod fold;

pub use super::deaths::{CRASH_LOOP, Deaths};
pub use super::standing::{Standing, Word};

/// A run that was started and whose end is not known.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenRun {
    /// The run's id.
    pub run: String,
    /// Its raw stream's file name in `_logs/`.
    pub log: String,
    /// When it was started.
    pub since: Timestamp,
}

/// An agent's conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversation {
    /// Its id.
    pub id: String,
    /// Whether the next run of this iteration may go on in it.
    pub resumable: bool,
    /// What it has cost so far, as the agent reported it.
    pub usd: Option<f64>,
}

/// What the last run cost.
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

/// The last signal, as it stands in the history.
#[derive(Debug, Clone, PartialEq)]
pub struct LastSignal {
    /// Its line of the history.
    pub line: super::history::HistoryLine,
    /// Where it led.
    pub step: Step,
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
    /// The folder the agent works in, once it is made.
    pub working_dir: Option<String>,
    /// The branch.
    pub branch: Option<String>,
    /// The commit the branch began from.
    pub base: Option<String>,
    /// The phase.
    pub phase: Phase,
    /// Iterations in this phase, the one under way included.
    pub iteration: u32,
    /// Iterations in all.
    pub total: u32,
    /// The phase's gate.
    pub gate: Gate,
    /// Where the session stands.
    pub standing: Standing,
    /// Since when.
    pub since: Timestamp,
    /// Whether a human stopped it.
    pub stopped: bool,
    /// Whether an iteration has begun and no signal of it was taken.
    pub in_iteration: bool,
    /// Runs of this iteration so far.
    pub attempt: u32,
    /// Runs of this iteration that failed.
    pub failures: u32,
    /// What the last of them failed of.
    pub last_failure: Option<String>,
    /// Runs of this iteration that stalled.
    pub stalls: u32,
    /// Handoffs that were made in this iteration in the place of an agent that left none.
    pub handoffs: u32,
    /// A run that was started and whose end is not known.
    pub open_run: Option<OpenRun>,
    /// A run whose end is known, and of which no signal was taken yet.
    pub ended_run: Option<String>,
    /// Whether the last run was cut off, and the next is to be told.
    pub cut_off: bool,
    /// The kernel's id of the boot the last worker was started in; empty where there is none.
    pub boot: String,
    /// Whether the machine was started anew since the last run ended, and the next is to be told.
    pub machine_restarted: bool,
    /// Whether no run was started since the machine was.
    pub first_since_boot: bool,
    /// The conversation of this iteration.
    pub conversation: Option<Conversation>,
    /// What was wrong with the signal the agent is asked for.
    pub asked: Option<String>,
    /// Whether the agent was asked for its signal in this iteration.
    pub was_asked: bool,
    /// What the next conversation is given.
    pub handoff: Option<Value>,
    /// Messages taken from the inbox that no finished run has seen.
    pub unseen: Vec<String>,
    /// The last signal.
    pub last_signal: Option<LastSignal>,
    /// Whether the effects of the last signal, or of a human's word, may not all be on disk.
    pub unsettled: bool,
    /// The size of the model's context in tokens, as last told.
    pub context_window: Option<u64>,
    /// How often in a row the same signal came with nothing changed.
    pub unchanged: u32,
    /// What worktree and session looked like at the last signal that repeated one.
    pub fingerprint: Option<String>,
    /// Whether a human has started the session since its last run: nothing is waited for then.
    pub forced: bool,
    /// What the last run cost.
    pub last_cost: Option<LastCost>,
    /// When the session was resumed, until its first run after that.
    pub resumed: Option<Timestamp>,
    /// When a human set the phase by hand, until the first run after that.
    pub phase_set: Option<Timestamp>,
    /// What all runs cost, in US dollars.
    pub usd: f64,
    /// The tokens of all runs.
    pub tokens: Usage,
    /// Quick deaths of the worker.
    pub deaths: Deaths,
    /// When the stream or the kernel last showed progress, as far as the journal knows.
    pub last_progress: Option<Timestamp>,
    /// Whether the human was told where the session stands.
    pub told: bool,
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
