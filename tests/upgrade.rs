//! `samocode reload`: the program is replaced while an iteration runs.

use crate::lab::{self, secs};
use crate::session::BOUND;

#[test]
fn a_reload_switches_a_session_to_a_new_program_and_disturbs_nothing() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("upgrade");
    // Each run waits until the test lets it continue.
    let hold = "touch ~/runs-$SAMOCODE_ITERATION
        until [ -e ~/go-$SAMOCODE_ITERATION ]; do sleep 0.02; done";
    let agent = user.obedient_agent(hold);
    let project = user.project("shop").key("SAMOCODE_AGENT", &agent).create();
    let session = project.named("jwt");
    // A program of the test's own, which it may replace.
    let bin = user.disk().join("bin");
    let program = bin.join("samocode").display().to_string();
    let install = format!(
        "mkdir -p {0} && cp /opt/samocode/bin/samocode {0}/new && mv {0}/new {0}/samocode",
        bin.display()
    );
    user.sh(&install).ok();
    let samocode = |args: &[&str]| {
        let words = [program.as_str()];
        user.run(words.iter().chain(args)).cwd(&project.dir)
    };
    let executed = |pid: &str| {
        // As root: a worker's memory, and with it this link, is closed to its own user.
        let inode = lab.root(["stat", "-L", "-c", "%i", &format!("/proc/{pid}/exe")]).ok();
        inode.stdout.trim().to_owned()
    };

    samocode(&["enable", "jwt", "--task", "JWT login"]).ok();
    user.wait_until("the first run is under way", BOUND, || user.exists("runs-1"));
    let (worker, before) = (session.worker(), executed(&session.worker()));
    let lock = project.session("jwt").expect("a session").join("_lock");
    let try_lock = format!(
        "until [ -e ~/tried-enough ]; do flock -n {} true && echo free; echo tried >~/tries; done",
        lock.display()
    );
    let mut tries = user.sh(&try_lock).spawn();
    user.wait_until("the lock was tried", secs(30), || user.exists("tries"));

    user.sh(&install).ok();
    let mut reload = samocode(&["reload", "jwt"]).spawn();
    reload.wait_for_stderr("at the end of its iteration", secs(30));
    assert!(reload.is_running(), "the iteration has not ended");
    assert_eq!(executed(&worker), before, "the iteration runs on the old program");
    user.write("go-1", "");
    let out = reload.wait(BOUND);
    assert!(out.code == 0 && out.stdout.contains(" reloaded."), "{out}");
    user.wait_until("the second run is under way", BOUND, || user.exists("runs-2"));

    assert_eq!(session.worker(), worker, "the process is the same");
    let after = executed(&worker);
    assert_ne!(after, before, "it executes the new program");
    let installed = user.run(["stat", "-c", "%i", &program]).ok().stdout;
    assert_eq!(after, installed.trim());
    user.write("tried-enough", "");
    assert_eq!(tries.wait(secs(30)).stdout, "", "the lock was free for a moment");
    assert_eq!(user.unit_property(&session.unit(), "NRestarts"), "0");
    let ends: Vec<_> = session.journal("run_ended").iter().map(|e| e["outcome"].clone()).collect();
    assert_eq!(ends, ["finished"]);
    let workers = session.journal("worker_started");
    assert_eq!(workers.len(), 2);
    assert_eq!(workers[0]["pid"], workers[1]["pid"]);
    assert_eq!(session.journal("worker_ended")[0]["end"], "reloaded");

    user.write("go-2", "");
    session.wait_to_rest("waiting", "requirements");
}

#[test]
fn a_reload_stops_waiting_for_a_worker_that_is_killed() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("upset");
    let hold = "touch ~/runs-$SAMOCODE_ITERATION; until [ -e ~/go ]; do sleep 0.02; done";
    let agent = user.obedient_agent(hold);
    let project = user.project("shop").key("SAMOCODE_AGENT", &agent).create();
    let session = project.named("jwt");
    session.enable(&["--task", "JWT login"]);
    user.wait_until("the first run is under way", BOUND, || user.exists("runs-1"));

    let mut reload = project.samocode(["reload", "jwt"]).spawn();
    reload.wait_for_stderr("at the end of its iteration", secs(30));
    user.run(["kill", "-KILL", &session.worker()]).ok();

    let out = reload.wait(secs(30));
    assert!(out.code == 0 && out.stdout.contains(" reloaded."), "{out}");
    assert!(!user.exists("go"), "the iteration has not ended");
    user.write("go", "");
    session.wait_to_rest("waiting", "requirements");
}

#[test]
fn a_reload_works_by_systemctl_and_with_the_unit_file_of_an_older_version() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("reloads");
    let hold = "touch ~/runs-$SAMOCODE_ITERATION
        until [ -e ~/go-$SAMOCODE_ITERATION ]; do sleep 0.02; done";
    let agent = user.obedient_agent(hold);
    let project = user.project("shop").key("SAMOCODE_AGENT", &agent).create();
    let session = project.named("jwt");
    session.enable(&["--task", "JWT login"]);
    user.wait_until("the first run is under way", BOUND, || user.exists("runs-1"));

    user.systemctl(["reload", &session.unit()]).ok();
    user.write("go-1", "");
    user.wait_until("the second run is under way", BOUND, || user.exists("runs-2"));
    assert_eq!(session.journal("worker_ended")[0]["end"], "reloaded");

    // 0.1 wrote ExecReload=/bin/kill, which is not everywhere.
    let old = "[Service]\nExecReload=\nExecReload=/nowhere/kill -HUP $MAINPID\n";
    user.write(".config/systemd/user/samocode@.service.d/old.conf", old);
    user.systemctl(["daemon-reload"]).ok();
    assert_ne!(user.systemctl(["reload", &session.unit()]).output().code, 0);
    let mut reload = project.samocode(["reload", "jwt"]).spawn();
    reload.wait_for_stderr("at the end of its iteration", secs(30));
    user.write("go-2", "");
    let out = reload.wait(BOUND);
    assert!(out.code == 0 && out.stdout.contains(" reloaded."), "{out}");
    session.wait_to_rest("waiting", "requirements");
}
