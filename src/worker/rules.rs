//! The rule for each outcome of a run: retries, pauses and failures.

use jiff::{SignedDuration, Timestamp};

use crate::agent::Outcome;
use crate::session::event;
use crate::session::journal::Event;
use crate::session::{Cause, RunOutcome};

use super::account::{AUTH_RETRY, log_in_again};

/// What to do after a run without a signal.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Rule {
    /// It finished: ask for its signal, once per iteration.
    TakeSignal,
    /// It counts as a failure and is retried after a delay.
    Fail,
    /// It does not count as a failure; retry at once, or at the worker's next start.
    GoOn,
    /// Start a fresh conversation with a handoff; too many in a row block the session.
    HandOver,
    /// It does not count as a failure; wait until the cause clears.
    Pause(Box<Event>),
}

/// The rule for an outcome. `attempt` is the number of the run within the iteration.
///
/// | outcome | retry | conversation | counts as a failure |
/// |---|---|---|---|
/// | finished | asks for the signal, once per iteration | same | if there is still no signal |
/// | limit | within 30 s of the reset time, each session at a different moment | same | no |
/// | transient | after a pause that doubles from 5 s to 10 min | same | no |
/// | auth | every 10 min, and within seconds of a new login | same | no |
/// | interrupted | at the next start | same | no |
/// | killed, timed out, stalled, max turns, failed, budget (of a run) | after the retry delay | same | yes |
/// | out of memory, not resumed, would not start | after the retry delay | fresh | yes |
/// | context full, or asked for a handoff and left no signal | at once, with a handoff written by the worker | fresh | separately: the third in a row blocks |
pub(super) fn rule(outcome: &Outcome, attempt: u32, now: Timestamp) -> Rule {
    let after = |seconds: i64| now.checked_add(SignedDuration::from_secs(seconds)).ok();
    match outcome {
        Outcome::Finished => Rule::TakeSignal,
        Outcome::Limit { resets_at, kind } => {
            Rule::Pause(Box::new(Event::Limited(event::Limited {
                until: resets_at.filter(|at| *at > now).or_else(|| after(15 * 60)).unwrap_or(now),
                what: Some(kind.clone()).filter(|kind| !kind.is_empty()),
            })))
        }
        Outcome::Transient { what } => Rule::Pause(Box::new(Event::Paused(event::Paused {
            cause: Cause::Network,
            detail: what.clone(),
            until: after((5_i64 << attempt.saturating_sub(1).min(8)).min(600)),
            quiet: attempt > 1,
        }))),
        Outcome::Auth { what } => Rule::Pause(Box::new(Event::Paused(event::Paused {
            cause: Cause::Credentials,
            detail: log_in_again(what),
            until: now.checked_add(AUTH_RETRY).ok(),
            quiet: false,
        }))),
        Outcome::Interrupted => Rule::GoOn,
        Outcome::ContextFull => Rule::HandOver,
        Outcome::Budget
        | Outcome::NotResumed { .. }
        | Outcome::OutOfMemory
        | Outcome::Killed { .. }
        | Outcome::TimedOut
        | Outcome::Stalled
        | Outcome::MaxTurns
        | Outcome::WouldNotStart { .. }
        | Outcome::Failed { .. } => Rule::Fail,
    }
}

/// Whether the next run can resume the conversation.
pub(super) const fn resumable(outcome: &Outcome) -> bool {
    !matches!(
        outcome,
        Outcome::ContextFull
            | Outcome::NotResumed { .. }
            | Outcome::OutOfMemory
            | Outcome::WouldNotStart { .. }
    )
}

/// The outcome in one word, as used in the journal.
pub(super) const fn word(outcome: &Outcome) -> RunOutcome {
    match outcome {
        Outcome::Finished => RunOutcome::Finished,
        Outcome::Limit { .. } => RunOutcome::Limit,
        Outcome::Transient { .. } => RunOutcome::Transient,
        Outcome::Auth { .. } => RunOutcome::Auth,
        Outcome::ContextFull => RunOutcome::ContextFull,
        Outcome::NotResumed { .. } => RunOutcome::NotResumed,
        Outcome::OutOfMemory => RunOutcome::OutOfMemory,
        Outcome::Killed { .. } => RunOutcome::Killed,
        Outcome::TimedOut => RunOutcome::TimedOut,
        Outcome::Stalled => RunOutcome::Stalled,
        Outcome::Interrupted => RunOutcome::Interrupted,
        Outcome::MaxTurns => RunOutcome::MaxTurns,
        Outcome::Budget => RunOutcome::Budget,
        Outcome::WouldNotStart { .. } => RunOutcome::WouldNotStart,
        Outcome::Failed { .. } => RunOutcome::Failed,
    }
}

/// Details of the outcome, for a person.
pub(super) fn detail(outcome: &Outcome) -> Option<String> {
    Some(match outcome {
        Outcome::Transient { what } | Outcome::Auth { what } => what.clone(),
        Outcome::NotResumed { why } | Outcome::WouldNotStart { why } | Outcome::Failed { why } => {
            why.clone()
        }
        Outcome::Killed { signal } => format!("the agent was killed by signal {signal}"),
        Outcome::OutOfMemory => "it ran out of memory; raise SAMOCODE_MEMORY_MAX".to_owned(),
        Outcome::TimedOut => "it took longer than CLAUDE_TIMEOUT".to_owned(),
        Outcome::MaxTurns => "it used all of CLAUDE_MAX_TURNS".to_owned(),
        Outcome::Budget => "it used up the budget of a run".to_owned(),
        Outcome::ContextFull => "the conversation no longer fits the model's context".to_owned(),
        Outcome::Finished | Outcome::Limit { .. } | Outcome::Stalled | Outcome::Interrupted => {
            return None;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pause_s(attempt: u32) -> i64 {
        let outcome = Outcome::Transient { what: "overloaded".into() };
        match rule(&outcome, attempt, Timestamp::UNIX_EPOCH) {
            Rule::Pause(event) => match *event {
                Event::Paused(event::Paused { until, .. }) => until.unwrap().as_second(),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_passes_is_waited_for_longer_each_time() {
        assert_eq!([1, 2, 3, 9, 99].map(pause_s), [5, 10, 20, 600, 600]);
    }

    #[test]
    fn a_limit_without_a_reset_time_in_the_future_is_looked_at_again() {
        let now = Timestamp::from_second(1000).unwrap();
        for resets_at in [None, Some(Timestamp::UNIX_EPOCH)] {
            let outcome = Outcome::Limit { resets_at, kind: String::new() };
            let until = Timestamp::from_second(1000 + 900).unwrap();
            let event = Event::Limited(event::Limited { until, what: None });
            assert_eq!(rule(&outcome, 1, now), Rule::Pause(Box::new(event)));
        }
    }
}
