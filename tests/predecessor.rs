//! Sessions that the Python samocode started: no journal, no hook, an overview
//! and a history of signals.

use crate::lab::{self, Project};
use crate::session::{BOUND, Session};

/// The state and history of such a session.
struct Left<'a> {
    phase: &'a str,
    blocked: &'a str,
    /// Phase, status and what the session waits for.
    history: &'a [(&'a str, &'a str, Option<&'a str>)],
}

const ASKED: &str = "# Q&A\n\n### Q1: Where are tokens kept?\nA. In a cookie\nB. In local storage\n\
    **Suggestion:** A - scripts cannot read it\n**Answer:** _waiting_\n";

/// Writes the session as the predecessor did, its worktree included.
#[track_caller]
fn leave<'p>(project: &'p Project<'_>, name: &'p str, left: &Left<'_>) -> Session<'p> {
    let user = project.user;
    let dated = format!("25-03-01-{name}");
    let folder = project.sessions.join(&dated);
    let worktree = project.worktrees.join(&dated);
    if left.phase != "init" {
        user.run(["git", "worktree", "add", "-q", "-b", name])
            .arg(worktree.display().to_string())
            .cwd(&project.dir)
            .ok();
    }
    let total = left.history.len();
    let visit = left.history.iter().rev().take_while(|line| line.0 == left.phase).count();
    let overview = format!(
        "# Session: {name}\nStarted: 03-01 10:00\nWorking Dir: {}\n\n## Task\nJWT login\n\n## Status\n\
         Phase: {}\nIteration: {visit}\nTotal Iterations: {total}\nBlocked: {}\nLast Action: As the agent wrote it\n\
         Next: As well\nOwn: a line of the team's\n\n## Flow Log\n- [001 @ 03-01 10:00] Session created\n\n\
         ## Files\n- 03-01-10:10-dive-code.md - investigation\n\n## Notes\nKept as it is.\n",
        worktree.display(),
        left.phase,
        left.blocked
    );
    user.write(folder.join("_overview.md"), overview);
    let mut lines = String::new();
    for (at, (phase, status, waits)) in left.history.iter().enumerate() {
        let line = serde_json::json!({
            "timestamp": format!("2025-03-01 10:{at:02}:00"), "iteration": at + 1, "phase": phase,
            "status": status, "summary": "Done", "reason": null, "needs": null, "for": waits,
        });
        lines.push_str(&format!("{line}\n"));
    }
    user.write(folder.join("_signal_history.jsonl"), lines);
    user.write(folder.join("_logs/03-01-1000-001-investigation.jsonl"), "{\"type\":\"result\"}\n");
    if total > 0 {
        user.write(folder.join("03-01-10:10-dive-code.md"), "What is there.\n");
    }
    if total > 1 {
        user.write(folder.join("_qa.md"), ASKED);
    }
    if total > 3 {
        user.write(folder.join("03-01-10:30-plan-work.md"), "# Plan\n\n1. Write the file\n");
    }
    project.named(name)
}

const HISTORY: [(&str, &str, Option<&str>); 8] = [
    ("investigation", "continue", None),
    ("requirements", "waiting", Some("qa_answers")),
    ("requirements", "continue", None),
    ("planning", "waiting", Some("plan_approval")),
    ("planning", "continue", None),
    ("implementation", "continue", None),
    ("testing", "continue", None),
    ("quality", "continue", None),
];

/// Resumes with `run` and acts as the human at each gate, until it is done.
#[track_caller]
fn to_the_end(session: &Session<'_>) {
    for _ in 0..4 {
        let out = session.project.samocode(["run", session.name]).within(BOUND).output();
        match (out.code, session.hook()["for"].as_str()) {
            (0, _) => return,
            (10, Some("qa_answers")) => session.answer_file(),
            (10, Some("plan_approval")) => session.put_message("approve", ""),
            _ => panic!("{out}\n{}", session.file("_overview.md")),
        }
    }
    panic!("it goes round in circles\n{}", session.file("_overview.md"));
}

#[test]
fn a_session_left_in_any_phase_is_continued_to_done() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("before");
    let agent = user.obedient_agent("");
    let project = user.project("shop").key("SAMOCODE_AGENT", &agent).confined().create();
    // Each with as much of the history as it had when that phase began.
    let phases = [
        ("init", 0),
        ("investigation", 0),
        ("requirements", 1),
        ("planning", 3),
        ("implementation", 5),
        ("testing", 6),
        ("quality", 7),
        ("done", 8),
    ];
    for (phase, count) in phases {
        let name = format!("in-{phase}");
        let left = Left { phase, blocked: "no", history: &HISTORY[..count] };
        let session = leave(&project, &name, &left);
        if count > 2 {
            session.answer_file();
        }

        to_the_end(&session);

        let history = session.history();
        for (at, (phase, status, _)) in HISTORY.iter().take(count).enumerate() {
            let line = (at as u64 + 1, (*phase).to_owned(), (*status).to_owned());
            assert_eq!(history[at], line, "{name}: its history is kept");
        }
        let numbers: Vec<u64> = history.iter().map(|line| line.0).collect();
        assert_eq!(numbers, (1..=history.len() as u64).collect::<Vec<_>>(), "{name}");
        assert_eq!(history.last().expect("a line").2, "done", "{name}");
        let total = history.len().to_string();
        assert_eq!(project.status(&name, "Total Iterations").as_deref(), Some(total.as_str()));
        assert_eq!(project.status(&name, "Phase").as_deref(), Some("done"), "{name}");
        let overview = session.file("_overview.md");
        for line in
            ["Own: a line of the team's\n", "## Notes\nKept as it is.\n", "Started: 03-01 10:00\n"]
        {
            assert!(overview.contains(line), "{name}: {line:?} is not in\n{overview}");
        }
        let folders = std::fs::read_dir(user.host_path(&project.sessions)).unwrap();
        let of_it = folders.flatten().filter(|f| f.file_name().to_string_lossy().ends_with(&name));
        assert_eq!(of_it.count(), 1, "{name}: no other folder was created");
        let work = project.worktree(&name).expect("a worktree");
        if count <= 5 {
            assert_eq!(user.read(work.join("work.txt")), format!("Work of {name}\n"));
        }
    }
}

#[test]
fn a_session_in_an_unknown_phase_says_so_and_resumes_once_it_is_fixed() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("nophase");
    let project = user.project("shop").key("SAMOCODE_AGENT", "rehearsal").create();
    let left = Left { phase: "reqirements", blocked: "no", history: &HISTORY[..1] };
    let session = leave(&project, "typo", &left);
    for verb in ["start", "run"] {
        let out = project.samocode([verb, "typo"]).output();
        assert_eq!(out.code, 78, "{out}");
        assert!(
            out.stderr.contains("'Phase: reqirements', which is not a phase: change it to"),
            "{out}"
        );
    }
    for verb in ["status", "why"] {
        let out = project.samocode([verb, "typo"]).ok();
        assert!(out.stdout.contains("failed"), "{out}");
        assert!(out.stdout.contains("'Phase: reqirements', which is not a phase"), "{out}");
    }
    let overview = session.file("_overview.md").replace("reqirements", "requirements");
    user.write(project.sessions.join("25-03-01-typo/_overview.md"), overview);
    project.samocode(["start", "typo"]).ok();
    session.wait_to_rest("waiting", "requirements");
}

#[test]
fn a_waiting_session_resumes_when_the_answers_are_in_the_file() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("beforeqa");
    let agent = user.obedient_agent("");
    let project = user.project("shop").key("SAMOCODE_AGENT", &agent).confined().create();
    let left = Left { phase: "requirements", blocked: "waiting_human", history: &HISTORY[..2] };
    let session = leave(&project, "waits", &left);

    let out = project.samocode(["run", "waits"]).output();
    assert_eq!(out.code, 10, "{out}");
    assert_eq!(session.history().len(), 2, "without answers nothing was run");
    session.answer_file();
    let out = project.samocode(["run", "waits"]).output();
    assert_eq!(out.code, 10, "{out}");
    assert_eq!(session.hook()["for"], "plan_approval");
    assert_eq!(session.history()[2], (3, "requirements".into(), "continue".into()));
    assert_eq!(session.history()[3], (4, "planning".into(), "waiting".into()));
}

#[test]
fn a_flag_does_not_make_a_session_begin_at_init() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("beforeflag");
    let agent = user.obedient_agent("");
    let project = user.project("shop").confined().create();
    let mut history = HISTORY.to_vec();
    history.push(("done", "done", None));
    let left = Left { phase: "done", blocked: "no", history: &history };
    leave(&project, "over", &left);
    let out = project.samocode(["run", "over", "--agent", &agent]).within(BOUND).ok();
    assert!(out.stdout.contains("done"), "{out}");
    assert_eq!(project.status("over", "Phase").as_deref(), Some("done"));
    assert_eq!(project.named("over").history().len(), history.len(), "nothing ran");

    let left = Left { phase: "planning", blocked: "waiting_human", history: &HISTORY[..4] };
    let session = leave(&project, "gate", &left);
    let out = project.samocode(["run", "gate", "--agent", &agent]).within(BOUND).output();
    assert_eq!((out.code, session.hook()["for"].as_str()), (10, Some("plan_approval")), "{out}");
    assert_eq!(project.status("gate", "Phase").as_deref(), Some("planning"));
}

#[test]
fn units_resume_a_session_answered_by_hand_at_once() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("beforeunit");
    let agent = user.obedient_agent("");
    let project = user.project("shop").key("SAMOCODE_AGENT", &agent).confined().create();
    let left = Left { phase: "requirements", blocked: "waiting_human", history: &HISTORY[..2] };
    let session = leave(&project, "answered", &left);
    session.answer_file();

    session.enable(&[]);
    session.wait_to_rest("waiting", "planning");
    session.approve();
    session.wait_to_rest("done", "done");
}

#[test]
fn an_overview_with_crlf_keeps_it() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("crlf");
    let agent = user.obedient_agent("");
    let project = user.project("shop").key("SAMOCODE_AGENT", &agent).confined().create();
    let left = Left { phase: "Testing", blocked: "No", history: &HISTORY[..6] };
    let session = leave(&project, "dos", &left);
    let path = project.session("dos").expect("a session").join("_overview.md");
    let dos = user.read(&path).replace('\n', "\r\n");
    user.write(&path, &dos);

    to_the_end(&session);

    let overview = user.read(&path);
    assert!(overview.contains("\r\nPhase: done\r\n"), "{overview:?}");
    assert_eq!(overview.matches('\n').count(), overview.matches("\r\n").count(), "{overview:?}");
    // Nothing but the status lines, and lines added to the flow log.
    let own = ["Phase:", "Iteration:", "Total Iterations:", "Blocked:"];
    let mut before: Vec<&str> = dos.split("\r\n").collect();
    let mut after: Vec<&str> = overview.split("\r\n").collect();
    for lines in [&mut before, &mut after] {
        lines.retain(|line| !own.iter().any(|key| line.starts_with(key)));
    }
    after.retain(|line| !line.starts_with("- [0") || before.contains(line));
    assert_eq!(before, after);
}

#[test]
fn the_predecessor_can_read_what_we_write() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("backwards");
    let agent = user.obedient_agent("");
    let project = user.project("shop").key("SAMOCODE_AGENT", &agent).confined().create();
    let out = project.samocode(["run", "jwt", "--task", "JWT login"]).output();
    assert_eq!(out.code, 10, "{out}");
    let session = project.named("jwt");

    let overview = session.file("_overview.md");
    let keys: Vec<&str> = overview
        .lines()
        .skip_while(|line| *line != "## Status")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .map(|line| line.split_once(": ").expect("key: value").0)
        .collect();
    let expected = ["Phase", "Iteration", "Total Iterations", "Blocked", "Last Action", "Next"];
    assert_eq!(keys, expected, "{overview}");
    let history = session.file("_signal_history.jsonl");
    let line = history.lines().last().expect("a line");
    let fields: serde_json::Map<_, _> = serde_json::from_str(line).expect("an object");
    let names: std::collections::BTreeSet<&str> = fields.keys().map(String::as_str).collect();
    let expected =
        ["for", "iteration", "needs", "phase", "reason", "status", "summary", "timestamp"];
    assert_eq!(names, expected.into());
    assert!(fields["reason"].is_null() && fields["needs"].is_null(), "{line}");
    let stamp = fields["timestamp"].as_str().expect("a time");
    assert!(jiff::civil::DateTime::strptime("%Y-%m-%d %H:%M:%S", stamp).is_ok(), "{stamp}");

    // Continued by files alone, as the predecessor would find and leave it.
    let folder = project.session("jwt").expect("a session");
    for file in ["_journal.jsonl", "_hook.json"] {
        std::fs::remove_file(user.host_path(folder.join(file))).expect("it exists");
    }
    session.answer_file();
    to_the_end(&session);
}
