//! A reviewer's verdict, or why it has none.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::session::describe::one_line;
use crate::session::review::{Assignment, Missing, Opinion, Verdict};
use crate::session::state::State;

use super::Occurrence;

/// A reviewer gave its verdict, which ends its runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reviewed {
    /// The ID of the run.
    pub run: String,
    /// Who reviewed what.
    pub on: Assignment,
    /// The verdict.
    pub verdict: Verdict,
}

impl Reviewed {
    fn opinion(&self) -> Opinion {
        Opinion { on: self.on.clone(), verdict: self.verdict.clone() }
    }
}

impl Occurrence for Reviewed {
    const MESSAGE_ID: &str = "5b1f0c64d2a947ce8d1e7a903f6cb825";

    fn describe(&self) -> String {
        let found = match self.verdict.findings.len() {
            0 => String::new(),
            1 => " (1 finding)".to_owned(),
            many => format!(" ({many} findings)"),
        };
        format!("{}{found}", self.opinion().headline())
    }

    fn fold(&self, _at: Timestamp, state: &mut State) {
        state.notes.reviewer(&self.on.reviewer, None);
        state.visit.reviews.reviewed(self.opinion());
        state.iteration = None;
        state.handoff = None;
        state.deaths.stable();
    }
}

/// A reviewer could not review, and the round does without it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewMissed {
    /// Who was to review what.
    pub on: Assignment,
    /// Why it could not.
    pub why: String,
    /// When it may be able to again; absent if a human has to do something first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl ReviewMissed {
    /// The reviewer as one that is missing.
    #[must_use]
    pub fn missing(&self) -> Missing {
        Missing { on: self.on.clone(), why: one_line(&self.why), until: self.until }
    }
}

impl Occurrence for ReviewMissed {
    const MESSAGE_ID: &str = "e3b7a1f20c5d4b6f9a8841d7c26f3e95";

    fn describe(&self) -> String {
        self.missing().headline()
    }

    fn is_warning(&self) -> bool {
        true
    }

    fn fold(&self, at: Timestamp, state: &mut State) {
        state.notes.reviewer(&self.on.reviewer, Some(self.describe()));
        state.visit.reviews.missed(self.missing(), at);
        state.iteration = None;
        state.handoff = None;
        state.proceed();
    }
}
