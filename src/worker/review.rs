//! The quality phase with reviewers: whose turn it is, and when the phase may be left.

use std::borrow::Cow;
use std::path::Path;

use crate::config::{AgentName, Settings};
use crate::git;
use crate::session::journal::{Event, Step};
use crate::session::review::{Assignment, Review, Verdict};
use crate::session::signal::{Signal, SignalError};
use crate::session::state::State;
use crate::session::{Needs, Phase, event};

use super::decide::{Numbers, next_run};
use super::{Trouble, Worker};

mod missing;

/// What a run left in the place of its signal.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Left {
    /// The signal of the phase's agent.
    Signal(Signal),
    /// A reviewer's word.
    Review(Review),
}

/// The agent of the coming run, or of the one under way: a reviewer's, or the phase's.
pub(crate) fn agent<'a>(state: &State, settings: &'a Settings) -> &'a AgentName {
    let reviewer = reviewer(state, settings);
    reviewer.unwrap_or_else(|| settings.agent(state.phase()))
}

/// The reviewer whose turn it is; `None` if it is the turn of the phase's agent.
fn reviewer<'a>(state: &State, settings: &'a Settings) -> Option<&'a AgentName> {
    if state.phase() != Phase::Quality {
        return None;
    }
    let reviewers = &settings.reviewers;
    let named = |wanted: &str| reviewers.iter().find(|name| name.to_string() == *wanted);
    let reviews = &state.visit.reviews;
    match (&state.iteration, reviews.under_way()) {
        (Some(_), None) => None,
        (Some(_), Some(review)) if named(&review.reviewer).is_some() => named(&review.reviewer),
        // Nobody is in the middle of something, or a reviewer who is no longer asked.
        _ => named(reviews.next(&names(settings))?),
    }
}

fn names(settings: &Settings) -> Vec<String> {
    settings.reviewers.iter().map(ToString::to_string).collect()
}

/// The state without an iteration that belongs to another agent than the one whose turn it is, and the
/// numbers of the next run. A review is part of no iteration of the phase.
pub(crate) fn turn<'s>(state: &'s State, settings: &Settings) -> (Cow<'s, State>, Numbers) {
    let reviewer = reviewer(state, settings).map(ToString::to_string);
    let under_way = state.visit.reviews.under_way().map(|review| &review.reviewer);
    let state = if state.iteration.is_some() && under_way != reviewer.as_ref() {
        Cow::Owned(State { iteration: None, ..state.clone() })
    } else {
        Cow::Borrowed(state)
    };
    let mut numbers = next_run(&state);
    if reviewer.is_some() {
        numbers.iteration = state.visit.iterations;
    }
    (state, numbers)
}

/// What the next run reviews, if it is a review; `head` finds the commit.
pub(crate) fn assignment(
    state: &State,
    settings: &Settings,
    head: impl FnOnce() -> Option<String>,
) -> Option<Assignment> {
    let reviewer = reviewer(state, settings)?.to_string();
    let reviews = &state.visit.reviews;
    let again = reviews.under_way().filter(|review| review.reviewer == reviewer);
    match again.filter(|_| state.iteration.is_some()) {
        Some(again) => Some(again.clone()),
        None => Some(reviews.assign(&reviewer, head())),
    }
}

/// The commit that is checked out in a folder.
pub(crate) fn head(working_dir: Option<&str>) -> Option<String> {
    git::head(Path::new(working_dir?)).ok().and_then(|head| head.commit)
}

/// A commit as it is recorded when it is reviewed.
fn at(head: Option<String>) -> String {
    head.unwrap_or_default()
}

/// What is recorded as reviewed if this step leaves the quality phase.
pub(super) fn reviewed(
    step: &Step,
    state: &State,
    settings: &Settings,
    head: impl FnOnce() -> Option<String>,
) -> Option<String> {
    let leaves = state.phase() == Phase::Quality && matches!(step, Step::Enter { .. });
    (leaves && !settings.reviewers.is_empty()).then(|| at(head()))
}

/// The step after a signal of the phase's agent: the quality phase is left only when all reviewers
/// approve what is at `head`, and what was changed after that goes back there.
pub(super) fn unless_unreviewed(
    step: Step,
    state: &State,
    settings: &Settings,
    head: impl FnOnce() -> Option<String>,
    signal: &Signal,
) -> Step {
    let (reviews, names) = (&state.visit.reviews, names(settings));
    let Step::Enter { phase: to } = step else { return step };
    if names.is_empty() {
        return step;
    }
    // What was changed since the reviewers agreed, or was never reviewed, is not done.
    if state.phase() == Phase::Testing && to == Phase::Done {
        let is_reviewed = state.reviewed.as_ref().is_some_and(|known| *known == at(head()));
        return if is_reviewed { step } else { Step::Enter { phase: Phase::Quality } };
    }
    if state.phase() != Phase::Quality || reviews.agree(&names, head().as_deref()) {
        return step;
    }
    if reviews.round() < settings.review_rounds {
        return Step::Review;
    }
    let says = signal.summary.as_deref().or(signal.reason.as_deref());
    Step::Dispute { reason: reviews.dispute(says) }
}

impl Worker<'_> {
    /// The agent of the coming run, or of the one under way.
    pub(super) fn agent_name(&self) -> &AgentName {
        agent(self.writer.state(), &self.setup.settings)
    }

    /// How a person finds the agent of the coming run in the settings, if it is a reviewer.
    pub(super) fn as_reviewer(&self) -> String {
        let reviewer = reviewer(self.writer.state(), &self.setup.settings);
        reviewer.map_or_else(String::new, |name| format!("cannot review with {name}: "))
    }

    /// Reads what the run `run` left, which is the last one that was started.
    pub(super) fn read_left(&self, run: &str) -> Result<Left, SignalError> {
        let folder = &self.writer.folder;
        match self.writer.state().visit.reviews.under_way() {
            Some(_) => folder.read_review(run).map(Left::Review),
            None => folder.read_signal(run).map(Left::Signal),
        }
    }

    /// Takes what a run left, together with its end if that is not journaled yet.
    pub(super) async fn take_left(
        &mut self,
        run: &str,
        ended: Option<Event>,
        left: Left,
    ) -> Result<(), Trouble> {
        match left {
            Left::Signal(signal) => self.take_signal(run, ended, signal).await,
            Left::Review(review) => self.take_review(run, ended, review).await,
        }
    }

    async fn take_review(
        &mut self,
        run: &str,
        ended: Option<Event>,
        review: Review,
    ) -> Result<(), Trouble> {
        let Some(on) = self.writer.state().visit.reviews.under_way().cloned() else {
            return Ok(());
        };
        let redact = |text: &str| self.redactor.redact(text).into_owned();
        let taken = match review {
            Review::Verdict(Verdict { approves, summary, findings }) => {
                let summary = summary.as_deref().map(redact);
                let findings = findings.iter().map(|text| redact(text)).collect();
                let verdict = Verdict { approves, summary, findings };
                Event::Reviewed(event::Reviewed { run: run.to_owned(), on, verdict })
            }
            Review::Impossible(why) => match self.missed(&why, None) {
                Some(missed) => Event::ReviewMissed(missed),
                None => Event::Blocked(event::Blocked {
                    reason: format!("{} cannot review: {}", on.reviewer, redact(&why)),
                    needs: Needs::HumanDecision,
                }),
            },
        };
        let is_blocked = matches!(taken, Event::Blocked(_));
        let moved = self.head_moved().await;
        let missed = [taken.clone()];
        self.writer.record_all(ended.into_iter().chain(moved).chain([taken]).collect())?;
        self.tell_of_missing(&missed);
        if is_blocked { Ok(self.writer.settle()?) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::REGISTRY;
    use crate::agent::registry::testing;
    use crate::session::signal::Status;
    use crate::session::state::Visit;

    fn settings(keys: &str) -> Settings {
        testing::settings(&REGISTRY, keys)
    }

    fn quality() -> State {
        State { visit: Visit { phase: Phase::Quality, ..Visit::default() }, ..State::default() }
    }

    fn word(state: &State, settings: &Settings) -> &'static str {
        agent(state, settings).word()
    }

    #[test]
    fn reviewers_come_before_the_phases_agent_and_only_in_their_phase() {
        let both = settings("SAMOCODE_REVIEWERS=codex, gemini\n");
        assert_eq!(word(&quality(), &both), "codex");
        assert_eq!(word(&quality(), &settings("")), "claude");
        let elsewhere = State::default();
        assert_eq!(word(&elsewhere, &both), "claude");
        let (state, numbers) = turn(&elsewhere, &both);
        assert_eq!((numbers.iteration, numbers.total), (1, 1));
        assert_eq!(assignment(&state, &both, || None), None);
    }

    #[test]
    fn a_review_has_a_number_of_its_own_in_the_session_and_none_in_the_phase() {
        let mut state = quality();
        (state.visit.iterations, state.total) = (2, 9);
        let codex = settings("SAMOCODE_REVIEWERS=codex\n");
        let (_, numbers) = turn(&state, &codex);
        assert_eq!(numbers, Numbers { iteration: 2, total: 10, attempt: 1 });
        let review = assignment(&state, &codex, || Some("c1".into())).unwrap();
        assert_eq!((review.round, review.commit.as_deref()), (1, Some("c1")));
    }

    #[test]
    fn the_phase_is_left_when_all_agree_and_otherwise_reviewed_again_and_then_disputed() {
        let leave = Signal {
            status: Status::Continue,
            phase: Some(Phase::Done),
            summary: Some("It is fine.".into()),
            reason: None,
            needs: None,
            waits_for: None,
            state: None,
        };
        let enter = || Step::Enter { phase: Phase::Done };
        let (none, two) =
            (settings(""), settings("SAMOCODE_REVIEWERS=codex\nSAMOCODE_REVIEW_ROUNDS=2\n"));
        let step = |step, state: &State, settings| {
            unless_unreviewed(step, state, settings, || Some("c1".into()), &leave)
        };
        let mut state = quality();
        assert_eq!(step(enter(), &state, &none), enter());
        assert_eq!(step(Step::Stay, &state, &two), Step::Stay);
        assert_eq!(step(enter(), &State::default(), &two), enter(), "another phase");
        assert_eq!(step(enter(), &state, &two), Step::Review);
        // Left and changed: it is reviewed again, and so is what never was.
        let mut testing = State {
            visit: Visit { phase: Phase::Testing, ..Visit::default() },
            ..State::default()
        };
        assert_eq!(step(enter(), &testing, &none), enter());
        for (reviewed, leads) in
            [(None, Phase::Quality), (Some("c0"), Phase::Quality), (Some("c1"), Phase::Done)]
        {
            testing.reviewed = reviewed.map(str::to_owned);
            assert_eq!(step(enter(), &testing, &two), Step::Enter { phase: leads }, "{reviewed:?}");
        }
        let leaves =
            |state: &State, settings| reviewed(&enter(), state, settings, || Some("c1".into()));
        assert_eq!(leaves(&state, &two).as_deref(), Some("c1"));
        assert_eq!((leaves(&state, &none), leaves(&testing, &two)), (None, None));
        state.visit.reviews.next_round(None);
        let Step::Dispute { reason } = step(enter(), &state, &two) else { panic!() };
        assert!(reason.contains("after 2 rounds") && reason.contains("It is fine"), "{reason}");
    }
}
