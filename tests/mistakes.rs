//! Bad input of every kind: one line on standard error and a hint, the documented exit
//! code, never a panic.

use crate::lab::{self, LabCommand, LabUser, Outcome, Project};

/// Asserts that a command refused in one line that holds `message`, with this exit code.
#[track_caller]
fn refused(command: LabCommand, code: i32, message: &str) {
    refused_with(&command.output(), code, message);
}

#[track_caller]
fn refused_with(out: &Outcome, code: i32, message: &str) {
    assert_eq!(out.code, code, "{out}");
    assert!(out.is_one_error(), "one error: {out}");
    assert!(out.stderr.contains(message), "{message:?} is not in {out}");
    for word in ["panicked", "RUST_BACKTRACE", "stack backtrace", "Os {", "\u{1b}"] {
        assert!(!out.stderr.contains(word), "{word}: {out}");
    }
    assert_eq!(out.stdout, "", "{out}");
}

fn project(user: &LabUser) -> Project<'_> {
    user.project("shop").key("SAMOCODE_AGENT", "rehearsal").create()
}

#[test]
fn invalid_names_are_refused_with_a_hint() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("names");
    let project = project(&user);
    let long = "n".repeat(65);
    for (name, hint) in [
        ("", "is not a session name"),
        ("../../etc", "Did you mean 'etc'?"),
        ("/etc/passwd", "Did you mean 'passwd'?"),
        ("a\u{7}b", "is not a session name"),
        ("a\nb", "is not a session name"),
        (&long, "at most 64"),
        ("--", "is not a session name"),
        ("a--b--c", "Did you mean 'a-b-c'?"),
        ("a..b", "Did you mean 'a.b'?"),
        ("samocode@jwt.service", "Did you mean 'jwt'?"),
        ("jwt.lock", "Did you mean 'jwt'?"),
        ("é", "is not a session name"),
        ("a@b", "is not a session name"),
        ("main", "sessions start from branch 'main'"),
    ] {
        refused(project.samocode(["run", "--task", "t", "--", name]), 2, hint);
    }
    assert!(!user.exists(&project.sessions), "nothing was made");
    // What can be understood is.
    let out = project.samocode(["run", "JWT Login", "--task", "t"]).output();
    assert_eq!(out.code, 10, "{out}");
    assert!(project.session("jwt-login").is_some());
}

#[test]
fn an_instance_of_another_project_starts_no_session_here() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("instances");
    let project = project(&user);
    refused(project.samocode(["run", "a--b", "--task", "t"]), 2, "\"a--b\" is not a session name");
    assert!(project.session("a").is_none());
}

#[test]
fn obstacles_on_disk_are_named() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("ondisk");
    let project = project(&user);
    let in_sessions = |name: &str| project.sessions.join(name);
    user.write(in_sessions("25-03-01-file"), "no folder");
    let file = project.samocode(["run", "file", "--task", "t"]);
    refused(file, 2, "25-03-01-file is a file where a session's folder should be");

    user.write(in_sessions("25-03-01-old/_samocode/_overview.md"), "# Session: old\n");
    refused(project.samocode(["run", "old"]), 2, "has the old layout");

    user.write(in_sessions("25-03-01-empty/note"), "no session");
    refused(project.samocode(["run", "empty"]), 2, "is empty and needs a task");

    refused(project.samocode(["run", "absent"]), 2, "is new and needs a task");
    let stop = project.samocode(["start", "absent"]).output();
    assert_ne!(stop.code, 0, "{stop}");
    assert!(stop.is_one_error(), "{stop}");

    user.set_mode(&project.sessions, 0o555);
    let task = project.samocode(["run", "new", "--task", "t"]);
    refused(task, 1, &format!("{}", project.sessions.display()));
    user.set_mode(&project.sessions, 0o755);
    user.write(in_sessions("25-03-01-damaged/_overview.md"), "# Session: damaged\n");
    user.write(in_sessions("25-03-01-damaged/_journal.jsonl"), "garbage\n{}\n");
    let damaged = project.samocode(["run", "damaged"]).output();
    assert!(matches!(damaged.code, 1 | 78), "{damaged}");
    assert!(damaged.stderr.contains("_journal.jsonl") && damaged.stderr.contains("line 1"));
}

#[test]
fn an_invalid_project_is_a_configuration_error() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("config");
    let project = project(&user);
    let run = ["run", "jwt", "--task", "t"];
    refused(user.samocode(run), 78, "samocode init");
    let nothing = user.samocode(["--config", "/nowhere/.samocode"].iter().chain(&run));
    refused(nothing, 78, "/nowhere/.samocode");

    let whole = user.read(project.dir.join(".samocode")).replace("SAMOCODE_AGENT=rehearsal\n", "");
    let with = |text: &str| {
        user.write(project.dir.join(".samocode"), text);
        project.samocode(run)
    };
    for key in ["MAIN_REPO", "WORKTREES", "SESSIONS"] {
        let without: String = whole
            .lines()
            .filter(|l| !l.starts_with(key))
            .fold(String::new(), |text, line| text + line + "\n");
        refused(with(&without), 78, key);
    }
    for (line, message) in [
        ("SAMOCODE_MAX_RETRIES=many", "SAMOCODE_MAX_RETRIES"),
        ("CLAUDE_TIMEOUT=-1", "CLAUDE_TIMEOUT"),
        ("SAMOCODE_BUDGET_USD=free", "SAMOCODE_BUDGET_USD"),
        ("SAMOCODE_MEMORY_MAX=lots", "SAMOCODE_MEMORY_MAX"),
        ("SAMOCODE_DISK_FLOOR=1 parsec", "SAMOCODE_DISK_FLOOR"),
        ("SAMOCODE_AGENT=hal9000", "hal9000"),
        ("SAMOCODE_AGENT=command:", "command:"),
        ("SAMOCODE_AGENT=command:./relative", "relative"),
        ("this is no line", "line"),
    ] {
        refused(with(&format!("{whole}{line}\n")), 78, message);
    }
    user.write(project.dir.join(".samocode"), b"MAIN_REPO=\xff\xfe\n");
    let out = project.samocode(run).output();
    assert_eq!((out.code, out.stderr.lines().count()), (78, 1), "{out}");
    assert!(!user.exists(&project.sessions), "nothing was made");
}

#[test]
fn an_agent_that_cannot_run_is_detected_before_anything_is_created() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("agents");
    let absent = user.project("a").key("CLAUDE_PATH", "/nowhere/claude").create();
    refused(absent.samocode(["run", "x", "--task", "t"]), 78, "/nowhere/claude");
    let plain = user.project("b").create();
    user.write("b/claude", "no program");
    let claude = user.home.join("b/claude").display().to_string();
    let text = format!("{}CLAUDE_PATH={claude}\n", user.read("b/.samocode"));
    user.write("b/.samocode", text);
    refused(plain.samocode(["run", "x", "--task", "t"]), 78, &claude);
    let none = user.project("c").key("SAMOCODE_AGENT", "command:no-such-program").create();
    refused(none.samocode(["run", "x", "--task", "t"]), 78, "no-such-program");
    for project in [absent, plain, none] {
        assert!(!user.exists(&project.sessions), "nothing was made");
    }
}

#[test]
fn anything_else_in_place_of_a_projects_folder_is_named() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("places");
    let project = project(&user);
    let folders = [("WORKTREES", &project.worktrees), ("SESSIONS", &project.sessions)];
    for (key, folder) in folders {
        let folder = folder.display();
        for (making, message) in [
            (format!("ln -s /nowhere/x {folder}"), "is a link to /nowhere/x, which does not exist"),
            (format!("touch {folder}"), "is not a folder"),
        ] {
            user.sh(&making).ok();
            let message =
                format!("{key}={folder} {message}\nhint: fix it, or set {key} to another folder");
            refused(project.samocode(["run", "x", "--task", "t"]), 78, &message);
            if key == "SESSIONS" {
                for verb in [&["status"][..], &["status", "x"], &["why", "x"], &["send", "x", "y"]]
                {
                    refused(project.samocode(verb), 78, &message);
                }
            }
            user.sh(&format!("rm {folder}")).ok();
        }
    }
    let keys = user.read("shop/.samocode");
    user.sh("ln -s /nowhere/r repo").ok();
    user.write("shop/.samocode", keys.replacen("/shop\n", "/repo\n", 1));
    refused(project.samocode(["run", "x", "--task", "t"]), 78, "repo is a link to /nowhere/r");
    user.write("shop/.samocode", keys.replacen("/shop\n", "/gone\n", 1));
    refused(project.samocode(["run", "x", "--task", "t"]), 78, "gone does not exist");
    assert!(!user.exists(&project.sessions), "nothing was made");
}

#[test]
fn anything_else_in_place_of_a_settings_file_is_named_without_hanging() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("fifos");
    let project = project(&user);
    let run = || project.samocode(["run", "x", "--task", "t"]).within(lab::secs(20));
    user.sh("mkdir -p .config/samocode").ok();
    for (file, is_project) in [
        (".config/samocode/env", false),
        (".config/samocode/config", false),
        ("shop/.samocode", true),
    ] {
        for (making, what) in [("mkfifo", "a FIFO"), ("mkdir", "a folder")] {
            user.sh(&format!("[ ! -e {file} ] || mv {file} kept; {making} {file}")).ok();
            let path = user.home.join(file);
            let message = format!("{} is {what}, not a", path.display());
            refused(run(), 78, &message);
            if is_project {
                let named = project.samocode(["--config", ".samocode", "status"]);
                refused(named, 78, &format!("{message} file\nhint: move it away"));
            }
            user.sh(&format!("rm -r {file}; [ ! -e kept ] || mv kept {file}")).ok();
        }
    }
    assert!(!user.exists(&project.sessions), "nothing was made");
}

#[test]
fn an_agent_that_disappears_blocks_the_session_with_the_reason_until_it_is_back() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("vanished");
    let agent = user.obedient_agent("");
    let project = user.project("shop").key("SAMOCODE_AGENT", &agent).create();
    let session = project.named("jwt");
    session.enable(&["--task", "t"]);
    session.wait_to_rest("waiting", "requirements");
    user.sh("mv agent away").ok();
    session.answer();
    session.wait_to_rest("blocked", "requirements");
    let reason = session.hook()["reason"].as_str().unwrap_or_default().to_owned();
    assert!(reason.contains("agent: no such file"), "{reason}");
    // The verbs detect it before they change anything.
    refused(project.samocode(["start", "jwt"]), 78, "agent: no such file");
    refused(project.samocode(["enable", "jwt"]), 78, "agent: no such file");
    user.sh("mv away agent").ok();
    project.samocode(["start", "jwt"]).ok();
    session.wait_to_rest("waiting", "planning");
}

#[test]
fn claude_is_not_started_as_root() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("rooted");
    let project = user.project("shop").key("CLAUDE_PATH", "/bin/true").create();
    let run = lab.root(["samocode", "run", "x", "--task", "t"]).cwd(&project.dir);
    refused(run, 78, "root");
    assert!(!user.exists(&project.sessions), "nothing was made");
}

#[test]
fn an_invalid_command_line_is_refused_in_one_line() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("usage");
    refused(user.samocode(["enabel", "x"]), 2, "enable");
    refused(user.samocode(["run"]), 2, "SESSION");
    refused(user.samocode(["run", "x", "--no-such-flag"]), 2, "--no-such-flag");
    refused(user.samocode(["run", "x", "--user", "--system"]), 2, "--system");
    refused(user.samocode(["worker", "x"]), 78, "SAMOCODE_CONFIG is not set");
    let help = user.samocode(["--help"]).ok();
    assert!(help.stdout.contains("Examples:"), "{help}");
}

#[test]
fn without_an_identity_the_session_blocks_before_the_first_run() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("noident");
    let project = user
        .project("shop")
        .key("SAMOCODE_AGENT", "rehearsal")
        .repo(|repo| repo.without_identity())
        .create();
    let out = project.samocode(["run", "jwt", "--task", "t"]).output();
    assert_eq!(out.code, 11, "{out}");
    let session = project.named("jwt");
    let reason = session.hook()["reason"].as_str().unwrap_or_default().to_owned();
    assert!(reason.contains("config user.name"), "{reason}");
    assert!(session.journal("run_started").is_empty());

    user.sh("git config --global user.name Dev; git config --global user.email dev@lab").ok();
    let out = project.samocode(["run", "jwt"]).output();
    assert_eq!(out.code, 10, "{out}");
}

#[test]
fn without_a_service_manager_the_line_names_run() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("nomanager");
    let project = project(&user);
    refused(project.samocode(["enable", "x", "--task", "t"]), 1, "samocode run");
    assert!(project.session("x").is_none(), "nothing was made");
    assert_eq!(project.samocode(["run", "x", "--task", "t"]).output().code, 10);
    for verb in ["start", "stop", "restart", "reload", "disable"] {
        refused(project.samocode([verb, "x"]), 1, "samocode run");
    }
}
