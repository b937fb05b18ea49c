//! A reviewer's verdict.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::session::review::{Assignment, Opinion, Verdict};
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
        state.visit.reviews.reviewed(self.opinion());
        state.iteration = None;
        state.handoff = None;
        state.deaths.stable();
    }
}
