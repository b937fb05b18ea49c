//! What people do with a session under a real systemd, killed at each of its writes in turn and
//! repeated: session and unit end up where they would undisturbed. Likewise for the waker.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::lab::{self, LabUser, Project};
use crate::session::{BOUND, Session};

use super::stage::AGENT;
use super::{Dice, each};

/// Put before what the agent does: hold the session up until it is asked to stop, hang, or block.
const FIRST: &str = r#"
here=$HOME/$SAMOCODE_SESSION
if [ -e "$here.hold" ]; then
    touch "$here.held"
    until grep -q '"mail":"stop"' "$SAMOCODE_SESSION_DIR/_journal.jsonl" ||
        ls "$SAMOCODE_SESSION_DIR"/_inbox/*.json >/dev/null 2>&1; do sleep 0.02; done
fi
if [ -e "$here.hang" ]; then touch "$here.held"; sleep 1000; fi
if [ -e "$here.block" ]; then
    rm "$here.block"
    printf '{"status":"blocked","reason":"enough"}' >"$SAMOCODE_SESSION_DIR/_signal.json"
    exit
fi
"#;

struct Bench {
    user: LabUser,
}

impl Bench {
    fn new(lab: &'static lab::Lab, hint: &str) -> Self {
        let user = lab.user(hint);
        user.write_program("agent", format!("#!/bin/sh\n{FIRST}{AGENT}"));
        Self { user }
    }

    fn project(&self) -> Project<'_> {
        let agent = format!("command:{}", self.user.home.join("agent").display());
        let builder = self.user.project("shop").key("SAMOCODE_AGENT", &agent);
        builder.key("SAMOCODE_RETRY_DELAY", "0").key("SAMOCODE_DISK_FLOOR", "0").create()
    }
}

/// An action, the state of the session before it, and the expected state after it.
struct Act {
    what: &'static str,
    prepare: fn(&Session<'_>),
    verb: fn(&str) -> Vec<&str>,
    state: &'static str,
    phase: &'static str,
    enabled: &'static str,
}

fn begin(session: &Session<'_>) {
    session.enable(&["--task", "Count"]);
}

fn at_the_first_gate(session: &Session<'_>) {
    begin(session);
    session.wait_to_rest("waiting", "requirements");
}

fn at_the_second_gate(session: &Session<'_>) {
    at_the_first_gate(session);
    session.approve();
    session.wait_to_rest("waiting", "planning");
}

fn finished(session: &Session<'_>) {
    at_the_second_gate(session);
    session.approve();
    session.wait_to_rest("done", "done");
}

/// At work, with an agent that stays so.
fn held(session: &Session<'_>, how: &str) {
    let name = session.name;
    session.user().write(format!("{name}.{how}"), "");
    begin(session);
    let held = format!("{name}.held");
    session.user().wait_until("the agent is at work", BOUND, || session.user().exists(&held));
    session.user().sh(&format!("rm {name}.{how} {held}")).ok();
}

fn blocked(session: &Session<'_>) {
    session.user().write(format!("{}.block", session.name), "");
    begin(session);
    session.wait_to_rest("blocked", "investigation");
}

fn stopped(session: &Session<'_>) {
    held(session, "hang");
    session.project.samocode(["stop", "--now", session.name]).ok();
}

const ACTS: [Act; 12] = [
    Act {
        what: "a session is created",
        prepare: |_| {},
        verb: |name| vec!["enable", name, "--task", "Count"],
        state: "waiting",
        phase: "requirements",
        enabled: "enabled",
    },
    Act {
        what: "a session is given a time",
        prepare: |_| {},
        verb: |name| vec!["enable", name, "--task", "Count", "--at", "20h"],
        state: "queued",
        phase: "investigation",
        enabled: "disabled",
    },
    Act {
        what: "a session that waits for its time is stopped",
        prepare: |session| session.enable(&["--task", "Count", "--every", "03:00"]),
        verb: |name| vec!["stop", name],
        state: "stopped",
        phase: "investigation",
        enabled: "disabled",
    },
    Act {
        what: "a finished session is given a new task",
        prepare: finished,
        verb: |name| vec!["enable", name, "--task", "Count again"],
        state: "waiting",
        phase: "requirements",
        enabled: "enabled",
    },
    Act {
        what: "a session at work is stopped",
        prepare: |session| held(session, "hold"),
        verb: |name| vec!["stop", name],
        state: "stopped",
        phase: "requirements",
        enabled: "enabled",
    },
    Act {
        what: "a session at work is stopped at once",
        prepare: |session| held(session, "hang"),
        verb: |name| vec!["stop", "--now", name],
        state: "stopped",
        phase: "investigation",
        enabled: "enabled",
    },
    Act {
        what: "a waiting session is stopped",
        prepare: at_the_first_gate,
        verb: |name| vec!["stop", name],
        state: "stopped",
        phase: "requirements",
        enabled: "enabled",
    },
    Act {
        what: "a stopped session is started",
        prepare: stopped,
        verb: |name| vec!["start", name],
        state: "waiting",
        phase: "requirements",
        enabled: "enabled",
    },
    Act {
        what: "a blocked session is started",
        prepare: blocked,
        verb: |name| vec!["start", name],
        state: "waiting",
        phase: "requirements",
        enabled: "enabled",
    },
    Act {
        what: "a blocked session is sent words",
        prepare: blocked,
        verb: |name| vec!["send", name, "Try again"],
        state: "waiting",
        phase: "requirements",
        enabled: "enabled",
    },
    Act {
        what: "a plan is sent back",
        prepare: at_the_second_gate,
        verb: |name| vec!["reject", name, "-m", "Smaller steps"],
        state: "waiting",
        phase: "planning",
        enabled: "enabled",
    },
    Act {
        what: "a plan is approved",
        prepare: at_the_second_gate,
        verb: |name| vec!["approve", name],
        state: "done",
        phase: "done",
        enabled: "disabled",
    },
];

/// The result of a session.
#[derive(Debug, PartialEq)]
struct Came {
    signals: Vec<(u64, String, String)>,
    mail: Vec<String>,
    resumed: usize,
}

impl Act {
    fn came(&self, session: &Session<'_>) -> Came {
        let what = format!("{}: {} {} {}", self.what, self.state, self.phase, self.enabled);
        let (user, unit) = (session.user(), session.unit());
        user.wait_until(&what, BOUND, || {
            session.stands() == (self.state.to_owned(), self.phase.to_owned())
                && session.active() == "inactive"
                && user.unit_property(&unit, "UnitFileState") == self.enabled
        });
        let mail = session.journal("mail").into_iter();
        let overview = session.file("_overview.md");
        Came {
            signals: session.history(),
            mail: mail.map(|line| line["mail"].as_str().unwrap_or_default().to_owned()).collect(),
            resumed: overview.matches("Session resumed: Count again").count(),
        }
    }

    /// Does it undisturbed; returns the result and the crash points on the way.
    fn in_peace(&self, session: &Session<'_>) -> (Came, Vec<String>) {
        (self.prepare)(session);
        let log = session.user().home.join(format!("{}.points", session.name));
        let verb = session.project.samocode((self.verb)(session.name));
        verb.env("SAMOCODE_CRASH_LOG", log.to_string_lossy()).ok();
        let names = session.user().read(&log);
        let names = names.lines().filter_map(|line| Some(line.split_once(' ')?.1.to_owned()));
        (self.came(session), names.collect())
    }

    fn killed_at(&self, session: &Session<'_>, at: usize) -> Came {
        (self.prepare)(session);
        let verb = || session.project.samocode((self.verb)(session.name));
        let first = verb().env("SAMOCODE_CRASH_AT", at.to_string()).output();
        assert!(first.code == 137, "{}: {first}", self.what);
        let again = verb().output();
        // An answer that was already received is refused: the session no longer waits for it.
        let refused = again.code == 1 && again.stderr.contains("is not waiting");
        assert!(again.code == 0 || refused, "{}: {again}", self.what);
        self.came(session)
    }
}

#[test]
fn a_killed_verb_that_is_run_again_reaches_the_same_result() {
    let Some(lab) = lab::get() else { return };
    let bench = Bench::new(lab, "verbs");
    let project = bench.project();
    // The units that all sessions share are written once.
    at_the_first_gate(&project.named("first"));
    let peace = std::sync::Mutex::new(Vec::new());
    let acts: Vec<usize> = (0..ACTS.len()).collect();
    each(&acts, |which| {
        let name = format!("peace-{which}");
        let done = catch_unwind(AssertUnwindSafe(|| ACTS[*which].in_peace(&project.named(&name))));
        peace.lock().unwrap().push((*which, done.map_err(in_words)?));
        Ok(())
    });
    let mut peace = peace.into_inner().unwrap();
    peace.sort_by_key(|(which, _)| *which);
    let mut dice = Dice::new();
    let mut cases = Vec::new();
    for (which, (_, names)) in &peace {
        println!("{}: {} points: {names:?}", ACTS[*which].what, names.len());
        cases.extend(dice.sample(names.len(), 2).into_iter().map(|at| (*which, at + 1)));
    }
    each(&cases, |(which, at)| {
        let (act, (_, (expected, names))) = (&ACTS[*which], &peace[*which]);
        let name = format!("act-{which}-{at}");
        let case = format!("{}, killed at {}", act.what, names[at - 1]);
        let done = catch_unwind(AssertUnwindSafe(|| act.killed_at(&project.named(&name), *at)));
        match done.map_err(|panic| format!("{case}: {}", in_words(panic)))? {
            came if came == *expected => Ok(()),
            came => Err(format!("{case}: {came:#?}\nnot {expected:#?}")),
        }
    });
}

fn in_words(panic: Box<dyn std::any::Any + Send>) -> String {
    panic.downcast_ref::<String>().cloned().unwrap_or_default()
}

#[test]
fn a_waker_finishes_what_a_killed_one_left() {
    let Some(lab) = lab::get() else { return };
    let bench = Bench::new(lab, "wakers");
    let project = bench.project();
    let user = &bench.user;
    let spool = ".local/state/samocode/wake";
    // From the second gate to the end, with the wakers run by hand: the one that starts the
    // session, and the one that disables what is done.
    let approved = |name: &str| {
        let session = project.named(name);
        user.systemctl(["start", "samocode-wake.path"]).output();
        at_the_second_gate(&session);
        session.wait_for_waker();
        user.systemctl(["stop", "samocode-wake.path"]).ok();
        session.put_message("approve", "");
        user.write(format!("{spool}/{name}"), "");
    };
    let log = user.home.join("points");
    let wake = || user.samocode(["wake"]).env("SAMOCODE_CRASH_LOG", log.to_string_lossy());
    let is_done = |name: &str| {
        let session = project.named(name);
        session.wait_to_rest("done", "done");
        wake().ok();
        assert_eq!(user.unit_property(&session.unit(), "UnitFileState"), "disabled");
        let owed = user.sh(&format!("ls {spool} {spool}-taken")).ok().stdout;
        assert!(owed.lines().all(|line| line.is_empty() || line.ends_with(':')), "{owed}");
        assert_eq!(session.journal("mail").len(), 2, "one word for each gate");
    };
    approved("peace");
    wake().ok();
    is_done("peace");
    let both = user.read(&log);
    let pids: Vec<&str> = both.lines().filter_map(|line| Some(line.split_once(' ')?.0)).collect();
    let first = pids.iter().filter(|pid| **pid == pids[0]).count();
    println!("{first} and {} points: {both}", pids.len() - first);
    assert!(first >= 4 && pids.len() > first, "{both}");
    for at in Dice::new().sample(first, 2) {
        let name = format!("killed-{at}");
        approved(&name);
        let killed = wake().env("SAMOCODE_CRASH_AT", (at + 1).to_string()).output();
        assert_eq!(killed.code, 137, "{killed}");
        wake().ok();
        project.named(&name).wait_to_rest("done", "done");
        // And the second.
        let killed = wake().env("SAMOCODE_CRASH_AT", (at + 1).to_string()).output();
        assert_eq!(killed.code, 137, "{killed}");
        is_done(&name);
    }
}
