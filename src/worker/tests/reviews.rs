//! Reviews whose worker is killed at any write.

use std::sync::Arc;

use super::stage::{Ending, Fate, Faults, Script, Stage};
use crate::agent::vocabulary;
use crate::config::AgentName;
use crate::session::event;
use crate::session::journal::Event;
use crate::session::mail::Kind;
use crate::session::overview::Field;
use crate::session::state::{Standing, StateName};
use crate::session::{Phase, Status};

/// A session in the quality phase that two agents review.
fn quality(rounds: u32) -> Stage {
    let mut stage = Stage::new();
    let settings = &mut Arc::get_mut(&mut stage.setup).unwrap().settings;
    settings.reviewers =
        AgentName::parse_list("codex, gemini", "/".as_ref(), None, &vocabulary()).unwrap();
    settings.review_rounds = rounds;
    stage.journal([Event::PhaseSet(event::PhaseSet { phase: Phase::Quality })]);
    stage.edit_overview(|overview| overview.set(Field::Phase, "quality"));
    stage
}

/// Reviewers say this; the phase's agent names the next phase.
fn script(approves: bool) -> Script {
    let signal = Some((Status::Continue, Some(Phase::Done)));
    Script { acts: Vec::new(), signal, approves, outcome: Fate::Works }
}

/// The runs and verdicts of a session: `codex 1` for a run, `codex 1 approves` for a verdict.
fn told(stage: &Stage) -> Vec<String> {
    let of = |event: &Event| match event {
        Event::RunStarted(event::RunStarted { review: Some(on), .. }) => {
            Some(format!("{} {}", on.reviewer, on.round))
        }
        Event::ReviewMissed(missed) => Some(format!("{} is missing", missed.on.reviewer)),
        Event::RunStarted(event::RunStarted { phase, .. }) => Some(format!("author in {phase}")),
        Event::Reviewed(event::Reviewed { on, verdict, .. }) => {
            let says = if verdict.approves { "approves" } else { "objects" };
            Some(format!("{} {} {says}", on.reviewer, on.round))
        }
        _ => None,
    };
    stage.entries().iter().filter_map(|entry| of(&entry.event)).collect()
}

#[test]
fn a_worker_killed_at_any_write_asks_no_reviewer_again_who_has_answered() {
    let whole = [
        "codex 1",
        "codex 1 approves",
        "gemini 1",
        "gemini 1 approves",
        "author in quality",
        "author in done",
    ];
    let mut kills = 0;
    for at in 1.. {
        let mut stage = quality(3);
        let scripts = vec![script(true); 3];
        let dies = Faults { dies_at: Some(at), full_from: None };
        let first = stage.start(dies, &scripts);
        while stage.state().phase() != Phase::Done || stage.state().last_signal.is_none() {
            assert_eq!(stage.start(Faults::default(), &scripts), Ending::Exited);
        }
        let mut told = told(&stage);
        told.truncate(told.iter().position(|line| line == "author in done").unwrap_or(told.len()));
        // A run that died before its verdict was recorded is started again.
        told.dedup();
        assert_eq!(told, whole[..whole.len() - 1], "killed at write {at}");
        if first != Ending::Killed {
            break;
        }
        kills += 1;
    }
    assert!(kills > 20, "{kills}");
}

#[test]
fn reviewers_who_never_approve_leave_it_to_a_human_with_both_views() {
    let mut stage = quality(2);
    stage.start(Faults::default(), &vec![script(false); 9]);
    let round = |n: u32| {
        [
            format!("codex {n}"),
            format!("codex {n} objects"),
            format!("gemini {n}"),
            format!("gemini {n} objects"),
            "author in quality".to_owned(),
        ]
    };
    assert_eq!(told(&stage), [round(1), round(2)].concat());
    let Standing::Blocked { reason, .. } = stage.state().standing else { panic!() };
    for part in ["no agreement after 2 rounds", "gemini asks for changes: read it", "The author"] {
        assert!(reason.contains(part), "{reason}");
    }
    stage.send(Kind::Text);
    stage.start(Faults::default(), &[script(false)]);
    let state = stage.state();
    assert_eq!((state.name(), state.phase()), (StateName::Running, Phase::Done));
    assert_eq!(told(&stage).len(), 11, "the human's word is carried out, not reviewed");
}

/// The agent's runs end this way, without a word.
fn fails(outcome: Fate) -> Script {
    Script { acts: Vec::new(), signal: None, approves: false, outcome }
}

#[test]
fn a_reviewer_that_cannot_review_is_left_out_and_the_verdict_of_the_other_counts() {
    for (fate, runs) in [
        (Fate::Limited { is_over: false }, 1),
        (Fate::LoggedOut, 1),
        (Fate::Throttled, 1),
        (Fate::Fails, 3),
    ] {
        let mut stage = quality(3);
        let mut scripts = vec![fails(fate); runs];
        scripts.extend([script(true), script(true)]);
        stage.start(Faults::default(), &scripts);
        let mut expected = vec!["codex 1"; runs];
        expected.extend(["codex is missing", "gemini 1", "gemini 1 approves", "author in quality"]);
        assert_eq!(told(&stage), expected, "{fate:?}");
        let state = stage.state();
        assert_eq!(state.phase(), Phase::Done);
        let notes = state.notes.all();
        assert!(
            notes.iter().any(|note| note.contains("codex could not review the change, round 1: ")
                && note.contains("what")),
            "{notes:?}"
        );
    }
}

#[test]
fn a_round_that_nobody_can_review_waits_and_asks_again_whoever_is_back() {
    let mut stage = quality(3);
    let scripts = [fails(Fate::LoggedOut), fails(Fate::Limited { is_over: false })];
    stage.start(Faults::default(), &scripts);
    assert_eq!(told(&stage), ["codex 1", "codex is missing", "gemini 1"]);
    let state = stage.state();
    let Standing::Limited { until, .. } = state.standing else { panic!("{:?}", state.standing) };
    let back = state.visit.reviews.first_back().unwrap();
    assert_eq!(until, back, "codex is tried again long before the limit of gemini ends");
    // A human says that all is well again.
    stage.journal([Event::Started(event::Started {})]);
    stage.start(Faults::default(), &[script(true), script(true), script(true)]);
    assert_eq!(
        told(&stage)[3..],
        ["gemini 1", "gemini 1 approves", "codex 1", "codex 1 approves", "author in quality"]
    );
}
