//! A model of a session's life, in random orders: workers that are killed at any write or find the
//! disk full, reboots, limits, mail between runs and in them, edits by hand and by the agent, a
//! journal that is lost. Decisions and files are
//! the real ones; only the agent is a script.
//!
//! What must hold: no gate opens without a human's word given since the wait began, and the last
//! word counts; a phase changes by hand only if a human did that; done stays done; and every message
//! is shown to an agent before it is forgotten.

mod reviews;
mod rules;
mod stage;

use proptest::prelude::*;
use proptest::sample::select;

use crate::session::mail::Kind;
use crate::session::{Phase, Status};

use rules::Watcher;
use stage::{Act, Ending, Fate, Faults, Script};

const OPEN: &str = "### Q1: a?\n**Answer:** _waiting_\n";
const ANSWERED: &str = "### Q1: a?\n**Answer:** the agent's own\n";
const NESTED: &str = "### Q1: a?\n**Answer:** _waiting_\n\n**Q2: x**\n**Answer:** _waiting_\n";

/// The second question looks like part of the first one's text.
const PLAIN: &str = "### Q1: a?\n**Answer:** _waiting_\n\nQ2: x\n**Answer:** _waiting_\n";

/// One thing that happens to a session.
#[derive(Debug, Clone)]
enum Op {
    Start(Faults, Vec<Script>),
    Send(Kind),
    /// The human writes another phase into the overview.
    SetPhase(Phase),
    /// The human writes `Blocked: no`.
    Unblock,
    /// The human fills in the first open answer, or all of them.
    Answer {
        all: bool,
    },
    /// `samocode start`.
    StartVerb,
    LoseJournal,
    Reboot,
}

fn act() -> impl Strategy<Value = Act> {
    let phases = select(vec![Phase::Planning, Phase::Implementation, Phase::Done]);
    prop_oneof![
        3 => phases.prop_map(Act::Phase),
        1 => Just(Act::Byte),
        1 => Just(Act::NoOverview),
        3 => select(vec![OPEN, ANSWERED, NESTED, PLAIN]).prop_map(Act::Questions),
        2 => words().prop_map(Act::Mail),
        2 => any::<bool>().prop_map(Act::Live),
    ]
}

fn words() -> impl Strategy<Value = Kind> {
    select(vec![Kind::Text, Kind::Approve, Kind::Reject, Kind::Answer, Kind::Nudge, Kind::Stop])
}

fn script() -> impl Strategy<Value = Script> {
    let signal = prop_oneof![
        2 => Just(None),
        3 => Just(Some((Status::Waiting, None))),
        5 => select(vec![
            Phase::Planning,
            Phase::Implementation,
            Phase::Testing,
            Phase::Done,
        ])
        .prop_map(|phase| Some((Status::Continue, Some(phase)))),
        1 => Just(Some((Status::Continue, None))),
        2 => Just(Some((Status::Done, None))),
        1 => Just(Some((Status::Blocked, None))),
    ];
    let outcome = prop_oneof![
        8 => Just(Fate::Works),
        2 => Just(Fate::Fails),
        1 => any::<bool>().prop_map(|is_over| Fate::Limited { is_over }),
        1 => Just(Fate::Throttled),
        1 => Just(Fate::LoggedOut),
    ];
    (proptest::collection::vec(act(), 0..4), signal, outcome)
        .prop_map(|(acts, signal, outcome)| Script { acts, signal, approves: true, outcome })
}

fn faults() -> impl Strategy<Value = Faults> {
    prop_oneof![
        3 => Just(Faults::default()),
        3 => (1u32..90).prop_map(|at| Faults { dies_at: Some(at), full_from: None }),
        1 => (1u32..30).prop_map(|at| Faults { dies_at: None, full_from: Some(at) }),
        1 => (1u32..30, 1u32..90)
            .prop_map(|(full, at)| Faults { dies_at: Some(at), full_from: Some(full) }),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let phases = select(vec![Phase::Planning, Phase::Implementation, Phase::Quality]);
    prop_oneof![
        8 => (faults(), proptest::collection::vec(script(), 0..4))
            .prop_map(|(faults, scripts)| Op::Start(faults, scripts)),
        5 => words().prop_map(Op::Send),
        1 => phases.prop_map(Op::SetPhase),
        1 => Just(Op::Unblock),
        2 => any::<bool>().prop_map(|all| Op::Answer { all }),
        2 => Just(Op::StartVerb),
        1 => Just(Op::LoseJournal),
        1 => Just(Op::Reboot),
    ]
}

/// Does it all, and then lets a worker take in what is left.
fn live(ops: &[Op]) -> Watcher {
    let mut watcher = Watcher::new();
    for op in ops {
        match op {
            Op::Start(faults, scripts) => {
                watcher.start(*faults, scripts);
            }
            Op::Send(kind) => watcher.stage.send(*kind),
            Op::SetPhase(phase) => watcher.set_phase(*phase),
            Op::Unblock => watcher.unblock(),
            Op::Answer { all } => watcher.answer(*all),
            Op::StartVerb => watcher.start_verb(),
            Op::LoseJournal => watcher.lose_journal(),
            Op::Reboot => watcher.stage.reboot(),
        }
    }
    watcher.start_verb();
    assert_eq!(watcher.start(Faults::default(), &[]), Ending::Exited);
    watcher.check_last_word();
    watcher
}

fn run(acts: Vec<Act>, signal: Option<(Status, Option<Phase>)>) -> Script {
    Script { acts, signal, approves: true, outcome: Fate::Works }
}

fn start(scripts: Vec<Script>) -> Op {
    Op::Start(Faults::default(), scripts)
}

fn waits(questions: &'static str) -> Op {
    start(vec![run(vec![Act::Questions(questions)], Some((Status::Waiting, None)))])
}

fn leaves(phase: Phase) -> Script {
    run(Vec::new(), Some((Status::Continue, Some(phase))))
}

#[test]
fn a_rejection_does_not_count_answers_that_were_there_before() {
    for words in [vec![], vec![Kind::Reject], vec![Kind::Text]] {
        let mut ops = vec![waits(ANSWERED)];
        ops.extend(words.into_iter().map(Op::Send));
        ops.push(start(vec![leaves(Phase::Planning)]));
        assert_eq!(live(&ops).stage.state().phase(), Phase::Requirements);
    }
    let ops = [waits(OPEN), Op::Answer { all: true }, start(vec![leaves(Phase::Planning)])];
    assert_eq!(live(&ops).stage.state().phase(), Phase::Planning);
}

#[test]
fn a_phase_and_a_strange_byte_by_the_agent_are_not_the_humans_edit() {
    let acts = vec![Act::Byte, Act::Phase(Phase::Implementation)];
    for dies_at in 1..90 {
        let faults = Faults { dies_at: Some(dies_at), full_from: None };
        let ops = [Op::Start(faults, vec![run(acts.clone(), None)]), start(Vec::new())];
        assert_eq!(live(&ops).stage.state().phase(), Phase::Requirements, "{dies_at}");
    }
    // The worker dies while the agent works, and so does the next one, anywhere in its recovery.
    let dies = |at| Faults { dies_at: Some(at), full_from: None };
    let during = (1..90).find(|at| {
        let mut watcher = Watcher::new();
        watcher.start(dies(*at), &[run(acts.clone(), None)]);
        let overview = std::fs::read(watcher.stage.setup.folder.overview()).unwrap_or_default();
        overview.windows(14).any(|words| words == b"implementation")
    });
    for dies_at in 1..60 {
        let first = Op::Start(dies(during.unwrap()), vec![run(acts.clone(), None)]);
        let ops = [first, Op::Start(dies(dies_at), Vec::new())];
        assert_eq!(live(&ops).stage.state().phase(), Phase::Requirements, "{dies_at}");
    }
    for full_from in 1..30 {
        let faults = Faults { dies_at: None, full_from: Some(full_from) };
        let ops = [Op::Start(faults, vec![run(acts.clone(), None)]), start(Vec::new())];
        assert_eq!(live(&ops).stage.state().phase(), Phase::Requirements, "{full_from}");
    }
    let ops = [start(vec![run(acts, Some((Status::Waiting, None)))]), Op::Send(Kind::Reject)];
    let watcher = live(&ops);
    assert_eq!(watcher.stage.state().phase(), Phase::Requirements);
    let overview = std::fs::read(watcher.stage.setup.folder.overview()).unwrap();
    assert!(overview.contains(&0xe9), "the agent's byte is kept");
}

#[test]
fn the_last_word_counts_in_every_order() {
    let leave = || start(vec![leaves(Phase::Planning)]);
    for (words, phase) in [
        (vec![Kind::Text, Kind::Approve], Phase::Planning),
        (vec![Kind::Approve, Kind::Reject], Phase::Requirements),
        (vec![Kind::Reject, Kind::Approve], Phase::Planning),
    ] {
        let mut ops = vec![waits(OPEN)];
        ops.extend(words.into_iter().map(Op::Send));
        ops.push(leave());
        assert_eq!(live(&ops).stage.state().phase(), phase);
    }
    // The rejection comes while the agent works on what was approved.
    let rejected =
        run(vec![Act::Mail(Kind::Reject)], Some((Status::Continue, Some(Phase::Planning))));
    let ops = [waits(OPEN), Op::Send(Kind::Approve), start(vec![rejected])];
    assert_eq!(live(&ops).stage.state().phase(), Phase::Requirements);
    // The approval was there before the agent asked.
    let early = run(vec![Act::Mail(Kind::Approve)], Some((Status::Waiting, None)));
    let ops = [start(vec![early]), leave()];
    assert_eq!(live(&ops).stage.state().phase(), Phase::Requirements);
}

#[test]
fn a_finished_session_survives_ten_quick_deaths() {
    let done = run(Vec::new(), Some((Status::Done, None)));
    let mut ops = vec![Op::SetPhase(Phase::Quality), start(vec![leaves(Phase::Done), done])];
    let dies = Faults { dies_at: Some(4), full_from: None };
    ops.extend((0..12).map(|_| Op::Start(dies, Vec::new())));
    assert_eq!(live(&ops).stage.state().name(), crate::session::state::StateName::Done);
}

#[test]
fn a_session_that_lost_its_journal_waits_again() {
    let ops = [
        waits(OPEN),
        Op::Send(Kind::Reject),
        start(vec![run(Vec::new(), Some((Status::Continue, None)))]),
        Op::LoseJournal,
        start(vec![leaves(Phase::Planning)]),
    ];
    let state = live(&ops).stage.state();
    assert_eq!(
        (state.phase(), state.name()),
        (Phase::Requirements, crate::session::state::StateName::Waiting)
    );
}

#[test]
fn a_question_within_another_is_asked() {
    for questions in [NESTED, PLAIN] {
        let ops =
            [waits(questions), Op::Answer { all: false }, start(vec![leaves(Phase::Planning)])];
        assert_eq!(live(&ops).stage.state().phase(), Phase::Requirements, "{questions}");
    }
}

#[test]
fn a_summary_of_any_length_is_in_the_history_once() {
    let mut watcher = Watcher::new();
    watcher.start(Faults::default(), &[run(Vec::new(), Some((Status::Waiting, None)))]);
    let summary = "s".repeat(100_000);
    let signal =
        |run: &str| serde_json::json!({"status": "waiting", "summary": summary, "run": run});
    let entry = watcher.stage.entries().into_iter().rev().find_map(|entry| match entry.event {
        crate::session::journal::Event::SignalTaken(taken) => Some(taken),
        _ => None,
    });
    let mut taken = entry.unwrap();
    taken.line.summary = signal("r")["summary"].as_str().map(str::to_owned);
    watcher.stage.journal([crate::session::journal::Event::SignalTaken(taken)]);
    for _ in 0..3 {
        watcher.start(Faults::default(), &[]);
    }
    let history = std::fs::read_to_string(watcher.stage.setup.folder.history()).unwrap();
    assert_eq!(history.lines().filter(|line| line.len() > 100_000).count(), 1);
}

#[test]
fn what_a_human_writes_between_a_crash_and_the_settling_of_the_last_signal_counts() {
    for dies_at in 1..90 {
        let faults = Faults { dies_at: Some(dies_at), full_from: None };
        let mut watcher = Watcher::new();
        watcher.set_phase(Phase::Implementation);
        watcher.start(faults, &[leaves(Phase::Testing)]);
        let state = watcher.stage.state();
        if !state.unsettled || state.phase() != Phase::Testing {
            continue;
        }
        watcher.set_phase(Phase::Quality);
        watcher.start(Faults::default(), &[]);
        assert_eq!(watcher.stage.state().phase(), Phase::Quality, "{dies_at}");
        return;
    }
    panic!("no worker died between a signal and its effects");
}

#[test]
fn mail_that_an_agent_takes_while_it_works_is_shown_once_and_gates_wait_for_the_worker() {
    let works = |acts| run(acts, Some((Status::Continue, None)));
    for (takes, kind) in
        [(true, Kind::Text), (true, Kind::Nudge), (false, Kind::Text), (true, Kind::Approve)]
    {
        for dies_at in (1..90).step_by(3) {
            let acts = vec![Act::Mail(kind), Act::Live(takes)];
            let faults = Faults { dies_at: Some(dies_at), full_from: None };
            let ops =
                [Op::Start(faults, vec![works(acts)]), Op::Reboot, start(vec![works(vec![])])];
            let watcher = live(&ops);
            assert_eq!(watcher.stage.state().phase(), Phase::Requirements);
        }
    }
}

#[test]
fn messages_of_one_id_are_all_read_and_kept() {
    let mut watcher = Watcher::new();
    let folder = watcher.stage.setup.folder.clone();
    std::fs::create_dir_all(folder.inbox()).unwrap();
    for (file, body) in [("a.json", "one"), ("b.json", "two"), ("c.json", "two")] {
        let message = serde_json::json!({
            "id": "note", "from": "human", "to": "x", "at": "2026-11-20T17:04:11Z",
            "kind": "text", "body": body,
        });
        std::fs::write(folder.inbox().join(file), message.to_string()).unwrap();
    }
    watcher.start(Faults::default(), &[run(Vec::new(), Some((Status::Continue, None)))]);
    let kept: Vec<_> = folder.read_mail().unwrap().into_iter().map(|read| read.body).collect();
    assert!(["one", "two"].iter().all(|body| kept.iter().any(|kept| kept == body)), "{kept:?}");
    assert_eq!(watcher.stage.shown.len(), 2, "{:?}", watcher.stage.shown);
}

#[test]
fn a_limit_or_a_reboot_opens_no_gate() {
    for outcome in [Fate::Limited { is_over: true }, Fate::Throttled, Fate::LoggedOut] {
        let script = Script { outcome, ..leaves(Phase::Planning) };
        let ops =
            [waits(OPEN), Op::Send(Kind::Text), start(vec![script]), Op::StartVerb, Op::Reboot];
        let ops = [&ops[..], &[start(vec![leaves(Phase::Planning)])]].concat();
        assert_eq!(live(&ops).stage.state().phase(), Phase::Requirements, "{outcome:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 2000, ..ProptestConfig::with_cases(400) })]
    #[test]
    fn no_order_of_events_breaks_the_rules(ops in proptest::collection::vec(op(), 1..18)) {
        live(&ops);
    }
}
