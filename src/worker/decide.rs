//! What to do next: a pure function of the journal's state and the clock.

use jiff::{SignedDuration, Timestamp};

use crate::session::Needs;
use crate::session::state::{Failures, Iteration, Standing, State, Visit};

/// This many stalls in one iteration block the session.
pub(super) const MAX_STALLS: u32 = 3;

/// This many handoffs written by the worker in one iteration block the session. The first may be
/// bad luck, and the second knew how far the first had come; a third means that the step does not
/// fit in a conversation, and each one costs a full context.
pub(super) const MAX_HANDOFFS: u32 = 3;

/// This many runs in a row that were refused for a limit without a reset time block the session.
pub(super) const MAX_REFUSALS: u32 = 3;

/// The same signal this many times in a row, with nothing changed, blocks the session.
pub(super) const MAX_UNCHANGED: u32 = 3;

/// The worker's next action, as decided by [`decide`].
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Decision {
    /// Exit: the session is done, waiting, blocked or stopped.
    Rest,
    /// Create worktree and overview, which do not exist yet.
    Prepare,
    /// Sleep until this time: an outside cause prevents runs.
    SleepUntil(Timestamp),
    /// Block the session, for this reason.
    Block { reason: String, needs: Needs },
    /// Start a run with these numbers.
    Run(Numbers),
}

/// The counters that identify a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// Number of the iteration within the phase, from 1.
    pub(crate) iteration: u32,
    /// Number of the iteration within the session, from 1.
    pub(crate) total: u32,
    /// Number of the run within the iteration, from 1.
    pub(crate) attempt: u32,
}

/// Decides what to do next. `max_retries` is how many runs of an iteration may fail. `spread` is
/// this session's delay after a usage limit resets, so that an account's sessions do not all resume
/// at once.
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
        | Standing::Held(_)
        | Standing::Scheduled(_)
        | Standing::Paused { until: None, .. } => return Decision::Rest,
        _ => {}
    }
    let wakes = match &state.standing {
        Standing::Limited { until, .. } => until.checked_add(spread).ok(),
        Standing::Paused { until, .. } => *until,
        _ => None,
    };
    if let Some(at) = wakes.filter(|at| *at > now) {
        return Decision::SleepUntil(at);
    }
    if state.place.is_none() {
        return Decision::Prepare;
    }
    let next = next_run(state);
    match out_of_tries(&state.visit, state.iteration.as_ref(), max_retries) {
        Some((reason, needs)) => Decision::Block { reason, needs },
        None => Decision::Run(next),
    }
}

/// Counters of the next run: another one of the current iteration, or the first of the next.
pub(crate) fn next_run(state: &State) -> Numbers {
    let (iteration, total) = (state.visit.iterations, state.total);
    match &state.iteration {
        Some(under_way) => Numbers { iteration, total, attempt: under_way.attempt + 1 },
        None => Numbers { iteration: iteration + 1, total: total + 1, attempt: 1 },
    }
}

/// Why another run would be useless, and what kind of help is needed.
fn out_of_tries(
    visit: &Visit,
    iteration: Option<&Iteration>,
    max_retries: u32,
) -> Option<(String, Needs)> {
    let number = visit.iterations;
    let phase = match visit.reviews.under_way().filter(|_| iteration.is_some()) {
        Some(review) => format!("{}, while {} reviewed,", visit.phase, review.reviewer),
        None => visit.phase.to_string(),
    };
    let Some(iteration) = iteration else {
        return if visit.is_over() {
            let limit = visit.phase.limit();
            let reason = format!("{phase} has used all of its {limit} iterations");
            Some((reason, Needs::HumanDecision))
        } else {
            unchanged(visit)
        };
    };
    if iteration.stalls >= MAX_STALLS {
        let reason = format!("{MAX_STALLS} runs in a row made no progress in {phase} {number}");
        return Some((reason, Needs::Investigation));
    }
    let Failures { count, last } = &iteration.refusals;
    if *count >= MAX_REFUSALS {
        let last = last.as_deref().unwrap_or("a limit without a reset time");
        let reason = format!(
            "{count} runs in a row hit a limit that does not say when it ends; the last: {last}"
        );
        return Some((reason, Needs::HumanDecision));
    }
    if iteration.handoffs >= MAX_HANDOFFS {
        let reason = format!(
            "{MAX_HANDOFFS} conversations in a row ended in {phase} {number} without a signal, full \
             or after a handoff request: the step may be too large for one conversation"
        );
        return Some((reason, Needs::HumanDecision));
    }
    let Failures { count, last } = &iteration.failures;
    if *count > 0 && *count >= max_retries {
        let last = last.as_deref().unwrap_or("the agent failed");
        let reason = if *count == 1 {
            format!("the run failed in {phase}: {last}")
        } else {
            format!("{count} runs in a row failed in {phase}; the last: {last}")
        };
        return Some((reason, Needs::ErrorResolution));
    }
    None
}

/// Blocks a session that repeats the same signal without doing anything.
fn unchanged(visit: &Visit) -> Option<(String, Needs)> {
    (visit.unchanged >= MAX_UNCHANGED).then(|| {
        let reason = format!(
            "{} iterations of {} ended with the same signal and changed neither commits nor files",
            visit.unchanged + 2,
            visit.phase
        );
        (reason, Needs::Investigation)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::state::{Place, RunState};
    use crate::session::{Cause, Phase};

    const AT_ONCE: SignedDuration = SignedDuration::ZERO;

    fn running() -> State {
        State {
            standing: Standing::Running,
            place: Some(Place { working_dir: "/w".into(), branch: None, base: None }),
            visit: Visit { phase: Phase::Implementation, iterations: 4, ..Visit::default() },
            total: 9,
            ..State::default()
        }
    }

    /// An iteration whose first run died with its worker.
    fn lost() -> Iteration {
        Iteration {
            attempt: 1,
            run: RunState::Over,
            conversation: None,
            failures: Failures::default(),
            refusals: Failures::default(),
            rejected: false,
            stalls: 0,
            handoffs: 0,
            cut_off: true,
            asked: None,
            was_asked: false,
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
        state.iteration = Some(lost());
        assert_eq!(
            decide(&state, now, 3, AT_ONCE),
            Decision::Run(Numbers { iteration: 4, total: 9, attempt: 2 })
        );
    }

    #[test]
    fn a_phase_ends_at_its_limit_but_its_last_iteration_may_be_retried() {
        let mut state = running();
        state.visit.iterations = Phase::Implementation.limit();
        assert!(matches!(decide(&state, Timestamp::now(), 3, AT_ONCE), Decision::Block { .. }));
        state.iteration = Some(lost());
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
        state.standing = Standing::Limited { until, said: None };
        assert_eq!(decide(&state, now, 3, AT_ONCE), Decision::SleepUntil(until));
        assert!(matches!(decide(&state, until, 3, AT_ONCE), Decision::Run(_)));
    }

    #[test]
    fn each_session_goes_on_a_little_later_than_the_limit_ends() {
        let mut state = running();
        let until = Timestamp::now();
        let spread = SignedDuration::from_secs(7);
        state.standing = Standing::Limited { until, said: None };
        assert_eq!(decide(&state, until, 3, spread), Decision::SleepUntil(until + spread));
        assert!(matches!(decide(&state, until + spread, 3, spread), Decision::Run(_)));
        // Other waits have their own end.
        let detail = String::new();
        state.standing = Standing::Paused { cause: Cause::Network, detail, until: Some(until) };
        assert!(matches!(decide(&state, until, 3, spread), Decision::Run(_)));
    }

    #[test]
    fn failures_and_stalls_block_with_a_reason() {
        let mut state = running();
        let failures = Failures { count: 3, last: None };
        state.iteration = Some(Iteration { failures, ..lost() });
        let Decision::Block { reason, .. } = decide(&state, Timestamp::now(), 3, AT_ONCE) else {
            panic!()
        };
        assert!(reason.contains("3 runs in a row failed"), "{reason}");
        let failures = Failures { count: 1, last: Some("bad".into()) };
        state.iteration = Some(Iteration { failures, ..lost() });
        let Decision::Block { reason, .. } = decide(&state, Timestamp::now(), 1, AT_ONCE) else {
            panic!()
        };
        assert_eq!(reason, "the run failed in implementation: bad");
        state.iteration = Some(Iteration { stalls: 3, ..lost() });
        assert!(matches!(decide(&state, Timestamp::now(), 3, AT_ONCE), Decision::Block { .. }));
    }

    #[test]
    fn a_limit_without_an_end_blocks_with_the_services_own_words() {
        let mut state = running();
        let refusals =
            |count| Failures { count, last: Some("429 · Extra usage is required".into()) };
        state.iteration = Some(Iteration { refusals: refusals(MAX_REFUSALS - 1), ..lost() });
        assert!(matches!(decide(&state, Timestamp::now(), 3, AT_ONCE), Decision::Run(_)));
        state.iteration = Some(Iteration { refusals: refusals(MAX_REFUSALS), ..lost() });
        let Decision::Block { reason, .. } = decide(&state, Timestamp::now(), 3, AT_ONCE) else {
            panic!()
        };
        assert!(reason.ends_with("429 · Extra usage is required"), "{reason}");
    }

    #[test]
    fn conversations_that_fill_up_without_a_word_block_in_the_end() {
        let mut state = running();
        state.iteration = Some(Iteration { handoffs: MAX_HANDOFFS - 1, ..lost() });
        assert!(matches!(decide(&state, Timestamp::now(), 3, AT_ONCE), Decision::Run(_)));
        state.iteration = Some(Iteration { handoffs: MAX_HANDOFFS, ..lost() });
        let Decision::Block { reason, .. } = decide(&state, Timestamp::now(), 3, AT_ONCE) else {
            panic!()
        };
        assert!(reason.contains("3 conversations in a row ended in implementation 4"), "{reason}");
    }
}
