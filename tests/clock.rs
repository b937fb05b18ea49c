//! Wall clocks that are set while a session waits, by libfaketime in its worker alone.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::lab::{self, Lab, LabUser, Project, secs};
use crate::session::Session;

/// Where Debian has it, the architecture left open.
const LIBRARY: &str = "echo /usr/lib/*/faketime/libfaketime.so.1";

/// Hits a usage limit the first time, which ends when the reply says, and blocks after that.
const LIMITED: &str = r#"#!/bin/bash
cat >/dev/null
if [ -e ~/limited ]; then
    echo '{"status":"blocked","reason":"that is all","needs":"human_decision"}' >"$SAMOCODE_SESSION_DIR/_signal.json"
else
    touch ~/limited
    echo '{"event":"limit","reached":true,"kind":"five_hour"RESETS}'
    echo '{"event":"finished","is_error":true,"error_kind":"usage_limit_reached"}'
fi
"#;

/// Cannot reach its model until the clock is right.
const OVERLOADED: &str = r#"#!/bin/bash
cat >/dev/null
if grep -qx +0 ~/clock; then
    echo '{"status":"blocked","reason":"that is all","needs":"human_decision"}' >"$SAMOCODE_SESSION_DIR/_signal.json"
else
    echo '{"event":"finished","is_error":true,"error_kind":"overloaded"}'
fi
"#;

const YEAR_S: i64 = 365 * 24 * 3600;

/// A user whose workers take the time from [`set`]; none where libfaketime is missing.
pub(crate) fn user_with_a_clock(lab: &'static Lab, name: &str) -> Option<LabUser> {
    let library = lab.root_sh(LIBRARY).ok().stdout.trim().to_owned();
    if library.contains('*') {
        lab::skipped("libfaketime (Debian package libfaketime) is not installed");
        return None;
    }
    let user = lab.user(name);
    let clock = user.home.join("clock").display().to_string();
    // Only the wall clock is changed; the clock that programs wait by is not.
    user.write(
        ".config/systemd/user/samocode@.service.d/clock.conf",
        format!(
            "[Service]\nEnvironment=LD_PRELOAD={library} FAKETIME_TIMESTAMP_FILE={clock} \
             FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1\n"
        ),
    );
    Some(user)
}

/// Sets the clock of a user's workers by so many seconds from the right time.
pub(crate) fn set(user: &LabUser, off_s: i64) {
    // Renamed into place: it is read whenever a worker reads the clock.
    user.write("clock.new", format!("{off_s:+}\n"));
    let (new, clock) = (user.host_path("clock.new"), user.host_path("clock"));
    std::fs::rename(new, clock).expect("the clock's file");
}

fn limited_project<'u>(user: &'u LabUser, resets: &str) -> Project<'u> {
    user.write_program("agent", LIMITED.replace("RESETS", resets));
    let agent = format!("command:{}", user.home.join("agent").display());
    user.project("shop").key("SAMOCODE_AGENT", &agent).create()
}

#[track_caller]
pub(crate) fn time(value: &Value) -> Timestamp {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no time: {value}"))
}

/// Waits for the run after the limit; longer than a look at the clock takes, and far shorter than
/// the limit lasts.
fn goes_on(session: &Session<'_>) {
    let bound: Duration = secs(90);
    session.user().wait_until("it resumes", bound, || session.journal("run_started").len() == 2);
    session.wait_to_rest("blocked", "investigation");
    assert_eq!(session.hook()["reason"], "that is all");
    assert_eq!(session.journal("worker_started").len(), 1, "by the worker that waited");
}

#[test]
fn a_limit_ends_when_the_clock_is_set_past_it() {
    let Some(lab) = lab::get() else { return };
    let Some(user) = user_with_a_clock(lab, "ahead") else { return };
    let until = Timestamp::now() + SignedDuration::from_hours(5);
    let project = limited_project(&user, &format!(r#","resets_at":"{until}""#));
    let session = project.named("jwt");
    set(&user, 0);
    session.enable(&["--task", "Paint the fence"]);
    session.wait_for_state("limited");
    assert_eq!(time(&session.hook()["until"]), until);

    set(&user, 6 * 3600);

    goes_on(&session);
    assert!(time(&session.journal("run_started")[1]["at"]) > until);
    assert!(session.journal("stalled").is_empty() && session.journal("nudged").is_empty());
}

#[test]
fn a_limit_from_a_clock_that_was_far_ahead_is_rechecked_when_the_clock_is_corrected() {
    let Some(lab) = lab::get() else { return };
    let Some(user) = user_with_a_clock(lab, "corrected") else { return };
    // The reply gives no end: a while from now is assumed.
    let project = limited_project(&user, "");
    let session = project.named("jwt");
    set(&user, YEAR_S);
    session.enable(&["--task", "Paint the fence"]);
    session.wait_for_state("limited");
    let next_year = Timestamp::now() + SignedDuration::from_secs(YEAR_S - 3600);
    assert!(time(&session.hook()["until"]) > next_year);

    set(&user, 0);

    goes_on(&session);
    assert_eq!(session.journal("continued").len(), 1);
    let last = session.journal("").pop().expect("an entry");
    assert!(time(&last["at"]) < next_year, "the journal keeps the wrong time: {last}");
}

#[test]
fn a_pause_from_a_clock_that_was_far_ahead_ends_when_the_clock_is_corrected() {
    let Some(lab) = lab::get() else { return };
    let Some(user) = user_with_a_clock(lab, "soon") else { return };
    user.write_program("agent", OVERLOADED);
    let agent = format!("command:{}", user.home.join("agent").display());
    let project = user.project("shop").key("SAMOCODE_AGENT", &agent).create();
    let session = project.named("jwt");
    set(&user, YEAR_S);
    session.enable(&["--task", "Paint the fence"]);
    session.wait_for_state("paused");

    set(&user, 0);

    session.wait_to_rest("blocked", "investigation");
    assert_eq!(session.hook()["reason"], "that is all");
    assert_eq!(session.journal("continued").len(), 1);
}

#[test]
fn a_limit_from_a_clock_that_was_far_ahead_does_not_outlast_a_worker() {
    let Some(lab) = lab::get() else { return };
    let Some(user) = user_with_a_clock(lab, "reborn") else { return };
    let project = limited_project(&user, "");
    let session = project.named("jwt");
    set(&user, YEAR_S);
    session.enable(&["--task", "Paint the fence"]);
    session.wait_for_state("limited");

    user.systemctl(["stop", &session.unit()]).ok();
    set(&user, 0);
    user.systemctl(["start", &session.unit()]).ok();

    session.wait_to_rest("blocked", "investigation");
    assert_eq!(session.hook()["reason"], "that is all");
    assert_eq!(session.journal("run_started").len(), 2);
}

#[test]
fn a_clock_that_is_set_while_an_agent_works_is_neither_a_stall_nor_a_timeout() {
    let Some(lab) = lab::get() else { return };
    let Some(user) = user_with_a_clock(lab, "works") else { return };
    let agent = user.obedient_agent("touch ~/held; until [ -e ~/go ]; do sleep 0.02; done");
    let project = user.project("shop").key("SAMOCODE_AGENT", &agent).create();
    let session = project.named("jwt");
    set(&user, 0);
    session.enable(&["--task", "Paint the fence"]);
    user.wait_until("the agent works", secs(60), || user.exists("held"));

    // Each is seen by a look at the run: the worker shows it in the hook, or says so by its pings.
    for off_s in [7 * 24 * 3600, -7 * 24 * 3600, 0] {
        set(&user, off_s);
        let looked = user.unit_property(&session.unit(), "WatchdogTimestampMonotonic");
        user.wait_until("the worker has looked at the run twice", secs(60), || {
            let now = user.unit_property(&session.unit(), "WatchdogTimestampMonotonic");
            let us = |text: &str| text.parse::<u64>().unwrap_or_default();
            us(&now) > us(&looked) + 5_000_000
        });
    }
    user.write("go", "");
    session.wait_to_rest("waiting", "requirements");

    let kinds = ["nudged", "stalled", "run_lost", "signal_asked"];
    assert_eq!(kinds.map(|kind| session.journal(kind).len()), [0; 4]);
    assert_eq!(session.journal("run_started").len(), 2);
    assert_eq!(session.journal("worker_started").len(), 1);
}
