//! A session's stay in a phase. Its counters restart with the next phase.

use crate::session::advance::Gate;
use crate::session::asked::Asked;
use crate::session::phase::Phase;
use crate::session::review::Reviews;

/// A session's stay in a phase, with everything that is counted there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Visit {
    /// The phase the session is in.
    pub phase: Phase,
    /// Iterations so far, including the current one.
    pub iterations: u32,
    /// Progress of the phase's gate, if it is one.
    pub gate: Gate,
    /// What the phase's latest wait for a human recorded when it began.
    pub asked: Option<Asked>,
    /// How many times in a row the same signal came with nothing changed.
    pub unchanged: u32,
    /// Hash of worktree and session at the last repeated signal.
    pub fingerprint: Option<String>,
    /// The reviews, in the quality phase.
    pub reviews: Reviews,
}

impl Visit {
    /// Enters a phase: all counters are zero.
    pub(in crate::session) fn to(phase: Phase) -> Self {
        Self { phase, ..Self::default() }
    }

    /// Whether the phase has used up its iterations.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.iterations >= self.phase.limit()
    }

    /// Records a signal; `fingerprint` is set if it repeats the one before.
    pub(in crate::session) fn signalled(&mut self, fingerprint: Option<&String>) {
        let same = fingerprint.is_some() && fingerprint == self.fingerprint.as_ref();
        self.unchanged = if same { self.unchanged + 1 } else { 0 };
        self.fingerprint = fingerprint.cloned();
    }

    /// Clears the counters for a retry after a block, since a human has looked at it.
    pub(in crate::session) fn retried(&mut self) {
        self.unchanged = 0;
        self.reviews.retried();
        if self.is_over() {
            self.iterations = 0;
        }
    }

    /// Records that the phase waits for a human.
    pub(in crate::session) fn waits(&mut self, asked: Option<Asked>) {
        self.gate = Gate::Waited;
        self.asked = asked;
    }

    /// Records the start of a run. Whatever it changes, the human has not seen: an approval that
    /// comes later is not for it.
    pub(in crate::session) fn run_started(&mut self) {
        if self.gate == Gate::Waited {
            self.gate = Gate::Closed;
        }
    }

    /// Closes the gate again, since a human's last word was no.
    pub(in crate::session) fn rejected(&mut self) {
        if self.gate == Gate::Open {
            self.gate = Gate::Waited;
        }
    }

    /// Opens the gate if it has waited, since a human has answered.
    pub(in crate::session) fn answered(&mut self) {
        if self.gate == Gate::Waited {
            self.gate = Gate::Open;
        }
    }
}
