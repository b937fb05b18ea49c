//! What to do next: a pure function of the journal's state and the clock.

use jiff::{SignedDuration, Timestamp};

use crate::session::Needs;
use crate::session::state::{Standing, State};

/// Three stalls in one iteration block the session.
pub(super) const MAX_STALLS: u32 = 3;

/// Handoffs made in an agent's place, in a row within one iteration, until the session blocks: the
/// first may be bad luck, and the second was told where the first had come to; a third says that
/// the step does not fit a conversation, and each costs a whole one.
pub(super) const MAX_HANDOFFS: u32 = 3;

/// So many times in a row the same signal with nothing changed blocks the session.
pub(super) const MAX_UNCHANGED: u32 = 3;

/// What the worker does next.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Decision {
    /// Nothing is left to do: the session is done, waits, is blocked or stopped.
    Rest,
    /// Worktree and overview have to be made.
    Prepare,
    /// Something outside is in the way until then.
    SleepUntil(Timestamp),
    /// The session cannot go on.
    Block { reason: String, needs: Needs },
    /// A run.
    Run(Numbers),
}

/// The numbers of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Numbers {
    /// The iteration in this phase.
    pub(super) iteration: u32,
    /// The iteration in all.
    pub(super) total: u32,
    /// Which run of the iteration it is.
    pub(super) attempt: u32,
}

/// Decides what to do next. `max_retries` is how many runs of an iteration may fail; `spread` is how
/// much later than a usage limit ends this session goes on, so that those of an account do not all
/// do so at once.
pub(super) fn decide(
    state: &State,
    now: Timestamp,
    max_retries: u32,
    spread: SignedDuration,
) -> Decision {
    if state.stopped {
        return Decision::Rest;
    }
    match &state.standing {
        Standing::Done
        | Standing::Waiting { .. }
        | Standing::Blocked { .. }
        | Standing::GaveUp
        | Standing::Paused { until: None, .. } => return Decision::Rest,
        _ => {}
    }
    let wakes = match &state.standing {
        Standing::Limited { until } => until.checked_add(spread).ok(),
        Standing::Paused { until, .. } => *until,
        _ => None,
    };
    if let Some(at) = wakes.filter(|at| *at > now) {
        return Decision::SleepUntil(at);
    }
    if state.working_dir.is_none() {
        return Decision::Prepare;
    }
    let (phase, limit) = (state.phase, state.phase.limit());
    if !state.in_iteration && state.iteration >= limit {
        return Decision::Block {
            reason: format!("{phase} has taken {limit} iterations, as many as it may"),
            needs: Needs::HumanDecision,
        };
    }
    if state.stalls >= MAX_STALLS {
        return Decision::Block {
            reason: format!(
                "{MAX_STALLS} runs in a row showed no sign of progress in {phase} {}",
                state.iteration
            ),
            needs: Needs::Investigation,
        };
    }
    if state.handoffs >= MAX_HANDOFFS {
        return Decision::Block {
            reason: format!(
                "{MAX_HANDOFFS} conversations in a row ended in {phase} {} without a signal, full or \
                 asked to hand over: the step may be too large for one conversation",
                state.iteration
            ),
            needs: Needs::HumanDecision,
        };
    }
    if state.unchanged >= MAX_UNCHANGED {
        return Decision::Block {
            reason: format!(
                "{} iterations of {phase} ended with the same signal and changed nothing: no commit, no file",
                state.unchanged + 2
            ),
            needs: Needs::Investigation,
        };
    }
    if state.failures > 0 && state.failures >= max_retries {
        let last = state.last_failure.as_deref().unwrap_or("the agent failed");
        return Decision::Block {
            reason: format!("{} runs in a row failed in {phase}; the last: {last}", state.failures),
            needs: Needs::ErrorResolution,
        };
    }
    Decision::Run(if state.in_iteration {
        Numbers { iteration: state.iteration, total: state.total, attempt: state.attempt + 1 }
    } else {
        Numbers { iteration: state.iteration + 1, total: state.total + 1, attempt: 1 }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{Cause, Phase};

    const AT_ONCE: SignedDuration = SignedDuration::ZERO;

    fn running() -> State {
        State {
            standing: Standing::Running,
            working_dir: Some("/w".into()),
            phase: Phase::Implementation,
            iteration: 4,
            total: 9,
            ..State::default()
        }
    }

    #[test]
    fn an_iteration_follows_the_last_and_a_retry_keeps_its_number() {
        let mut state = running();
        let now = Timestamp::now();
        assert_eq!(
            decide(&state, now, 3, AT_ONCE),
            Decision::Run(Numbers { iteration: 5, total: 10, attempt: 1 })
        );
        state.in_iteration = true;
        state.attempt = 1;
        assert_eq!(
            decide(&state, now, 3, AT_ONCE),
            Decision::Run(Numbers { iteration: 4, total: 9, attempt: 2 })
        );
    }

    #[test]
    fn a_phase_ends_at_its_limit_but_its_last_iteration_may_be_retried() {
        let mut state = running();
        state.iteration = Phase::Implementation.limit();
        assert!(matches!(decide(&state, Timestamp::now(), 3, AT_ONCE), Decision::Block { .. }));
        state.in_iteration = true;
        assert!(matches!(decide(&state, Timestamp::now(), 3, AT_ONCE), Decision::Run(_)));
    }

    #[test]
    fn a_stopped_session_rests_whatever_else_it_is() {
        let mut state = running();
        state.stopped = true;
        assert_eq!(decide(&state, Timestamp::now(), 3, AT_ONCE), Decision::Rest);
    }

    #[test]
    fn a_limit_is_slept_through_by_the_wall_clock() {
        let mut state = running();
        let now = Timestamp::now();
        let until = now + jiff::SignedDuration::from_hours(5);
        state.standing = Standing::Limited { until };
        assert_eq!(decide(&state, now, 3, AT_ONCE), Decision::SleepUntil(until));
        assert!(matches!(decide(&state, until, 3, AT_ONCE), Decision::Run(_)));
    }

    #[test]
    fn each_session_goes_on_a_little_later_than_the_limit_ends() {
        let mut state = running();
        let until = Timestamp::now();
        let spread = SignedDuration::from_secs(7);
        state.standing = Standing::Limited { until };
        assert_eq!(decide(&state, until, 3, spread), Decision::SleepUntil(until + spread));
        assert!(matches!(decide(&state, until + spread, 3, spread), Decision::Run(_)));
        // What else is waited for has its own time.
        let detail = String::new();
        state.standing = Standing::Paused { cause: Cause::Network, detail, until: Some(until) };
        assert!(matches!(decide(&state, until, 3, spread), Decision::Run(_)));
    }

    #[test]
    fn failures_and_stalls_block_with_a_reason() {
        let mut state = running();
        state.in_iteration = true;
        state.failures = 3;
        let Decision::Block { reason, .. } = decide(&state, Timestamp::now(), 3, AT_ONCE) else {
            panic!()
        };
        assert!(reason.contains("3 runs in a row failed"), "{reason}");
        state.failures = 0;
        state.stalls = 3;
        assert!(matches!(decide(&state, Timestamp::now(), 3, AT_ONCE), Decision::Block { .. }));
    }

    #[test]
    fn conversations_that_fill_up_without_a_word_block_in_the_end() {
        let mut state = running();
        state.in_iteration = true;
        state.handoffs = MAX_HANDOFFS - 1;
        assert!(matches!(decide(&state, Timestamp::now(), 3, AT_ONCE), Decision::Run(_)));
        state.handoffs = MAX_HANDOFFS;
        let Decision::Block { reason, .. } = decide(&state, Timestamp::now(), 3, AT_ONCE) else {
            panic!()
        };
        assert!(reason.contains("3 conversations in a row ended in implementation 4"), "{reason}");
    }
}
