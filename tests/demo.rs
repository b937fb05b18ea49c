//! `samocode demo`: a finished branch under a real systemd and without one, and nothing left
//! behind.

use rustix::process::Signal;

use crate::lab::{self, LabUser, Outcome, secs};

const SHOP: &str = ".cache/samocode/demo/shop";
const DROP_IN: &str = ".config/systemd/user/samocode@demo.service.d/session.conf";

/// The output that every demo must have, and the branch it must leave.
#[track_caller]
fn assert_finished(user: &LabUser, out: &Outcome, shop: &str) {
    let mut lines = out.stdout.lines();
    for text in [
        "■□□□□□□□ init ",
        "■■□□□□□□ investigation ",
        "samocode answer demo --accept-suggestions",
        "samocode approve demo",
        "■■■■■□□□ implementation ",
        "■■■■■■□□ testing ",
        "■■■■■■■□ quality ",
        "■■■■■■■■ done ",
        "samocode status",
        " done ",
        "git log --oneline main..demo",
        "✓ The session is done",
        "samocode demo --remove",
    ] {
        assert!(lines.any(|line| line.contains(text)), "{text:?} in its place\n{out}");
    }
    let log = user.sh(&format!("cd {shop} && git log --oneline main..demo")).ok();
    assert_eq!(log.stdout.lines().count(), 3, "{log}");
    user.sh(&format!("cd {shop} && git merge -q demo && sh rehearsal/test.sh")).ok();
}

#[test]
fn a_demo_ends_with_a_branch_to_merge_as_a_unit_of_systemd() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("demo");

    let out = user.samocode(["demo"]).ok();

    assert_finished(&user, &out, SHOP);
    let journal =
        user.journal(["SAMOCODE_SESSION=demo", "_SYSTEMD_USER_UNIT=samocode@demo.service"]);
    assert!(!journal.is_empty(), "the unit did it\n{}", user.diagnosis());
    user.wait_until("a finished session is not started at boot", secs(10), || {
        let enabled = user.systemctl(["is-enabled", "samocode@demo"]).output();
        enabled.stdout.trim() == "disabled"
    });
}

#[test]
fn a_second_demo_replaces_the_first_and_remove_leaves_nothing() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("again");
    user.samocode(["demo"]).ok();
    user.write(format!("{SHOP}/of-the-first"), "");

    let out = user.samocode(["demo"]).ok();
    assert_finished(&user, &out, SHOP);
    assert!(!user.exists(format!("{SHOP}/of-the-first")));
    assert!(user.exists(DROP_IN));

    user.samocode(["demo", "--remove"]).ok();
    let again = user.samocode(["demo", "--remove"]).ok();
    assert_eq!(again.stdout, "There is no demo in ~/.cache/samocode/demo.\n");
    assert!(!user.exists(".cache/samocode/demo"));
    assert!(!user.exists(DROP_IN));
}

#[test]
fn a_demo_without_a_service_manager_runs_in_the_foreground() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("bare");

    let out = user.samocode(["demo"]).ok();

    assert!(out.stdout.contains("in the foreground"), "{out}");
    assert_finished(&user, &out, SHOP);
}

#[test]
fn a_demo_in_the_foreground_writes_no_unit_and_ignores_the_users_settings() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("front");
    user.write(".config/samocode/config", "SAMOCODE_AGENT_TESTING=command:/bin/false\n");

    let out = user
        .samocode(["demo", "--foreground", "a place/of mine"])
        .env("SAMOCODE_AGENT", "command:/bin/false")
        .ok();

    assert_finished(&user, &out, "'a place/of mine/shop'");
    assert!(!user.exists(DROP_IN));
    user.samocode(["demo", "--remove", "a place/of mine"]).ok();
    assert!(!user.exists("a place/of mine"));
}

#[test]
fn a_demo_leaves_a_folder_that_is_not_empty_alone() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("own");
    user.write("work/letter", "Dear\n");

    for args in [&["demo", "work"][..], &["demo", "--remove", "work"]] {
        let out = user.samocode(args).output();
        assert_eq!(out.code, 2, "{out}");
        assert!(out.is_one_error(), "{out}");
        assert!(out.stderr.contains("not empty"), "{out}");
    }
    assert_eq!(user.sh("ls -A work").ok().stdout, "letter\n");
}

#[test]
fn an_interrupted_demo_says_how_to_remove_it_and_a_killed_one_can_be_removed() {
    let Some(lab) = lab::get() else { return };
    for (signal, code) in [(Signal::INT, 130), (Signal::KILL, 128 + 9)] {
        let user = lab.user_without_manager("cut");
        let mut demo = user.samocode(["demo"]).env("SAMOCODE_REHEARSAL_PACE", "300").spawn();
        demo.wait_for_stdout("■■□□□□□□ investigation", secs(20));
        demo.signal(signal);
        let out = demo.wait(secs(30));
        assert_eq!(out.code, code, "{out}");
        if signal == Signal::INT {
            assert!(out.stderr.contains("remove it with: samocode demo --remove"), "{out}");
        }
        // The worker of a killed demo ends a moment after it.
        user.wait_until("it can be removed", secs(20), || {
            user.samocode(["demo", "--remove"]).output().code == 0
        });
        assert!(!user.exists(".cache/samocode/demo"));
    }
}

#[test]
fn a_demo_that_is_killed_while_its_unit_is_being_woken_can_be_removed() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("woken");
    let mut demo = user.samocode(["demo"]).spawn();
    demo.wait_for_stdout("samocode answer demo", secs(20));
    demo.signal(Signal::KILL);
    demo.wait(secs(60));

    user.samocode(["demo", "--remove"]).ok();

    assert!(!user.exists(".cache/samocode/demo"));
    user.wait_until("the waker has nothing to do any more", secs(10), || {
        user.sh("ls -A .local/state/samocode/wake .local/state/samocode/wake-taken | grep -v :")
            .output()
            .stdout
            .trim()
            .is_empty()
            && user.unit_property("samocode-wake.service", "ActiveState") == "inactive"
    });
    let units = user.systemctl(["list-units", "--all", "--plain", "--no-legend", "samocode@*"]);
    assert_eq!(units.ok().stdout, "", "{}", user.diagnosis());
}

#[test]
fn a_token_that_outlived_its_session_starts_nothing() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("outlived");
    user.samocode(["demo"]).ok();

    user.sh("touch .local/state/samocode/wake/nobody").ok();

    user.wait_until("the token is gone", secs(10), || {
        user.sh("ls -A .local/state/samocode/wake | grep nobody").output().stdout.is_empty()
            && user.unit_property("samocode-wake.service", "ActiveState") == "inactive"
    });
    let units =
        user.systemctl(["list-units", "--all", "--plain", "--no-legend", "samocode@nobody*"]);
    assert_eq!(units.ok().stdout, "");
}
