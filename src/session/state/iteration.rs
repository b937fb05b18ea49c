//! An iteration: from its first run to the accepted signal. None of this data outlives it.

use jiff::Timestamp;

use crate::session::cost::Usage;
use crate::session::event::{ConversationKept, RunEnded};
use crate::session::vocabulary::RunOutcome;

/// The current iteration, with the state that its runs share.
#[derive(Debug, Clone, PartialEq)]
pub struct Iteration {
    /// Number of its last run, from 1.
    pub attempt: u32,
    /// The state of that run.
    pub run: RunState,
    /// Its conversation; `None` if the next run starts a fresh one.
    pub conversation: Option<Conversation>,
    /// Runs that failed and use up the retries.
    pub failures: Failures,
    /// Runs in a row that were refused for a limit without a reset time.
    pub refusals: Failures,
    /// Whether the last run's request was refused as invalid.
    pub rejected: bool,
    /// Number of runs that stalled.
    pub stalls: u32,
    /// Number of handoffs the worker wrote because the agent left none.
    pub handoffs: u32,
    /// Whether the last run was cut off; the next prompt mentions it.
    pub cut_off: bool,
    /// What was wrong with the signal, if the next run only asks for one.
    pub asked: Option<String>,
    /// Whether the agent was already asked for a signal, which happens only once.
    pub was_asked: bool,
}

/// The state of an iteration's last run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunState {
    /// It was started and has no known end.
    Open(OpenRun),
    /// It ended; a signal it left may still have to be accepted.
    Ended {
        /// The ID of the run.
        run: String,
    },
    /// It is finished with: lost with its worker, asked for a signal, or replaced by a handoff.
    Over,
}

/// A run that was started and has no known end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenRun {
    /// The ID of the run.
    pub run: String,
    /// File name of its raw stream in `_logs/`.
    pub log: String,
    /// When the run was started.
    pub since: Timestamp,
    /// Whether a human started the session for it.
    pub forced: bool,
}

/// An agent's conversation, which several runs may share.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversation {
    /// The ID the agent knows it by; empty until an agent that chooses it has reported it.
    pub id: String,
    /// Whether the next run of this iteration can resume it.
    pub resumable: bool,
    /// The agent it is with: another one cannot resume it.
    pub agent: String,
    /// Cost so far in US dollars, as reported by the agent.
    pub usd: Option<f64>,
    /// Tokens so far, from an agent that counts them by conversation.
    pub tokens: Option<Usage>,
    /// How long the agent's program keeps it, if that may be too short.
    pub kept: Option<ConversationKept>,
}

/// Failed runs of an iteration, of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failures {
    /// How many there were.
    pub count: u32,
    /// Why the last of them failed.
    pub last: Option<String>,
}

impl Failures {
    fn add(&mut self, why: String) {
        self.count += 1;
        self.last = Some(why);
    }
}

impl Iteration {
    pub(in crate::session) fn new(run: OpenRun) -> Self {
        Self {
            attempt: 1,
            run: RunState::Open(run),
            conversation: None,
            failures: Failures::default(),
            refusals: Failures::default(),
            rejected: false,
            stalls: 0,
            handoffs: 0,
            cut_off: false,
            asked: None,
            was_asked: false,
        }
    }

    /// Records the start of a run in `conversation`.
    pub(in crate::session) fn run_started(
        &mut self,
        run: OpenRun,
        attempt: u32,
        conversation: &str,
        agent: &str,
    ) {
        self.run = RunState::Open(run);
        self.attempt = attempt;
        let is_new = |known: &Conversation| known.id != conversation || known.id.is_empty();
        if self.conversation.as_ref().is_none_or(is_new) {
            self.conversation = Some(Conversation {
                id: conversation.to_owned(),
                resumable: false,
                agent: agent.to_owned(),
                usd: None,
                tokens: None,
                kept: None,
            });
        } else if let Some(conversation) = &mut self.conversation {
            conversation.kept = None;
        }
    }

    /// Records the id that the agent gave the conversation of its run.
    pub(in crate::session) fn conversation_named(&mut self, id: &str) {
        if let Some(conversation) = &mut self.conversation
            && conversation.id != id
        {
            let agent = std::mem::take(&mut conversation.agent);
            let id = id.to_owned();
            *conversation =
                Conversation { id, resumable: false, agent, usd: None, tokens: None, kept: None };
        }
    }

    /// Records the end of a run. Returns whether a human's start is for the next run too, as this one
    /// ended before it asked anything of the account.
    pub(in crate::session) fn run_ended(&mut self, ended: &RunEnded) -> bool {
        let forced = matches!(&self.run, RunState::Open(open) if open.forced);
        self.run = RunState::Ended { run: ended.run.clone() };
        let why = || ended.detail.clone().unwrap_or_else(|| ended.outcome.to_string());
        if ended.failure {
            self.failures.add(why());
        }
        match ended.outcome {
            RunOutcome::Limit | RunOutcome::Throttled if ended.endless => self.refusals.add(why()),
            RunOutcome::Interrupted => {}
            _ => self.refusals = Failures::default(),
        }
        self.rejected = ended.outcome == RunOutcome::Rejected;
        self.cut_off = ended.outcome != RunOutcome::Finished;
        self.asked = None;
        if let Some(conversation) = &mut self.conversation {
            conversation.resumable = ended.resumable;
            conversation.usd = ended.cost.conversation_usd.or(conversation.usd);
            conversation.tokens = ended.cost.conversation_tokens.or(conversation.tokens);
        }
        forced && ended.outcome == RunOutcome::NotResumed
    }

    /// Records that the run died with its worker.
    pub(in crate::session) fn run_lost(&mut self) {
        self.run = RunState::Over;
        self.cut_off = true;
        if let Some(conversation) = &mut self.conversation {
            conversation.resumable = true;
        }
    }

    pub(in crate::session) fn signal_asked(&mut self, problem: &str) {
        self.run = RunState::Over;
        self.cut_off = false;
        self.asked = Some(problem.to_owned());
        self.was_asked = true;
    }

    pub(in crate::session) fn handoff_made(&mut self) {
        self.run = RunState::Over;
        self.handoffs += 1;
        self.conversation = None;
    }
}
