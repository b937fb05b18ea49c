//! Runs that make no progress, and runs that only look that way, on
//! a real systemd.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::lab::{self, Api, Bot, LabUser, Reply, Script, secs};
use crate::session::BOUND;

/// Has systemd wait less for a sign of life than the 30 s of the unit.
fn impatient_watchdog(user: &LabUser, seconds: u32) {
    user.write(
        ".config/systemd/user/samocode@.service.d/test.conf",
        format!("[Service]\nWatchdogSec={seconds}s\n"),
    );
}

/// Takes a session from where it is to `done` in two more runs.
const GO_ON: &str = r#"
say() { echo "$1" >"$SAMOCODE_SESSION_DIR/_signal.json"; }
finish() { say '{"status":"blocked","reason":"that is all","needs":"human_decision"}'; }
"#;

fn at(line: &Value) -> Timestamp {
    line["at"].as_str().expect("a time").parse().expect("a time")
}

fn between(earlier: &Value, later: &Value) -> Duration {
    at(later).duration_since(at(earlier)).unsigned_abs()
}

#[test]
fn an_agent_that_hangs_before_its_first_output_is_nudged_restarted_and_blocked_at_the_third_time() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("hangs");
    impatient_watchdog(&user, 2);
    let bot = Bot::start();
    user.gets_messages_from(&bot);
    let agent = user.shell_agent("exec sleep infinity");
    // The session's own time beats the project's.
    let project = user
        .project("shop")
        .key("SAMOCODE_AGENT", &agent)
        .key("SAMOCODE_STALL_AFTER", "1 h")
        .create();
    let session = project.named("hangs");

    let enable = project.samocode(["enable", "hangs", "--task", "Hang"]);
    enable.env("SAMOCODE_STALL_AFTER", "3 s").ok();
    session.wait_to_rest("blocked", "investigation");

    let kinds = ["nudged", "stalled", "run_started", "run_lost"];
    assert_eq!(kinds.map(|kind| session.journal(kind).len()), [3; 4]);
    assert!(session.journal("run_ended").is_empty());
    assert!(session.reason().contains("3 runs in a row made no progress"));
    let (runs, nudged) = (session.journal("run_started"), session.journal("nudged"));
    assert!(between(&runs[0], &nudged[0]) >= secs(3));
    // Twice the patience, and the bound for the rest.
    let hang = between(&runs[0], &runs[1]);
    assert!(hang >= secs(6) && hang <= secs(6 + 30), "restarted after {hang:?}");
    user.wait_until("the user is notified of the end", BOUND, || {
        bot.count_of("3 runs in a row") == 1
    });
    assert_eq!(bot.count_of("no sign of progress for"), 3, "{:?}", bot.messages());
    assert_eq!(user.unit_property(&session.unit(), "Result"), "success");
}

#[test]
fn an_agent_that_hangs_after_its_end_was_reported_is_ended_and_its_signal_used() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("lingers-on");
    let lines = format!(
        "{GO_ON}finish; echo '{{\"event\":\"finished\",\"text\":\"all done\"}}'; exec sleep infinity"
    );
    let agent = user.shell_agent(&lines);
    let project = user.project("shop").key("SAMOCODE_AGENT", &agent).create();
    let session = project.named("late");

    session.enable(&["--task", "End late"]);
    session.wait_to_rest("blocked", "investigation");

    assert_eq!(session.reason(), "that is all");
    let (started, ended) = (session.journal("run_started"), session.journal("run_ended"));
    assert_eq!((started.len(), ended.len()), (1, 1));
    assert!(between(&started[0], &ended[0]) < secs(50));
    assert!(session.journal("nudged").is_empty());
}

#[test]
fn a_model_that_falls_silent_is_a_stall_and_the_conversation_resumes_after_it() {
    let Some(lab) = lab::with_claude() else { return };
    for (name, mute) in [("silent", Reply::silent()), ("pings", Reply::pings())] {
        let user = lab.user(name);
        impatient_watchdog(&user, 3);
        // The run that was killed takes one step of the script, the next one the rest.
        let signal = r#"echo '{"status":"blocked","reason":"that is all","needs":"human_decision"}' >"$SAMOCODE_SESSION_DIR/_signal.json""#;
        let api = Api::start(Script::new().reply(mute).bash(signal).say("Done."));
        user.uses_claude(&api);
        let project =
            user.project("shop").key("SAMOCODE_STALL_AFTER_INVESTIGATION", "8 s").create();
        let session = project.named(name);

        session.enable(&["--task", "Wait for the model"]);
        session.wait_to_rest("blocked", "investigation");

        assert_eq!(session.reason(), "that is all", "{}", user.diagnosis());
        let runs = session.journal("run_started");
        assert_eq!(runs.len(), 2);
        // A CLI that a busy machine starts slowly may be nudged for that too.
        assert!(session.journal("nudged").iter().any(|nudge| nudge["run"] == runs[0]["run"]));
        let stalled = session.journal("stalled");
        assert_eq!((stalled.len(), &stalled[0]["run"]), (1, &runs[0]["run"]));
        assert_eq!(runs[1]["resume"], true);
        assert_eq!(runs[0]["conversation"], runs[1]["conversation"]);
    }
}

#[test]
fn a_worker_that_hangs_is_restarted_within_45_seconds() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("frozen");
    let lines =
        format!("{GO_ON}[ -e ~/second ] && {{ finish; exit; }}; touch ~/second; sleep 1000");
    let agent = user.shell_agent(&lines);
    let project = user.project("shop").key("SAMOCODE_AGENT", &agent).create();
    let session = project.named("frozen");
    session.enable(&["--task", "Freeze"]);
    user.wait_until("the agent runs", BOUND, || user.exists("second"));

    let frozen = Timestamp::now();
    user.run(["kill", "-STOP", &session.worker()]).ok();
    user.wait_until("the second run has started", secs(60), || {
        session.journal("run_started").len() == 2
    });

    let runs = session.journal("run_started");
    let took = at(&runs[1]).duration_since(frozen).unsigned_abs();
    assert!(took <= secs(45), "{took:?}");
    session.wait_to_rest("blocked", "investigation");
    assert_eq!(session.reason(), "that is all");
    assert_eq!(user.sh("pgrep -u $USER -x sleep").output().code, 1, "the first run's sleep lives");
}

#[test]
fn a_silent_build_that_uses_the_cpu_is_left_alone() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("builds");
    impatient_watchdog(&user, 4);
    // Longer than both thresholds and the watchdog's time together.
    let lines = format!("{GO_ON}timeout 12 bash -c 'while :; do :; done'; finish");
    let agent = user.shell_agent(&lines);
    let project = user
        .project("shop")
        .key("SAMOCODE_AGENT", &agent)
        .key("SAMOCODE_STALL_AFTER", "3 s")
        .create();
    let session = project.named("builds");

    session.enable(&["--task", "Build"]);
    session.wait_to_rest("blocked", "investigation");

    assert_eq!(session.reason(), "that is all");
    assert_eq!(session.journal("run_started").len(), 1);
    assert!(session.journal("nudged").is_empty() && session.journal("stalled").is_empty());
}

#[test]
fn an_agent_that_waits_for_a_tool_which_reports_progress_is_left_alone() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("waits-long");
    impatient_watchdog(&user, 4);
    let lines = format!("{GO_ON}for i in {{1..12}}; do sleep 1; echo still at it; done; finish");
    let agent = user.shell_agent(&lines);
    let project = user
        .project("shop")
        .key("SAMOCODE_AGENT", &agent)
        .key("SAMOCODE_STALL_AFTER", "4 s")
        .create();
    let session = project.named("waits");

    session.enable(&["--task", "Wait"]);
    session.wait_to_rest("blocked", "investigation");

    assert_eq!(session.reason(), "that is all");
    assert_eq!(session.journal("run_started").len(), 1);
    assert!(session.journal("nudged").is_empty() && session.journal("stalled").is_empty());
}

#[test]
fn time_during_which_a_user_was_frozen_is_not_silence_of_the_agent() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("freezes");
    // The manager's clock keeps running too.
    impatient_watchdog(&user, 300);
    let lines = format!("{GO_ON}mkfifo ~/go; touch ~/waits; read -r _ <~/go; finish");
    let agent = user.shell_agent(&lines);
    let project = user
        .project("shop")
        .key("SAMOCODE_AGENT", &agent)
        .key("SAMOCODE_STALL_AFTER", "20 s")
        .create();
    let session = project.named("freezes");
    session.enable(&["--task", "Freeze"]);
    user.wait_until("the agent waits", BOUND, || user.exists("waits"));

    let manager = format!("user@{}.service", user.uid);
    let pinged_us = || {
        let at = user.unit_property(&session.unit(), "WatchdogTimestampMonotonic");
        at.parse::<u64>().unwrap_or_default()
    };
    let before = pinged_us();
    lab.root(["systemctl", "freeze", &manager]).ok();
    // Nothing to wait for: longer than until a stall.
    std::thread::sleep(secs(45));
    lab.root(["systemctl", "thaw", &manager]).ok();
    user.wait_until("the worker has looked at the run after that", secs(60), || {
        pinged_us() > before + 45_000_000
    });
    user.sh("echo >~/go").ok();
    session.wait_to_rest("blocked", "investigation");

    assert_eq!(session.reason(), "that is all");
    assert_eq!(session.journal("run_started").len(), 1);
    assert!(session.journal("nudged").is_empty() && session.journal("stalled").is_empty());
}

#[test]
fn the_real_cli_that_waits_for_a_long_tool_is_left_alone() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user("long-tool");
    // It reports a tool's progress every 30 s.
    let line = r#"sleep 80; echo '{"status":"blocked","reason":"that is all","needs":"human_decision"}' >"$SAMOCODE_SESSION_DIR/_signal.json""#;
    let api = Api::start(Script::new().bash(line).say("Done."));
    user.uses_claude(&api);
    let project = user.project("shop").key("SAMOCODE_STALL_AFTER", "38 s").create();
    let session = project.named("long");

    session.enable(&["--task", "Wait"]);
    user.wait_until("it is blocked", secs(170), || session.stands().0 == "blocked");

    assert_eq!(session.reason(), "that is all", "{}", user.diagnosis());
    assert_eq!(session.journal("run_started").len(), 1);
    assert!(session.journal("nudged").is_empty() && session.journal("stalled").is_empty());
}

#[test]
fn an_agent_that_repeats_a_tool_call_is_warned_and_then_ended() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user("repeats");
    let api = Api::start(Script::new().bash("true").forever());
    user.uses_claude(&api);
    let project =
        user.project("shop").key("SAMOCODE_MAX_RETRIES", "1").key("CLAUDE_MODEL", "haiku").create();
    let session = project.named("repeats");

    session.enable(&["--task", "Repeat"]);
    session.wait_to_rest("blocked", "investigation");

    let times: Vec<_> = session.journal("repeated").iter().map(|l| l["times"].as_u64()).collect();
    assert_eq!(times, [Some(20), Some(40)]);
    let ended = session.journal("run_ended");
    assert_eq!((ended.len(), &ended[0]["outcome"]), (1, &"stalled".into()));
    let why = session.reason();
    assert!(why.contains("the same call 40 times in a row: Bash"), "{why}");
}

#[test]
fn iterations_that_change_nothing_and_say_the_same_block_the_session() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("circles");
    let lines = format!(r#"{GO_ON}say '{{"status":"continue","summary":"Looked again"}}'"#);
    let agent = user.shell_agent(&lines);
    let project = user.project("shop").key("SAMOCODE_AGENT", &agent).create();
    let session = project.named("circles");

    session.enable(&["--task", "Go in circles"]);
    session.wait_to_rest("blocked", "investigation");

    let why = session.reason();
    let iterations = session.history().len();
    assert!(
        why.starts_with(&format!("{iterations} iterations of investigation ended with the same")),
        "{why}"
    );
    assert!(iterations < 8, "{iterations}");
}
