//! samocode runs coding agents unattended, for hours or days, with the operating system as their
//! supervisor.
//!
//! # Theory of operation
//!
//! A *session* is a task with a folder of plain files, a git worktree and a branch. It passes through
//! eight *phases*, from init to done. Two of them are *gates*: the session may leave them only after
//! a human has answered. The work is done by an *agent*, an external program such as Claude Code, one
//! *run* at a time. Between runs the agent remembers nothing; whatever it needs is in the session's
//! files and in its commits. At the end of a run the agent leaves a *signal*: continue, wait for the
//! human, blocked, done, or hand over to a fresh conversation.
//!
//! The loop that starts the runs is the *worker*. Each session has one, as the main process of a unit
//! of its own: `samocode@NAME.service` under systemd, or a child of `samocode run` where there is no
//! service manager. When there is nothing to do, the worker exits. A waiting session has no process.
//!
//! **Crash-only.** There is one way to start, and it is the way to recover. The worker takes the
//! session's lock, reads the journal, settles what an interrupted step left behind, and then takes
//! one step after another. Each step writes its intent to the journal before its effect, and its
//! outcome after. So the worker may be killed between any two lines: its successor reads how far it
//! came. Repeating a finished step changes nothing.
//!
//! **The journal is the truth.** `_journal.jsonl` holds one event per line. Folding the events gives the
//! session's state, and everything else derives from it: the hook that `status` reads, the worker's
//! lines in `_overview.md`, history and cost. Decisions are pure functions of state, event and clock.
//!
//! **The operating system supervises.** The service manager restarts a worker that crashed. Its
//! watchdog finds a worker that hangs, and is fed only by an agent's real progress. Cgroups hold
//! every process of a run, so that none outlives it. A path unit wakes a sleeping session when mail
//! arrives. samocode has no daemon, no database and no loop that watches another.
//!
//! **One control layer, many front ends.** Everything a person or a program can do with sessions is a
//! function of `control` that takes data and returns data. The command line is a thin shell around it:
//! parse, one call, print. A dashboard, a web page, a chat bot or another host is another such shell.
//!
//! # Where things are
//!
//! From the bottom up. A module imports only from those above it in this list; `tests/layers.rs`
//! checks that.
//!
//! - [`session`]: phases, signal, overview, questions, mail, journal, and the state they add up to.
//!   Pure, except for [`session::store`], which reads and writes the files.
//! - [`config`]: `.samocode`, settings from all layers, environment, secrets.
//! - [`git`]: worktrees and branches.
//! - [`agent`]: how each agent is started, understood and judged.
//! - [`service`]: the service manager, in words of sessions.
//! - [`notify`]: messages to the human.
//! - [`worker`]: the loop.
//! - [`control`]: what can be done with sessions, for every front end.
//! - [`tui`]: the dashboard, `samocode top`.
//! - [`bot`]: answers from the phone.
//! - [`report`]: a session's work as one page.
//! - [`mcp`]: tools and resources for an agent that is a parent.
//! - [`web`]: the dashboard as pages for a browser, `samocode web`.
//! - [`cli`]: the command line, which starts the other front ends.

pub mod agent;
pub mod bot;
pub mod cli;
pub mod config;
pub mod control;
pub mod git;
pub mod mcp;
pub mod notify;
pub mod platform;
pub mod report;
pub mod service;
pub mod session;
pub mod tui;
pub mod web;
pub mod worker;

/// Reports on the real standard error that a test did not run, past the capture of passing tests'
/// output. `tests/run.sh` counts these lines.
#[cfg(test)]
pub(crate) fn skipped(why: &str) {
    use std::io::Write as _;
    let test = std::thread::current();
    let line = format!("SKIPPED: {}: {why}\n", test.name().unwrap_or("a test"));
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// Writes a program for a test to run. By another process: what is open for writing cannot be executed,
/// and a process that another test starts meanwhile has our descriptors until it has executed its own.
#[cfg(test)]
pub(crate) fn write_program(path: &std::path::Path, text: impl AsRef<str>) {
    use std::io::Write as _;
    let mut writer = std::process::Command::new("sh");
    writer.args(["-c", r#"cat >"$1" && chmod 755 "$1""#, "sh"]).arg(path);
    let mut writer = writer.stdin(std::process::Stdio::piped()).spawn().unwrap();
    writer.stdin.take().unwrap().write_all(text.as_ref().as_bytes()).unwrap();
    assert!(writer.wait().unwrap().success());
}
