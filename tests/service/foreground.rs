//! The parent that plays the service manager. It kills every child of its process but its own, so
//! it runs in a process of its own, [`supervise`].

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use samocode::platform::strays;
use samocode::service::foreground::{Options, Supervisor};

use super::worker::runtime;

/// Supervises `sh -c $LAB_SCRIPT` and prints status lines and the outcome.
#[test]
#[ignore = "the tests here start it"]
fn supervise() {
    let mut command = tokio::process::Command::new("sh");
    command.arg("-c").arg(std::env::var_os("LAB_SCRIPT").unwrap());
    let watchdog = std::env::var("LAB_WATCHDOG_MS").ok().and_then(|text| text.parse().ok());
    let mut options = Options::default();
    if let Some(milliseconds) = watchdog {
        options.watchdog = Duration::from_millis(milliseconds);
        options.abort = Duration::from_millis(100);
    }
    let tell = |line: &str| println!("status {line}");
    let outcome = runtime()
        .block_on(async { Supervisor::new(options)?.supervise(command, None, tell).await })
        .unwrap();
    println!(
        "outcome {:?} {:?} {:?} after {}",
        outcome.ended,
        outcome.status.code(),
        outcome.status.signal(),
        outcome.restarts
    );
}

struct Supervised {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
    folder: tempfile::TempDir,
}

impl Supervised {
    fn new(script: &str, env: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let own = std::env::current_exe().unwrap();
        let mut child = Command::new(&own)
            .args(["--exact", "service::foreground::supervise", "--ignored", "--nocapture"])
            .current_dir(folder.path())
            .env("LAB_SCRIPT", script)
            .env("LAB_PROGRAM", &own)
            .env("SAMOCODE_SESSION_DIR", folder.path())
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out, folder }
    }

    fn until(&mut self, text: &str) {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            assert_ne!(self.out.read_line(&mut line).unwrap(), 0, "it never said {text}");
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The outcome line. Returns when no process holds the output any more.
    fn outcome(mut self) -> String {
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).unwrap();
        self.child.wait().unwrap();
        let found = rest.lines().find_map(|line| line.split_once("outcome ")).map(|(_, it)| it);
        found.unwrap_or(&rest).to_owned()
    }
}

const WORKER: &str = "exec $LAB_PROGRAM --exact service::worker::worker --ignored --nocapture";

/// Each start takes the next of the lines as its script.
fn one_after_another(lines: &[&str]) -> String {
    let mut script = "n=$(cat n 2>/dev/null || echo 0); echo $((n+1)) >n; case $n in\n".to_owned();
    for (at, line) in lines.iter().enumerate() {
        let number = if at + 1 == lines.len() { "*".to_owned() } else { at.to_string() };
        script.push_str(&format!("{number}) {line};;\n"));
    }
    script + "esac"
}

#[test]
fn interrupted_and_crashed_workers_are_restarted_at_once() {
    let deaths = [
        "exit 75",
        "kill -KILL $$",
        "kill -TERM $$",
        "kill -HUP $$",
        "kill -INT $$",
        "exit 1",
        "exit 0",
    ];
    let outcome = Supervised::new(&one_after_another(&deaths), &[]).outcome();
    assert_eq!(outcome, "Finished Some(0) None after 6");
}

#[test]
fn failures_that_a_restart_cannot_fix_end_it() {
    for code in [2, 69, 70, 78] {
        let outcome = Supervised::new(&format!("exit {code}"), &[]).outcome();
        assert_eq!(outcome, format!("Finished Some({code}) None after 0"));
    }
}

#[test]
fn fifty_starts_in_ten_seconds_are_the_limit() {
    let outcome = Supervised::new("exit 1", &[]).outcome();
    assert_eq!(outcome, "StartLimit Some(1) None after 49");
}

#[test]
fn everything_a_worker_left_behind_is_ended() {
    let run = format!("stray-{}", std::process::id());
    let script = "setsid sleep 1000 >/dev/null & \
        setsid sh -c 'setsid sleep 1000 & trap \"\" TERM HUP; sleep 1000' >/dev/null & \
        exit 0";
    let supervised = Supervised::new(script, &[("SAMOCODE_RUN", &run)]);
    assert_eq!(supervised.outcome(), "Finished Some(0) None after 0");
    assert_eq!(strays::find(&run).unwrap().len(), 0);
}

#[test]
fn a_silent_worker_is_aborted_and_then_killed_and_started_again() {
    let script = one_after_another(&["trap '' ABRT; sleep 1000 & wait; wait", "exit 0"]);
    let outcome = Supervised::new(&script, &[("LAB_WATCHDOG_MS", "300")]).outcome();
    assert_eq!(outcome, "Finished Some(0) None after 1");
}

#[test]
fn a_worker_that_asks_for_it_is_aborted() {
    let mut supervised = Supervised::new(&format!("sleep 0; {WORKER}"), &[]);
    std::fs::write(supervised.folder.path().join("orders"), "trigger\nexit 0").unwrap();
    supervised.until("status ends");
    assert_eq!(supervised.outcome(), "Finished Some(0) None after 1");
}

#[test]
fn sigterm_is_passed_on_and_the_parent_waits_for_the_worker() {
    let mut supervised = Supervised::new(WORKER, &[]);
    supervised.until("status phase testing");
    supervised.signal(Signal::HUP);
    supervised.until("status hangup");
    supervised.signal(Signal::TERM);
    assert_eq!(supervised.outcome(), "Stopped Some(75) None after 0");
}

#[test]
fn a_second_interrupt_kills() {
    let script =
        "trap 'echo status stopping' TERM; echo status up; while :; do sleep 1000 & wait; done";
    let mut supervised = Supervised::new(script, &[]);
    supervised.until("status up");
    supervised.signal(Signal::INT);
    supervised.until("status stopping");
    supervised.signal(Signal::INT);
    assert_eq!(supervised.outcome(), "Stopped None Some(9) after 0");
}

#[test]
fn a_worker_does_not_outlive_the_parent_that_was_killed() {
    let mut supervised = Supervised::new(WORKER, &[]);
    let notes = supervised.folder.path().join("notes");
    supervised.until("status phase testing");
    supervised.signal(Signal::HUP);
    supervised.until("status hangup");
    supervised.signal(Signal::KILL);
    let mut rest = String::new();
    // The output ends when all processes that hold it have ended.
    supervised.out.read_to_string(&mut rest).unwrap();
    assert!(super::read(&notes).ends_with("terminate\n"));
    supervised.child.wait().unwrap();
}
