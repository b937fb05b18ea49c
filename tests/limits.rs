//! Temporary obstacles to a run: usage limits, refused credentials, an API that is
//! overloaded.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use jiff::{SignedDuration, Timestamp};

use crate::clock::time;
use crate::lab::{self, Api, Bot, LabUser, Reply, Script, secs};
use crate::session::BOUND;

/// Sessions of an account resume spread over so many seconds after its limit.
const JITTER_S: i64 = 30;

/// How long after the end of its account's limit a session resumes.
fn spread(instance: &str) -> SignedDuration {
    let mut hasher = DefaultHasher::new();
    instance.hash(&mut hasher);
    SignedDuration::from_millis((hasher.finish() % (JITTER_S.unsigned_abs() * 1000)) as i64)
}

/// Adds lines to the user's env file.
fn also_set(user: &LabUser, lines: &str) {
    user.write_env_file(user.read(".config/samocode/env") + lines);
}

#[test]
fn all_sessions_of_an_account_wait_out_a_usage_limit_and_it_is_no_failure() {
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
    for verb in ["status", "why"] {
        let shown = project.samocode([verb, "first"]).output();
        assert!(shown.stdout.contains("You've hit your"), "the CLI's own words: {shown}");
    }
    assert_eq!(api.requests().len(), 1);

    second.enable(&["--task", "Mow the lawn"]);
    second.wait_for_state("limited");
    assert_eq!(time(&second.hook()["until"]), until);
    assert_eq!(second.journal("run_started").len(), 0);
    let why = project.samocode(["why", "second"]).ok().stdout;
    assert!(why.contains("You've hit your"), "those of the session that found out: {why}");
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
fn sessions_that_hit_a_limit_together_resume_at_different_times() {
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
fn refused_credentials_pause_all_sessions_of_the_account_and_are_reported_once() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user("refused");
    let bot = Bot::start();
    user.gets_messages_from(&bot);
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
    let advice = "fix ANTHROPIC_API_KEY in ~/.config/samocode/env";
    assert!(first.hook()["reason"].as_str().is_some_and(|why| why.contains(advice)));
    assert_eq!(first.journal("run_ended")[0]["failure"], false);
    user.wait_until("the user is notified", BOUND, || bot.count_of(advice) == 1);
    let asked = api.requests().len();

    second.enable(&["--task", "Mow the lawn"]);
    second.wait_for_state("paused");
    assert_eq!(second.journal("paused")[0]["quiet"], true);
    assert_eq!(second.journal("run_started").len(), 0);
    assert_eq!(api.requests().len(), asked, "the second did not have to find out");

    // A start retries at once, with the corrected credentials.
    let env = user.read(".config/samocode/env").replace("sk-ant-lab", "sk-ant-corrected");
    user.write_env_file(env);
    api.now(Script::obedient());
    for session in [&first, &second] {
        project.samocode(["start", session.name]).ok();
        session.wait_to_rest("waiting", "requirements");
    }
    let last = api.requests().pop().expect("a request");
    assert_eq!(last.header("x-api-key"), Some("sk-ant-corrected"));
    assert_eq!(bot.count_of("paused"), 1, "{:?}", bot.messages());
    let runs = first.conversations();
    assert_eq!((&runs[0].0, runs[1].1), (&runs[1].0, true), "{runs:?}");
}

#[test]
fn an_overloaded_api_is_retried_in_the_same_conversation_and_is_no_failure() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user("overloaded");
    let api = Api::start(Script::new().reply(Reply::error(529)).forever());
    user.uses_claude(&api);
    // A single failure would block it.
    let project = user.project("shop").key("SAMOCODE_MAX_RETRIES", "1").create();
    let session = project.named("jwt");

    session.enable(&["--task", "Paint the fence"]);
    session.wait_for_state("paused");
    let paused = &session.journal("paused")[0];
    assert_eq!(paused["cause"], "network");
    let pause = time(&paused["until"]).duration_since(time(&paused["at"])).as_secs();
    assert!((4..=5).contains(&pause), "{pause} s");
    assert_ne!(session.worker(), "0");

    // A waiting worker picks up corrected credentials.
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
