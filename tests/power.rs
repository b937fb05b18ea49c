//! A machine that loses its power, and boots again on the same disk.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::clock::time;
use crate::lab::{self, Api, LabUser, Machine, Reply, Script};
use crate::session::{BOUND, Session};

/// A user whose units run without a login, from boot.
pub(crate) fn lingering_user(machine: &Machine, name: &str) -> LabUser {
    let user = machine.lab.user(name);
    machine.lab.root(["loginctl", "enable-linger", &user.name]).ok();
    user
}

/// The machine's boots that workers of a session have seen.
fn boots(session: &Session<'_>) -> Vec<Value> {
    session.journal("worker_started").iter().map(|line| line["boot"].clone()).collect()
}

#[test]
fn a_run_resumes_its_conversation_after_a_power_cut() {
    let Some(mut machine) = lab::machine() else { return };
    let user = lingering_user(&machine, "power");
    let hold = "touch ~/held; until [ -e ~/go ]; do sleep 0.02; done";
    let mut first = Some(Reply::bash(hold));
    let mut obedient = Script::obedient().into_answer();
    let api = Api::start_with(move |request| first.take().unwrap_or_else(|| obedient(request)));
    user.uses_claude(&api);
    let project = user.project("shop").create();
    let session = project.named("jwt");
    session.enable(&["--task", "Paint the fence"]);
    user.wait_until("the tool runs", BOUND, || user.exists("held"));

    machine.cut_power();
    session.wait_to_rest("waiting", "requirements");

    let runs = session.journal("run_started");
    assert_eq!((&runs[0]["resume"], &runs[1]["resume"]), (&false.into(), &true.into()));
    assert_eq!(runs[0]["conversation"], runs[1]["conversation"]);
    assert_eq!(session.journal("run_lost").len(), 1);
    assert_eq!(session.history()[0], (1, "investigation".into(), "continue".into()));
    let second = &api.requests()[1];
    assert!(second.says("Paint the fence") && second.says("cut off"), "{}", second.prompt());
    let boots = boots(&session);
    assert!(boots.len() == 2 && boots[0] != boots[1], "{boots:?}");
    let history = project.samocode(["history", "jwt"]).ok();
    assert!(history.stdout.contains("resumed after the machine restarted"), "{history}");

    // A waiting session checks for mail at boot, and is answered after it.
    machine.cut_power();
    user.wait_until("the worker has had its look", BOUND, || {
        session.journal("worker_ended").len() == 2 && !session.is_active()
    });
    assert_eq!(session.stands(), ("waiting".into(), "requirements".into()));
    session.through_the_gates();
}

#[test]
fn a_usage_limit_survives_a_power_cut() {
    let Some(mut machine) = lab::machine() else { return };
    let user = lingering_user(&machine, "limited");
    let until = (Timestamp::now() + SignedDuration::from_secs(45)).as_second();
    let limit = Reply::usage_limit(until.unsigned_abs());
    let api = Api::start(Script::new().reply(limit).forever()).for_a_subscription();
    user.uses_claude(&api);
    let project = user.project("shop").create();
    let session = project.named("jwt");
    session.enable(&["--task", "Paint the fence"]);
    session.wait_for_state("limited");
    let shown = time(&session.hook()["until"]);
    assert_eq!(shown.as_second(), until);

    machine.cut_power();
    user.wait_until("a worker waits again", BOUND, || {
        session.journal("worker_started").len() == 2 && session.active() == "active"
    });
    assert_eq!(session.stands().0, "limited");
    assert_eq!(time(&session.hook()["until"]), shown);
    assert_eq!(api.requests().len(), 1, "it did not have to find out again");

    api.now(Script::obedient());
    session.wait_to_rest("waiting", "requirements");
    let runs = session.journal("run_started");
    assert!(time(&runs[1]["at"]) >= shown, "{runs:?}");
    assert_eq!(
        (&runs[1]["resume"], &runs[0]["conversation"]),
        (&true.into(), &runs[1]["conversation"])
    );
    assert!(session.journal("run_ended").iter().all(|run| run["failure"] == false));
}
