//! The quota of an account that several sessions share.

use jiff::{SignedDuration, Timestamp};

use crate::clock::time;
use crate::lab::{self, Api, Reply, Script, secs};
use crate::session::BOUND;

/// Takes the session from its first phase to the next.
const CONTINUES: &str = r#"printf '{"status":"continue","phase":"investigation","summary":"s"}' >"$SAMOCODE_SESSION_DIR/_signal.json""#;

/// A reply to a client whose five-hour window is 95 % full until `resets`.
fn nearly_full(reply: Reply, resets: &str) -> Reply {
    let headers = [
        ("status", "allowed_warning"),
        ("reset", resets),
        ("representative-claim", "five_hour"),
        ("5h-status", "allowed_warning"),
        ("5h-reset", resets),
        ("5h-utilization", "0.95"),
        ("5h-surpassed-threshold", "0.9"),
    ];
    headers.into_iter().fold(reply, |reply, (name, value)| {
        reply.header(&format!("anthropic-ratelimit-unified-{name}"), value)
    })
}

#[test]
fn sessions_leave_what_a_window_has_left_until_it_resets() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user("stopat");
    let until = Timestamp::now() + SignedDuration::from_secs(25);
    let until = Timestamp::from_second(until.as_second()).expect("a time");
    let resets = until.as_second().to_string();
    let script = Script::new()
        .reply(nearly_full(Reply::bash(CONTINUES), &resets))
        .reply(nearly_full(Reply::say("Done."), &resets))
        .forever();
    let api = Api::start(script).for_a_subscription();
    user.uses_claude(&api);
    let project = user.project("shop").key("SAMOCODE_QUOTA_STOP_AT", "90%").create();
    let session = project.named("first");

    session.enable(&["--task", "Paint the fence"]);
    session.wait_for_state("limited");

    assert_eq!(time(&session.hook()["until"]), until);
    let why = project.samocode(["why", "first"]).ok().stdout;
    assert!(why.contains("95 % of the account's five-hour window is used"), "{why}");
    assert!(why.contains("SAMOCODE_QUOTA_STOP_AT is 90 %"), "{why}");
    let runs = session.journal("run_started").len();
    assert_eq!(
        (runs, session.journal("run_ended").len()),
        (1, 1),
        "after an iteration, not in one"
    );
    api.now(Script::obedient());
    session.wait_to_rest("waiting", "requirements");
    assert!(time(&session.journal("run_started")[1]["at"]) >= until);
    assert!(session.journal("run_ended").iter().all(|run| run["failure"] == false));
}

#[test]
fn a_refusal_while_others_work_is_tried_again_after_half_a_minute_and_pauses_nobody() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user("oncemore");
    let api = Api::start(Script::obedient());
    user.uses_claude(&api);
    let project = user.project("shop").create();
    let (first, second) = (project.named("first"), project.named("second"));
    first.enable(&["--task", "Paint the fence"]);
    first.wait_to_rest("waiting", "requirements");

    api.now(Script::new().reply(Reply::error(401)).forever());
    second.enable(&["--task", "Mow the lawn"]);
    second.wait_for_state("paused");
    api.now(Script::obedient());

    let paused = second.journal("paused").remove(0);
    assert_eq!((&paused["cause"], &paused["quiet"]), (&"credentials".into(), &true.into()));
    let detail = paused["detail"].as_str().unwrap_or_default();
    assert!(detail.ends_with("so this is tried again"), "{detail}");
    let pause = time(&paused["until"]).duration_since(time(&paused["at"]));
    assert!((28..=30).contains(&pause.as_secs()), "{pause}");
    second.wait_to_rest("waiting", "requirements");
    let again = time(&second.journal("run_started")[1]["at"]);
    assert!(again >= time(&paused["until"]), "{again} is before {}", paused["until"]);
    assert_eq!(second.journal("paused").len(), 1);
}

#[test]
fn a_session_that_leaves_the_quota_to_others_runs_when_they_rest() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("spare");
    let waits = r#"if [ $SAMOCODE_SESSION = first ]; then
             touch ~/works; until [ -e ~/go ]; do sleep 0.02; done
         fi"#;
    let agent = user.obedient_agent(waits);
    let project = user.project("shop").key("SAMOCODE_AGENT", &agent).create();
    let (first, spare) = (project.named("first"), project.named("spare"));
    first.enable(&["--task", "Paint the fence"]);
    user.wait_until("the first works", BOUND, || user.exists("works"));

    let enabled = project.samocode(["enable", "spare", "--task", "Mow the lawn"]);
    enabled.env("SAMOCODE_QUOTA_SPARE", "yes").ok();
    spare.wait_for_state("paused");

    let paused = spare.journal("paused");
    assert_eq!((&paused[0]["cause"], &paused[0]["quiet"]), (&"quota".into(), &true.into()));
    for verb in ["status", "why"] {
        let shown = project.samocode([verb, "spare"]).ok().stdout;
        let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            shown.contains("waits until the other sessions of its account are idle"),
            "{shown}"
        );
        assert!(shown.contains("SAMOCODE_QUOTA_SPARE is yes: first;"), "{shown}");
    }
    let worker = spare.worker();
    user.run(["kill", "-KILL", &worker]).ok();
    user.wait_until("another worker waits", BOUND, || {
        ![worker.as_str(), "0"].contains(&spare.worker().as_str())
            && spare.journal("worker_started").len() == 2
    });
    spare.wait_for_state("paused");
    assert_eq!(spare.journal("run_started").len(), 0);

    user.write("go", "");
    first.wait_to_rest("waiting", "requirements");
    spare.wait_to_rest("waiting", "requirements");
    let rested = first.journal("signal_taken").last().map(|taken| time(&taken["at"]));
    let began = time(&spare.journal("run_started")[0]["at"]);
    assert!(Some(began) >= rested, "{began} is before {rested:?}");
    assert!(began.duration_since(rested.expect("a signal")) < SignedDuration::from_secs(20));
    assert_eq!(spare.journal("paused").len(), 1, "{:?}", spare.journal("paused"));

    // Nobody has to wait for it: a human starts it while another is at work.
    user.sh("rm ~/go ~/works").ok();
    first.answer();
    user.wait_until("the first works again", BOUND, || user.exists("works"));
    spare.answer();
    spare.wait_for_state("paused");
    let runs = spare.journal("run_started").len();
    project.samocode(["start", "spare"]).ok();
    user.wait_until("it runs once", secs(30), || spare.journal("run_started").len() > runs);
    user.write("go", "");
}
