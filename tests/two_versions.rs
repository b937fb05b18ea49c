//! Behaviour that differs between systemd 252 and 257 but must have the same result on
//! both: this machine's own and Debian 13's.

use crate::lab::{self, Bot, LabUser, System, secs};
use crate::session::{BOUND, Session};

/// A project played by the rehearsal, whose user gets messages from `bot`.
fn rehearsed<'u>(user: &'u LabUser, bot: &Bot) -> crate::lab::Project<'u> {
    user.gets_messages_from(bot);
    user.project("shop").key("SAMOCODE_AGENT", "rehearsal").create()
}

/// How often `samocode-failed@` was started for the session.
fn failure_reports(session: &Session<'_>) -> usize {
    let unit = format!("samocode-failed@{}.service", session.instance);
    session.user().wait_until("no report is being sent", BOUND, || {
        session.user().unit_property(&unit, "ActiveState") == "inactive"
    });
    let journal = session.user().journal(["-u", &unit]);
    journal.lines().filter(|line| line.starts_with("Started ")).count()
}

#[track_caller]
fn wait_until_failed(session: &Session<'_>) {
    session.user().wait_until("the unit has failed", BOUND, || session.active() == "failed");
}

fn units_are_clean_and_fit_the_version(system: System) {
    let Some(lab) = lab::on(system) else { return };
    let user = lab.user("units");
    let bot = Bot::start();
    let project = rehearsed(&user, &bot);

    project.named("jwt").enable(&["--task", "JWT login"]);

    let output = user.samocode(["units", "verify"]).ok();
    assert!(!output.stdout.contains("Unknown key"), "{output}");
    let verify =
        "systemd-analyze --user verify ~/.config/systemd/user/samocode*.{service,path,slice}";
    let systemd = user.sh(verify).output();
    assert_eq!((systemd.code, systemd.stderr.as_str()), (0, ""), "{systemd}");
    let version = user.systemctl(["--version"]).ok().stdout;
    let version: u32 = version.split_whitespace().nth(1).and_then(|v| v.parse().ok()).unwrap();
    let unit = user.read(".config/systemd/user/samocode@.service");
    assert_eq!(unit.contains("RestartMode=direct"), version >= 254, "systemd {version}\n{unit}");
    if system == System::Debian13 {
        assert_eq!(version, 257);
        assert_eq!(user.unit_property("samocode@jwt.service", "RestartMode"), "direct");
    }
}

fn a_rehearsal_is_enabled_killed_and_comes_to_its_end(system: System) {
    let Some(lab) = lab::on(system) else { return };
    let user = lab.user("plays");
    let bot = Bot::start();
    let project = rehearsed(&user, &bot);
    let session = project.named("jwt");
    // Long enough to be hit.
    user.systemctl(["set-environment", "SAMOCODE_REHEARSAL_PACE=200"]).ok();
    session.enable(&["--task", "JWT login"]);
    user.wait_until("a run is under way", BOUND, || !session.journal("run_started").is_empty());

    user.run(["kill", "-KILL", &session.worker()]).ok();

    session.through_the_gates();
    assert!(session.journal("worker_started").len() >= 4, "{}", user.diagnosis());
    assert_eq!(session.journal("run_lost").len(), 1, "{}", user.diagnosis());
    let numbers: Vec<u64> = session.history().iter().map(|(number, ..)| *number).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    assert_eq!(failure_reports(&session), 0, "a restart is no failure");
    user.wait_until("the end is reported", secs(30), || bot.count_of("done") > 0);
    assert_eq!(bot.count_of("failed"), 0, "{:?}", bot.messages());
}

fn a_crash_loop_ends_in_failed_and_is_reported_once(system: System) {
    let Some(lab) = lab::on(system) else { return };
    let user = lab.user("loops");
    let bot = Bot::start();
    user.gets_messages_from(&bot);
    user.write_program("agent", "#!/bin/sh\nexec sleep infinity\n");
    let agent = format!("command:{}", user.home.join("agent").display());
    let project = user.project("shop").key("SAMOCODE_AGENT", &agent).create();
    let session = project.named("loop");
    session.enable(&["--task", "Crash"]);

    let mut killed = 0;
    let mut last = "0".to_owned();
    user.wait_until("the worker gives up", BOUND, || {
        let worker = session.worker();
        let starts = session.journal("worker_started").len();
        if worker != "0" && worker != last && starts > killed {
            user.run(["kill", "-KILL", &worker]).output();
            killed += 1;
            last = worker;
        }
        session.active() == "failed"
    });

    // The eleventh to start gives up; it may be killed while doing so.
    assert!((10..=11).contains(&killed), "{killed}");
    assert_eq!(user.unit_property(&session.unit(), "ExecMainStatus"), "70");
    assert_eq!(session.stands().0, "failed");
    let why = project.samocode(["why", "loop"]).ok().stdout;
    assert!(why.contains("its worker kept dying"), "{why}");
    user.wait_until("the user is notified", BOUND, || !bot.messages().is_empty());
    assert_eq!(failure_reports(&session), 1);
    assert_eq!(bot.messages().len(), 1, "{:?}", bot.messages());
}

fn a_failure_that_cannot_be_reported_is_reported_later(system: System) {
    let Some(lab) = lab::on(system) else { return };
    let user = lab.user("unheard");
    let bot = Bot::start();
    let project = rehearsed(&user, &bot);
    let reachable = user.read(".config/samocode/env");
    user.write_env_file(reachable.replace("http://127.0.0.1:", "http://127.0.0.1:1/"));
    user.write(
        ".config/systemd/user/samocode-failed@.service.d/soon.conf",
        "[Service]\nRestartSec=100ms\n",
    );
    let session = project.named("unheard");
    session.enable(&["--task", "Wait"]);
    session.wait_to_rest("waiting", "requirements");
    let journal = project.session("unheard").expect("a session").join("_journal.jsonl");
    user.sh(&format!("sed -i '2s/.*/garbage/' {}", journal.display())).ok();
    user.systemctl(["start", &session.unit()]).output();
    wait_until_failed(&session);
    let telling = "samocode-failed@unheard.service";
    user.wait_until("it was tried again", BOUND, || {
        user.unit_property(telling, "NRestarts").parse().is_ok_and(|times: u32| times > 0)
    });

    user.write_env_file(reachable);

    user.wait_until("the user is notified", BOUND, || !bot.messages().is_empty());
    user.wait_until("that is the end of it", BOUND, || {
        user.unit_property(telling, "ActiveState") == "inactive"
    });
    assert_eq!(bot.messages().len(), 1, "{:?}", bot.messages());
}

fn a_binary_that_cannot_start_ends_in_failed_and_is_reported_once(system: System) {
    let Some(lab) = lab::on(system) else { return };
    let user = lab.user("cannot-start");
    let bot = Bot::start();
    user.gets_messages_from(&bot);
    user.write_program("agent", "#!/bin/sh\nexec sleep infinity\n");
    let agent = format!("command:{}", user.home.join("agent").display());
    let project = user.project("shop").key("SAMOCODE_AGENT", &agent).create();
    let session = project.named("dead");
    user.sh("mkdir bin && cp /opt/samocode/bin/samocode bin/samocode").ok();
    user.sh("cd shop && ~/bin/samocode enable dead --task 'Do not start'").ok();
    user.wait_until("it runs", BOUND, || !session.journal("run_started").is_empty());
    let worker = session.worker();

    // A missing library looks like this; the other verbs still work, so
    // that the report can be seen.
    user.sh(
        "mv bin/samocode bin/real
         printf '#!/bin/sh\\n[ \"$1\" = worker ] && exit 127\\nexec ~/bin/real \"$@\"\\n' >bin/samocode
         chmod +x bin/samocode",
    )
    .ok();
    user.run(["kill", "-KILL", &worker]).ok();

    wait_until_failed(&session);
    user.wait_until("the user is notified", BOUND, || !bot.messages().is_empty());
    assert_eq!(failure_reports(&session), 1);
    assert_eq!(bot.messages().len(), 1, "{:?}", bot.messages());
    // With the program missing altogether, only systemd itself can report it.
    user.sh("rm bin/samocode").ok();
    user.systemctl(["reset-failed", &session.unit()]).ok();
    user.systemctl(["start", &session.unit()]).output();
    wait_until_failed(&session);
}

/// One test for each system.
macro_rules! on_both {
    ($($check:ident)*) => {$(
        mod $check {
            use crate::lab::System;

            #[test]
            fn on_this_machines_systemd() {
                super::$check(System::Ours);
            }

            #[test]
            fn on_debian_13s_systemd() {
                super::$check(System::Debian13);
            }
        }
    )*};
}

on_both! {
    units_are_clean_and_fit_the_version
    a_rehearsal_is_enabled_killed_and_comes_to_its_end
    a_crash_loop_ends_in_failed_and_is_reported_once
    a_failure_that_cannot_be_reported_is_reported_later
    a_binary_that_cannot_start_ends_in_failed_and_is_reported_once
}
