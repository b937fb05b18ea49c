//! `stop` in hard cases: on a disk that takes no writes, and at a session's very end.

use std::time::Instant;

use crate::lab::{self, secs};
use crate::session::BOUND;

/// Put before the agent's work: runs until it is ended.
const HANG: &str =
    "[ ! -e ~/hang ] || { touch ~/held-$SAMOCODE_SESSION; while :; do sleep 0.05; done; }";

#[test]
fn stop_works_and_is_remembered_on_a_disk_that_takes_no_writes() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("full");
    let agent = user.obedient_agent(HANG);
    let project =
        user.project("shop").key("SAMOCODE_AGENT", &agent).key("SAMOCODE_DISK_FLOOR", "0").create();
    let (sessions, uid) = (project.sessions.display(), user.uid);
    let fill = "dd if=/dev/zero of=$d/fill bs=4k; dd if=/dev/zero of=$d/fill2 bs=1; true";
    // A name, the command that makes writes fail, the expected message, the command that fixes it.
    let disks = [
        ("full", fill, "_stop instead", "rm $d/fill $d/fill2"),
        (
            "readonly",
            "mount --bind $d $d && mount -o remount,bind,ro $d",
            "is disabled instead",
            "umount -l $d",
        ),
    ];
    user.write("hang", "");
    for (name, breaking, message, fix) in disks {
        let session = project.named(name);
        let disk = format!("d={sessions}/26-11-20-{name}");
        lab.root_sh(&format!(
            "{disk}; mkdir -p $d && mount -t tmpfs -o size=256k,uid={uid},gid={uid},mode=755 tmpfs $d; chown {uid}:{uid} {sessions}"
        ))
        .ok();
        session.enable(&["--task", "Wait"]);
        let held = format!("held-{name}");
        user.wait_until("the agent is at work", BOUND, || user.exists(&held));
        lab.root_sh(&format!("{disk}; {breaking}")).ok();

        let start = Instant::now();
        let out = project.samocode(["stop", name]).ok();
        println!("{name}: {:?}\n{out}", start.elapsed());
        assert!(start.elapsed() < secs(20), "the worker ends although it can write nothing");
        assert!(out.stderr.contains("cannot ask the worker to stop: "), "{out}");
        assert!(out.stderr.contains(message), "{out}");
        assert!(out.stdout.contains("stopped. Resume it with"), "{out}");
        let unit = session.unit();
        assert_eq!(user.unit_property(&unit, "UnitFileState"), "disabled");
        assert_eq!(session.active(), "inactive");
        // Repeating it gives the same message.
        assert!(project.samocode(["stop", name]).ok().stderr.contains(message));

        // With room again, neither a reboot nor mail brings it back.
        lab.root_sh(&format!("{disk}; {fix}")).ok();
        user.stop_manager();
        user.start_manager();
        assert_eq!(session.active(), "inactive");
        if name == "full" {
            assert_eq!(
                project.samocode(["status", name, "--json"]).ok().json()["state"],
                "stopped"
            );
            assert!(
                project.samocode(["send", name, "Continue"]).ok().stdout.contains("is stopped")
            );
            user.write(format!(".local/state/samocode/wake/{name}"), "");
            session.wait_for_waker();
            assert_eq!(session.journal("run_started").len(), 1);
            // Nor does whoever starts the unit by hand.
            user.systemctl(["start", &unit]).ok();
            session.wait_to_rest("stopped", "investigation");
            assert_eq!(session.journal("stopped").len(), 1, "now it is recorded");
            assert!(!user.exists(project.session(name).unwrap().join("_stop")));
        }

        user.sh(&format!("rm {held}")).ok();
        project.samocode(["start", name]).ok();
        user.wait_until("the agent is at work again", BOUND, || user.exists(&held));
        assert_eq!(user.unit_property(&unit, "UnitFileState"), "enabled");
        project.samocode(["stop", "--now", name]).ok();
        assert_eq!(session.hook()["state"], "stopped");
        lab.root_sh(&format!("{disk}; umount -l $d")).ok();
    }
}

#[test]
fn a_stop_that_the_journal_cannot_take_is_recorded_by_the_next_worker() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("marked");
    let agent = user.obedient_agent("");
    let project = user.project("shop").key("SAMOCODE_AGENT", &agent).create();
    let session = project.named("jwt");
    session.enable(&["--task", "JWT login"]);
    session.wait_to_rest("waiting", "requirements");

    // No file may grow beyond 1 KiB.
    let stop = user.sh("trap '' XFSZ; ulimit -f 1; exec samocode stop jwt").cwd(&project.dir);
    let out = stop.ok();

    assert!(out.stderr.contains("_journal.jsonl: File too large"), "{out}");
    assert!(out.stderr.contains("_stop instead"), "{out}");
    assert_eq!(project.samocode(["status", "jwt", "--json"]).ok().json()["state"], "stopped");
    let answered = project.samocode(["answer", "jwt", "--accept-suggestions"]).ok();
    assert!(answered.stdout.contains("is stopped; it reads this after"), "{answered}");
    user.systemctl(["start", &session.unit()]).ok();
    session.wait_to_rest("stopped", "requirements");
    assert_eq!(session.journal("stopped").len(), 1);
    project.samocode(["start", "jwt"]).ok();
    session.wait_to_rest("waiting", "planning");
}

#[test]
fn a_session_that_finishes_during_a_stop_is_done_and_not_stopped() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("lastly");
    let wait = "[ $SAMOCODE_PHASE != done ] || { touch ~/last; until ls $SAMOCODE_SESSION_DIR/_inbox/*.json || grep -q '\"mail\":\"stop\"' $SAMOCODE_SESSION_DIR/_journal.jsonl; do sleep 0.02; done; }";
    let agent = user.obedient_agent(wait);
    let project = user.project("shop").key("SAMOCODE_AGENT", &agent).create();
    let session = project.named("jwt");
    session.enable(&["--task", "JWT login"]);
    session.wait_to_rest("waiting", "requirements");
    session.answer();
    session.wait_to_rest("waiting", "planning");
    session.approve();
    user.wait_until("the last iteration runs", BOUND, || user.exists("last"));

    let out = project.samocode(["stop", "jwt"]).ok();

    assert!(out.stdout.ends_with("jwt is done.\n"), "{out}");
    assert!(project.samocode(["stop", "jwt"]).ok().stdout.contains("jwt is already done."));
    session.wait_to_rest("done", "done");
}

#[test]
fn a_session_that_is_started_while_it_drains_keeps_running() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("drains");
    let wait = "[ $SAMOCODE_PHASE != investigation ] || { touch ~/held; until [ -e ~/go ]; do sleep 0.02; done; }";
    let agent = user.obedient_agent(wait);
    let project = user.project("shop").key("SAMOCODE_AGENT", &agent).create();
    let session = project.named("jwt");
    session.enable(&["--task", "JWT login"]);
    user.wait_until("the agent runs", BOUND, || user.exists("held"));

    for verb in [&["start", "jwt"][..], &["enable", "jwt"]] {
        let mut stop = project.samocode(["stop", "jwt"]).spawn();
        user.wait_until("the stop drains", BOUND, || {
            stop.stderr().contains("stops at the end of its iteration")
        });
        for look in [&["why", "jwt"][..], &["status", "jwt"], &["status"]] {
            let seen = project.samocode(look).ok().stdout;
            assert!(seen.contains("it stops at the end of its iteration"), "{seen}");
        }
        project.samocode(verb).ok();
        let out = stop.wait(BOUND);
        assert!(out.code == 1 && out.stdout.contains("it was started again"), "{out}");
    }

    assert!(!project.samocode(["why", "jwt"]).ok().stdout.contains("it stops"));
    user.write("go", "");
    session.wait_to_rest("waiting", "requirements");
    assert!(session.journal("stopped").is_empty());
}
