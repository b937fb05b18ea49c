//! Sessions that begin at a time, and again and again, on a real systemd.

use crate::lab::{self, Project};
use crate::session::{BOUND, Session};

/// The properties of a session's timer.
fn timer(session: &Session<'_>, property: &str) -> String {
    session.user().unit_property(&format!("samocode-timer@{}.timer", session.name), property)
}

/// Nothing is left of a session's timer: no unit that waits, no file.
#[track_caller]
fn timer_is_gone(session: &Session<'_>) {
    let (user, name) = (session.user(), session.name);
    let files = format!(
        "ls .config/systemd/user/samocode-timer@{name}.timer.d \
         .config/systemd/user/timers.target.wants/samocode-timer@{name}.timer 2>/dev/null"
    );
    user.wait_until(&format!("the timer of {name} is gone"), BOUND, || {
        timer(session, "ActiveState") == "inactive"
            && user.sh(&files).output().stdout.is_empty()
            && !user.exists(record(session))
    });
}

fn record(session: &Session<'_>) -> std::path::PathBuf {
    session.project.sessions.join(format!("_timers/{}.json", session.name))
}

/// As if its next time had just come: waiting for it would take a day.
#[track_caller]
fn make_due(session: &Session<'_>) {
    let user = session.user();
    let mut of: serde_json::Value = serde_json::from_str(&user.read(record(session))).unwrap();
    of["next"] = "2026-01-01T00:00:00Z".into();
    user.write(record(session), of.to_string());
}

#[track_caller]
fn tick(session: &Session<'_>) {
    make_due(session);
    let unit = format!("samocode-timer@{}.service", session.name);
    session.user().systemctl(["start", &unit]).ok();
    session.user().wait_until("the time has been acted on", BOUND, || {
        !session.user().read(record(session)).contains("2026-01-01T00:00:00Z")
    });
}

fn has_begun(project: &Project<'_>, name: &str) -> bool {
    !project.named(name).journal("run_started").is_empty()
}

#[test]
fn a_session_begins_at_its_time_unless_it_is_called_off_or_started_before() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("timer");
    let agent = user.obedient_agent("");
    let project = user.project("shop").key("SAMOCODE_AGENT", &agent).create();
    for (at, word) in [("soon", "is not a time"), ("2020-01-01 10:00", "is past")] {
        let refused = project.samocode(["enable", "soon", "--task", "Paint", "--at", at]).output();
        assert!(refused.code == 2 && refused.is_one_error(), "{refused}");
        assert!(refused.stderr.contains(word) && refused.stderr.contains("22:00"), "{refused}");
    }
    assert!(project.session("soon").is_none(), "nothing is left of what was refused");

    let [soon, later, off] = ["soon", "later", "off"].map(|name| project.named(name));
    let said = project.samocode(["enable", "later", "--task", "Paint", "--at", "20h"]).ok().stdout;
    assert!(said.contains("later   starts t"), "{said}");
    off.enable(&["--task", "Paint", "--at", "20h"]);
    soon.enable(&["--task", "Paint", "--at", "3s"]);

    // One that waits has no process, and mail does not start it.
    later.send("remember the fence");
    later.wait_for_waker();
    assert_eq!(later.stands().0, "queued");
    assert!(!later.is_active() && !has_begun(&project, "later"));
    let shown = project.samocode(["status", "later", "--json"]).ok().json();
    let next: jiff::Timestamp = shown["timer"]["next"].as_str().unwrap().parse().unwrap();
    let elapses = user.sh("systemctl --user list-timers --all").ok().stdout;
    assert!(elapses.contains("samocode-timer@later.timer"), "{elapses}");
    let calendar = timer(&later, "TimersCalendar");
    let in_utc = next.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    assert!(calendar.contains(&in_utc), "{calendar} has not {in_utc}");
    assert_eq!(timer(&later, "UnitFileState"), "enabled");
    let why = project.samocode(["why", "later"]).ok().stdout;
    assert!(why.contains("it starts t") && why.contains("samocode stop later"), "{why}");

    let stopped = project.samocode(["stop", "off"]).ok().stdout;
    assert!(stopped.contains("no longer starts t"), "{stopped}");
    timer_is_gone(&off);
    assert_eq!(off.stands().0, "stopped");

    soon.wait_to_rest("waiting", "requirements");
    timer_is_gone(&soon);
    project.samocode(["start", "later"]).ok();
    later.wait_to_rest("waiting", "requirements");
    timer_is_gone(&later);
    assert_eq!(later.journal("run_started").len() + soon.journal("run_started").len(), 4);

    // A session that is stopped resumes at a time, also one at which nobody was logged in.
    off.enable(&["--at", "20h"]);
    assert!(project.samocode(["status", "off"]).ok().stdout.contains("it starts t"));
    user.stop_manager();
    make_due(&off);
    user.start_manager();
    off.wait_to_rest("waiting", "requirements");
    timer_is_gone(&off);
}

#[test]
fn a_fresh_session_begins_each_time_the_last_is_done_whatever_is_killed() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("every");
    let agent = user.obedient_agent("mkdir -p $SAMOCODE_SESSION; cd $SAMOCODE_SESSION");
    let project = user.project("shop").key("SAMOCODE_AGENT", &agent).create();
    let deps = project.named("deps");
    deps.enable(&["--task", "Update", "--every", "03:00"]);
    let why = project.samocode(["why", "deps"]).ok().stdout;
    assert!(why.contains("every day at 03:00, next "), "{why}");
    tick(&deps);
    deps.wait_to_rest("waiting", "requirements");
    tick(&deps);
    let why = project.samocode(["why", "deps"]).ok().stdout;
    assert!(why.contains("nothing began") && why.contains("deps was waiting"), "{why}");
    deps.through_the_gates();

    // The looks at the timer that are killed, and the one that is not, begin one session.
    make_due(&deps);
    let log = user.home.join("points");
    let look = || project.samocode(["tick", "deps"]);
    for at in 1.. {
        let killed = look().env("SAMOCODE_CRASH_AT", at.to_string()).output();
        if killed.code == 0 {
            break;
        }
        assert!(killed.code == 137 && at < 90, "{killed}");
    }
    look().env("SAMOCODE_CRASH_LOG", log.to_string_lossy()).ok();
    let second = project.named("deps-2");
    second.wait_to_rest("waiting", "requirements");
    assert!(project.session("deps-3").is_none(), "it began one");
    let branches = user.sh("git branch --list 'deps*'").cwd(&project.dir).ok().stdout;
    assert_eq!(branches.lines().count(), 2, "{branches}");
    let shown = project.samocode(["status", "deps"]).ok().stdout;
    assert!(shown.contains("the last one is deps-2"), "{shown}");

    // What is done and has a timer stays until it is named.
    let left = project.samocode(["archive", "--done"]).ok();
    assert!(
        left.stderr.contains("deps stays, for its timer") && deps.user().exists(record(&deps)),
        "{left}"
    );
    project.samocode(["archive", "deps"]).ok();
    timer_is_gone(&deps);

    // An interval begins at once, and is called off by stop.
    let often = project.named("often");
    let said = project.samocode(["enable", "often", "--task", "Look", "--every", "6h"]).ok().stdout;
    assert!(said.contains("next: ") && said.contains("every 6h"), "{said}");
    often.wait_to_rest("waiting", "requirements");
    project.samocode(["stop", "often"]).ok();
    timer_is_gone(&often);
    for bad in [&["--after", "deps-2"][..], &["--convoy", "c"]] {
        let words = ["enable", "both", "--task", "T", "--at", "22:00"].iter().chain(bad);
        let refused = project.samocode(words).output();
        assert!(
            refused.code == 2 && refused.stderr.contains("in a convoy, after others"),
            "{refused}"
        );
    }
}
