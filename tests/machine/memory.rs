//! Runs that take more memory than there is, under a real memory controller.

use jiff::Timestamp;
use serde_json::Value;

use super::{Machine, Session};
use crate::lab::{quoted, secs};

const SIGNAL: &str = r#"echo '{"status":"blocked","reason":"that is all","needs":"human_decision"}' >"$SAMOCODE_SESSION_DIR/_signal.json""#;

fn took(earlier: &Value, later: &Value) -> std::time::Duration {
    let at = |line: &Value| line["at"].as_str().unwrap().parse::<Timestamp>().unwrap();
    at(later).duration_since(at(earlier)).unsigned_abs()
}

#[test]
fn only_processes_that_take_too_much_memory_are_ended() {
    let Some(machine) = Machine::boot() else { return };
    an_agent_is_ended_and_named_and_its_session_continues(&machine);
    a_build_does_not_take_its_agent_with_it(&machine);
    a_killed_worker_is_back_at_once(&machine);
}

fn an_agent_is_ended_and_named_and_its_session_continues(machine: &Machine) {
    let agent = machine.agent("leak", "exec tail /dev/zero");
    for (name, limit, most) in [("small", "64M", 64 << 20), ("large", "256M", 256 << 20)] {
        let keys = format!(
            "SAMOCODE_AGENT={agent}\nSAMOCODE_MEMORY_MAX={limit}\n\
             SAMOCODE_MAX_RETRIES=2\nSAMOCODE_RETRY_DELAY=0 s\n"
        );
        machine.project(name, &keys);
        let session = machine.enable(name);
        session.wait_to_rest("blocked", "investigation");

        let (started, ended) = (session.journal("run_started"), session.journal("run_ended"));
        assert_eq!(ended.len(), 2, "{}", machine.diagnosis());
        for (started, ended) in started.iter().zip(&ended) {
            // A memory controller that only throttled would take minutes.
            assert!(took(started, ended) < secs(60), "{started}\n{ended}");
            assert_eq!(ended["outcome"], "out_of_memory");
            assert_eq!((&ended["failure"], &ended["resumable"]), (&true.into(), &false.into()));
            let peak = ended["cost"]["peak_memory"].as_u64().expect("a peak");
            assert!(peak < most && peak > most / 2, "{peak}");
        }
        assert_ne!(started[0]["conversation"], started[1]["conversation"], "a fresh one");
        assert!(session.reason().contains("SAMOCODE_MEMORY_MAX"), "{}", session.reason());
        assert_eq!(session.journal("worker_started").len(), 1, "the worker was not hit");
    }
}

fn a_build_does_not_take_its_agent_with_it(machine: &Machine) {
    let build = format!("tail /dev/zero >/dev/null; echo \"build: $?\" >&2; {SIGNAL}");
    let agent = machine.agent("builds", &build);
    machine.project("shop", &format!("SAMOCODE_AGENT={agent}\nSAMOCODE_MEMORY_MAX=64M\n"));

    let session = machine.enable("shop");
    session.wait_to_rest("blocked", "investigation");

    assert_eq!(session.reason(), "that is all");
    assert_eq!(session.journal("run_ended").len(), 1);
    let log = session.journal("run_started")[0]["log"].as_str().unwrap().to_owned();
    let stderr = session.sh(&format!("cat _logs/{}", log.replace(".jsonl", ".stderr")));
    assert!(stderr.contains("build: 137"), "{stderr}");
    assert_eq!(session.journal("worker_started").len(), 1, "the worker was not hit");
}

/// Both ways of it: that of this machine's systemd, and that of one before 254.
fn a_killed_worker_is_back_at_once(machine: &Machine) {
    let agent = machine.agent("sleeps", "sleep 600");
    machine.project("kite", &format!("SAMOCODE_AGENT={agent}\n"));
    let session = machine.enable("kite");
    let unit = include_str!("../../units/samocode@.service");
    let older = unit.lines().find(|line| line.starts_with("ExecStopPost=")).unwrap();
    let older = quoted(&format!("[Service]\nDelegateSubgroup=\n{older}\n"));
    let drop_in = format!(
        "d=.config/systemd/user/samocode@.service.d; mkdir -p $d; printf %s {older} >$d/older.conf; \
         systemctl --user daemon-reload; systemctl --user restart samocode@kite"
    );
    for before in ["true", &drop_in] {
        machine.dev(before).ok();
        for _ in 0..2 {
            machine
                .wait_until("an agent runs", || session.unit("MainPID") != "0" && runs(&session));
            let worker = session.unit("MainPID");
            machine.dev(&format!("kill -KILL {worker}")).ok();
            machine.wait_until("the next worker runs", || {
                !["0", worker.as_str()].contains(&session.unit("MainPID").as_str())
            });
        }
        machine.wait_until("an agent runs again", || runs(&session));
    }
    // And its runs still have limits of their own.
    let limits = "cat /sys/fs/cgroup/user.slice/user-1900.slice/user@1900.service/samocode.slice/samocode@kite.service/run-*/memory.max";
    let limits = machine.dev(limits).ok().stdout;
    assert!(limits.trim().parse::<u64>().is_ok(), "{limits}");
}

/// Whether the last run of a session goes on, in the newest worker.
fn runs(session: &Session<'_>) -> bool {
    let all = session.journal("");
    let last = |kind: &str| all.iter().rposition(|line| line["kind"] == kind);
    last("run_started") > last("worker_started") && session.hook()["state"] == "running"
}
