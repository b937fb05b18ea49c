//! What is in the way of a run and passes again, what a session may spend, and conversations that
//! are handed over.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::lab::{self, Api, Bot, LabUser, Reply, Script, secs};
use crate::session::{BOUND, OBEDIENT};

/// Sessions of an account start again spread over so many seconds after its limit.
const JITTER_S: i64 = 30;

#[track_caller]
fn time(value: &Value) -> Timestamp {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no time: {value}"))
}

/// By how much later a session goes on than its account's limit ends.
fn spread(instance: &str) -> SignedDuration {
    let mut hasher = DefaultHasher::new();
    instance.hash(&mut hasher);
    SignedDuration::from_millis((hasher.finish() % (JITTER_S.unsigned_abs() * 1000)) as i64)
}

/// Adds lines to the user's env file.
fn also_set(user: &LabUser, lines: &str) {
    user.write_env_file(user.read(".config/samocode/env") + lines);
}

/// An API that gives these answers first and then has every phase done as it should be.
fn obedient_after(first: Vec<Reply>) -> Api {
    let mut first = first.into_iter();
    let mut obedient = Script::obedient().into_answer();
    Api::start_with(move |request| first.next().unwrap_or_else(|| obedient(request)))
}

#[test]
fn a_usage_limit_is_slept_out_by_all_sessions_of_the_account_and_is_no_failure() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user("uselimit");
    let until = Timestamp::now() + SignedDuration::from_secs(25);
    let until = Timestamp::from_second(until.as_second()).unwrap();
    let limit = Reply::usage_limit(until.as_second().unsigned_abs());
    let api = Api::start(Script::new().reply(limit).forever()).for_a_subscription();
    user.uses_claude(&api);
    let project = user.project("shop").create();
    let (first, second) = (project.named("first"), project.named("second"));

    first.enable(&["--task", "Paint the fence"]);
    first.wait_for_state("limited");

    assert_eq!(time(&first.hook()["until"]), until, "what is shown is the limit's end");
    assert_ne!(first.worker(), "0", "the worker waits itself");
    user.wait_until("the status line says so", secs(10), || {
        user.unit_property(&first.unit(), "StatusText").contains("usage limit until")
    });
    let status = project.samocode(["status", "first"]).output();
    assert!(status.stdout.contains("limit"), "{status}");
    assert_eq!(api.requests().len(), 1);

    second.enable(&["--task", "Mow the lawn"]);
    second.wait_for_state("limited");
    assert_eq!(time(&second.hook()["until"]), until);
    assert_eq!(second.journal("run_started").len(), 0);
    assert_eq!(api.requests().len(), 1, "the second did not have to find out");

    api.now(Script::obedient());
    for session in [&first, &second] {
        session.wait_to_rest("waiting", "requirements");
        let runs = session.journal("run_started");
        let again = runs.iter().map(|run| time(&run["at"])).find(|at| *at >= until);
        let late = again.expect("a run after the limit").duration_since(until);
        let spread = spread(session.name);
        assert!(late >= spread && late.as_secs() <= JITTER_S + 30, "{late} of at least {spread}");
        assert_eq!(session.history()[0].0, 1);
        assert!(session.journal("run_ended").iter().all(|run| run["failure"] == false));
    }
    let runs = first.conversations();
    assert_eq!((&runs[0].0, runs[1].1), (&runs[1].0, true), "{runs:?}");
    let early = second.journal("run_started").iter().filter(|r| time(&r["at"]) < until).count();
    assert_eq!(early, 0);
}

#[test]
fn sessions_that_hit_a_limit_at_the_same_moment_go_on_at_different_ones() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("together");
    // Each finds out itself, as all of them run when the first does.
    let limited = r#"touch ~/at.$SAMOCODE_SESSION; until [ -e ~/go ]; do sleep 0.02; done
         if [ ! -e ~/hit.$SAMOCODE_SESSION ]; then
             touch ~/hit.$SAMOCODE_SESSION
             echo '{"event":"limit","reached":true,"resets_at":"'$(cat ~/go)'"}'
             echo '{"event":"finished","is_error":true,"error_kind":"usage_limit_reached"}'
             exit
         fi"#;
    let agent = user.obedient_agent(limited);
    let project = user.project("shop").key("SAMOCODE_AGENT", &agent).create();
    let sessions = ["one", "two", "three"].map(|name| project.named(name));
    for session in &sessions {
        session.enable(&["--task", "Paint the fence"]);
    }
    user.wait_until("all of them run", BOUND, || {
        sessions.iter().all(|session| user.exists(format!("at.{}", session.name)))
    });
    let until = Timestamp::now() + SignedDuration::from_secs(15);
    user.write("go.new", until.to_string());
    user.sh("mv ~/go.new ~/go").ok();

    for session in &sessions {
        session.wait_to_rest("waiting", "requirements");
        let limited = session.journal("limited");
        assert_eq!((limited.len(), time(&limited[0]["until"])), (1, until), "{}", session.name);
        let again = time(&session.journal("run_started")[1]["at"]);
        assert!(again >= until + spread(session.name), "{}: {again}", session.name);
    }
}

#[test]
fn refused_credentials_pause_all_sessions_of_the_account_and_are_told_once() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user("refused");
    let bot = Bot::start();
    user.is_told_by(&bot);
    let telling = user.read(".config/samocode/env");
    let api = Api::start(Script::new().reply(Reply::error(401)).forever());
    user.uses_claude(&api);
    also_set(&user, &telling);
    let project = user.project("shop").create();
    let (first, second) = (project.named("first"), project.named("second"));

    first.enable(&["--task", "Paint the fence"]);
    first.wait_for_state("paused");
    let paused = first.journal("paused");
    assert_eq!((&paused[0]["cause"], &paused[0]["quiet"]), (&"credentials".into(), &false.into()));
    assert!(first.hook()["reason"].as_str().is_some_and(|why| why.contains("log in again")));
    assert_eq!(first.journal("run_ended")[0]["failure"], false);
    user.wait_until("the human is told", BOUND, || bot.told("log in again") == 1);
    let asked = api.requests().len();

    second.enable(&["--task", "Mow the lawn"]);
    second.wait_for_state("paused");
    assert_eq!(second.journal("paused")[0]["quiet"], true);
    assert_eq!(second.journal("run_started").len(), 0);
    assert_eq!(api.requests().len(), asked, "the second did not have to find out");

    // A start tries again at once, and what was mended meanwhile is used.
    let env = user.read(".config/samocode/env").replace("sk-ant-lab", "sk-ant-mended");
    user.write_env_file(env);
    api.now(Script::obedient());
    for session in [&first, &second] {
        project.samocode(["start", session.name]).ok();
        session.wait_to_rest("waiting", "requirements");
    }
    let last = api.requests().pop().expect("a request");
    assert_eq!(last.header("x-api-key"), Some("sk-ant-mended"));
    assert_eq!(bot.told("paused"), 1, "{:?}", bot.messages());
    let runs = first.conversations();
    assert_eq!((&runs[0].0, runs[1].1), (&runs[1].0, true), "{runs:?}");
}

#[test]
fn an_overloaded_api_is_waited_for_in_the_same_conversation_and_is_no_failure() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user("overloaded");
    let api = Api::start(Script::new().reply(Reply::error(529)).forever());
    user.uses_claude(&api);
    // One failure that counted would block it.
    let project = user.project("shop").key("SAMOCODE_MAX_RETRIES", "1").create();
    let session = project.named("jwt");

    session.enable(&["--task", "Paint the fence"]);
    session.wait_for_state("paused");
    let paused = &session.journal("paused")[0];
    assert_eq!(paused["cause"], "network");
    let pause = time(&paused["until"]).duration_since(time(&paused["at"])).as_secs();
    assert!((4..=5).contains(&pause), "{pause} s");
    assert_ne!(session.worker(), "0");

    // A worker that waits takes what is mended meanwhile.
    let env = user.read(".config/samocode/env").replace("sk-ant-lab", "sk-ant-newer");
    user.write_env_file(env);
    api.now(Script::obedient());
    session.wait_to_rest("waiting", "requirements");
    let ended = session.journal("run_ended");
    assert_eq!((&ended[0]["outcome"], &ended[0]["failure"]), (&"transient".into(), &false.into()));
    let runs = session.conversations();
    assert_eq!((&runs[0].0, runs[1].1), (&runs[1].0, true), "{runs:?}");
    assert_eq!(session.history()[0], (1, "investigation".into(), "continue".into()));
    assert_eq!(session.journal("blocked").len(), 0);
    assert_eq!(session.journal("worker_started").len(), 1);
    assert_eq!(api.requests().pop().expect("a request").header("x-api-key"), Some("sk-ant-newer"));
}

#[test]
fn a_budget_warns_at_four_fifths_and_blocks_when_it_is_spent() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user("budget");
    let api = Api::start(Script::obedient());
    user.uses_claude(&api);
    // What one iteration costs is the client's to say.
    let probe = user.project("probe").create();
    let free = probe.named("free");
    free.enable(&["--task", "Paint the fence"]);
    free.wait_to_rest("waiting", "requirements");
    let iteration = free.hook()["cost_usd"].as_f64().expect("a cost") / 2.0;
    assert!(iteration > 0.0);
    assert_eq!(free.journal("budget_warned").len(), 0);

    let budget = format!("{:.9}", iteration * 2.2);
    let project = user.project("shop").key("SAMOCODE_BUDGET_USD", &budget).create();
    let session = project.named("jwt");
    session.enable(&["--task", "Paint the fence"]);
    session.wait_to_rest("waiting", "requirements");
    let warned = session.journal("budget_warned");
    assert_eq!(warned.len(), 1, "{warned:?}");
    let second = &session.journal("run_ended")[1];
    assert!(time(&warned[0]["at"]) >= time(&second["at"]), "{warned:?}");

    session.answer();
    user.wait_until("it is blocked", BOUND, || {
        session.stands().0 == "blocked" && !session.is_active()
    });
    let reason = session.hook()["reason"].as_str().unwrap_or_default().to_owned();
    assert!(reason.contains("the session's budget is spent ($"), "{reason}");
    assert!(reason.contains("SAMOCODE_BUDGET_USD"), "{reason}");
    assert_eq!(session.journal("budget_warned").len(), 1);
    let runs = session.journal("run_started").len();
    assert!((3..=4).contains(&runs), "{runs} runs");
    assert_eq!(session.journal("run_ended").len(), runs, "it was stopped between two runs");
}

#[test]
fn what_a_session_cost_survives_a_killed_worker_and_is_not_counted_twice() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user("costs");
    let hold = "touch ~/held; until [ -e ~/go ]; do sleep 0.02; done";
    let obey = || vec![Reply::bash(OBEDIENT), Reply::say("The phase is finished.")];
    let mut first = obey();
    first.push(Reply::bash(hold));
    let api = obedient_after(first);
    user.uses_claude(&api);
    let project = user.project("shop").create();
    let session = project.named("jwt");
    session.enable(&["--task", "Paint the fence"]);
    user.wait_until("the second run is in its tool", BOUND, || user.exists("held"));
    let before = session.journal("run_ended")[0]["cost"]["usd"].as_f64().expect("a cost");
    assert!(before > 0.0);

    user.run(["kill", "-KILL", &session.worker()]).ok();
    session.wait_to_rest("waiting", "requirements");

    let cost = session.hook()["cost_usd"].as_f64().expect("a cost");
    // Five replies cost the same each; the first two of them were one run.
    assert_eq!(api.requests().len(), 5);
    let reply = before / 2.0;
    assert!(cost > 3.9 * reply && cost < 5.1 * reply, "{cost}, a reply costs {reply}");
    let shown = project.samocode(["cost", "jwt", "--json"]).ok().json();
    let total = &shown["total"];
    assert!((total["usd"].as_f64().expect("a cost") - cost).abs() < 1e-9, "{shown}");
    assert_eq!((&total["runs"], &total["unknown"]), (&3.into(), &1.into()), "{shown}");
}

#[test]
fn a_handoff_begins_a_fresh_conversation_that_is_given_the_state() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user("handoff");
    let signal = r#"printf '%s' '{"status":"handoff","reason":"half of it is done","state":{"next":"glue the left wing"}}' >"$SAMOCODE_SESSION_DIR/_signal.json""#;
    let api = obedient_after(vec![Reply::bash(signal), Reply::say("Handed over.")]);
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
    // What was handed over once is not handed over again.
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
fn an_agent_interrupted_after_it_was_asked_to_hand_over_goes_on_and_is_asked_again() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user("fullstop");
    let hold = "until [ -e ~/go ]; do sleep 0.02; done";
    let full = Reply::say("I look at the wings.").and(Reply::bash(hold)).tokens(190_000, 10);
    let signal = r#"printf '%s' '{"status":"handoff","reason":"full","state":{"next":"glue the left wing"}}' >"$SAMOCODE_SESSION_DIR/_signal.json""#;
    let api = obedient_after(vec![
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
