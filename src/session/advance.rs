//! What a signal does: the phase table and the gates, as one function.

use serde::{Deserialize, Serialize};

use super::journal::Step;
use super::phase::Phase;
use super::signal::{Signal, Status};
use super::vocabulary::{Needs, WaitsFor};

/// Progress of a phase's gate. Only an open gate may be passed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// The phase has not stopped for a human yet, or continued since without an answer.
    #[default]
    Closed,
    /// The phase waits for a human, and no run has started since.
    Waited,
    /// The human has answered since the wait: the session may move to the next phase.
    Open,
}

/// Decides the session's next step after `signal` in `phase`.
///
/// A signal the table does not allow blocks the session, and the reason lists what was allowed. A
/// signal that would pass a gate before a human has answered makes the session wait instead: the
/// work is complete and only needs the human's approval.
#[must_use]
pub fn advance(phase: Phase, gate: Gate, signal: &Signal) -> Step {
    if !phase.signals().contains(&signal.status) {
        return refused(phase, &format!("status '{}'", signal.status));
    }
    match signal.status {
        Status::Continue => match signal.phase.filter(|to| *to != phase) {
            None => Step::Stay,
            Some(to) if !phase.next().contains(&to) => refused(phase, &format!("a move to {to}")),
            Some(_) if phase.is_gate() && gate != Gate::Open => {
                Step::Wait { waits_for: WaitsFor::usual(phase) }
            }
            Some(to) => Step::Enter { phase: to },
        },
        Status::Waiting => Step::Wait {
            waits_for: signal.waits_for.clone().unwrap_or_else(|| WaitsFor::usual(phase)),
        },
        Status::Blocked => Step::Block {
            reason: signal
                .reason
                .clone()
                .or_else(|| signal.summary.clone())
                .unwrap_or_else(|| "the agent is blocked and gave no reason".to_owned()),
            needs: signal.needs.clone().unwrap_or(Needs::HumanDecision),
        },
        Status::Done => Step::Finish,
        Status::Handoff => Step::HandOver,
    }
}

fn refused(phase: Phase, what: &str) -> Step {
    let list = |words: Vec<&str>| words.join(", ");
    let signals = list(phase.signals().iter().map(|status| status.as_str()).collect());
    let next = list(phase.next().iter().map(|phase| phase.as_str()).collect());
    let next =
        if next.is_empty() { "no phase follows".to_owned() } else { format!("next phase: {next}") };
    Step::Block {
        reason: format!(
            "the agent's signal asked for {what} in {phase}, which is not allowed; allowed: {signals}; {next}"
        ),
        needs: Needs::ErrorResolution,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn signal(status: Status, phase: Option<Phase>) -> Signal {
        Signal {
            status,
            phase,
            summary: None,
            reason: None,
            needs: None,
            waits_for: None,
            state: None,
        }
    }

    #[test]
    fn a_gate_is_left_by_the_very_signal_that_names_the_next_phase_once_a_human_answered() {
        let leave = signal(Status::Continue, Some(Phase::Planning));
        assert_eq!(
            advance(Phase::Requirements, Gate::Open, &leave),
            Step::Enter { phase: Phase::Planning }
        );
        for gate in [Gate::Closed, Gate::Waited] {
            assert_eq!(
                advance(Phase::Requirements, gate, &leave),
                Step::Wait { waits_for: WaitsFor::QaAnswers }
            );
        }
    }

    #[test]
    fn a_signal_outside_the_table_blocks_and_says_what_was_allowed() {
        let step =
            advance(Phase::Testing, Gate::Closed, &signal(Status::Continue, Some(Phase::Planning)));
        let Step::Block { reason, .. } = step else { panic!("{step:?}") };
        assert!(reason.contains("a move to planning in testing"), "{reason}");
        assert!(reason.contains("next phase: quality, done"), "{reason}");
        let step = advance(Phase::Init, Gate::Closed, &signal(Status::Done, None));
        assert!(matches!(step, Step::Block { .. }));
    }

    proptest! {
        #[test]
        fn a_phase_is_entered_only_along_the_table(from in 0usize..8, to in 0usize..8, open: bool, status in 0usize..5) {
            let statuses = [Status::Continue, Status::Waiting, Status::Blocked, Status::Done, Status::Handoff];
            let (from, to) = (Phase::ALL[from], Phase::ALL[to]);
            let gate = if open { Gate::Open } else { Gate::Closed };
            let step = advance(from, gate, &signal(statuses[status], Some(to)));
            if let Step::Enter { phase } = step {
                prop_assert!(from.next().contains(&phase));
                prop_assert!(!from.is_gate() || open);
            }
            if step == Step::Finish {
                prop_assert_eq!(from, Phase::Done);
            }
        }
    }
}
