//! A session whose machine sleeps.

use super::Machine;

/// Sleeps until the clock of the machine wakes it (rtc(4)), for longer than the
/// watchdog and `STALL_AFTER` wait, and is then up for a while. Its uptime counts what it slept; CLOCK_MONOTONIC does not.
const SLEEP: &str = "echo +45 >/sys/class/rtc/rtc0/wakealarm && echo mem >/sys/power/state
    sleep 8; dmesg | grep 'suspend exit'";

#[test]
fn time_the_machine_sleeps_is_no_stall() {
    let Some(machine) = Machine::boot() else { return };
    let signal = r#"{"status":"blocked","reason":"that is all","needs":"human_decision"}"#;
    let agent = machine.agent(
        "quiet",
        &format!(
            "until [ -e ~/go ]; do sleep 1; done; echo '{signal}' >\"$SAMOCODE_SESSION_DIR/_signal.json\""
        ),
    );
    machine.project("shop", &format!("SAMOCODE_AGENT={agent}\nSTALL_AFTER=30 s\n"));
    let session = machine.enable("shop");
    machine.wait_until("the agent runs", || session.hook()["state"] == "running");

    machine.root(SLEEP).ok();
    machine.dev("touch ~/go").ok();
    session.wait_to_rest("blocked", "investigation");

    assert_eq!(session.reason(), "that is all", "{}", machine.diagnosis());
    for (kind, count) in [("nudged", 0), ("stalled", 0), ("worker_started", 1), ("run_started", 1)]
    {
        assert_eq!(session.journal(kind).len(), count, "{kind}: {}", machine.diagnosis());
    }
}
