//! A reviewer that cannot review: its program is missing, its account has reached a limit, its login
//! is refused, or its runs fail. If others can review, the round does without it, and the human
//! learns why. If nobody can, the session waits or blocks as it would for any other run.

use jiff::Timestamp;

use crate::agent::Outcome;
use crate::session::Needs;
use crate::session::event;
use crate::session::journal::Event;

use super::super::rules::Rule;
use super::super::{Trouble, Worker};
use super::{assignment, head, names, turn};

const LIMITED: &str = "its usage limit is reached";

/// Why no run can start, and until when, if waiting helps.
fn cause(obstacle: &Event) -> Option<(String, Option<Timestamp>)> {
    match obstacle {
        Event::Limited(limited) => {
            let said = limited.said.clone().or_else(|| limited.what.clone());
            Some((said.unwrap_or_else(|| LIMITED.to_owned()), Some(limited.until)))
        }
        Event::Paused(paused) => Some((paused.detail.clone(), paused.until)),
        _ => None,
    }
}

/// Whether a pause after this outcome concerns the reviewer, and not the machine or the moment.
/// What passes soon is retried `patience` times.
fn concerns_reviewer(outcome: &Outcome, attempt: u32, patience: u32) -> bool {
    match outcome {
        Outcome::Transient { .. } => attempt > patience,
        Outcome::Exhausted { .. } => false,
        _ => true,
    }
}

/// The same obstacle, until `sooner` if that comes first.
fn no_later(mut obstacle: Event, sooner: Option<Timestamp>) -> Event {
    let Some(sooner) = sooner else { return obstacle };
    match &mut obstacle {
        Event::Limited(limited) => limited.until = limited.until.min(sooner),
        Event::Paused(paused) => paused.until = paused.until.map(|until| until.min(sooner)),
        _ => {}
    }
    obstacle
}

impl Worker<'_> {
    /// Records and says that the reviewer whose turn it is cannot review, if the round can do without
    /// it. Returns whether that is so.
    pub(in crate::worker) fn does_without(
        &mut self,
        why: &str,
        until: Option<Timestamp>,
    ) -> Result<bool, Trouble> {
        let Some(missed) = self.missed(why, until) else { return Ok(false) };
        let event = Event::ReviewMissed(missed);
        self.writer.record(event.clone())?;
        self.tell_of_missing(&[event]);
        Ok(true)
    }

    /// What to record instead of an obstacle to the next run: if a reviewer was to run and others can
    /// review, that it cannot; otherwise the obstacle, which ends when another one is back.
    pub(in crate::worker) fn around_reviewer(&self, obstacle: Event) -> Event {
        let Some((why, until)) = cause(&obstacle) else { return obstacle };
        match self.missed(&why, until) {
            Some(missed) => Event::ReviewMissed(missed),
            None => no_later(obstacle, self.first_back()),
        }
    }

    /// The rule after a reviewer's run, if the round can do without it.
    pub(in crate::worker) fn rule_of_round(
        &self,
        rule: Rule,
        outcome: &Outcome,
        attempt: u32,
    ) -> Rule {
        let patience = self.setup.settings.max_retries;
        match rule {
            Rule::Pause(pause) if concerns_reviewer(outcome, attempt, patience) => {
                Rule::Pause(Box::new(self.around_reviewer(*pause)))
            }
            other => other,
        }
    }

    /// Blocks the session because its runs fail, or does without the reviewer whose runs they are.
    pub(in crate::worker) fn give_up_on(
        &mut self,
        reason: String,
        needs: Needs,
    ) -> Result<(), Trouble> {
        let state = self.writer.state();
        let reviews = state.iteration.is_some() && state.visit.reviews.under_way().is_some();
        if reviews && self.does_without(&reason, None)? {
            Ok(())
        } else {
            self.block(reason, needs)
        }
    }

    /// Tells the human about reviewers that could not review.
    pub(in crate::worker) fn tell_of_missing(&self, recorded: &[Event]) {
        for event in recorded {
            if let Event::ReviewMissed(missed) = event {
                self.tell_of_reviewer(&missed.missing().headline());
            }
        }
    }

    /// What to record of the reviewer whose turn it is, if the round can do without it.
    pub(super) fn missed(
        &self,
        why: &str,
        until: Option<Timestamp>,
    ) -> Option<event::ReviewMissed> {
        let settings = &self.setup.settings;
        let (state, _) = turn(self.writer.state(), settings);
        let on = assignment(&state, settings, || head(state.working_dir()))?;
        let reviews = &state.visit.reviews;
        let can = reviews.can_do_without(&on.reviewer, &names(settings), Timestamp::now());
        let why = self.redactor.redact(why).into_owned();
        can.then_some(event::ReviewMissed { on, why, until })
    }

    /// When another reviewer may be able to review, if one was to run and cannot.
    fn first_back(&self) -> Option<Timestamp> {
        let state = self.writer.state();
        super::reviewer(state, &self.setup.settings)?;
        state.visit.reviews.first_back()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Cause;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn limited(until: i64, said: Option<&str>) -> Event {
        let said = said.map(str::to_owned);
        Event::Limited(event::Limited { until: at(until), what: None, said })
    }

    fn paused(until: Option<i64>) -> Event {
        let (detail, until) = ("log in".to_owned(), until.map(at));
        Event::Paused(event::Paused { cause: Cause::Credentials, detail, until, quiet: false })
    }

    #[test]
    fn an_obstacle_has_a_cause_and_ends_when_another_reviewer_is_back() {
        assert_eq!(cause(&limited(5, Some("hit"))), Some(("hit".to_owned(), Some(at(5)))));
        assert_eq!(cause(&limited(5, None)).unwrap().0, LIMITED);
        assert_eq!(cause(&paused(None)), Some(("log in".to_owned(), None)));
        assert_eq!(cause(&Event::Continued(event::Continued {})), None);
        assert_eq!(no_later(limited(5, None), Some(at(3))), limited(3, None));
        assert_eq!(no_later(limited(5, None), Some(at(9))), limited(5, None));
        assert_eq!(no_later(limited(5, None), None), limited(5, None));
        assert_eq!(no_later(paused(Some(5)), Some(at(3))), paused(Some(3)));
        assert_eq!(no_later(paused(None), Some(at(3))), paused(None));
    }

    #[test]
    fn what_passes_soon_is_retried_before_a_reviewer_is_missing() {
        let what = || "w".to_owned();
        let passes = Outcome::Transient { what: what() };
        assert!(!concerns_reviewer(&passes, 3, 3) && concerns_reviewer(&passes, 4, 3));
        assert!(!concerns_reviewer(&Outcome::Exhausted { why: what() }, 9, 3));
        assert!(concerns_reviewer(&Outcome::Auth { what: what() }, 1, 3));
    }
}
