//! The verbs that show: status, logs, wait, history, inbox.

use std::path::PathBuf;

use crate::lab::{self, LabCommand, LabUser, secs};

/// A user whose project's agent is a program that stops at a gate of the test's.
pub(crate) struct Shop {
    pub(crate) user: LabUser,
    pub(crate) dir: PathBuf,
    pub(crate) sessions: PathBuf,
}

/// Prints text, some of it hostile; waits for `~/go`, and blocks.
const AGENT: &str = r#"#!/bin/sh
printf 'plain words \033]0;evil\007\n'
echo '{"event":"tool","name":"edit","summary":"editing src/auth.rs"}'
while [ ! -e "$HOME/go" ]; do sleep 0.02; done
echo 'words after the gate'
echo '{"event":"finished","cost":{"total":0.25},"usage":{"input":1200,"output":34}}'
printf '{"status":"blocked","reason":"no database","needs":"human_decision"}' >"$SAMOCODE_SESSION_DIR/_signal.json"
"#;

impl Shop {
    pub(crate) fn new(user: LabUser) -> Self {
        user.write_program("agent.sh", AGENT);
        let agent = format!("command:{}/agent.sh", user.home.display());
        let project = user.project("shop").key("SAMOCODE_AGENT", &agent).create();
        let (dir, sessions) = (project.dir.clone(), project.sessions.clone());
        Self { user, dir, sessions }
    }

    pub(crate) fn samocode<const N: usize>(&self, args: [&str; N]) -> LabCommand {
        self.user.samocode(args).cwd(&self.dir)
    }

    /// A session of which only the hook exists.
    pub(crate) fn made_up(&self, folder: &str, hook: &str) {
        let text = format!(
            r#"{{"task_id":"x","iteration":2,"total_iterations":5,"since":"2026-11-20T17:00:00Z","seq":9,"cost_usd":3.1,"tokens":{{"input":91000,"output":4200}},{hook}}}"#
        );
        // As the worker does it, so that no reader sees half of it.
        let path = self.sessions.join(folder);
        self.user.write(path.join(".new"), text);
        let line = format!("mv {0}/.new {0}/_hook.json", path.display());
        self.user.sh(&line).ok();
    }

    pub(crate) fn open_gate(&self) {
        self.user.write("go", "");
    }

    pub(crate) fn starts_to_work(&self, session: &str) {
        self.samocode(["enable", session, "--task", "JWT login"]).ok();
        self.user.wait_until("the agent works", secs(30), || {
            let out = self.samocode(["status", session, "--json"]).ok();
            out.json()["doing"] == "editing src/auth.rs"
        });
    }

    /// Waits until `samocode VERB …` has started to watch files.
    pub(crate) fn listens(&self, verb: &str) {
        let look = format!(
            "for p in $(pgrep -u {} -f '^samocode {verb}'); do ls -l /proc/$p/fd; done | grep -q inotify",
            self.user.uid
        );
        self.user.wait_until("it watches", secs(10), || self.user.sh(&look).output().code == 0);
    }
}

pub(crate) const WAITING: &str =
    r#""phase":"requirements","state":"waiting","for":"qa_answers","questions":3"#;
pub(crate) const RUNNING: &str = r#""phase":"testing","state":"running""#;
pub(crate) const DONE: &str = r#""phase":"done","state":"done","summary":"All of it""#;

#[test]
fn status_works_without_a_service_manager_and_prints_every_key() {
    let Some(lab) = lab::get() else { return };
    let shop = Shop::new(lab.user_without_manager("nomanager"));
    shop.made_up("26-11-20-jwt-login", WAITING);
    shop.made_up("26-11-21-later", DONE);
    shop.made_up("_archive/26-11-19-old", DONE);
    let dangling = shop.sessions.join("26-11-22-dangling");
    shop.user.sh(&format!("ln -s /nowhere {}", dangling.display())).ok();

    let listed = shop.samocode(["status", "--json"]).ok().json();
    let sessions = listed["sessions"].as_array().unwrap();
    let names: Vec<_> = sessions.iter().map(|one| one["session"].as_str().unwrap()).collect();
    assert_eq!(names, ["later", "jwt-login"]);

    let one = shop.samocode(["status", "jwt-login", "--json"]).ok().json();
    assert_eq!(one, sessions[1]);
    let folder = shop.sessions.join("26-11-20-jwt-login");
    for (key, value) in [
        ("session", "jwt-login".into()),
        ("instance", "jwt-login".into()),
        ("project", shop.dir.to_str().into()),
        ("folder", folder.to_str().into()),
        ("worktree", serde_json::Value::Null),
        ("branch", serde_json::Value::Null),
        ("state", "waiting".into()),
        ("phase", "requirements".into()),
        ("iteration", 2.into()),
        ("total_iterations", 5.into()),
        ("doing", serde_json::Value::Null),
        ("last_progress", serde_json::Value::Null),
        ("until", serde_json::Value::Null),
        ("reason", serde_json::Value::Null),
        ("cost_usd", 3.1.into()),
        ("tokens", serde_json::json!({"input": 91000, "output": 4200})),
        ("unit", serde_json::Value::Null),
    ] {
        assert_eq!(one.get(key), Some(&value), "{key}");
    }
    let needs = serde_json::json!({"for": "qa_answers", "count": 3, "command": "samocode answer jwt-login"});
    assert_eq!(one["needs"], needs);

    let text = shop.samocode(["status"]).ok().stdout;
    assert!(text.contains("■■■□□□□□ requirements 2"), "{text}");
    assert!(text.contains("3 answers: samocode answer jwt-login"), "{text}");
    let unknown = shop.samocode(["status", "jwt"]).output();
    assert_eq!(unknown.code, 2, "{unknown}");
    assert!(unknown.stderr.contains("did you mean 'jwt-login'?"), "{unknown}");
}

#[test]
fn a_terminal_gets_colours_and_a_pipe_or_no_color_none() {
    let Some(lab) = lab::get() else { return };
    let shop = Shop::new(lab.user_without_manager("colours"));
    shop.made_up("26-11-20-jwt-login", WAITING);
    let status = || shop.samocode(["status"]).env("TERM", "xterm-256color");

    assert!(status().on_a_terminal().ok().stdout.contains('\u{1b}'));
    assert!(!status().ok().stdout.contains('\u{1b}'));
    assert!(!status().env("NO_COLOR", "1").on_a_terminal().ok().stdout.contains('\u{1b}'));
}

#[test]
fn every_verb_shows_a_running_session() {
    let Some(lab) = lab::get() else { return };
    let shop = Shop::new(lab.user("shown"));
    shop.starts_to_work("jwt");

    let one = shop.samocode(["status", "jwt", "--json"]).ok().json();
    assert_eq!(one["state"], "running", "{one}");
    let unit =
        serde_json::json!({"name": "samocode@jwt.service", "active": "active", "restarts": 0});
    assert_eq!(one["unit"], unit);
    let text = shop.samocode(["status", "jwt"]).ok().stdout;
    let pid = shop.user.unit_property("samocode@jwt", "MainPID");
    for part in ["JWT login", "0 commits since", "· active · ", "command", "editing src/auth.rs"]
    {
        assert!(text.contains(part), "{part}:\n{text}");
    }
    assert!(text.contains(&format!("pid {pid}")), "{text}");
    // Outside any project it is found by its unit.
    let outside = shop.user.samocode(["status", "--json"]).cwd("/").ok().json();
    assert_eq!(outside["sessions"][0]["project"], shop.dir.to_str().unwrap());

    // The agent's text as it arrives, without terminal control sequences.
    let mut logs =
        shop.samocode(["logs", "-f", "jwt"]).env("TERM", "xterm").on_a_terminal().spawn();
    logs.wait_for_stdout("editing src/auth.rs", secs(10));
    let mut raw = shop.samocode(["logs", "-f", "--raw", "jwt"]).spawn();
    raw.wait_for_stdout("editing src/auth.rs", secs(10));
    let mut wait = shop.samocode(["wait", "jwt", "--json"]).spawn();
    shop.listens("wait");
    assert!(!logs.stdout().contains("words after the gate"));
    assert!(!logs.stdout().contains("\u{1b}]"), "{}", logs.stdout());
    assert!(logs.stdout().contains("plain words ␛]0;evil␇"), "{}", logs.stdout());
    assert!(raw.stdout().contains("\u{1b}]0;evil"), "raw is not raw: {}", raw.stdout());

    shop.open_gate();
    logs.wait_for_stdout("words after the gate", secs(20));
    logs.wait_for_stdout("no database", secs(20));
    raw.wait_for_stdout("words after the gate", secs(20));
    let waited = wait.wait(secs(20));
    assert_eq!(waited.code, 11, "{waited}");
    assert_eq!(waited.json()["reason"], "no database");
    drop((logs, raw));

    // The whole story, and its parts.
    let all = shop.samocode(["logs", "jwt"]).ok().stdout;
    let places: Vec<usize> = ["session created", "plain words", "words after", "no database"]
        .map(|part| all.find(part).unwrap_or_else(|| panic!("{part}:\n{all}")))
        .into();
    assert!(places.is_sorted(), "{all}");
    let last: Vec<String> = all.lines().rev().take(3).map(str::to_owned).collect();
    let three = shop.samocode(["logs", "-n", "3", "jwt"]).ok().stdout;
    assert_eq!(three.lines().rev().map(str::to_owned).collect::<Vec<_>>(), last);
    let events = shop.samocode(["logs", "--json", "jwt"]).ok().stdout;
    let events: Vec<serde_json::Value> =
        events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(events.iter().any(|one| one["source"] == "journal" && one["kind"] == "created"));
    assert!(events.iter().any(|one| one["source"] == "agent" && one["event"] == "tool"));

    let history = shop.samocode(["history", "jwt", "--json"]).ok().json();
    let iteration =
        history["history"].as_array().unwrap().iter().find(|i| i["type"] == "iteration");
    let iteration = iteration.unwrap_or_else(|| panic!("{history}"));
    assert_eq!(
        (&iteration["status"], &iteration["step"]["next"]),
        (&"blocked".into(), &"block".into())
    );
    assert_eq!((&iteration["runs"], &iteration["cost_usd"]), (&1.into(), &0.25.into()));
    let text = shop.samocode(["history", "jwt"]).ok().stdout;
    assert!(text.contains("investigation 1") && text.contains("$0.25"), "{text}");
    let cost = shop.samocode(["cost", "jwt", "--json"]).ok().json();
    let phase = &cost["sessions"][0]["phases"]["investigation"];
    assert_eq!((&phase["usd"], &phase["tokens"]["input"]), (&0.25.into(), &1200.into()), "{cost}");
    assert_eq!(cost["total"]["usd"], 0.25);
    let why = shop.samocode(["why", "jwt"]).ok().stdout;
    assert!(why.starts_with("blocked      investigation 1, for "), "{why}");
    assert!(why.contains(": no database\n"), "{why}");
    assert!(why.contains("samocode start jwt"), "{why}");
}

#[test]
fn logs_exit_quietly_when_their_pipe_is_closed() {
    let Some(lab) = lab::get() else { return };
    let shop = Shop::new(lab.user("pipes"));
    shop.starts_to_work("jwt");

    // Nothing more is written: only the closed pipe can tell.
    let out = shop.user.sh("samocode logs -f jwt | head -n 1").cwd(&shop.dir).within(secs(20)).ok();

    assert_eq!(out.stdout.lines().count(), 1, "{out}");
    assert_eq!(out.stderr, "", "{out}");
}

#[test]
fn an_inbox_shows_unread_mail_and_all_of_it_when_asked() {
    let Some(lab) = lab::get() else { return };
    let shop = Shop::new(lab.user_without_manager("postbox"));
    let folder = shop.sessions.join("26-11-20-jwt");
    let message = |id: &str, body: &str| {
        format!(
            r#"{{"id":"{id}","from":"human","to":"jwt","at":"2026-11-20T17:04:11Z","kind":"text","body":"{body}"}}"#
        )
    };
    shop.made_up("26-11-20-jwt", RUNNING);
    assert_eq!(shop.samocode(["inbox", "jwt"]).ok().stdout, "jwt has no unread mail.\n");
    shop.user.write(folder.join("_inbox/m-2.json"), message("m-2", "go\\u001b[2J on"));
    shop.user.write(folder.join("_mail/m-1.json"), message("m-1", "read before"));

    let unread = shop.samocode(["inbox", "jwt"]).ok().stdout;
    assert!(unread.contains("text from human") && unread.contains("go␛[2J on"), "{unread}");
    assert!(!unread.contains("read before"), "{unread}");
    let all = shop.samocode(["inbox", "--all", "--json", "jwt"]).ok().json();
    let read: Vec<_> =
        all["messages"].as_array().unwrap().iter().map(|m| (&m["id"], &m["read"])).collect();
    assert_eq!(read, [(&"m-1".into(), &true.into()), (&"m-2".into(), &false.into())]);
}

#[test]
fn a_session_whose_journal_is_damaged_says_so_where_people_look() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("damage");
    let agent = user.obedient_agent("");
    let project = user.project("shop").key("SAMOCODE_AGENT", &agent).create();
    let session = project.named("hurt");
    session.enable(&["--task", "Paint the fence"]);
    session.wait_to_rest("waiting", "requirements");
    let journal = project.session("hurt").expect("a session").join("_journal.jsonl");
    let whole = user.read(&journal);
    let second = whole.lines().nth(1).expect("a second line");
    user.write(&journal, whole.replacen(second, "garbage", 1));

    session.answer();
    let waited = project.samocode(["wait", "hurt", "--timeout", "60s"]).output();
    assert_eq!(waited.code, 1, "{waited}");
    assert!(waited.stdout.contains("failed: ") && waited.stdout.contains("in line 2"), "{waited}");
    for verb in ["why", "status"] {
        let shown = project.samocode([verb, "hurt"]).ok().stdout;
        assert!(shown.contains("_journal.jsonl is damaged in line 2: "), "{shown}");
        assert!(shown.contains("move it aside and start the session again"), "{shown}");
    }

    user.sh(&format!("mv {0} {0}.aside", journal.display())).ok();
    project.samocode(["start", "hurt"]).ok();
    // The answer may have been to an earlier wait, so it begins again.
    user.wait_until("it is imported", secs(30), || user.exists(&journal));
    project.samocode(["approve", "hurt"]).ok();
    session.wait_to_rest("waiting", "planning");
}

#[test]
fn an_unreadable_session_is_named_with_the_reason_once() {
    let Some(lab) = lab::get() else { return };
    let shop = Shop::new(lab.user_without_manager("unreadable"));
    shop.made_up("26-11-20-jwt", RUNNING);
    shop.user.sh(&format!("chmod 000 {}/26-11-20-jwt", shop.sessions.display())).ok();

    let out = shop.samocode(["status"]).output();

    // No list that looks as if there were no sessions.
    assert_eq!((out.code, out.stdout.as_str()), (1, ""), "{out}");
    assert!(out.stderr.contains("jwt cannot be shown: cannot read"), "{out}");
    assert_eq!(out.stderr.matches("Permission denied").count(), 1, "{out}");
    shop.user.sh(&format!("chmod 700 {}/26-11-20-jwt", shop.sessions.display())).ok();
}
