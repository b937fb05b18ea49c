//! The rule for each outcome of a run: retries, pauses and failures.

use jiff::{SignedDuration, Timestamp};

use crate::agent::Outcome;
use crate::agent::quota::DAILY;
use crate::session::event;
use crate::session::journal::Event;
use crate::session::{Cause, RunOutcome};

use super::account::AUTH_RETRY;
use super::decide::MAX_REFUSALS;

/// What to do after a run without a signal.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Rule {
    /// It finished: ask for its signal, once per iteration.
    TakeSignal,
    /// It counts as a failure and is retried after a delay.
    Fail,
    /// It does not count as a failure; retry at once, or at the worker's next start.
    Resume,
    /// Start a fresh conversation with a handoff; too many in a row block the session.
    HandOver,
    /// It does not count as a failure; wait until the cause clears.
    Pause(Box<Event>),
}

/// The rule for an outcome. `attempt` is the number of the run within the iteration, `refusals` how
/// many runs before it were refused for a limit without a reset time. `worked` tells whether the
/// agent said or did anything: then the day's quota had been renewed.
///
/// | outcome | retry | conversation | counts as a failure |
/// |---|---|---|---|
/// | finished | asks for the signal, once per iteration | same | if there is still no signal |
/// | limit | within 30 s of the reset time, each session at a different moment | same | no |
/// | limit without a reset time, throttled | after 15 min; of a day: once it is renewed | same | separately: the third in a row blocks |
/// | transient, a limit of the machine | after a pause that doubles from 5 s to 10 min | same | no |
/// | auth | every 10 min, and within seconds of a new login | same | no |
/// | interrupted | at the next start | same | no |
/// | killed, timed out, stalled, max turns, failed, rejected, budget (of a run) | after the retry delay | same | yes |
/// | out of memory, not resumed, refused, would not start | after the retry delay | fresh | yes |
/// | context full, or asked for a handoff and left no signal | at once, with a handoff written by the worker | fresh | separately: the third in a row blocks |
pub(super) fn rule(
    outcome: &Outcome,
    worked: bool,
    attempt: u32,
    refusals: u32,
    now: Timestamp,
) -> Rule {
    let after = |seconds: i64| now.checked_add(SignedDuration::from_secs(seconds)).ok();
    match outcome {
        Outcome::Finished => Rule::TakeSignal,
        _ if is_endless(outcome, worked) && refusals + 1 >= MAX_REFUSALS => Rule::Resume,
        Outcome::Limit { resets_at, kind, what } => {
            Rule::Pause(Box::new(Event::Limited(event::Limited {
                until: resets_at.filter(|at| *at > now).or_else(|| after(15 * 60)).unwrap_or(now),
                what: Some(kind.clone()).filter(|kind| !kind.is_empty()),
                said: Some(what.clone()).filter(|what| !what.is_empty()),
            })))
        }
        Outcome::Transient { what } => Rule::Pause(Box::new(Event::Paused(event::Paused {
            cause: Cause::Network,
            detail: what.clone(),
            until: after((5_i64 << attempt.saturating_sub(1).min(8)).min(600)),
            quiet: attempt > 1,
        }))),
        Outcome::Exhausted { why } => Rule::Pause(Box::new(Event::Paused(event::Paused {
            cause: Cause::Machine,
            detail: why.clone(),
            until: after((5_i64 << attempt.saturating_sub(1).min(8)).min(600)),
            quiet: attempt > 1,
        }))),
        Outcome::Throttled { what } => Rule::Pause(Box::new(Event::Paused(event::Paused {
            cause: Cause::Network,
            detail: what.clone(),
            until: after(15 * 60),
            quiet: refusals > 0,
        }))),
        Outcome::Auth { what } => Rule::Pause(Box::new(Event::Paused(event::Paused {
            cause: Cause::Credentials,
            detail: what.clone(),
            until: now.checked_add(AUTH_RETRY).ok(),
            quiet: false,
        }))),
        Outcome::Interrupted => Rule::Resume,
        Outcome::ContextFull => Rule::HandOver,
        Outcome::Budget
        | Outcome::NotResumed { .. }
        | Outcome::Refused { .. }
        | Outcome::Rejected { .. }
        | Outcome::OutOfMemory
        | Outcome::Killed { .. }
        | Outcome::TimedOut
        | Outcome::Stalled
        | Outcome::MaxTurns
        | Outcome::WouldNotStart { .. }
        | Outcome::Failed { .. } => Rule::Fail,
    }
}

/// The longest time until a limit resets that is believed: monthly ones are the longest there are.
const LONGEST_LIMIT: SignedDuration = SignedDuration::from_hours(40 * 24);

/// The outcome with a reset time only if that is near enough to be one.
pub(super) fn believed(outcome: Outcome, now: Timestamp) -> Outcome {
    match outcome {
        Outcome::Limit { resets_at: Some(at), kind, what }
            if at.duration_since(now) > LONGEST_LIMIT =>
        {
            Outcome::Limit { resets_at: None, kind, what }
        }
        other => other,
    }
}

/// Whether a run was refused for a limit whose end was not reported. That of a day is expected at a
/// time, and did end if the agent could work.
pub(super) fn is_endless(outcome: &Outcome, worked: bool) -> bool {
    match outcome {
        Outcome::Throttled { .. } | Outcome::Limit { resets_at: None, .. } => true,
        Outcome::Limit { kind, .. } => kind == DAILY && !worked,
        _ => false,
    }
}

/// Whether the next run can resume the conversation. `resumed` tells whether this run did: one that
/// never started has begun none.
pub(super) const fn resumable(outcome: &Outcome, resumed: bool) -> bool {
    !matches!(
        outcome,
        Outcome::ContextFull
            | Outcome::NotResumed { .. }
            | Outcome::Refused { .. }
            | Outcome::OutOfMemory
            | Outcome::WouldNotStart { .. }
    ) && (resumed || !matches!(outcome, Outcome::Exhausted { .. }))
}

/// The outcome in one word, as used in the journal.
pub(super) const fn word(outcome: &Outcome) -> RunOutcome {
    match outcome {
        Outcome::Finished => RunOutcome::Finished,
        Outcome::Limit { .. } => RunOutcome::Limit,
        Outcome::Transient { .. } => RunOutcome::Transient,
        Outcome::Throttled { .. } => RunOutcome::Throttled,
        Outcome::Auth { .. } => RunOutcome::Auth,
        Outcome::ContextFull => RunOutcome::ContextFull,
        Outcome::NotResumed { .. } => RunOutcome::NotResumed,
        Outcome::Refused { .. } => RunOutcome::Refused,
        Outcome::Rejected { .. } => RunOutcome::Rejected,
        Outcome::OutOfMemory => RunOutcome::OutOfMemory,
        Outcome::Killed { .. } => RunOutcome::Killed,
        Outcome::TimedOut => RunOutcome::TimedOut,
        Outcome::Stalled => RunOutcome::Stalled,
        Outcome::Interrupted => RunOutcome::Interrupted,
        Outcome::MaxTurns => RunOutcome::MaxTurns,
        Outcome::Budget => RunOutcome::Budget,
        Outcome::Exhausted { .. } | Outcome::WouldNotStart { .. } => RunOutcome::WouldNotStart,
        Outcome::Failed { .. } => RunOutcome::Failed,
    }
}

/// Details of the outcome, for a person.
pub(super) fn detail(outcome: &Outcome) -> Option<String> {
    Some(match outcome {
        Outcome::Limit { what, .. }
        | Outcome::Throttled { what }
        | Outcome::Transient { what }
        | Outcome::Auth { what } => Some(what.clone()).filter(|what| !what.is_empty())?,
        Outcome::NotResumed { why }
        | Outcome::Refused { why }
        | Outcome::Rejected { why }
        | Outcome::Exhausted { why }
        | Outcome::WouldNotStart { why }
        | Outcome::Failed { why } => why.clone(),
        Outcome::Killed { signal } => format!("the agent was killed by signal {signal}"),
        Outcome::OutOfMemory => "it ran out of memory; raise SAMOCODE_MEMORY_MAX".to_owned(),
        Outcome::TimedOut => "it took longer than CLAUDE_TIMEOUT".to_owned(),
        Outcome::MaxTurns => "it used all its turns".to_owned(),
        Outcome::Budget => "it used up the budget of a run".to_owned(),
        Outcome::ContextFull => "the conversation no longer fits the model's context".to_owned(),
        Outcome::Finished | Outcome::Stalled | Outcome::Interrupted => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pause_s(attempt: u32) -> i64 {
        let outcome = Outcome::Transient { what: "overloaded".into() };
        match rule(&outcome, false, attempt, 0, Timestamp::UNIX_EPOCH) {
            Rule::Pause(event) => match *event {
                Event::Paused(event::Paused { until, .. }) => until.unwrap().as_second(),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_limit_of_the_machine_pauses_the_session_and_fails_nothing() {
        let outcome = Outcome::Exhausted { why: "the limit of processes is reached".into() };
        let Rule::Pause(event) = rule(&outcome, false, 1, 0, Timestamp::UNIX_EPOCH) else {
            panic!("it counts as a failure")
        };
        let Event::Paused(paused) = *event else { panic!("{event:?}") };
        assert_eq!((paused.cause, paused.until.unwrap().as_second()), (Cause::Machine, 5));
        assert!(paused.detail.contains("limit of processes"));
        assert!(resumable(&outcome, true) && !resumable(&outcome, false));
    }

    #[test]
    fn what_passes_is_waited_for_longer_each_time() {
        assert_eq!([1, 2, 3, 9, 99].map(pause_s), [5, 10, 20, 600, 600]);
    }

    #[test]
    fn a_limit_without_a_reset_time_in_the_future_is_looked_at_again() {
        let now = Timestamp::from_second(1000).unwrap();
        for resets_at in [None, Some(Timestamp::UNIX_EPOCH)] {
            let outcome = Outcome::Limit { resets_at, kind: String::new(), what: String::new() };
            let until = Timestamp::from_second(1000 + 900).unwrap();
            let event = Event::Limited(event::Limited { until, what: None, said: None });
            assert_eq!(rule(&outcome, false, 1, 0, now), Rule::Pause(Box::new(event)));
        }
    }

    #[test]
    fn a_reset_time_in_the_far_future_is_none() {
        let now = Timestamp::from_second(1000).unwrap();
        let limit = |resets_at| Outcome::Limit { resets_at, kind: String::new(), what: "w".into() };
        let days = |days: i64| Some(now + SignedDuration::from_hours(24 * days));
        for (reported, outcome) in
            [(days(7), limit(days(7))), (days(31), limit(days(31))), (days(400), limit(None))]
        {
            assert_eq!(believed(limit(reported), now), outcome);
        }
        assert_eq!(believed(Outcome::Finished, now), Outcome::Finished);
    }

    #[test]
    fn a_limit_without_an_end_is_waited_out_twice_and_then_left_to_a_human() {
        let now = Timestamp::from_second(1000).unwrap();
        let what = || "429 · Extra usage is required".to_owned();
        for outcome in [
            Outcome::Throttled { what: what() },
            Outcome::Limit { resets_at: None, kind: String::new(), what: what() },
        ] {
            for refusals in 0..2 {
                assert!(
                    matches!(rule(&outcome, false, 1, refusals, now), Rule::Pause(_)),
                    "{outcome:?}"
                );
            }
            assert_eq!(rule(&outcome, false, 9, 2, now), Rule::Resume, "{outcome:?}");
            assert_eq!(detail(&outcome), Some(what()));
        }
        let known = Outcome::Limit { resets_at: Some(now), kind: String::new(), what: what() };
        assert!(matches!(rule(&known, false, 9, 9, now), Rule::Pause(_)));
    }

    #[test]
    fn a_quota_of_a_day_is_waited_for_each_day_as_long_as_there_was_work_in_between() {
        let now = Timestamp::from_second(1000).unwrap();
        let at = now + SignedDuration::from_hours(9);
        let daily =
            Outcome::Limit { resets_at: Some(at), kind: DAILY.to_owned(), what: "w".to_owned() };
        let until = |worked, refusals| match rule(&daily, worked, 1, refusals, now) {
            Rule::Pause(event) => match *event {
                Event::Limited(limited) => Some(limited.until),
                other => panic!("{other:?}"),
            },
            other => {
                assert_eq!(other, Rule::Resume);
                None
            }
        };
        assert_eq!([until(false, 0), until(false, 1), until(false, 2)], [Some(at), Some(at), None]);
        assert_eq!(until(true, 2), Some(at));
        assert!(is_endless(&daily, false) && !is_endless(&daily, true));
    }

    #[test]
    fn only_what_concerns_the_conversation_starts_a_fresh_one() {
        let why = || "why".to_owned();
        for (outcome, resumes) in [
            (Outcome::Refused { why: why() }, false),
            (Outcome::NotResumed { why: why() }, false),
            (Outcome::Rejected { why: why() }, true),
            (Outcome::Failed { why: why() }, true),
            (Outcome::Throttled { what: why() }, true),
        ] {
            assert_eq!(resumable(&outcome, false), resumes, "{outcome:?}");
            assert_eq!(detail(&outcome).as_deref(), Some("why"));
        }
    }
}
