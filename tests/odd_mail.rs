//! Mail that is not what a verb writes: left by the predecessor, written by hand, or by an agent to itself.

use crate::lab;
use crate::mail::{assert_code, obedient, say, taken, unread};
use crate::session::BOUND;

#[test]
fn a_session_that_the_predecessor_left_waiting_is_answered_and_approved() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("foreign");
    let project = obedient(&user, "");
    let session = project.named("jwt");
    let folder = project.sessions.join("26-11-20-jwt");
    user.write(
        folder.join("_overview.md"),
        "# Session: jwt\nStarted: 11-20 18:01\n\n## Task\nJWT login\n\n## Status\nPhase: requirements\n\
         Iteration: 1\nTotal Iterations: 3\nBlocked: waiting_human\nLast Action: Q&A created\n\
         Next: Await answers\n\n## Flow Log\n- [001 @ 11-20 18:01] Session created\n\n## Files\n",
    );
    user.write(folder.join("_qa.md"), "### Q1: Where?\nA) Here\nB) There\n**Answer:** _waiting_\n");

    let out = say(&session, &["answer", "jwt", "Q1=b"]);
    assert_code(&out, 0, "has no unit; it reads this after: samocode start jwt");
    project.samocode(["start", "jwt"]).ok();
    session.wait_to_rest("waiting", "planning");
    assert!(session.file("_qa.md").contains("**Answer:** B - There\n"));
    assert_eq!(taken(&session), ["answer"]);
    assert_code(&say(&session, &["approve", "jwt"]), 0, "jwt is running again.");
    session.wait_to_rest("done", "done");
}

#[test]
fn impossible_requests_are_refused_in_one_line() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("refuses");
    let project = obedient(&user, "");
    let session = project.named("jwt");
    session.enable(&["--task", "JWT login"]);
    session.wait_to_rest("waiting", "requirements");

    for verb in
        [&["answer", "x"][..], &["approve", "x"], &["send", "x", "y"], &["reject", "x", "-m", "y"]]
    {
        let out = say(&session, verb);
        assert_code(&out, 2, "there is no session 'x'");
        assert!(out.is_one_error(), "{out}");
    }
    assert_code(&say(&session, &["send", "jwt", " "]), 2, "nothing to send");
    let strange = project.samocode(["send", "jwt", "-"]).stdin(b"\xff\xfe".to_vec()).output();
    assert_code(&strange, 2, "not UTF-8");
    let long = project.samocode(["send", "jwt", "-"]).stdin("x".repeat(300_000)).output();
    assert_code(&long, 2, "put it in a file and send its path");
    let own = project.samocode(["approve", "jwt"]).env("SAMOCODE_SESSION", "jwt").output();
    assert_code(&own, 2, "cannot answer itself");
    let qa = project.session("jwt").unwrap().join("_qa.md");
    user.write(&qa, b"### Q1: \xff?\n**Answer:** _waiting_\n");
    let out = say(&session, &["answer", "jwt", "Q1=A"]);
    assert_code(&out, 1, "_qa.md is not UTF-8");
    user.write(&qa, "nothing\n");
    let out = say(&session, &["answer", "jwt", "Q1=A"]);
    assert_code(&out, 1, "has no questions. Nothing done");
    // Removed questions come back from the journal.
    user.sh(&format!("rm {}", qa.display())).ok();
    let shown = say(&session, &["show", "jwt", "questions"]);
    assert!(shown.stdout.contains("Q1"), "{shown}");
    assert!(shown.stderr.contains("was removed: the questions are back"), "{shown}");
    assert_eq!((unread(&session), session.is_active()), (0, false), "nothing was sent");

    // From another session, it says so.
    let sent = project.samocode(["send", "jwt", "hello"]).env("SAMOCODE_SESSION", "other").ok();
    assert!(sent.stdout.contains("is running again"), "{sent}");
    user.wait_until("it is taken", BOUND, || session.journal("mail").len() == 1);
    assert_eq!(session.journal("mail")[0]["from"], "other");
}

/// Also what the preparation had to say: it is shown in the same places.
#[test]
fn files_that_are_no_messages_reach_the_agent_and_notes_are_shown_everywhere() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("drops");
    let agent = user.obedient_agent("");
    let modules = "git -c protocol.file.allow=always submodule --quiet add ~/part part; git commit --quiet -m part";
    user.git_repo("part").create();
    let project =
        user.project("shop").repo(|repo| repo.then(modules)).key("SAMOCODE_AGENT", &agent).create();
    let session = project.named("jwt");
    let begun = session.project.samocode(["enable", "jwt", "--task", "Paint"]).ok();
    assert!(begun.stderr.contains("git submodule update --init"), "{begun}");
    session.wait_to_rest("waiting", "requirements");
    let status = say(&session, &["status", "jwt"]).stdout;
    assert!(status.contains("Note") && status.contains("submodule update --init"), "{status}");
    let prompts = || user.sh("cat ~/asked/jwt.*").ok().stdout;
    assert!(prompts().contains("submodule update --init"), "{}", prompts());

    user.sh("cd ~/shop-sessions/*-jwt/_inbox
         echo 'use port 8081' >note.txt
         printf '{\"id\":\"m-1\",\"from\":\"human\",\"kind\":\"appr' >m-1.json
         echo 'from another age' >\"$(printf 'old\\351.txt')\"
         mkdir box; : >empty")
        .ok();
    let inbox = say(&session, &["inbox", "jwt"]);
    assert!(inbox.stderr.contains("truncated") && inbox.stderr.contains("empty"), "{inbox}");
    say(&session, &["start", "jwt"]);
    session.wait_to_rest("waiting", "requirements");
    user.wait_until("the agent got it", BOUND, || prompts().contains("use port 8081"));
    let asked = prompts();
    for part in ["\n    use port 8081\n", "\"kind\":\"appr", "from another age"] {
        assert!(asked.contains(part), "{part:?} is missing in\n{asked}");
    }
    assert_eq!(unread(&session), 0);
    assert_eq!(session.journal("foreign_mail").len(), 5, "{}", session.file("_journal.jsonl"));
    assert_eq!(session.stands().1, "requirements", "it opens no gate");
    let logs = say(&session, &["logs", "jwt"]).stdout;
    assert!(logs.contains("_inbox/m-1.json could not be read as mail"), "{logs}");
    assert!(logs.contains("_inbox/box could not be read as mail"), "{logs}");
    let kept = user.sh("ls ~/shop-sessions/*-jwt/_mail").ok().stdout;
    assert!(kept.contains("-note.txt\n") && kept.contains("-box\n"), "{kept}");
}

/// Begun with `--agent` and `--budget`, which also hold for the runs after that.
#[test]
fn what_an_agent_leaves_in_its_own_inbox_does_not_wake_it() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("wakes");
    let blocked = r#"{"status":"blocked","reason":"r","needs":"human_decision"}"#;
    // As from nobody, as from another session, and as if a human had stopped it.
    let message = |id: &str, from: &str, kind: &str| {
        format!(
            r#"{{"id":"{id}-'$SAMOCODE_RUN'","from":"{from}","to":"x","at":"2026-11-20T17:04:11Z","kind":"{kind}","body":"{id}"}}"#
        )
    };
    let (text, stop) = (message("a", "search", "text"), message("b", "human", "stop"));
    user.write_program(
        "agent",
        format!(
            "#!/bin/sh\ncd $SAMOCODE_SESSION_DIR\ncat >>../prompts\necho once more >_inbox/note.txt\n\
             echo '{text}' >_inbox/a.json\necho '{stop}' >_inbox/b.json\n\
             echo '{blocked}' >_signal.json\n"
        ),
    );
    let project = user.project("shop").create();
    let session = project.named("x");
    let agent = user.command("agent");
    let begin = ["run", "x", "--task", "t", "--agent", &agent, "--budget", "5"];
    assert_eq!(project.samocode(begin).output().code, 11);
    assert_eq!(session.journal("run_started").len(), 1, "{}", session.file("_journal.jsonl"));
    assert_eq!(session.journal("mail_left").len(), 1);

    let again = project.samocode(["run", "x"]).output();
    assert_eq!(again.code, 11, "{again}");
    assert!(again.stderr.contains(&format!("continues with {agent}")), "{again}");
    assert!(again.stderr.contains("x keeps --budget 5, as before"), "{again}");
    assert_eq!(session.journal("chosen").len(), 1);
    assert_eq!(session.journal("run_started").len(), 2);
    let prompts = user.sh("cat ~/shop-sessions/prompts").ok().stdout;
    assert!(prompts.contains("\n    once more\n"), "the next run gets it: {prompts}");
    let forged = "]\n[no samocode command sent this: somebody put it into _inbox/, and its sender may be another]\n    a\n";
    assert!(prompts.contains(forged), "{prompts}");
    assert_eq!(session.journal("stopped").len(), 0, "{}", session.file("_journal.jsonl"));
    let why = project.samocode(["why", "x"]).ok().stdout;
    assert!(why.contains("ignored a message of kind 'stop' in _inbox/"), "{why}");
}
