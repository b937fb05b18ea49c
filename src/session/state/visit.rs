//! A session's stay in a phase. What is counted there begins again in the next.

use crate::session::advance::Gate;
use crate::session::phase::Phase;

/// A session's stay in a phase.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Visit {
    /// The phase.
    pub phase: Phase,
    /// Iterations in it so far, the one under way included.
    pub iterations: u32,
    /// How far its gate is open.
    pub gate: Gate,
    /// How often in a row the same signal came with nothing changed.
    pub unchanged: u32,
    /// What worktree and session looked like at the last signal that repeated one.
    pub fingerprint: Option<String>,
}

impl Visit {
    /// The first moment in a phase.
    pub(super) fn to(phase: Phase) -> Self {
        Self { phase, ..Self::default() }
    }

    /// Whether it has taken all the iterations it may.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.iterations >= self.phase.limit()
    }

    /// A signal came; with a fingerprint if it says what the one before said.
    pub(super) fn signalled(&mut self, fingerprint: Option<&String>) {
        let same = fingerprint.is_some() && fingerprint == self.fingerprint.as_ref();
        self.unchanged = if same { self.unchanged + 1 } else { 0 };
        self.fingerprint = fingerprint.cloned();
    }

    /// The session tries again after it was blocked: a human has seen the counters.
    pub(super) fn retried(&mut self) {
        self.unchanged = 0;
        if self.is_over() {
            self.iterations = 0;
        }
    }

    /// A human has answered.
    pub(super) fn answered(&mut self) {
        if self.gate == Gate::Waited {
            self.gate = Gate::Open;
        }
    }
}
