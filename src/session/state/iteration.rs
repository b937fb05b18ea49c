//! An iteration: from its first run to the signal that is taken. All of this ends with it.

use jiff::Timestamp;

use crate::session::journal::RunCost;

/// The iteration under way.
#[derive(Debug, Clone, PartialEq)]
pub struct Iteration {
    /// Which run of it is the last one, from 1.
    pub attempt: u32,
    /// What is known of that run.
    pub run: RunState,
    /// Its conversation; `None` where the next run begins a fresh one.
    pub conversation: Option<Conversation>,
    /// Runs that failed.
    pub failures: Failures,
    /// Runs that stalled.
    pub stalls: u32,
    /// Handoffs made in the place of an agent that left none.
    pub handoffs: u32,
    /// Whether the last run was cut off, which the next is told.
    pub cut_off: bool,
    /// What was wrong with the signal, where the next run is only asked for one.
    pub asked: Option<String>,
    /// Whether the agent was asked for its signal at all: that is done once.
    pub was_asked: bool,
}

/// What is known of an iteration's last run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunState {
    /// It was started, and its end is not known.
    Open(OpenRun),
    /// Its end is known; a signal that it left may not have been taken yet.
    Ended {
        /// The run's id.
        run: String,
    },
    /// Nothing more comes of it: it was lost with its worker, is asked for its signal, or a
    /// handoff was made in its place.
    Over,
}

/// A run that was started and whose end is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// Whether the next run of this iteration may resume it.
    pub resumable: bool,
    /// What it has cost so far in US dollars, as the agent reported it.
    pub usd: Option<f64>,
}

/// Runs of an iteration that failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failures {
    /// How many.
    pub count: u32,
    /// What the last of them failed of.
    pub last: Option<String>,
}

impl Iteration {
    pub(super) fn new(run: OpenRun) -> Self {
        Self {
            attempt: 1,
            run: RunState::Open(run),
            conversation: None,
            failures: Failures::default(),
            stalls: 0,
            handoffs: 0,
            cut_off: false,
            asked: None,
            was_asked: false,
        }
    }

    /// A run begins, in `conversation`.
    pub(super) fn run_started(&mut self, run: OpenRun, attempt: u32, conversation: &str) {
        self.run = RunState::Open(run);
        self.attempt = attempt;
        if self.conversation.as_ref().is_none_or(|known| known.id != conversation) {
            self.conversation =
                Some(Conversation { id: conversation.to_owned(), resumable: false, usd: None });
        }
    }

    /// A run ended. `failure` is why it counts as failed, if it does.
    pub(super) fn run_ended(
        &mut self,
        run: &str,
        failure: Option<String>,
        in_order: bool,
        resumable: bool,
        cost: &RunCost,
    ) {
        self.run = RunState::Ended { run: run.to_owned() };
        if failure.is_some() {
            self.failures.count += 1;
            self.failures.last = failure;
        }
        self.cut_off = !in_order;
        self.asked = None;
        if let Some(conversation) = &mut self.conversation {
            conversation.resumable = resumable;
            conversation.usd = cost.conversation_usd.or(conversation.usd);
        }
    }

    /// The run died with its worker.
    pub(super) fn run_lost(&mut self) {
        self.run = RunState::Over;
        self.cut_off = true;
        if let Some(conversation) = &mut self.conversation {
            conversation.resumable = true;
        }
    }

    pub(super) fn signal_asked(&mut self, problem: &str) {
        self.run = RunState::Over;
        self.cut_off = false;
        self.asked = Some(problem.to_owned());
        self.was_asked = true;
    }

    pub(super) fn handoff_made(&mut self) {
        self.run = RunState::Over;
        self.handoffs += 1;
        self.conversation = None;
    }
}
