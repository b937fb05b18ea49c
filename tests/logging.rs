//! The lines that journald gets from the programs that units run.

use serde_json::Value;

use crate::lab::{self, Bot};
use crate::session::BOUND;

#[test]
fn journald_gets_our_own_lines_and_none_from_the_libraries_that_send_notices() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("lines");
    let bot = Bot::start();
    user.gets_messages_from(&bot);
    let project = user.project("shop").key("SAMOCODE_AGENT", "rehearsal").create();
    let session = project.named("jwt");
    session.enable(&["--task", "JWT login"]);
    session.through_the_gates();
    user.wait_until("the worker has reported the end", BOUND, || bot.count_of("done") > 0);
    let sent = bot.messages().len();

    // A failed worker is reported by another program.
    project.samocode(["enable", "jwt", "--task", "Another login"]).ok();
    session.wait_to_rest("waiting", "requirements");
    let journal = project.session("jwt").expect("a session").join("_journal.jsonl");
    user.sh(&format!("sed -i '2s/.*/garbage/' {}", journal.display())).ok();
    user.systemctl(["start", &session.unit()]).output();
    user.wait_until("the failure is reported", BOUND, || {
        bot.count_of("failed") > 0
            && user.unit_property("samocode-failed@jwt.service", "ActiveState") == "inactive"
    });
    assert!(bot.messages().len() > sent, "{:?}", bot.messages());

    lab.root(["journalctl", "--sync"]).ok();
    let entries = user.journalctl(["--output=json", "SYSLOG_IDENTIFIER=samocode"]).ok().stdout;
    let entries: Vec<Value> =
        entries.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let logged: Vec<(&str, &str)> = entries
        .iter()
        .filter_map(|entry| Some((entry["TARGET"].as_str()?, entry["MESSAGE"].as_str()?)))
        .collect();
    assert!(logged.len() > 10, "{logged:?}");
    for (target, message) in &logged {
        assert!(target.starts_with("samocode::"), "{target}: {message}");
    }
    // What goes there by standard error carries no target.
    let foreign = ["checkout", "idle connection", "hyper", "reqwest", "rustls", "zbus"];
    for entry in &entries {
        let message = entry["MESSAGE"].as_str().unwrap_or_default();
        assert!(!foreign.iter().any(|word| message.contains(word)), "{message}");
    }
}
