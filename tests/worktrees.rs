//! A session's worktree: git that would work on another folder, and a HEAD that left the branch.

use crate::lab::{self, LabUser, Project};
use crate::session::Session;

/// Runs a command as a person who pastes it from a message.
fn paste(user: &LabUser, project: &Project<'_>, said: &str, from: &str) {
    let start = said.find(from).unwrap_or_else(|| panic!("no {from:?} in {said}"));
    user.sh(said[start..].lines().next().unwrap()).cwd(&project.dir).ok();
}

/// Runs the session in the foreground and returns the exit code.
fn run(session: &Session<'_>) -> i32 {
    session.project.samocode(["run", session.name, "--task", "t"]).output().code
}

#[test]
fn git_that_would_work_in_the_main_checkout_is_refused_with_the_command_that_fixes_it() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("astray");
    let agent = user.obedient_agent("");
    let project = user.project("shop").key("SAMOCODE_AGENT", &agent).create();
    let readme = user.sh("echo edited >README.md && pwd").cwd(&project.dir).ok();
    let main = readme.stdout.trim().to_owned();
    let configure = "git config core.worktree \"$PWD\"; git config extensions.worktreeConfig true";
    user.sh(configure).cwd(&project.dir).ok();

    let doctor = project.samocode(["doctor"]).output().to_string();
    assert!(doctor.contains("in a session's worktree would work on another folder"), "{doctor}");
    let session = project.named("jwt");
    assert_eq!(run(&session), 11);
    let reason = session.reason();
    assert!(reason.contains(&format!("git there works on {main}")), "{reason}");
    paste(&user, &project, &reason, "git config --file");
    assert_eq!(run(&session), 10);

    // The same, of a worktree that is there already.
    user.sh(configure).cwd(&project.dir).ok();
    session.answer();
    assert_eq!(run(&session), 11);
    let doctor = project.samocode(["doctor"]).output().to_string();
    assert!(doctor.contains("git must not be used in"), "{doctor}");
    paste(&user, &project, &session.reason(), "git config --file");
    assert_eq!(run(&session), 10);
    assert_eq!(session.stands().1, "planning");
    assert_eq!(user.read(project.dir.join("README.md")), "edited\n");
}

#[test]
fn a_session_whose_commits_are_elsewhere_is_not_done_until_its_branch_has_them() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("elsewhere");
    // One detaches HEAD, the other takes a branch of its own and comes back only when it is done.
    let agent = user.obedient_agent(
        "case $SAMOCODE_SESSION-$SAMOCODE_PHASE in\n\
         lost-implementation) git checkout -q --detach;;\n\
         late-quality) git checkout -qb other; echo more >more; git add more; git commit -qm more;;\n\
         late-done) [ ! -e ~/told ] || { git switch -q late; git merge -q other; }; touch ~/told;;\n\
         side-done) [ ! -e ~/sided ] || git merge -q hers; [ -e ~/sided ] || {\n\
           git worktree add -qb hers ~/hers; cd ~/hers; echo hers >hers; git add hers; git commit -qm hers; cd -; }; touch ~/sided;;\n\
         esac",
    );
    let project = user.project("shop").key("SAMOCODE_AGENT", &agent).create();
    for name in ["lost", "late"] {
        let session = project.named(name);
        assert_eq!(run(&session), 10);
        session.answer();
        assert_eq!(run(&session), 10);
        session.approve();
        assert_eq!(run(&session), 11, "{name}");
        let reason = session.reason();
        assert!(reason.contains("but HEAD is ") && reason.contains("missing from"), "{reason}");
        let told = session.journal("run_started").into_iter().rfind(|run| run["phase"] == "done");
        let prompt = user.asked(name, &told.expect("a run"));
        assert!(prompt.contains("## HEAD is not on this session's branch"), "{prompt}");
        let status = project.samocode(["status", name]).ok().stdout;
        assert!(status.contains("HEAD is "), "{status}");
        let why = project.samocode(["why", name]).ok().stdout;
        assert!(why.contains("To bring the commits over: git -C"), "{why}");
    }
    let lost = project.named("lost");
    let status = project.samocode(["status", "lost"]).ok().stdout;
    assert!(status.contains("lost · 0 commits since"), "{status}");
    paste(&user, &project, &lost.reason(), "git -C");
    project.samocode(["start", "lost"]).output();
    assert_eq!(run(&lost), 0);
    project.samocode(["start", "late"]).output();
    assert_eq!(run(&project.named("late")), 0, "the agent brought them over");
    // One works in a worktree of its own, and brings it over when it is asked.
    let side = project.named("side");
    assert_eq!(run(&side), 10);
    side.answer();
    assert_eq!(run(&side), 10);
    side.approve();
    assert_eq!(run(&side), 0, "{}", side.reason());
    let prompt = user.asked("side", side.journal("run_started").last().expect("a run"));
    assert!(prompt.contains("    while the agent ran, branch 'hers' got 1 commit"), "{prompt}");
    assert!(prompt.contains("\n    git merge hers\n"), "{prompt}");
    assert_eq!(side.journal("strays_found").len(), 2, "found and settled");
    for (name, commits) in [
        ("lost", "Do the work\n"),
        ("late", "more\nDo the work\n"),
        ("side", "hers\nDo the work\n"),
    ] {
        let range = format!("main..{name}");
        let log = user.run(["git", "log", "--format=%s", &range]).cwd(&project.dir).ok();
        assert_eq!(log.stdout, commits, "{name}");
    }
    assert_eq!(
        lost.journal("head_moved").last().expect("an event")["head"],
        serde_json::Value::Null
    );
}

#[test]
fn a_worktree_that_a_run_deletes_is_made_again_and_a_repository_moved_away_is_named() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("gone");
    let agent = user.obedient_agent(
        "case $SAMOCODE_SESSION-$SAMOCODE_PHASE in\n\
         gone-investigation) rm -r \"$PWD\"; cd /;;\n\
         moved-investigation) mv ~/shop ~/elsewhere;;\n\
         esac",
    );
    let project = user.project("shop").key("SAMOCODE_AGENT", &agent).create();
    let gone = project.named("gone");
    assert_eq!(run(&gone), 10);
    let prompt = user.asked("gone", gone.journal("run_started").last().expect("a run"));
    assert!(prompt.contains("had disappeared and was made again from gone"), "{prompt}");
    let history = project.samocode(["history", "gone"]).ok().stdout;
    assert!(history.contains("what was not committed there is lost"), "{history}");

    let moved = project.named("moved");
    assert_eq!(run(&moved), 11);
    let reason = moved.reason();
    assert!(
        reason.contains("/shop/.git does not exist: move it back, or set MAIN_REPO"),
        "{reason}"
    );
    assert_eq!(moved.journal("strays_found").len(), 0, "its branches were not deleted");
    user.sh("mv ~/elsewhere ~/shop").ok();
    project.samocode(["start", "moved"]).output();
    assert_eq!(run(&moved), 10);
}

#[test]
fn a_branch_that_another_worktree_has_is_refused_with_what_to_do() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("taken");
    let project = user.project("shop").key("SAMOCODE_AGENT", "rehearsal").create();
    user.sh("git worktree add -q -b jwt ~/hers").cwd(&project.dir).ok();
    let out = project.samocode(["run", "jwt", "--task", "t"]).output();
    assert_eq!(out.code, 2, "{out}");
    assert!(out.stderr.contains("branch 'jwt' is checked out in"), "{out}");
    assert!(out.stderr.contains("hint: switch that worktree to another branch"), "{out}");
}

#[test]
fn a_confined_agent_works_in_a_repository_without_a_commit_and_in_a_sparse_checkout() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("unusual");
    let unborn = "git switch -q --orphan other; git branch -q -D main; git switch -q --orphan main; rm -rf .git/logs";
    let sparse = "mkdir s; touch s/a; git add .; git commit -qm More; git sparse-checkout set s";
    for (name, line) in [("empty", unborn), ("sparse", sparse)] {
        let project = user
            .project(name)
            .key("SAMOCODE_AGENT", "rehearsal")
            .repo(|repo| repo.then(line))
            .confined()
            .create();
        let session = project.named("jwt");
        assert_eq!(run(&session), 10);
        project.samocode(["answer", "jwt", "--accept-suggestions"]).output();
        assert_eq!(run(&session), 10);
        project.samocode(["approve", "jwt"]).output();
        assert_eq!(run(&session), 0, "{}: {}", name, session.reason());
        let log = user.run(["git", "log", "--format=%s", "jwt"]).cwd(&project.dir).ok();
        assert!(log.stdout.starts_with("Test the greeting\n"), "{log}");
        if name == "empty" {
            let refused = project.samocode(["merge", "jwt"]).output();
            assert!(refused.stderr.contains("merge BRANCH"), "{refused}");
            user.run(["git", "merge", "--quiet", "jwt"]).cwd(&project.dir).ok();
        }
    }
}
