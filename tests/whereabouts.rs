//! Sessions and projects that are not where their units expect them: moved or deleted.

use crate::lab::{self, Bot, LabUser, Project};
use crate::session::BOUND;

fn project(user: &LabUser) -> Project<'_> {
    let agent = user.obedient_agent("[ ! -e ~/hang ] || { touch ~/held; sleep 1000; }");
    user.project("shop").key("SAMOCODE_AGENT", &agent).create()
}

/// One whose sessions have repositories of their own.
fn confined(user: &LabUser) -> Project<'_> {
    let agent = user.obedient_agent("");
    user.project("shop").key("SAMOCODE_AGENT", &agent).confined().create()
}

#[test]
fn a_session_whose_folder_is_missing_is_reported_in_one_line_and_its_unit_can_be_removed() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("gone");
    let project = project(&user);
    let session = project.named("jwt");
    session.enable(&["--task", "JWT login"]);
    session.wait_to_rest("waiting", "requirements");
    let folder = project.session("jwt").unwrap();
    user.sh(&format!("rm -r {}", folder.display())).ok();

    let message = format!(
        "the folder of 'jwt', {}, no longer exists\nhint: restore it, or remove its unit with: samocode disable jwt",
        folder.display()
    );
    let dated = folder.file_name().unwrap().to_string_lossy().into_owned();
    for typed in ["jwt", &dated] {
        for verb in [
            &["start"][..],
            &["restart"],
            &["reload"],
            &["status"],
            &["why"],
            &["logs"],
            &["answer"],
        ] {
            let out = project.samocode(verb.iter().copied().chain([typed])).output();
            assert_eq!((out.code, out.stderr.trim()), (2, &*format!("error: {message}")), "{out}");
        }
        let out = project.samocode(["stop", typed]).ok();
        assert!(out.stdout.contains("jwt is not running. The folder of 'jwt'"), "{out}");
        assert!(out.stdout.contains("samocode disable jwt"), "{out}");
    }
    // By its instance, from anywhere.
    let out = user.samocode(["status", "jwt"]).output();
    assert!(out.code == 2 && out.stderr.contains(&message), "{out}");

    project.samocode(["disable", "jwt"]).ok();
    assert!(!user.exists(".config/systemd/user/samocode@jwt.service.d"));
    let out = project.samocode(["status", "jwt"]).output();
    assert!(out.stderr.contains("there is no session 'jwt'"), "{out}");
}

#[test]
fn the_name_of_a_session_whose_folder_was_deleted_is_free_for_another() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("again");
    let project = project(&user);
    let session = project.named("jwt");
    user.write("hang", "");
    session.enable(&["--task", "JWT login"]);
    user.wait_until("the agent is at work", BOUND, || user.exists("held"));
    // As if it had been created on another day.
    let folder = project.session("jwt").unwrap();
    let (own, drop_in) =
        (folder.file_name().unwrap(), ".config/systemd/user/samocode@jwt.service.d");
    let line = format!(
        "rm -r {} hang; sed -i s:{}:25-01-01-jwt: {drop_in}/session.conf",
        folder.display(),
        own.to_string_lossy()
    );
    user.sh(&line).ok();

    session.enable(&["--task", "Another task"]);

    session.wait_to_rest("waiting", "requirements");
    assert!(session.file("_overview.md").contains("Another task"));
    let drop_ins = user.sh("ls -d .config/systemd/user/samocode@*.service.d").ok().stdout;
    assert_eq!(drop_ins.trim(), drop_in, "no unit is left behind");
}

#[test]
fn a_unit_at_work_whose_project_was_deleted_is_stopped_and_removed_by_its_instance() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("deleted");
    let project = project(&user);
    let session = project.named("jwt");
    user.write("hang", "");
    session.enable(&["--task", "JWT login"]);
    user.wait_until("the agent is at work", BOUND, || user.exists("held"));
    user.sh(&format!("rm -rf {} {}", project.dir.display(), project.sessions.display())).ok();

    let out = user.samocode(["stop", "jwt"]).ok();
    assert!(out.stdout.contains("The project of 'jwt'"), "{out}");
    assert!(!session.is_active(), "{}", user.diagnosis());
    let out = user.samocode(["start", "jwt"]).output();
    assert!(out.code == 2 && out.is_one_error(), "{out}");
    user.samocode(["disable", "jwt"]).ok();
    assert!(!user.exists(".config/systemd/user/samocode@jwt.service.d"));
}

#[test]
fn a_unit_whose_project_was_moved_says_so_once_and_a_command_from_the_new_place_fixes_it() {
    let Some(lab) = lab::get() else { return };
    // With the worktrees and sessions, or without.
    for (along, project) in
        [(false, project as fn(&LabUser) -> Project<'_>), (true, project), (true, confined)]
    {
        let user = lab.user("moved");
        let bot = Bot::start();
        user.gets_messages_from(&bot);
        let project = project(&user);
        let session = project.named("jwt");
        session.enable(&["--task", "JWT login"]);
        session.wait_to_rest("waiting", "requirements");
        user.sh("mv shop store; sed -i s:/shop$:/store: store/.samocode").ok();
        if along {
            let line = "mv shop-sessions store-sessions; mv shop-worktrees store-worktrees; sed -i s:/shop-:/store-: store/.samocode";
            user.sh(line).ok();
        }
        let at_new_place = |args: &[&str]| user.samocode(args).cwd(user.home.join("store"));

        assert_ne!(user.systemctl(["start", "samocode@jwt"]).output().code, 0);
        user.wait_until("the unit has failed", BOUND, || session.active() == "failed");
        assert_eq!(user.unit_property(&session.unit(), "ExecMainStatus"), "78");
        // By name: journald cannot assign a unit to a program that has already exited.
        let journal = user.journal(["SYSLOG_IDENTIFIER=samocode"]);
        let lines =
            journal.lines().filter(|line| line.contains("no longer exists")).collect::<Vec<_>>();
        assert_eq!(lines.len(), 1, "{journal}");
        assert!(journal.contains("if you moved it, run there: samocode enable jwt"), "{journal}");
        let failed = || bot.count_of("failed and will not restart");
        user.wait_until("the user is notified", BOUND, || failed() > 0);
        assert_eq!(failed(), 1);

        at_new_place(&["answer", "jwt", "--accept-suggestions"]).ok();
        let stands = |state: &str, phase: &str| {
            let json = at_new_place(&["status", "jwt", "--json"]).ok().json();
            json["state"] == state && json["phase"] == phase && json["unit"]["active"] == "inactive"
        };
        user.wait_until("it waits at the next gate", BOUND, || stands("waiting", "planning"));
        at_new_place(&["approve", "jwt"]).ok();
        user.wait_until("it is done", BOUND, || stands("done", "done"));
        let drop_ins = user.sh("ls -d .config/systemd/user/samocode@*.service.d").ok().stdout;
        assert_eq!(drop_ins.lines().count(), 1, "it is the same unit: {drop_ins}");
        let log = user.sh("git -C store log --format=%s jwt").ok().stdout;
        assert!(log.contains("Do the work"), "{log}");
        let history = at_new_place(&["history", "jwt"]).ok().stdout;
        assert!(!history.contains("had disappeared"), "{history}");
        assert_eq!(failed(), 1);
    }
}
