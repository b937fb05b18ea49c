//! What the worker records of a session: moved out of the reach of confined agents, found by everyone
//! wherever it is, and in one folder again in the archive.

use std::fs;

use crate::lab;

#[test]
fn a_session_of_before_is_moved_at_its_next_start_and_everyone_finds_it() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("records");
    let agent = user.obedient_agent("");
    let project = user.project("shop").key("SAMOCODE_AGENT", &agent).create();
    let session = project.named("jwt");
    let level = |level: &str| {
        let edit =
            format!("sed -i 's/^SAMOCODE_CONFINE=.*/SAMOCODE_CONFINE={level}/' shop/.samocode");
        user.sh(&edit).ok();
    };
    let runs = |code: i32, args: &[&str]| {
        let out = project.samocode(["run", "jwt"].iter().chain(args)).output();
        assert_eq!(out.code, code, "{out}\n{}", user.diagnosis());
    };
    runs(10, &["--task", "JWT login"]);
    let folder = project.session("jwt").expect("a session");
    let name = folder.file_name().expect("a name").to_owned();
    let record = project.sessions.join(".samocode").join(&name);
    let is_link = |file: &str| {
        let path = user.host_path(folder.join(file));
        fs::symlink_metadata(path).expect("it exists").file_type().is_symlink()
    };
    assert!(!user.exists(&record) && !is_link("_journal.jsonl"), "off keeps one folder");
    let (history, begun) = (session.history(), session.journal(""));

    // Moved, with the mail that came before.
    level("standard");
    session.send("Use RS256");
    session.answer();
    runs(10, &[]);
    for file in ["_journal.jsonl", "_hook.json", "_signal_history.jsonl", "_lock", "_logs", "_mail"]
    {
        assert!(is_link(file) && user.exists(record.join(file)), "{file}");
    }
    assert!(session.history().starts_with(&history) && session.journal("").starts_with(&begun));
    assert!(session.journal("mail").iter().any(|mail| mail.to_string().contains("RS256")));
    let asked = user.asked("jwt", &session.journal("run_started").remove(1));
    assert!(asked.contains("Use RS256"), "{asked}");
    let says = |args: &[&str]| project.samocode(args).ok().stdout;
    assert!(says(&["status", "jwt", "--json"]).contains("\"plan_approval\""));
    assert!(says(&["logs", "jwt"]).lines().count() > 5);
    assert!(says(&["history", "jwt"]).contains("investigation"));

    // Nobody needs to confine anything to find it.
    level("off");
    session.approve();
    runs(0, &[]);
    assert!(is_link("_journal.jsonl"), "it stays there");
    let disk: serde_json::Value =
        serde_json::from_str(&says(&["status", "--disk", "--json"])).expect("a list");
    assert!(disk[0]["files"].as_u64() > Some(0) && disk[0]["logs"].as_u64() > Some(0), "{disk}");

    // The archive has it in one folder.
    let (history, events) = (session.history(), session.journal(""));
    project.samocode(["archive", "jwt"]).ok();
    let archived = project.sessions.join("_archive").join(&name);
    let text = user.read(archived.join("_journal.jsonl"));
    assert!(text.lines().count() >= events.len() && !user.exists(&record), "{text}");
    project.samocode(["restore", "jwt"]).ok();
    assert!(!is_link("_journal.jsonl") && !is_link("_logs"));
    assert_eq!(session.history(), history);

    // And moved again, for another task.
    level("standard");
    runs(10, &["--task", "Refresh tokens"]);
    assert!(is_link("_journal.jsonl") && session.journal("").starts_with(&events));
    // A folder that is renamed alone says what belongs to it.
    let renamed = folder.with_file_name("26-01-01-login");
    user.run(["mv"]).arg(folder.display().to_string()).arg(renamed.display().to_string()).ok();
    let why = project.samocode(["run", "login"]).output();
    let (_, command) = why.stderr.split_once("too: ").expect("a command");
    user.sh(command.lines().next().unwrap_or_default()).ok();
    let out = project.samocode(["status", "login"]).ok().stdout;
    assert!(out.contains("requirements"), "{out}");
}
