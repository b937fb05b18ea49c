//! Many sessions: what each worktree gets, and one command for several of them.

use crate::lab;
use crate::session::BOUND;

#[test]
fn a_new_worktree_is_ready_before_the_first_agent_works_in_it() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("ready");
    let agent = user.obedient_agent("cat .env built >>~/$SAMOCODE_SESSION.seen");
    let setup = "echo ports $SAMOCODE_PORT_BASE; cat .env; test -e ~/fixed && cp .env built";
    let project = user
        .project("shop")
        .key("SAMOCODE_AGENT", &agent)
        .key("SAMOCODE_SETUP_COMMAND", setup)
        .key("SAMOCODE_TEARDOWN_COMMAND", "test -e ~/may-go || { echo still used; exit 1; }")
        .create();
    let ignore = "printf '.env\\nbuilt\\n' >.gitignore; echo .env >.worktreeinclude
        git add .gitignore .worktreeinclude; git commit -qm ignore; echo KEY=1 >.env";
    user.sh(ignore).cwd(&project.dir).ok();

    let session = project.named("jwt");
    let run = |args: &[&str]| project.samocode([&["run", "jwt"], args].concat()).output().code;
    assert_eq!(run(&["--task", "t"]), 11);
    let reason = session.reason();
    let said = "the setup command failed (exit status: 1): ports 20000 | KEY=1. Read ";
    assert!(reason.contains(said) && reason.ends_with("samocode start jwt"), "{reason}");
    assert!(session.journal("run_started").is_empty(), "no agent ran");
    user.write("fixed", "");
    assert_eq!(run(&[]), 10);
    assert_eq!(session.journal("prepared")[0]["copied"], serde_json::json!([".env"]));
    assert!(user.read("jwt.seen").starts_with("KEY=1\nKEY=1\n"));

    // One that someone deleted is made again and gets the same.
    let worktree = project.worktree("jwt").expect("a worktree");
    user.sh(&format!("rm -r {}; rm jwt.seen", worktree.display())).ok();
    session.answer();
    assert_eq!(run(&[]), 10);
    assert!(user.read("jwt.seen").starts_with("KEY=1\nKEY=1\n"));

    user.write(worktree.join("notes"), "not committed");
    let refused = project.samocode(["remove", "jwt", "--unfinished"]).output();
    assert!(
        refused.code == 1 && refused.stderr.contains("(exit status: 1): still used"),
        "{refused}"
    );
    assert!(user.exists(worktree.join("notes")));
    user.write("may-go", "");
    let removed = project.samocode(["archive", "jwt", "--unfinished"]).output();
    // It waits for the plan to be approved.
    assert!(removed.code == 1 && removed.stderr.contains("jwt is waiting for you"), "{removed}");
    let removed = project.samocode(["remove", "jwt", "--unfinished"]).ok();
    assert!(removed.stdout.contains("saved 1 uncommitted file"), "{removed}");
}

#[test]
fn one_command_starts_and_stops_several_sessions() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("several");
    let agent = user.obedient_agent("touch ~/$SAMOCODE_SESSION; sleep 1000");
    let project = user
        .project("shop")
        .key("SAMOCODE_AGENT", &agent)
        .key("SAMOCODE_MAX_RUNNING", "9")
        .create();
    let names = ["one", "two", "three", "four"];
    let enabled = project.samocode([&["enable", "--task", "t"], &names[..]].concat()).ok();
    assert_eq!(enabled.stdout.matches("started as samocode@").count(), 4, "{enabled}");
    for name in names {
        user.wait_until("it runs", BOUND, || user.exists(name));
    }
    let mistyped = project.samocode(["stop", "--now", "one", "twoo"]).output();
    assert!(mistyped.code == 2 && mistyped.stderr.contains("did you mean 'two'?"), "{mistyped}");
    assert!(project.named("one").is_active());

    let stopped = project.samocode(["stop", "--now", "--all"]).ok();
    assert_eq!(stopped.stdout.matches(" stopped. Resume it with").count(), 4, "{stopped}");
    for name in names {
        assert!(!project.named(name).is_active());
        assert_eq!(project.named(name).stands().0, "stopped");
    }
    let again = project.samocode(["stop", "--all"]).ok();
    assert!(again.stdout.is_empty() && again.stderr.contains("no session"), "{again}");
    let started = project.samocode(["start", "--all", "--json"]).ok();
    assert_eq!(started.stdout.lines().count(), 4, "{started}");
    let restarted = project.samocode(["restart", "--all"]).ok();
    assert_eq!(restarted.stdout.matches(" restarted.").count(), 4, "{restarted}");
    project.samocode(["stop", "--now", "--all"]).ok();
}
