//! `SAMOCODE_INHIBIT=idle`: the host stays awake only while an iteration runs.

use crate::lab;
use crate::session::BOUND;

#[test]
fn an_idle_host_is_kept_awake_while_an_iteration_runs() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("awake");
    let agent = user.obedient_agent("until [ -e ~/go ]; do sleep 0.05; done");
    let project =
        user.project("shop").key("SAMOCODE_AGENT", &agent).key("SAMOCODE_INHIBIT", "idle").create();
    let session = project.named("awake-jwt");
    let locks = || {
        let list = user.run(["systemd-inhibit", "--list", "--no-legend"]).ok().stdout;
        list.lines().filter(|lock| lock.contains("session awake-jwt is running")).count()
    };

    session.enable(&["--task", "Paint the fence"]);
    user.wait_until("the host is kept awake", BOUND, || locks() == 1);
    // A worker that is killed leaves no lock behind.
    user.systemctl(["kill", "--kill-whom=main", "--signal=KILL", &session.unit()]).ok();
    user.wait_until("the next worker is at work", BOUND, || {
        session.journal("run_started").len() == 2 && locks() == 1
    });
    user.write("go", "");
    session.wait_to_rest("waiting", "requirements");
    user.wait_until("the host may sleep", BOUND, || locks() == 0);
}
