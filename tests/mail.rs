//! The verbs that send a session a message: answer, approve, reject, send.

use serde_json::Value;

use crate::lab::{self, LabUser, Outcome, Project, secs};
use crate::session::{BOUND, Session, straight_through};

/// A project whose agent plays all phases at once.
fn rehearsed(user: &LabUser) -> Project<'_> {
    user.project("shop").key("SAMOCODE_AGENT", "rehearsal").confined().create()
}

/// A project whose agent is the obedient one, with lines before its work.
pub(crate) fn obedient<'u>(user: &'u LabUser, first: &str) -> Project<'u> {
    let agent = user.obedient_agent(first);
    user.project("shop").key("SAMOCODE_AGENT", &agent).create()
}

pub(crate) fn say(session: &Session<'_>, args: &[&str]) -> Outcome {
    session.project.samocode(args).output()
}

/// The kinds of mail that workers have taken.
pub(crate) fn taken(session: &Session<'_>) -> Vec<String> {
    let word = |line: &Value| line["mail"].as_str().unwrap_or_default().to_owned();
    session.journal("mail").iter().map(word).collect()
}

pub(crate) fn unread(session: &Session<'_>) -> usize {
    let inbox = session.project.session(session.name).expect("a session").join("_inbox");
    std::fs::read_dir(session.user().host_path(inbox)).map_or(0, Iterator::count)
}

#[track_caller]
pub(crate) fn assert_code(out: &Outcome, code: i32, says: &str) {
    assert_eq!(out.code, code, "{out}");
    assert!(format!("{}{}", out.stdout, out.stderr).contains(says), "no {says:?} in {out}");
}

#[test]
fn answers_open_the_first_gate_and_a_rejected_plan_is_approved_later() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("gates");
    let project = rehearsed(&user);
    let session = project.named("jwt");
    session.enable(&["--task", "JWT login"]);
    session.wait_to_rest("waiting", "requirements");

    let listed = say(&session, &["answer", "jwt"]);
    assert_code(&listed, 2, "answer with: samocode answer jwt Q1=…");
    assert!(listed.stdout.contains("Q1  Which language should"), "{listed}");
    assert_code(&say(&session, &["answer", "jwt", "Q1=Z"]), 2, "question Q1 has options A, B");
    assert_code(&say(&session, &["answer", "jwt", "Q1=A", "Q7=A"]), 2, "there are Q1, Q2");
    assert!(!session.file("_qa.md").contains("**Answer:** A"), "all of it or nothing");
    let questions = say(&session, &["answer", "jwt", "--json"]).json();
    assert_eq!(questions["open"], 2);
    assert_eq!(questions["questions"][1]["suggestion"]["answer"], "A - The world");

    assert_code(&say(&session, &["answer", "jwt", "Q1=b"]), 0, "Still open: Q2");
    assert_eq!((session.is_active(), unread(&session)), (false, 0), "nothing is sent yet");
    let sent = say(&session, &["answer", "jwt", "Q2=the moon, by default"]);
    assert_code(&sent, 0, "Sent. jwt is running again.");
    session.wait_to_rest("waiting", "planning");
    let answered = session.file("_qa.md");
    assert!(answered.contains("**Answer:** B - The project's own language\n"), "{answered}");
    assert!(answered.contains("**Answer:** the moon, by default\n"), "{answered}");

    assert_code(
        &say(&session, &["answer", "jwt", "Q1=A"]),
        1,
        "samocode approve jwt. Nothing done.",
    );
    assert_code(&say(&session, &["reject", "jwt", "-m", " "]), 2, "a rejection needs a reason");
    assert_code(&say(&session, &["reject", "jwt", "-m", "Smaller steps"]), 0, "Sent back.");
    user.wait_until("the plan was revised", BOUND, || {
        session.history().iter().filter(|(_, phase, _)| phase == "planning").count() == 2
    });
    session.wait_to_rest("waiting", "planning");
    let approved = say(&session, &["approve", "jwt", "--json"]);
    assert_eq!(approved.json()["then"], "taken", "{approved}");
    session.wait_to_rest("done", "done");
    assert_eq!(taken(&session), ["answer", "reject", "approve"]);
    assert_code(&say(&session, &["approve", "jwt"]), 1, "jwt is not waiting: it is done. Nothing");
}

#[test]
fn suggestions_are_accepted_with_one_option() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("accepts");
    let project = rehearsed(&user);
    let session = project.named("jwt");
    session.enable(&["--task", "JWT login"]);
    session.wait_to_rest("waiting", "requirements");

    let out = say(&session, &["answer", "jwt", "Q2=B", "--accept-suggestions", "--json"]);

    assert_eq!((out.code, &out.json()["open"]), (0, &Value::Array(Vec::new())), "{out}");
    session.wait_to_rest("waiting", "planning");
    let answered = session.file("_qa.md");
    assert!(answered.contains("**Answer:** A - Shell: every machine has it\n"), "{answered}");
    assert!(answered.contains("**Answer:** B - Nobody: print how to use it\n"), "{answered}");
}

#[test]
fn on_a_terminal_each_question_is_asked_and_saved_at_once() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("asks");
    let project = rehearsed(&user);
    let session = project.named("jwt");
    session.enable(&["--task", "JWT login"]);
    session.wait_to_rest("waiting", "requirements");
    let ask = || project.samocode(["answer", "jwt"]).on_a_terminal().stdin_open().spawn();

    // Enter takes the suggestion; Ctrl-C leaves what was answered.
    let mut first = ask();
    first.wait_for_stdout("Q1  Which language should", secs(20));
    first.wait_for_stdout("[A] ▸", secs(20));
    first.send("\r");
    first.wait_for_stdout("Q2  Whom should it greet", secs(20));
    first.send("\u{3}");
    let out = first.wait(secs(20));
    assert_code(&out, 130, "Saved. Still open: Q2. Continue with: samocode answer jwt");
    assert!(session.file("_qa.md").contains("**Answer:** A - Shell"));
    assert_eq!((session.is_active(), unread(&session)), (false, 0));
    let needs = || project.samocode(["status", "jwt", "--json"]).ok().json()["needs"].clone();
    assert_eq!(needs()["count"], 1, "the one that is open");
    assert!(
        project.samocode(["status"]).ok().stdout.contains("1 answer (_qa.md): samocode answer jwt")
    );

    // So does the end of the input.
    let mut second = ask();
    second.wait_for_stdout("▸", secs(20));
    assert!(!second.stdout().contains("Q1  "), "answered already: {}", second.stdout());
    second.send("\u{4}");
    assert_code(&second.wait(secs(20)), 0, "Still open: Q2");

    // A typed answer, after an arrow key and an unknown letter.
    let mut third = ask();
    third.wait_for_stdout("▸", secs(20));
    third.send("\u{1b}[A\r");
    third.wait_for_stdout("arrow keys do nothing", secs(20));
    third.send("C\r");
    third.wait_for_stdout("has options A, B", secs(20));
    third.send("all that listen\r");
    assert_code(&third.wait(secs(20)), 0, "Sent. jwt is running again.");
    session.wait_to_rest("waiting", "planning");
    assert!(session.file("_qa.md").contains("**Answer:** all that listen\n"));
}

#[test]
fn an_approval_of_open_questions_accepts_the_suggestions() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("takes");
    let project = obedient(&user, "");
    let session = project.named("jwt");
    session.enable(&["--task", "JWT login"]);
    session.wait_to_rest("waiting", "requirements");

    let output = say(&session, &["approve", "jwt", "-m", "continue"]);
    assert_code(&output, 0, "jwt is running again.");
    assert!(output.stdout.contains("  A - One hour\n"), "what was taken is shown: {output}");

    session.wait_to_rest("waiting", "planning");
    assert!(session.file("_qa.md").contains("**Answer:** A - One hour\n"));
    let runs = session.journal("run_started");
    let asked = user.asked("jwt", &runs[2]);
    assert!(
        asked.contains("    continue\n") && asked.contains("    Answer: A - One hour\n"),
        "{asked}"
    );
}

#[test]
fn an_approval_sent_twice_opens_one_gate_and_a_stopped_session_stays_stopped() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("twice");
    let project = obedient(&user, "");
    let session = project.named("jwt");
    session.enable(&["--task", "JWT login"]);
    session.wait_to_rest("waiting", "requirements");
    project.samocode(["stop", "jwt"]).ok();

    for _ in 0..2 {
        let out = say(&session, &["approve", "jwt"]);
        assert_code(&out, 0, "is stopped; it reads this after: samocode start jwt");
    }
    assert_eq!(unread(&session), 1, "the same word to the same wait");
    let sent = say(&session, &["send", "jwt", "Use the users table"]);
    assert_code(&sent, 0, "is stopped; it reads this after: samocode start jwt");
    session.wait_for_waker();
    assert_eq!((session.stands().0.as_str(), session.is_active()), ("stopped", false));
    assert_eq!(unread(&session), 2);

    project.samocode(["start", "jwt"]).ok();
    session.wait_to_rest("waiting", "planning");
    assert_eq!(taken(&session), ["approve", "text"]);
    assert_eq!(session.hook()["for"], "plan_approval");

    // The same approval again, as if sent while the first was being taken.
    user.sh("cp ~/shop-sessions/*-jwt/_mail/approve-*.json ~/shop-sessions/*-jwt/_inbox/").ok();
    user.systemctl(["start", &session.unit()]).ok();
    user.wait_until("it is processed", BOUND, || unread(&session) == 0 && !session.is_active());
    assert_eq!(session.stands(), ("waiting".into(), "planning".into()));
    assert_eq!(taken(&session), ["approve", "text"]);
}

#[test]
fn a_mistyped_name_is_caught_before_anything_is_done_to_other_sessions() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("typo");
    let project = rehearsed(&user);
    let session = project.named("jwt");
    session.enable(&["--task", "JWT login"]);
    session.wait_to_rest("waiting", "requirements");
    project.samocode(["stop", "jwt"]).ok();
    for verb in ["start", "restart"] {
        let out = project.samocode([verb, "jwt", "jwtt"]).output();
        assert_code(&out, 2, "");
        assert!(out.stderr.contains("'jwtt'") && out.stdout.is_empty(), "{out}");
        assert_eq!(session.hook()["state"], "stopped", "{verb}");
    }
}

#[test]
fn without_a_waker_the_session_is_started_directly() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("wakes");
    let project = obedient(&user, "");
    let session = project.named("jwt");
    session.enable(&["--task", "JWT login"]);
    session.wait_to_rest("waiting", "requirements");
    user.systemctl(["stop", "samocode-wake.path"]).ok();

    let out = say(&session, &["answer", "jwt", "--accept-suggestions"]);

    assert_code(&out, 0, "Sent. jwt is running again.");
    session.wait_to_rest("waiting", "planning");
    // Nor where there is no folder for tokens.
    user.sh("rm -r ~/.local/state/samocode/wake").ok();
    assert_code(&say(&session, &["approve", "jwt"]), 0, "jwt is running again.");
    session.wait_to_rest("done", "done");
    assert_eq!(session.history(), straight_through());
}

#[test]
fn mail_while_the_manager_is_away_says_that_nothing_wakes_the_session() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("unmanaged");
    let project = rehearsed(&user);
    let session = project.named("jwt");
    session.enable(&["--task", "JWT login"]);
    session.wait_to_rest("waiting", "requirements");
    user.stop_manager();

    let sent = say(&session, &["send", "jwt", "Mind the tests"]);
    assert_code(&sent, 0, "reads this after: samocode start jwt");
    assert_code(&sent, 0, "no user service manager is reachable");
    assert_eq!(unread(&session), 1);
}

#[test]
fn a_blocked_session_retries_with_the_message_it_is_sent() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("blocked");
    let first = r#"[ $SAMOCODE_PHASE != investigation ] || grep -q "PIN is 1234" ~/asked/$SAMOCODE_SESSION.$SAMOCODE_RUN || {
        echo '{"status":"blocked","reason":"I need the PIN","needs":"clarification"}' >$SAMOCODE_SESSION_DIR/_signal.json
        exit; }"#;
    let project = obedient(&user, first);
    let session = project.named("jwt");
    session.enable(&["--task", "JWT login"]);
    session.wait_to_rest("blocked", "investigation");
    assert_code(&say(&session, &["approve", "jwt"]), 1, "is blocked (I need the PIN)");

    let sent = project.samocode(["send", "jwt", "-"]).stdin("The PIN is 1234\n").output();

    assert_code(&sent, 0, "Delivered. jwt is running again.");
    session.wait_to_rest("waiting", "requirements");
    assert_eq!(taken(&session), ["text"]);
}

#[test]
fn mail_to_a_done_session_waits_for_its_next_task() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("done");
    let project = obedient(&user, "");
    let session = project.named("jwt");
    session.enable(&["--task", "JWT login"]);
    session.through_the_gates();

    let sent = say(&session, &["send", "jwt", "Keep it short"]);
    assert_code(&sent, 0, "once it has a new task: samocode enable jwt --task");
    session.wait_for_waker();
    assert_eq!((session.is_active(), unread(&session)), (false, 1));
    let runs = session.journal("run_started").len();

    session.enable(&["--task", "Log out"]);
    session.wait_for_state("waiting");
    let asked = user.asked("jwt", &session.journal("run_started")[runs]);
    assert!(asked.contains("[text from human at ") && asked.contains("Keep it short"), "{asked}");
}

#[test]
fn mail_survives_a_worker_that_is_killed_before_it_reads_it() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("killed");
    let hold = "[ $SAMOCODE_PHASE != investigation ] || { touch ~/started; until [ -e ~/go ]; do sleep 0.05; done; }";
    let project = obedient(&user, hold);
    let session = project.named("jwt");
    session.enable(&["--task", "JWT login"]);
    user.wait_until("the agent works", BOUND, || user.exists("started"));

    let sent = say(&session, &["send", "jwt", "Mind the cookies"]);
    assert_code(&sent, 0, "is running investigation 1: its agent sees this");
    assert_code(&say(&session, &["approve", "jwt"]), 1, "investigation 1 is running. Nothing done");
    assert_eq!(unread(&session), 1, "this agent takes no words while it works");
    let worker = session.worker();
    user.run(["kill", "-9", &worker]).ok();
    user.wait_until("another worker works", BOUND, || {
        !["0", &worker].contains(&session.worker().as_str())
            && session.journal("run_started").len() == 2
    });
    user.write("go", "");
    session.wait_to_rest("waiting", "requirements");

    let asked = user.asked("jwt", &session.journal("run_started")[1]);
    assert_eq!(asked.matches("Mind the cookies").count(), 1, "{asked}");
    assert_eq!(taken(&session), ["text"]);
}

#[test]
fn answers_written_by_hand_apply_when_the_session_is_started() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("byhand");
    let project = obedient(&user, "");
    let session = project.named("jwt");
    session.enable(&["--task", "JWT login"]);
    session.wait_to_rest("waiting", "requirements");

    let still = project.samocode(["start", "jwt"]).ok().stdout;
    assert!(still.contains("jwt is waiting for answers"), "{still}");

    session.answer_file();
    let table = project.samocode(["status"]).ok().stdout;
    assert!(table.contains("sending the answers (_qa.md): samocode answer jwt"), "{table}");
    let started = project.samocode(["start", "jwt"]).ok().stdout;
    assert!(!started.contains("is waiting for answers"), "it has its answers: {started}");

    session.wait_to_rest("waiting", "planning");
    assert_eq!(session.journal("answered").len(), 1);
    // Once all is filled in, `answer` has nothing to ask.
    assert_eq!(say(&session, &["answer", "jwt", "--json"]).json()["waiting"], false);
}
