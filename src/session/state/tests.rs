use super::*;
use crate::session::advance::Gate;
use crate::session::event;
use crate::session::history::HistoryLine;
use crate::session::journal::{End, Event, RunCost};
use crate::session::mail::Kind;
use crate::session::signal::Status;
use jiff::SignedDuration;
use proptest::prelude::*;

mod gates;
mod starts;

struct Story {
    state: State,
    now: Timestamp,
}

impl Story {
    fn new() -> Self {
        let mut story = Self { state: State::default(), now: Timestamp::UNIX_EPOCH };
        story.apply(Event::Created(event::Created {
            name: "x".into(),
            task: "t".into(),
            dive: None,
            parent: None,
        }));
        story.apply(Event::Prepared(event::Prepared {
            working_dir: "/w".into(),
            branch: None,
            base: None,
            notes: Vec::new(),
            copied: Vec::new(),
        }));
        story
    }

    fn apply(&mut self, event: Event) -> &mut Self {
        self.now += SignedDuration::from_secs(1);
        let entry = Entry { seq: self.state.seq + 1, at: self.now, event };
        self.state.apply(&entry);
        self
    }

    fn iteration(&self) -> &Iteration {
        self.state.iteration.as_ref().unwrap()
    }

    fn run(&mut self) -> &mut Self {
        let state = &self.state;
        let (iteration, total, attempt) = match &state.iteration {
            Some(known) => (state.visit.iterations, state.total, known.attempt + 1),
            None => (state.visit.iterations + 1, state.total + 1, 1),
        };
        let phase = state.phase();
        self.apply(Event::RunStarted(event::RunStarted {
            run: format!("r{total}-{attempt}"),
            agent: "a".into(),
            command: None,
            conversation: "c".into(),
            resume: false,
            phase,
            iteration,
            total,
            attempt,
            log: "l".into(),
            confined: None,
            review: None,
        }))
    }

    fn end(&mut self, outcome: &str, failure: bool, usd: f64) -> &mut Self {
        self.apply(Event::RunEnded(event::RunEnded {
            run: "r".into(),
            outcome: outcome.into(),
            detail: None,
            failure,
            endless: false,
            resumable: true,
            context_window: None,
            cost: RunCost { usd: Some(usd), ..RunCost::default() },
        }))
    }

    fn signal(&mut self, status: Status, step: Step) -> &mut Self {
        let (phase, iteration) = (self.state.phase(), self.state.total);
        let line = HistoryLine { iteration: Some(iteration), ..HistoryLine::default() };
        self.apply(Event::SignalTaken(event::SignalTaken {
            run: "r".into(),
            line,
            phase,
            status,
            fingerprint: None,
            state: None,
            asked: None,
            step,
            reviewed: None,
        }))
    }

    fn mail(&mut self, id: &str, mail: Kind) -> &mut Self {
        self.mail_of(id, mail, false)
    }

    fn mail_of(&mut self, id: &str, mail: Kind, early: bool) -> &mut Self {
        let from = "human".into();
        let (by, unvouched, unsigned) = (None, false, false);
        let id = id.into();
        self.apply(Event::Mail(event::Mail { id, from, mail, early, by, unvouched, unsigned }))
    }

    fn at_gate() -> Self {
        let mut story = Self::new();
        story.run().end("finished", false, 0.1);
        story.signal(Status::Continue, Step::Enter { phase: Phase::Requirements });
        story.run().end("finished", false, 0.1);
        story.signal(Status::Waiting, Step::Wait { waits_for: "qa_answers".into() });
        story
    }
}

#[test]
fn refusals_for_a_limit_without_an_end_are_counted_in_a_row() {
    let mut story = Story::new();
    let mut refused = |outcome: &str, endless| {
        story.run().apply(Event::RunEnded(event::RunEnded {
            run: "r".into(),
            outcome: outcome.into(),
            detail: Some(format!("{outcome} in words")),
            failure: false,
            endless,
            resumable: true,
            context_window: None,
            cost: RunCost::default(),
        }));
        let iteration = story.iteration();
        (iteration.refusals.count, iteration.refusals.last.clone(), iteration.rejected)
    };
    let words = |word: &str| Some(format!("{word} in words"));
    assert_eq!(refused("throttled", true), (1, words("throttled"), false));
    assert_eq!(refused("limit", true), (2, words("limit"), false));
    // A restart of the machine in between says nothing about the limit.
    assert_eq!(refused("interrupted", false), (2, words("limit"), false));
    assert_eq!(refused("rejected", false), (0, None, true));
    assert_eq!(refused("limit", false), (0, None, false));
}

#[test]
fn preparing_leaves_init_without_a_run() {
    let story = Story::new();
    assert_eq!(story.state.phase(), Phase::Investigation);
    assert_eq!((story.state.name(), story.state.total), (StateName::Running, 0));
}

#[test]
fn a_phase_set_by_hand_starts_with_fresh_counters() {
    let mut story = Story::new();
    for fingerprint in [None, Some("f"), Some("f"), Some("f"), Some("f")] {
        story.run().end("finished", false, 0.0);
        story.state.visit.signalled(fingerprint.map(str::to_owned).as_ref());
    }
    story.apply(Event::Blocked(event::Blocked { reason: "r".into(), needs: "n".into() }));
    assert_eq!(story.state.visit.unchanged, 3);
    story.apply(Event::PhaseSet(event::PhaseSet { phase: Phase::Implementation }));
    assert_eq!(story.state.visit, Visit::to(Phase::Implementation));
    assert_eq!((story.state.name(), story.state.iteration), (StateName::Running, None));
}

#[test]
fn what_only_a_human_ends_stays_when_the_worker_gives_up() {
    let gave_up = || Event::WorkerEnded(event::WorkerEnded { end: End::GaveUp });
    let mut done = Story::new();
    done.run().end("finished", false, 0.0).signal(Status::Done, Step::Finish);
    let mut blocked = Story::new();
    blocked.apply(Event::Blocked(event::Blocked { reason: "r".into(), needs: "n".into() }));
    let mut running = Story::new();
    for (story, word) in [
        (&mut done, StateName::Done),
        (&mut blocked, StateName::Blocked),
        (&mut Story::at_gate(), StateName::Waiting),
        (&mut running, StateName::Failed),
    ] {
        story.apply(gave_up());
        assert_eq!(story.state.name(), word);
    }
    assert_eq!(running.apply(Event::Started(event::Started {})).state.name(), StateName::Running);
}

#[test]
fn a_finished_session_stays_finished_whatever_is_recorded_but_a_new_task() {
    let mut story = Story::new();
    story.run().end("finished", false, 0.0).signal(Status::Done, Step::Finish);
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Stop) {
        story.mail(kind.as_str(), kind);
    }
    story.apply(Event::Answered(event::Answered {}));
    story.apply(Event::Retried(event::Retried { by: "start".into() }));
    story.apply(Event::Continued(event::Continued {}));
    story.apply(Event::Started(event::Started {}));
    assert_eq!(story.state.name(), StateName::Done);
}

#[test]
fn costs_have_an_end() {
    let mut story = Story::new();
    for _ in 0..2 {
        story.run().end("finished", false, f64::MAX);
    }
    assert!(story.state.costs.usd.is_finite());
}

#[test]
fn a_stop_is_remembered_whatever_mail_comes() {
    let mut story = Story::at_gate();
    story.mail("m1", Kind::Stop).mail("m2", Kind::Approve);
    assert_eq!(story.state.name(), StateName::Stopped);
    story.apply(Event::Started(event::Started {}));
    assert_eq!((story.state.name(), story.state.visit.gate), (StateName::Running, Gate::Open));
}

#[test]
fn a_message_found_twice_counts_once() {
    let mut story = Story::at_gate();
    story.mail("m1", Kind::Text).mail("m1", Kind::Text);
    assert_eq!(story.state.unseen, ["m1"]);
}

#[test]
fn mail_is_shown_until_a_signal_shows_that_it_was_read() {
    let mut story = Story::at_gate();
    story.mail("m1", Kind::Text).run().end("killed", true, 0.0);
    assert_eq!(story.state.unseen, ["m1"]);
    story.run().end("finished", false, 0.0).signal(Status::Continue, Step::Stay);
    assert!(story.state.unseen.is_empty());
}

#[test]
fn a_blocked_session_tries_again_with_fresh_retries() {
    let mut story = Story::new();
    story.run().end("failed", true, 0.0).run().end("failed", true, 0.0);
    let iteration = story.iteration();
    assert_eq!((iteration.failures.count, iteration.attempt), (2, 2));
    story.apply(Event::Blocked(event::Blocked { reason: "r".into(), needs: "n".into() }));
    assert_eq!(story.state.name(), StateName::Blocked);
    story.mail("m1", Kind::Text);
    assert_eq!((story.state.name(), story.state.iteration), (StateName::Running, None));
}

#[test]
fn handoffs_made_in_an_agents_place_count_until_a_signal_is_taken_or_a_human_was_asked() {
    let made = || Event::HandoffMade(event::HandoffMade { run: "r".into(), state: Value::Null });
    let mut story = Story::new();
    story.run().end("context_full", false, 0.0).apply(made());
    story.run().end("context_full", false, 0.0).apply(made());
    assert_eq!((story.iteration().handoffs, story.state.conversation()), (2, None));
    story.run().end("finished", false, 0.0).signal(Status::Continue, Step::Stay);
    assert_eq!(story.state.iteration, None);
    story.run().end("context_full", false, 0.0).apply(made());
    story.apply(Event::Blocked(event::Blocked { reason: "r".into(), needs: "n".into() }));
    assert_eq!(story.state.iteration, None);
}

#[test]
fn an_agent_is_known_to_have_been_asked_until_its_iteration_ends() {
    let asked =
        || Event::SignalAsked(event::SignalAsked { run: "r".into(), problem: "none".into() });
    let mut story = Story::new();
    story.run().end("finished", false, 0.0).apply(asked());
    assert_eq!(story.iteration().asked.as_deref(), Some("none"));
    story.run().end("finished", true, 0.0);
    assert_eq!((story.iteration().asked.as_ref(), story.iteration().was_asked), (None, true));
    story.run().end("finished", false, 0.0).signal(Status::Continue, Step::Stay);
    assert_eq!(story.state.iteration, None);
}

#[test]
fn costs_add_up_over_runs_and_a_lost_run_is_resumable() {
    let mut story = Story::new();
    story.run().end("killed", true, 0.25).run().end("finished", false, 0.5);
    assert!((story.state.costs.usd - 0.75).abs() < 1e-9);
    story.run().apply(Event::RunLost(event::RunLost { run: "r".into(), tokens: Usage::default() }));
    assert!(story.iteration().cut_off && story.state.conversation().unwrap().resumable);
    assert_eq!(story.iteration().run, RunState::Over);
}

#[test]
fn a_new_task_brings_a_finished_session_back_to_investigation() {
    let mut story = Story::new();
    story.run().end("finished", false, 0.0).signal(Status::Done, Step::Finish);
    assert_eq!(story.state.name(), StateName::Done);
    story.apply(Event::Resumed(event::Resumed { task: "more".into() }));
    assert_eq!(
        (story.state.name(), story.state.phase()),
        (StateName::Running, Phase::Investigation)
    );
    assert_eq!((story.state.task.as_str(), story.state.visit.iterations), ("more", 0));
}

fn worker(story: &mut Story, boot: &str) {
    story.apply(Event::WorkerStarted(event::WorkerStarted {
        pid: 1,
        boot: boot.into(),
        uptime_ms: None,
        version: "v".into(),
    }));
}

#[test]
fn an_agent_is_warned_once_of_a_reboot() {
    let mut story = Story::new();
    worker(&mut story, "a");
    assert!(!story.state.machine.restart_is_news());
    worker(&mut story, "a");
    assert!(!story.state.machine.restart_is_news());
    worker(&mut story, "b");
    story.run();
    worker(&mut story, "b");
    story.apply(Event::RunLost(event::RunLost { run: "r".into(), tokens: Usage::default() }));
    assert!(story.state.machine.restart_is_news(), "the run that was warned may not have seen it");
    story.run().end("finished", false, 0.0);
    assert!(!story.state.machine.restart_is_news());
}

#[test]
fn quick_deaths_are_counted_and_delayed_and_a_stable_iteration_forgives_them() {
    let mut story = Story::new();
    let mut delays = Vec::new();
    for _ in 0..11 {
        worker(&mut story, "b");
        delays.push(story.state.deaths.delay().as_millis());
    }
    assert_eq!(delays, [0, 0, 0, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]);
    assert!(story.state.deaths.count >= CRASH_LOOP);
    story.run().end("finished", false, 0.0).signal(Status::Continue, Step::Stay);
    assert_eq!(story.state.deaths.count, 0);
}

#[test]
fn a_reboot_an_end_in_order_and_a_long_life_are_no_quick_deaths() {
    let mut story = Story::new();
    worker(&mut story, "b");
    worker(&mut story, "another");
    assert_eq!(story.state.deaths.count, 0);
    story.apply(Event::WorkerEnded(event::WorkerEnded { end: End::Interrupted }));
    worker(&mut story, "another");
    assert_eq!(story.state.deaths.count, 0);
    story.now += SignedDuration::from_mins(5);
    worker(&mut story, "another");
    assert_eq!(story.state.deaths.count, 0);
}

/// Workers that die after the given number of seconds, with the clock off by the given amount.
fn deaths(lives: &[(u64, i64)]) -> Deaths {
    let mut state = State::default();
    let mut uptime_s = 1_000;
    for (seq, (lived, off)) in (1..).zip(lives) {
        uptime_s += lived;
        let at = Timestamp::from_second(1_800_000_000 + uptime_s.cast_signed() + off).unwrap();
        let event = Event::WorkerStarted(event::WorkerStarted {
            pid: 1,
            boot: "b".into(),
            uptime_ms: Some(uptime_s * 1000),
            version: "v".into(),
        });
        state.apply(&Entry { seq, at, event });
    }
    state.deaths
}

proptest! {
    #[test]
    fn a_clock_that_jumps_neither_makes_quick_deaths_nor_hides_them(
        lives in proptest::collection::vec((0u64..300, -1_000_000_000i64..1_000_000_000), 0..20),
    ) {
        let right: Vec<_> = lives.iter().map(|(lived, _)| (*lived, 0)).collect();
        prop_assert_eq!(deaths(&lives).count, deaths(&right).count);
    }

    #[test]
    fn counters_never_skip_or_go_back(kinds in proptest::collection::vec(0u8..9, 0..60)) {
        let mut story = Story::new();
        for kind in kinds {
            let before = story.state.total;
            match kind {
                0 => story.run(),
                1 => story.end("finished", false, 0.1),
                2 => story.end("failed", true, 0.1),
                3 => story.signal(Status::Continue, Step::Stay),
                4 => story.signal(Status::Waiting, Step::Wait { waits_for: "w".into() }),
                5 => story.mail("m", Kind::Answer),
                6 => story.apply(Event::Stopped(event::Stopped {})),
                7 => story.apply(Event::Started(event::Started {})),
                _ => story.apply(Event::Blocked(event::Blocked { reason: "r".into(), needs: "n".into() })),
            };
            prop_assert!(story.state.total == before || (kind == 0 && story.state.total == before + 1));
            prop_assert!(story.state.total >= story.state.visit.iterations);
        }
    }
}
