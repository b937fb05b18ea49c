//! What a new user meets in the first hour: tasks from anywhere, files to read, names mistyped,
//! Ctrl-C, a terminal, and what is left at the end.

use rustix::process::Signal;

use crate::lab::{self, secs};
use crate::session::BOUND;

#[test]
fn a_session_tells_what_to_read_at_each_gate_and_goes_without_losing_anything() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("firsthour");
    let project = user.project("shop").key("SAMOCODE_AGENT", "rehearsal").create();
    let session = project.named("greet");
    let empty = project.samocode(["enable", "greet", "--task", " "]).output();
    assert!(empty.code == 2 && empty.stderr.contains("the task of session 'greet' is empty"));
    assert!(project.session("greet").is_none(), "nothing was made");

    let task = "Greet whoever comes\nin two lines";
    project.samocode(["enable", "greet", "--task", "-"]).stdin(task).ok();
    let wait = || project.samocode(["wait", "greet", "--timeout", "60s"]).output();
    let asked = wait();
    assert_eq!(asked.code, 10, "{asked}");
    let folder = project.session("greet").expect("a session");
    assert_eq!(session.journal("created")[0]["task"], task);
    let qa = folder.join("_qa.md");
    assert!(asked.stdout.contains(&format!("read: {}\n", qa.display())), "{asked}");
    let shown = project.samocode(["show", "greet"]).ok().stdout;
    assert_eq!(shown, user.read(&qa));
    let mistyped = project.samocode(["approve", "greeet"]).output();
    assert!(mistyped.code == 2 && mistyped.stderr.contains("did you mean 'greet'?"), "{mistyped}");

    session.answer();
    let planned = wait();
    let read = planned.stdout.lines().find_map(|line| line.trim().strip_prefix("read: "));
    let plan = read.expect("a plan").to_owned();
    assert!(plan.contains("-plan-") && user.exists(&plan), "{planned}");
    for verb in ["why", "status"] {
        let told = project.samocode([verb, "greet"]).ok().stdout;
        assert!(told.contains(&plan), "{verb}: {told}");
    }
    let row = project.samocode(["status"]).ok().stdout;
    let name = plan.rsplit('/').next().expect("a name");
    assert!(row.contains(&format!("approval ({name}): samocode approve greet\n")), "{row}");
    let json = project.samocode(["show", "greet", "plan", "--json"]).ok().json();
    assert_eq!((&json["topic"], &json["file"]), (&"plan".into(), &plan.as_str().into()));
    let early = project.samocode(["show", "greet", "summary"]).output();
    assert!(early.code == 2 && early.stderr.contains("greet has no summary yet"), "{early}");
    let early = project.samocode(["remove", "greet"]).output();
    assert!(early.code == 1 && early.stderr.contains("greet is waiting, not done"), "{early}");

    project.samocode(["approve", "greet"]).ok();
    session.wait_to_rest("done", "done");
    let done = wait();
    let merge = format!("git -C {} merge greet", project.dir.display());
    assert!(done.code == 0 && done.stdout.contains("-summary-"), "{done}");
    assert!(done.stdout.contains(&format!("merge: {merge}\n")), "{done}");
    let diff = project.samocode(["show", "greet", "diff"]).ok().stdout;
    assert!(diff.contains("+++ b/rehearsal/greet.sh\n"), "{diff}");

    let worktree = project.worktree("greet").expect("a worktree");
    user.write(worktree.join("notes"), "not committed");
    let removed = project.samocode(["remove", "greet"]).ok();
    assert!(removed.stdout.contains("saved 1 uncommitted file in refs/samocode/"), "{removed}");
    // The hint, as it stands.
    let hint = removed.stdout.lines().find_map(|line| line.split("get it back with: ").nth(1));
    user.sh(hint.expect("a command")).ok();
    user.sh("git cat-file -e greet-rescued:notes").cwd(&project.dir).ok();
    assert!(!user.exists(&worktree) && project.session("greet").is_none());
    assert!(!user.exists(".config/systemd/user/samocode@greet.service.d"));
    let kept = project.sessions.join("_archive").join(folder.file_name().expect("a name"));
    assert!(user.exists(kept.join("_journal.jsonl")));
    // It comes back as it was, and goes once more.
    project.samocode(["restore", "greet"]).ok();
    assert!(user.exists(worktree.join("notes")) && project.session("greet").is_some());
    project.samocode(["archive", "--done"]).ok();
    assert!(!user.exists(&worktree) && project.session("greet").is_none());
    user.sh(&merge).cwd(&project.dir).ok();
    // The name is free again.
    user.write("task.md", "Once more");
    project.samocode(["enable", "greet", "--task-file", "../task.md"]).ok();
    let again = wait();
    assert_eq!(again.code, 10, "{again}");
}

#[test]
fn at_a_terminal_an_editor_takes_the_task_and_a_pager_what_is_long() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("atterminal");
    let project = user.project("shop").key("SAMOCODE_AGENT", "rehearsal").create();
    user.write_program("ed", "#!/bin/sh\ngrep -q 'session written' \"$1\" && echo Paint >\"$1\"\n");
    let editor = user.home.join("ed");
    let run = project.samocode(["run", "written"]).env("EDITOR", editor.to_string_lossy());
    let out = run.on_a_terminal().output();
    assert_eq!(out.code, 10, "{out}");
    assert_eq!(project.named("written").journal("created")[0]["task"], "Paint");

    // An editor that is left without a text.
    let run = project.samocode(["run", "blank"]).env("EDITOR", "true").on_a_terminal().output();
    assert!(run.code == 2 && run.stdout.contains("the task of session 'blank' is empty"), "{run}");
    assert!(project.session("blank").is_none());

    user.write_program("page", "#!/bin/sh\ncat >~/paged\n");
    let long = "stty rows 5 cols 60; PAGER=~/page samocode config; samocode --color never status";
    user.sh(long).cwd(&project.dir).on_a_terminal().ok();
    assert!(user.read("paged").contains("SAMOCODE_CONTEXT_HANDOFF_AT"));
    std::fs::remove_file(user.host_path(user.home.join("paged"))).expect("removed");
    user.sh("stty rows 500 cols 200; PAGER=~/page samocode config")
        .cwd(&project.dir)
        .on_a_terminal()
        .ok();
    assert!(!user.exists("paged"), "what fits the screen is not paged");
    user.sh("PAGER=~/page samocode config | cat").cwd(&project.dir).ok();
    assert!(!user.exists("paged"), "nor is a pipe");
    let never = user.sh("samocode --color never status").cwd(&project.dir).on_a_terminal().ok();
    assert!(!never.stdout.contains('\u{1b}'), "{never}");
    let always = project.samocode(["--color", "always", "status"]).ok();
    assert!(always.stdout.contains('\u{1b}'), "{always}");
}

#[test]
fn ctrl_c_in_the_foreground_is_said_and_what_brings_the_session_back() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("ctrlc");
    let agent = user.obedient_agent("touch ~/busy; sleep 1000");
    let project = user.project("shop").key("SAMOCODE_AGENT", &agent).create();
    let mut run = project.samocode(["run", "fg", "--task", "t"]).spawn();
    user.wait_until("the agent runs", BOUND, || user.exists("busy"));
    run.signal(Signal::INT);
    let out = run.wait(secs(60));
    assert_eq!(out.code, 130, "{out}");
    assert_eq!(out.stdout, "fg interrupted. Resume it with: samocode run fg\n");

    let shown = project.samocode(["status", "fg", "--json"]).ok().json();
    assert_eq!(shown["state"], "stopped", "{shown}");
    let reason = shown["reason"].as_str().unwrap_or_default();
    assert!(reason.starts_with("it has no worker; resume it with: samocode run fg"), "{reason}");
}
