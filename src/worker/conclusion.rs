//! What follows from the end of a run, decided without effects: what is recorded, whether its signal is
//! taken, and when the next run starts.

use crate::agent::Outcome;
use crate::agent::cost::difference;
use crate::agent::outcome::ANOTHER;
use crate::agent::price::Prices;
use crate::agent::unknown::NOT_JSON;
use crate::config::Redactor;
use crate::notify::text::clip;
use crate::session::journal::{Event, RunCost};
use crate::session::signal::SignalError;
use crate::session::state::State;
use crate::session::{RunOutcome, event};

use super::iterate::Plan;
use super::missing_signal::{denials, explained};
use super::review::Left;
use super::rules::{self, Rule};
use super::under_way::Ended;

/// What follows from the end of a run.
#[derive(Debug)]
pub(super) struct Conclusion {
    /// The end itself, with outcome and cost.
    pub(super) run_ended: Event,
    /// What comes of it.
    pub(super) next: Next,
}

/// What comes of a run that has ended.
#[derive(Debug)]
pub(super) enum Next {
    /// It left a signal, which decides the next step, or a review.
    Take(Left),
    /// It left none. These events are recorded together with its end, since they must survive a
    /// worker that dies right after it.
    WithoutSignal {
        /// The events to record, in this order.
        events: Vec<Event>,
        /// Whether the next run waits for the retry delay.
        delays: bool,
    },
}

/// Decides what follows from the end of a run with this `rule`. Texts are redacted: an agent's last
/// output may quote secrets from its input.
pub(super) fn conclude(
    state: &State,
    plan: &Plan,
    ended: &Ended,
    signal: Result<Left, SignalError>,
    rule: Rule,
    redactor: &Redactor,
    prices: &Prices,
) -> Conclusion {
    // A run that the worker interrupted had no time for a handoff; it is asked again when resumed.
    let hands_over = rule == Rule::HandOver || (ended.handoff_asked && rule != Rule::Resume);
    // An agent gets one chance per iteration to supply a missing signal, if it can be asked.
    let was_asked = state.iteration.as_ref().is_some_and(|iteration| iteration.was_asked);
    let may_ask = !was_asked && plan.resumes;
    let fails = rule == Rule::Fail || (rule == Rule::TakeSignal && !may_ask);
    let has_signal = signal.is_ok();
    let detail = detail(ended, &rule, signal.as_ref().err());
    let run_ended = Event::RunEnded(event::RunEnded {
        run: plan.run.clone(),
        outcome: match rules::word(&ended.outcome) {
            RunOutcome::Finished if !has_signal && ended.reported.was_denied() => {
                RunOutcome::Denied
            }
            outcome => outcome,
        },
        detail: detail.map(|text| redactor.redact(&text).into_owned()),
        failure: !has_signal && !hands_over && fails,
        endless: !has_signal && rules::is_endless(&ended.outcome, ended.worked()),
        resumable: plan.resumes && rules::resumable(&ended.outcome, plan.resume),
        context_window: ended.reported.finished.as_ref().and_then(|end| end.context_window),
        cost: cost(state, plan, ended, prices),
    });
    let problem = match signal {
        Ok(left) => return Conclusion { run_ended, next: Next::Take(left) },
        Err(problem) => problem,
    };
    let run = || plan.run.clone();
    let mut events = Vec::new();
    if hands_over {
        let mut handoff = ended.seen.handoff();
        redactor.redact_value(&mut handoff);
        events.push(Event::HandoffMade(event::HandoffMade { run: run(), state: handoff }));
    }
    let mut delays = false;
    match rule {
        // The cause that ended this run would end the next one too.
        Rule::Pause(pause) => events.push(*pause),
        _ if hands_over => {}
        Rule::TakeSignal if may_ask => {
            let problem = redactor.redact(&problem.to_string()).into_owned();
            events.push(Event::SignalAsked(event::SignalAsked { run: run(), problem }));
        }
        Rule::TakeSignal | Rule::Fail => delays = true,
        Rule::Resume | Rule::HandOver => {}
    }
    Conclusion { run_ended, next: Next::WithoutSignal { events, delays } }
}

/// What there is to say about a run's end.
fn detail(ended: &Ended, rule: &Rule, no_signal: Option<&SignalError>) -> Option<String> {
    let detail = ended.why.clone().or_else(|| rules::detail(&ended.outcome));
    let by = ended.denied_by.as_deref();
    let detail = detail.map(|detail| match denials(&ended.reported, by) {
        Some(denials) if *rule == Rule::Fail => format!("{detail}; {denials}"),
        _ => detail,
    });
    let unexplained = || {
        let problem = no_signal.filter(|_| *rule == Rule::TakeSignal)?.to_string();
        Some(explained(&problem, &ended.reported, by, ended.seen.text()))
    };
    let detail = detail.or_else(unexplained).or_else(|| foreign(ended));
    let all: Vec<String> = detail.into_iter().chain(ended.log_error.clone()).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

/// What there is to say of a program that hung, and printed nothing that its agent's would.
fn foreign(ended: &Ended) -> Option<String> {
    let hung = matches!(ended.outcome, Outcome::Stalled | Outcome::TimedOut);
    let prints_other = ended.unknown.iter().any(|(name, _)| name == NOT_JSON);
    let is_foreign = hung && prints_other && !ended.reported.started;
    is_foreign.then(|| format!("it printed no event, but {NOT_JSON} ({ANOTHER})"))
}

/// The longest name of a model that is kept, in characters.
const LONGEST_MODEL: usize = 80;

fn cost(state: &State, plan: &Plan, ended: &Ended, prices: &Prices) -> RunCost {
    let finished = ended.reported.finished.as_ref();
    let cost = finished.and_then(|finished| finished.cost);
    let conversation = state.conversation();
    let before = conversation.and_then(|known| known.usd);
    let counted = finished.and_then(|finished| finished.conversation_usage);
    let conversation_tokens = counted.or(ended.records.conversation_usage);
    let tokens = conversation_tokens.map_or_else(
        || ended.reported.usage(),
        |total| total.since(conversation.and_then(|known| known.tokens).unwrap_or_default()),
    );
    let reported = cost.map(|cost| difference(before, cost));
    let model = Some(&ended.reported.model).filter(|model| !model.is_empty());
    let model = model.or(ended.records.model.as_ref());
    let estimate = || prices.estimate(model?, tokens);
    // An agent that reports the cost includes what a run before spent.
    let unread = reported.is_none() && finished.is_some_and(|finished| finished.cost_unread);
    let is_told = reported.is_some() || (plan.reports_cost && !unread);
    let estimated = (!is_told).then(estimate).flatten();
    RunCost {
        usd: reported.or(estimated),
        conversation_usd: cost.map(|cost| cost.total),
        estimated: estimated.is_some(),
        unread: unread && estimated.is_none(),
        model: model.map(|model| clip(model, LONGEST_MODEL)),
        tokens,
        conversation_tokens,
        cpu_ms: ended.counted.cpu.map(|cpu| u64::try_from(cpu.as_millis()).unwrap_or(u64::MAX)),
        peak_memory: ended.counted.peak_memory,
        leftovers: Some(ended.counted.leftovers).filter(|left| *left > 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::REGISTRY;
    use crate::agent::event::{Cost, Finished, Usage};
    use crate::agent::registry::testing::agent_of;
    use crate::session::journal::Entry;
    use crate::session::signal::{Signal, Status};
    use crate::session::{Cause, Phase};
    use crate::worker::decide::Numbers;
    use jiff::Timestamp;

    /// In an iteration whose agent was asked for its signal already, or not.
    fn state(was_asked: bool) -> State {
        let mut state = State::default();
        let started = Event::RunStarted(event::RunStarted {
            run: "r".into(),
            agent: "claude".into(),
            command: None,
            conversation: "c".into(),
            resume: false,
            phase: Phase::Implementation,
            iteration: 1,
            total: 1,
            attempt: 1,
            log: "l".into(),
            confined: None,
            review: None,
        });
        let asked = event::SignalAsked { run: "r".into(), problem: "missing".into() };
        let events = [Some(started), was_asked.then_some(Event::SignalAsked(asked))];
        for (seq, event) in (1..).zip(events.into_iter().flatten()) {
            state.apply(&Entry { seq, at: Timestamp::UNIX_EPOCH, event });
        }
        state
    }

    /// Of an agent that can resume conversations, or cannot.
    fn plan(resumes: bool) -> Plan {
        let numbers = Numbers { iteration: 1, total: 1, attempt: 1 };
        let name = if resumes { "claude" } else { "rehearsal" };
        let agent = agent_of(&REGISTRY, name, "CLAUDE_PATH=/bin/true").unwrap();
        Plan::new(&State::default(), numbers, &agent)
    }

    fn without_signal(state: &State, plan: &Plan, ended: &Ended, rule: Rule) -> Conclusion {
        conclude(
            state,
            plan,
            ended,
            Err(SignalError::Missing),
            rule,
            &Redactor::default(),
            &Prices::default(),
        )
    }

    /// The names of the events after the end, whether the next run is delayed, and whether it counts
    /// as a failure.
    fn summary(conclusion: &Conclusion) -> (Vec<&'static str>, bool, bool) {
        let Event::RunEnded(event::RunEnded { failure, .. }) = &conclusion.run_ended else {
            panic!("{conclusion:?}")
        };
        let Next::WithoutSignal { events, delays } = &conclusion.next else {
            panic!("{conclusion:?}")
        };
        (events.iter().map(Event::kind).collect(), *delays, *failure)
    }

    #[test]
    fn a_missing_signal_is_asked_for_once_and_then_counts_as_a_failure() {
        let ended = Ended::with(Outcome::Finished);
        for (was_asked, resumes, expected) in [
            (false, true, (vec!["signal_asked"], false, false)),
            (true, true, (vec![], true, true)),
            (false, false, (vec![], true, true)),
        ] {
            let end = without_signal(&state(was_asked), &plan(resumes), &ended, Rule::TakeSignal);
            assert_eq!(summary(&end), expected, "{was_asked} {resumes}");
            let Event::RunEnded(event::RunEnded { detail, .. }) = &end.run_ended else { panic!() };
            assert_eq!(detail.as_deref(), Some("_signal.json is missing"));
        }
    }

    #[test]
    fn a_run_that_was_denied_calls_and_left_no_signal_has_an_outcome_of_its_own() {
        let mut ended = Ended::with(Outcome::Finished);
        ended.reported.denied = (2, None);
        ended.denied_by = Some("remove x".to_owned());
        let end = without_signal(&state(false), &plan(true), &ended, Rule::TakeSignal);
        let Event::RunEnded(event::RunEnded { outcome, detail, .. }) = end.run_ended else {
            panic!()
        };
        assert_eq!(outcome, RunOutcome::Denied);
        assert_eq!(
            detail.as_deref(),
            Some("_signal.json is missing; 2 calls were denied; remove x")
        );
        let signal = Signal::parse(br#"{"status":"continue","summary":"s"}"#, "r").unwrap();
        let (state, plan, none) = (state(false), plan(true), Prices::default());
        let end = conclude(
            &state,
            &plan,
            &ended,
            Ok(Left::Signal(signal)),
            Rule::TakeSignal,
            &Redactor::default(),
            &none,
        );
        let Event::RunEnded(event::RunEnded { outcome, .. }) = end.run_ended else { panic!() };
        assert_eq!(outcome, RunOutcome::Finished, "it did not need them");
    }

    #[test]
    fn a_run_that_was_asked_for_a_handoff_gets_one_unless_the_worker_interrupted_it() {
        let mut ended = Ended::with(Outcome::Stalled);
        let conclude =
            |ended: &Ended, rule| summary(&without_signal(&state(false), &plan(true), ended, rule));
        assert_eq!(conclude(&ended, Rule::Fail), (vec![], true, true));
        assert_eq!(conclude(&ended, Rule::HandOver), (vec!["handoff_made"], false, false));
        ended.handoff_asked = true;
        assert_eq!(conclude(&ended, Rule::Fail), (vec!["handoff_made"], false, false));
        assert_eq!(conclude(&ended, Rule::Resume), (vec![], false, false));
    }

    #[test]
    fn a_program_that_hangs_and_prints_no_event_is_probably_another() {
        let mut ended = Ended::with(Outcome::Stalled);
        let detail = |ended: &Ended| {
            let end = without_signal(&state(false), &plan(true), ended, Rule::Fail);
            let Event::RunEnded(event::RunEnded { detail, .. }) = end.run_ended else { panic!() };
            detail
        };
        assert_eq!(detail(&ended), None);
        ended.unknown.note(NOT_JSON);
        let said = detail(&ended).unwrap();
        assert!(said.contains("no event") && said.contains("samocode doctor"), "{said}");
        ended.log_error = Some("the log is incomplete: disk full".to_owned());
        assert!(detail(&ended).unwrap().ends_with("; the log is incomplete: disk full"));
        ended.reported.started = true;
        ended.log_error = None;
        assert_eq!(detail(&ended), None, "it is the agent's");
    }

    #[test]
    fn a_pause_follows_a_handoff_and_a_failure_does_not() {
        let pause = Event::Paused(event::Paused {
            cause: Cause::Network,
            detail: "overloaded".into(),
            until: None,
            quiet: false,
        });
        let mut ended = Ended::with(Outcome::Transient { what: "overloaded".into() });
        ended.handoff_asked = true;
        let end = without_signal(&state(false), &plan(true), &ended, Rule::Pause(Box::new(pause)));
        assert_eq!(summary(&end), (vec!["handoff_made", "paused"], false, false));
    }

    #[test]
    fn a_cost_that_cannot_be_read_is_unknown_or_estimated_by_the_users_price() {
        let mut ended = Ended::with(Outcome::Finished);
        ended.reported.model = "m".to_owned();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("prices");
        std::fs::write(&file, "m 1000000 0 0").unwrap();
        let (own, none) = (Prices::load(Some(&file)).0, Prices::default());
        for (reported, unread, input, prices, usd, unknown) in [
            (Some(0.25), false, 2, &own, Some(0.25), false),
            (None, true, 0, &none, None, true),
            (None, true, 2, &none, None, true),
            (None, true, 2, &own, Some(2.0), false),
            // The next report includes it.
            (None, false, 2, &own, None, true),
            (None, false, 0, &own, None, false),
        ] {
            let cost = reported.map(|total| Cost { total, own: None });
            let usage = Usage { input, ..Usage::default() };
            let end = Finished { cost, cost_unread: unread, usage, ..Finished::default() };
            ended.reported.finished = Some(end);
            let found = super::cost(&state(false), &plan(true), &ended, prices);
            assert_eq!((found.usd, found.is_unknown()), (usd, unknown), "{unread} {input}");
        }
    }

    #[test]
    fn a_signal_counts_whatever_the_outcome() {
        let signal = Signal::parse(br#"{"status":"continue","summary":"s"}"#, "r").unwrap();
        let ended = Ended::with(Outcome::Killed { signal: 9 });
        let (state, redactor) = (state(false), Redactor::default());
        let end = conclude(
            &state,
            &plan(true),
            &ended,
            Ok(Left::Signal(signal)),
            Rule::Fail,
            &redactor,
            &Prices::default(),
        );
        let Next::Take(Left::Signal(signal)) = &end.next else { panic!("{end:?}") };
        assert_eq!(signal.status, Status::Continue);
        let Event::RunEnded(event::RunEnded { failure, .. }) = end.run_ended else { panic!() };
        assert!(!failure);
    }
}
