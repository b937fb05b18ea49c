//! A session whose machine goes down: abruptly, and in an orderly shutdown.

use super::{Machine, Session};

/// Subjects of the commits of the session's branch, the newest first; none where it is broken.
fn commits(machine: &Machine) -> Vec<String> {
    let log = machine.dev("git -C shop log --format=%s main..shop").stdout;
    log.lines().map(str::to_owned).collect()
}

/// Asserts that every object that commits, branches and indexes name exists and is intact.
#[track_caller]
fn assert_whole(machine: &Machine) {
    let fsck = machine.dev("git -C shop fsck --full --strict").ok();
    assert!(!fsck.stdout.contains("missing") && !fsck.stderr.contains("error"), "{fsck}");
    machine.dev("git -C shop-worktrees/*-shop status --porcelain").ok();
}

/// The iterations whose signals were taken, in order.
fn taken(session: &Session<'_>) -> Vec<u64> {
    let taken = session.journal("signal_taken");
    taken.iter().filter_map(|taken| taken["line"]["iteration"].as_u64()).collect()
}

#[test]
fn a_session_finishes_despite_a_power_cut_and_a_reboot() {
    let Some(machine) = Machine::boot() else { return };
    machine.project("shop", "SAMOCODE_AGENT=rehearsal\n");
    let session = machine.enable("shop");
    session.wait_to_rest("waiting", "requirements");
    // Another one waits for it, through all of this.
    session.samocode("enable kite --task 'Fly it' --after shop").ok();
    let kite = || machine.dev("cat shop-sessions/*-kite/_hook.json").stdout;
    session.samocode("answer shop --accept-suggestions").ok();
    session.wait_to_rest("waiting", "planning");
    machine.slow_rehearsals();
    session.samocode("approve shop").ok();
    machine.wait_until("the branch has commits", || commits(&machine).len() >= 2);
    let before = commits(&machine);

    machine.power_cut();
    let after = commits(&machine);
    assert!(after.ends_with(&before), "{before:?} became {after:?}");
    assert_whole(&machine);
    machine.slow_rehearsals();
    machine.wait_until("why reports the restart", || {
        session.samocode("why shop").stdout.contains("resumed after the machine restarted")
    });
    session.wait_for_phase("testing");

    let queued = kite();
    assert!(queued.contains("\"state\":\"queued\""), "{queued}");

    machine.reboot();
    session.wait_to_rest("done", "done");
    machine.wait_until("the one after it starts", || kite().contains("\"state\":\"waiting\""));
    machine.dev("git -C shop merge-base --is-ancestor shop kite").ok();
    let convoy = session.samocode("convoy status kite").ok();
    assert!(convoy.stdout.contains("1 of 2 sessions done"), "{convoy}");
    assert_whole(&machine);
    let mut subjects = commits(&machine);
    assert!(subjects.ends_with(&after), "{after:?} became {subjects:?}");
    let all = subjects.len();
    subjects.sort();
    subjects.dedup();
    assert_eq!(subjects.len(), all, "a commit was made twice");
    let iterations = taken(&session);
    assert_eq!(iterations, (1..=iterations.len() as u64).collect::<Vec<_>>());
    let history = session.samocode("history shop").ok();
    assert!(history.stdout.contains("resumed after the machine restarted"), "{history}");
    let why = session.samocode("why shop").ok();
    assert!(why.stdout.starts_with("done"), "{why}");
}
