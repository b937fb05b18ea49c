//! `samocode wait`: what it watches, and when it returns.

use rustix::process::Signal;

use crate::lab::{self, secs};
use crate::view::{DONE, RUNNING, Shop, WAITING};

#[test]
fn wait_returns_on_file_changes_with_the_exit_code_of_the_state() {
    let Some(lab) = lab::get() else { return };
    let shop = Shop::new(lab.user_without_manager("waits"));
    for folder in ["26-11-20-a", "26-11-20-b"] {
        shop.made_up(folder, r#""phase":"testing","state":"new""#);
    }
    let mut wait = shop.samocode(["wait", "a", "b"]).spawn();
    shop.listens("wait");
    assert!(wait.is_running());

    shop.made_up("26-11-20-b", WAITING);

    let out = wait.wait(secs(60));
    assert_eq!((out.code, out.stdout.as_str()), (10, "b waiting  (samocode answer b)\n"), "{out}");
    let only_done = |timeout| {
        shop.samocode(["wait", "a", "b", "--until", "done", "--timeout", timeout]).output()
    };
    let late = only_done("200ms");
    assert_eq!(late.code, 124, "{late}");
    assert!(late.stderr.contains("a is new, b is waiting"), "{late}");
    shop.made_up("26-11-20-a", DONE);
    let done = only_done("10s");
    assert_eq!((done.code, done.stdout.as_str()), (0, "a done: All of it\n"), "{done}");
    assert_eq!(shop.samocode(["wait", "a", "--until", "never"]).output().code, 2);
    // No worker runs, whatever the hook says.
    shop.made_up("26-11-20-a", RUNNING);
    assert_eq!(shop.samocode(["wait", "a"]).output().code, 12);
}

#[test]
fn wait_and_logs_look_once_a_second_where_nothing_can_be_watched() {
    let Some(lab) = lab::get() else { return };
    let limit = std::fs::read_to_string("/proc/sys/fs/inotify/max_user_instances");
    let limit: usize = limit.expect("a limit").trim().parse().expect("a number");
    if limit > 1024 {
        return lab::skipped("too many inotify instances to use them all up");
    }
    let shop = Shop::new(lab.user_without_manager("unwatched"));
    shop.made_up("26-11-20-a", r#""phase":"testing","state":"new""#);
    // Each of these takes one of the user's instances.
    let hogs = format!(
        "touch hog; trap 'kill $(jobs -p)' TERM; \
         for i in $(seq {}); do tail -f hog >/dev/null 2>&1 & done; echo up; wait",
        limit + 2
    );
    let mut hogs = shop.user.sh(&hogs).within(secs(120)).spawn();
    hogs.wait_for_stdout("up", secs(60));
    let said = "sudo sysctl fs.inotify.max_user_instances=";
    shop.user.wait_until("the instances are used up", secs(60), || {
        let out = shop.samocode(["wait", "a", "--timeout", "200ms"]).output();
        assert_eq!(out.code, 124, "{out}");
        out.stderr.contains(said)
    });

    let mut logs = shop.samocode(["logs", "-f", "a"]).spawn();
    logs.wait_for_stderr(said, secs(20));
    let mut wait = shop.samocode(["wait", "a"]).spawn();
    wait.wait_for_stderr(said, secs(20));
    shop.made_up("26-11-20-a", WAITING);
    let out = wait.wait(secs(20));
    assert_eq!(out.code, 10, "{out}");
    assert_eq!(out.stderr.matches(said).count(), 1, "{out}");
    let started = r#"{"seq":1,"at":"2026-11-20T17:00:00Z","kind":"created","name":"a","task":"Paint the fence"}"#;
    shop.user.write(shop.sessions.join("26-11-20-a/_journal.jsonl"), format!("{started}\n"));
    logs.wait_for_stdout("Paint the fence", secs(20));
    logs.signal(Signal::INT);
    assert_eq!(logs.wait(secs(20)).stderr.matches(said).count(), 1);
    hogs.signal(Signal::TERM);
    hogs.wait(secs(20));
}

#[test]
fn wait_ignores_the_old_state_while_a_worker_is_starting() {
    let Some(lab) = lab::get() else { return };
    let shop = Shop::new(lab.user_without_manager("taken"));
    shop.made_up("26-11-20-a", WAITING);
    let folder = shop.sessions.join("26-11-20-a");
    // The hook's state is of five o'clock.
    let started = |at: &str| {
        let line = format!(
            r#"{{"seq":1,"at":"2026-11-20T{at}:00Z","kind":"worker_started","pid":1,"boot":"b","uptime_ms":1,"version":"0.1.0"}}"#
        );
        shop.user.write(folder.join("_journal.jsonl"), line + "\n");
    };
    shop.user.write(folder.join("_lock"), "");
    let lock = std::fs::File::open(shop.user.host_path(folder.join("_lock"))).unwrap();
    lock.lock().unwrap();
    let wait = |bound| shop.samocode(["wait", "a", "--timeout", bound]).output();

    started("17:05");
    assert_eq!(wait("300ms").code, 124, "it is just looking at its mail");
    started("16:55");
    assert_eq!(wait("10s").code, 10, "it brought the session there and is about to end");
    started("17:05");
    drop(lock);
    assert_eq!(wait("10s").code, 10, "it looked, and there was nothing to do");
}

#[test]
fn wait_notices_a_unit_that_fails_without_updating_the_hook() {
    let Some(lab) = lab::get() else { return };
    let shop = Shop::new(lab.user("fails"));
    shop.starts_to_work("jwt");
    shop.user.write(
        ".config/systemd/user/samocode@jwt.service.d/zz.conf",
        "[Unit]\nOnFailure=\n[Service]\nRestart=no\n",
    );
    shop.user.systemctl(["daemon-reload"]).ok();
    let mut wait = shop.samocode(["wait", "jwt", "--timeout", "60s"]).spawn();
    shop.listens("wait");

    shop.user.systemctl(["kill", "--kill-whom=main", "--signal=KILL", "samocode@jwt"]).ok();

    let out = wait.wait(secs(20));
    assert_eq!(out.code, 1, "{out}");
    assert!(out.stdout.starts_with("jwt failed"), "{out}");
    let listed = shop.samocode(["status", "--json"]).ok().json();
    assert_eq!(listed["sessions"][0]["state"], "failed", "{listed}");
}
