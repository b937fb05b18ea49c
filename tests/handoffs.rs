//! Conversations that are handed over to the next, by the agent or in its place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::lab::{self, Api, Reply, Script};
use crate::session::BOUND;

#[test]
fn a_handoff_starts_a_fresh_conversation_that_is_given_the_state() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user("handoff");
    let signal = r#"printf '%s' '{"status":"handoff","reason":"half of it is done","state":{"next":"glue the left wing"}}' >"$SAMOCODE_SESSION_DIR/_signal.json""#;
    let api = Api::obedient_after(vec![Reply::bash(signal), Reply::say("Handed over.")]);
    user.uses_claude(&api);
    let project = user.project("shop").create();
    let session = project.named("jwt");

    session.enable(&["--task", "Build a kite"]);
    session.wait_to_rest("waiting", "requirements");

    let history = session.history();
    assert_eq!(history[0], (1, "investigation".into(), "handoff".into()));
    assert_eq!(history[1], (2, "investigation".into(), "continue".into()));
    let runs = session.conversations();
    assert!(runs[1].0 != runs[0].0 && !runs[1].1, "{runs:?}");
    let requests = api.requests();
    assert!(!requests[0].says("glue the left wing"));
    assert!(requests[2].prompt().contains("glue the left wing"), "{}", requests[2].prompt());
    assert!(requests[2].prompt().contains("Build a kite"));
    // A handoff happens only once.
    assert!(!requests[4].says("glue the left wing"), "{}", requests[4].prompt());
}

#[test]
fn an_agent_whose_context_fills_up_is_asked_to_hand_over() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user("full");
    let hold = "until [ -e ~/go ]; do sleep 0.02; done";
    let heard = Arc::new(AtomicBool::new(false));
    let mut first = vec![
        Reply::say("I look at the wings.").and(Reply::bash(hold)).tokens(190_000, 10),
        Reply::say("I end without a word of it."),
    ]
    .into_iter();
    let mut obedient = Script::obedient().into_answer();
    let api = Api::start_with({
        let heard = Arc::clone(&heard);
        move |request| {
            heard.fetch_or(request.says("Your context is nearly full"), Ordering::Relaxed);
            first.next().unwrap_or_else(|| obedient(request))
        }
    });
    user.uses_claude(&api);
    let project = user.project("shop").create();
    let session = project.named("jwt");

    session.enable(&["--task", "Build a kite"]);
    user.wait_until("it is asked", BOUND, || session.journal("handoff_asked").len() == 1);
    assert!(!heard.load(Ordering::Relaxed));
    user.write("go", "");
    session.wait_to_rest("waiting", "requirements");

    assert!(session.journal("handoff_asked")[0]["used"].as_u64() >= Some(190_000));
    assert!(heard.load(Ordering::Relaxed), "the model never heard of it");
    // It did not: samocode hands over in its place.
    let made = session.journal("handoff_made");
    assert_eq!(made.len(), 1);
    let runs = session.conversations();
    assert!(runs[1].0 != runs[0].0 && !runs[1].1, "{runs:?}");
    let second = session.journal("run_started")[1].clone();
    assert_eq!((&second["phase"], &second["iteration"]), (&"investigation".into(), &1.into()));
    assert_eq!(session.journal("run_ended")[0]["failure"], false);
    let given = api.requests().iter().any(|request| {
        request.prompt().contains("ended without a handoff")
            && request.prompt().contains("I end without a word of it.")
    });
    assert!(given, "the next conversation is not given what was last seen");
}

#[test]
fn an_agent_cut_off_after_it_was_asked_to_hand_over_waits_before_the_next() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user("fullcut");
    let hold = "until [ -e ~/go ]; do sleep 0.02; done";
    let full = Reply::say("I look at the wings.").and(Reply::bash(hold)).tokens(190_000, 10);
    let mut first = Some(full);
    let mut busy = Script::new().reply(Reply::error(529)).forever().into_answer();
    let api = Api::start_with(move |request| first.take().unwrap_or_else(|| busy(request)));
    user.uses_claude(&api);
    let project = user.project("shop").create();
    let session = project.named("jwt");

    session.enable(&["--task", "Build a kite"]);
    user.wait_until("it is asked", BOUND, || session.journal("handoff_asked").len() == 1);
    user.write("go", "");
    session.wait_for_state("paused");
    api.now(Script::obedient());
    session.wait_to_rest("waiting", "requirements");

    let kinds: Vec<Value> = session.journal("").iter().map(|line| line["kind"].clone()).collect();
    let made = kinds.iter().position(|kind| kind == "handoff_made").expect("a handoff");
    assert_eq!(kinds[made + 1], "paused", "{kinds:?}");
    let runs = session.conversations();
    assert!(runs[1].0 != runs[0].0 && !runs[1].1, "{runs:?}");
}

#[test]
fn an_agent_interrupted_after_it_was_asked_to_hand_over_resumes_and_is_asked_again() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user("fullstop");
    let hold = "until [ -e ~/go ]; do sleep 0.02; done";
    let full = Reply::say("I look at the wings.").and(Reply::bash(hold)).tokens(190_000, 10);
    let signal = r#"printf '%s' '{"status":"handoff","reason":"full","state":{"next":"glue the left wing"}}' >"$SAMOCODE_SESSION_DIR/_signal.json""#;
    let api = Api::obedient_after(vec![
        full,
        Reply::bash(signal).tokens(190_000, 10),
        Reply::say("Handed over."),
    ]);
    user.uses_claude(&api);
    let project = user.project("shop").create();
    let session = project.named("jwt");
    session.enable(&["--task", "Build a kite"]);
    user.wait_until("it is asked", BOUND, || session.journal("handoff_asked").len() == 1);

    user.systemctl(["stop", &session.unit()]).ok();
    assert_eq!(session.journal("run_ended")[0]["outcome"], "interrupted");
    user.systemctl(["start", &session.unit()]).ok();
    session.wait_to_rest("waiting", "requirements");

    assert_eq!(session.journal("handoff_made").len(), 0);
    assert_eq!(session.journal("handoff_asked").len(), 2);
    let runs = session.conversations();
    assert_eq!((&runs[0].0, runs[1].1), (&runs[1].0, true), "{runs:?}");
    assert_eq!(session.history()[0], (1, "investigation".into(), "handoff".into()));
    let given =
        api.requests().iter().any(|request| request.prompt().contains("glue the left wing"));
    assert!(given, "the next conversation is not given the agent's own handoff");
}

#[test]
fn conversations_that_fill_up_and_never_signal_block_the_session() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user("brimful");
    // More than the largest window.
    let full = Reply::say("I am at it.").tokens(1_000_000, 10);
    let api = Api::start(Script::new().reply(full).forever());
    user.uses_claude(&api);
    let project = user.project("shop").create();
    let session = project.named("jwt");

    session.enable(&["--task", "Build a kite"]);
    session.wait_to_rest("blocked", "investigation");

    let reason = session.hook()["reason"].as_str().unwrap_or_default().to_owned();
    assert!(reason.contains("3 conversations in a row ended in investigation 1"), "{reason}");
    let runs = session.conversations();
    assert_eq!(runs.len(), 3, "{runs:?}");
    assert!(runs.iter().all(|(_, resumed)| !resumed), "{runs:?}");
    assert_eq!(session.journal("handoff_made").len(), 3);
    assert!(session.journal("run_ended").iter().all(|run| run["failure"] == false));

    api.now(Script::obedient());
    session.send("Take smaller steps.");
    session.wait_to_rest("waiting", "requirements");
}
