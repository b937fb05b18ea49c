//! Signals of the agent, and what the session does after one.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::session::asked::Asked;
use crate::session::describe::{more, one_line};
use crate::session::history::HistoryLine;
use crate::session::phase::Phase;
use crate::session::signal::Status;
use crate::session::state::{LastSignal, Standing, State};
use crate::session::vocabulary::{Needs, WaitsFor};

use super::Occurrence;

/// A finished run left no usable signal; the next run only asks for one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SignalAsked {
    /// The ID of the run.
    pub run: String,
    /// What was wrong with the signal.
    pub problem: String,
}

impl Occurrence for SignalAsked {
    const MESSAGE_ID: &str = "47beed8936a54bbd9ef6ed0b827f0542";

    fn describe(&self) -> String {
        format!("run left no usable signal ({}); asking the agent for one", self.problem)
    }

    fn fold(&self, _at: Timestamp, state: &mut State) {
        if let Some(iteration) = &mut state.iteration {
            iteration.signal_asked(&self.problem);
        }
    }
}

/// A signal was accepted; this ends the iteration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SignalTaken {
    /// The ID of the run.
    pub run: String,
    /// Its line in the history, including the local time, so that a replay writes the same
    /// line.
    pub line: HistoryLine,
    /// The phase in which the signal was given.
    pub phase: Phase,
    /// The status the agent signalled.
    pub status: Status,
    /// Hash of worktree and session, if the signal repeats the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// What a handoff passes to the next conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Value>,
    /// What was there when the session began to wait, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
    /// What the session does next.
    pub step: Step,
    /// The commit with which the quality phase is left after reviews; empty outside of git.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reviewed: Option<String>,
}

impl Occurrence for SignalTaken {
    const MESSAGE_ID: &str = "fafcbc19256a49118c3f85f4fedf94a2";

    fn describe(&self) -> String {
        let Self { phase, status, line, step, .. } = self;
        let text = more(line.summary.as_deref().or(line.reason.as_deref()));
        let leads = match step {
            Step::Stay => String::new(),
            Step::Enter { phase } => format!(" -> {phase}"),
            Step::Wait { waits_for } if *status == Status::Waiting => format!(" for {waits_for}"),
            Step::Wait { waits_for } => format!(" -> waiting for {waits_for}"),
            Step::Block { reason, .. } | Step::Dispute { reason } => {
                return format!("{phase} blocked: {}", one_line(reason));
            }
            Step::Review => " -> the reviewers".to_owned(),
            Step::Finish => return format!("session done{text}"),
            Step::HandOver => " -> a fresh conversation".to_owned(),
        };
        format!("{phase} {status}{leads}{text}")
    }

    fn is_warning(&self) -> bool {
        matches!(self.step, Step::Block { .. } | Step::Dispute { .. })
    }

    fn fold(&self, _at: Timestamp, state: &mut State) {
        state.visit.signalled(self.fingerprint.as_ref());
        let reason = self.line.reason.as_ref().or(self.line.summary.as_ref());
        if self.reviewed.is_some() {
            state.reviewed.clone_from(&self.reviewed);
        }
        state.last_signal = Some(LastSignal { line: self.line.clone(), step: self.step.clone() });
        state.unsettled = true;
        state.unseen.clear();
        state.unsigned.clear();
        state.notes.signalled();
        state.handoff = None;
        state.iteration = None;
        state.deaths.stable();
        match &self.step {
            Step::Stay => {}
            Step::Enter { phase } => state.enter(*phase),
            Step::Wait { waits_for } => {
                state.visit.waits(self.asked.clone());
                state.standing =
                    Standing::Waiting { waits_for: waits_for.clone(), reason: reason.cloned() };
            }
            Step::Block { reason, needs } => {
                state.standing = Standing::Blocked { reason: reason.clone(), needs: needs.clone() };
            }
            Step::Review => {
                let says = self.line.summary.as_ref().or(reason);
                state.visit.reviews.next_round(says);
            }
            Step::Dispute { reason } => {
                state.visit.reviews.disputed();
                let needs = Needs::HumanDecision;
                state.standing = Standing::Blocked { reason: reason.clone(), needs };
            }
            Step::Finish => state.standing = Standing::Done,
            Step::HandOver => {
                debug_assert_eq!(self.status, Status::Handoff);
                let said = || Value::String(reason.cloned().unwrap_or_default());
                state.handoff = Some(self.state.clone().unwrap_or_else(said));
            }
        }
    }
}

/// What the session does after a signal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "next", rename_all = "snake_case")]
pub enum Step {
    /// Runs another iteration in the same phase.
    Stay,
    /// Moves on to another phase.
    Enter {
        /// The phase to move to.
        phase: Phase,
    },
    /// Waits until a human answers.
    Wait {
        /// What the human has to provide.
        #[serde(rename = "for")]
        waits_for: WaitsFor,
    },
    /// Blocks the session until a human helps.
    Block {
        /// Why the session is blocked, as shown to the human.
        reason: String,
        /// What kind of help the session needs.
        needs: Needs,
    },
    /// Has the reviewers read what the author wants to leave the phase with.
    Review,
    /// Blocks the session, since reviewers and author do not agree, until a human decides.
    Dispute {
        /// Both views, as shown to the human.
        reason: String,
    },
    /// Ends the session as done.
    Finish,
    /// Starts a fresh conversation in this phase, given the signal's state.
    HandOver,
}
