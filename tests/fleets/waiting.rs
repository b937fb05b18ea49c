//! A thousand sessions that wait for a human.

use std::time::Duration;

use crate::ground::{BOUND, agent, hook, processes, project, timed};
use crate::lab::{self, Project, secs};
use crate::table::{Row, percentile};

/// How many wait.
const ALL: usize = 1000;
/// How many of them get mail.
const REAL: usize = 20;

pub(crate) fn measure() -> Vec<Row> {
    let user = lab::get().expect("a lab").user("patient");
    let signal = r#"printf '{"status":"blocked","reason":"enough %s","needs":"human_decision"}' $SAMOCODE_ITERATION >"$SAMOCODE_SESSION_DIR/_signal.json""#;
    let agent = agent(&user, signal);
    let project = project(&user, &[("SAMOCODE_AGENT", &agent)]);
    let names: Vec<String> = (1..=REAL).map(|number| format!("real{number}")).collect();
    let enable =
        [&["enable", "--task", "t"], &*names.iter().map(String::as_str).collect::<Vec<_>>()]
            .concat();
    user.samocode(enable).cwd(&project.dir).within(secs(120)).ok();
    for name in &names {
        user.wait_until("it waits", BOUND, || hook(&project, name)["state"] == "blocked");
    }
    copies(&project, &names[0]);
    user.wait_until("no process is left", BOUND, || processes(&user) == 0);

    let mut rows =
        vec![Row::count(format!("processes of {ALL} waiting sessions"), processes(&user), 0)];
    let _ = timed(&project, "samocode status");
    let status = (0..21).map(|_| timed(&project, "samocode status")).collect();
    rows.push(Row::time(
        format!("`status` of {ALL}"),
        percentile(status, 50),
        Duration::from_millis(50),
    ));

    let mut woken = Vec::new();
    for name in &names {
        let runs = |text: &str| text.matches("\"run_started\"").count();
        let text = || project.session_file(name, "_journal.jsonl").unwrap_or_default();
        let before = runs(&text());
        let took = timed(
            &project,
            &format!(
                "f={}; samocode send {name} hello & until [ $(grep -c '\"run_started\"' $f) -gt {before} ]; do :; done",
                project.session(name).expect("a folder").join("_journal.jsonl").display()
            ),
        );
        woken.push(took);
        user.wait_until("it waits again", BOUND, || processes(&user) == 0);
    }
    let most = Duration::from_millis(100);
    rows.push(Row::time(
        "mail to one of them, from `send` to the start of its run, median",
        percentile(woken.clone(), 50),
        most,
    ));
    rows.push(Row {
        reached: None,
        bound: String::new(),
        ..Row::time("— the slowest of 20", percentile(woken, 100), most)
    });
    rows
}

/// Makes more of a session: folder, unit, and its start at boot.
fn copies(project: &Project<'_>, of: &str) {
    let folder = project.session(of).expect("a folder");
    let line = format!(
        "set -e
         cd ~/.config/systemd/user
         for n in {{1..{}}}; do
             folder=$(dirname {folder})/25-03-01-copy$n
             cp -r {folder} $folder
             mkdir samocode@copy$n.service.d
             sed \"s#{folder}#$folder#; s#session {of} #session copy$n #\" samocode@{of}.service.d/session.conf >samocode@copy$n.service.d/session.conf
             ln -s ../samocode@.service default.target.wants/samocode@copy$n.service
         done
         systemctl --user daemon-reload",
        ALL - REAL,
        folder = folder.display(),
    );
    project.user.sh(&line).within(BOUND).ok();
}
