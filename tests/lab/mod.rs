//! The lab: a private, real systemd in which the tests run samocode as an
//! ordinary user, with a user manager, journald, logind and both buses.
//!
//! One lab a test process, booted by the first test that asks for it (under a
//! second), gone when the process ends however it ends; a second one on Debian
//! 13, for its newer systemd, by `lab::on(System::Debian13)`, and one of a test's own, whose
//! power can be cut, by `lab::machine()`. Its root is an
//! overlay of this machine's: nothing a test does in it reaches the machine, with one
//! deliberate exception, `/srv/lab`, which is on the real disk below
//! `target/lab/PID/disk`.
//!
//! ```ignore
//! #[test]
//! fn a_session_waits_for_its_answers() {
//!     // Prints "SKIPPED: why"; lab::get() where the claude CLI is not needed.
//!     let Some(lab) = lab::with_claude() else { return };
//!     let api = Api::start(Script::new().bash("echo hi").say("done"));
//!     let user = lab.user("dev");                      // fresh user, own systemd --user
//!     user.uses_claude(&api);                          // ~/.config/samocode/env
//!     let project = user.project("shop").key("CLAUDE_MODEL", "haiku").create();
//!
//!     user.samocode(["enable", "jwt", "--task", "JWT login"]).cwd(&project.dir).ok();
//!     user.wait_until("jwt waits", secs(20), || {
//!         project.overview("jwt").is_some_and(|text| text.contains("waiting_human"))
//!     });
//!     let out = user.systemctl(["status", "samocode@jwt"]).output();
//!     assert_eq!(out.code, 3, "{out}");
//!     assert!(user.journal(["-u", "samocode@jwt"]).contains("waiting"));
//! }
//! ```
//!
//! | inside the lab | what it is |
//! |---|---|
//! | `/opt/samocode/bin/samocode` | the program under test, on PATH |
//! | `/opt/claude/bin/claude` | the real CLI, on PATH when `tests/run.sh` has fetched it |
//! | `/opt/codex`, … | the other real CLIs, likewise |
//! | `/repo` | this repository, read-only |
//! | `/srv/lab` | real disk; `user.disk()` is a folder of the user's there |
//!
//! The lab shares this machine's network, so a server of the test on 127.0.0.1
//! is reachable inside. Paths in this interface are paths inside the lab;
//! [`Lab::host_path`] says where the test process finds them.
//!
//! By hand: `tests/lab/shell`, the same lab for a developer.

#![allow(
    dead_code,
    unused_imports,
    reason = "an interface for the tests of every verb; not each of them needs all of it"
)]

pub(crate) mod api;
mod boot;
mod bot;
mod command;
mod fixtures;
mod screen;
mod user;

pub(crate) use api::{Api, Reply, Request, Script};
pub(crate) use boot::{
    Lab, Machine, System, get, is_installed, machine, on, place, spawn_for_life, sweep, target_dir,
    with_claude, with_cli,
};
pub(crate) use bot::{Bot, WRONG_TOKEN};
pub(crate) use command::{LabCommand, Outcome, Running, quoted};
pub(crate) use fixtures::Project;
pub(crate) use screen::Screen;
pub(crate) use user::LabUser;

/// Seconds, for the bounds of waits.
pub(crate) const fn secs(seconds: u64) -> std::time::Duration {
    std::time::Duration::from_secs(seconds)
}

/// Reports on the real stderr, past the capture of passing tests' output, that a
/// test did not run. `tests/run.sh` counts these lines.
pub(crate) fn skipped(why: &str) {
    use std::io::Write;
    let test = std::thread::current();
    let name = test.name().unwrap_or("a test");
    // One write: other tests print at the same time.
    let line = format!("SKIPPED: {name}: {why}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}
