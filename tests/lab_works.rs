//! The lab itself: the behaviour that other tests rely on.

use crate::lab::{self, secs};

#[test]
fn a_unit_that_is_killed_is_started_again() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("restarts");
    user.write(
        ".config/systemd/user/sleeper.service",
        "[Service]\nExecStart=sleep infinity\nRestart=on-failure\nRestartSec=0\n",
    );
    user.systemctl(["daemon-reload"]).ok();
    user.systemctl(["start", "sleeper"]).ok();
    let first = user.unit_property("sleeper", "MainPID");

    user.systemctl(["kill", "--signal=KILL", "sleeper"]).ok();

    user.wait_until("a second sleep runs", secs(60), || {
        user.unit_property("sleeper", "NRestarts") == "1"
            && user.unit_property("sleeper", "ActiveState") == "active"
    });
    assert_ne!(user.unit_property("sleeper", "MainPID"), first);
}

#[test]
fn a_user_reads_their_own_journal_and_not_another_users() {
    let Some(lab) = lab::get() else { return };
    let (ann, ben) = (lab.user("ann"), lab.user("ben"));
    for user in [&ann, &ben] {
        let line = format!("echo said by {}", user.name);
        user.run(["systemd-run", "--user", "--wait", "-q", "sh", "-c", &line]).ok();
    }

    let journal = ann.journal(["--no-hostname"]);

    assert!(journal.contains("said by ann"), "{journal}");
    assert!(!journal.contains("said by ben"), "{journal}");
}

#[test]
fn a_command_has_only_the_environment_it_is_given() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("clean");

    let out = user.run(["env"]).env("A", "b c").env_remove("SHELL").ok();

    let mut names: Vec<&str> = out.stdout.lines().filter_map(|l| l.split('=').next()).collect();
    names.sort_unstable();
    assert_eq!(names, ["A", "HOME", "LANG", "LOGNAME", "PATH", "USER", "XDG_RUNTIME_DIR"]);
    assert!(out.stdout.contains("A=b c\n"), "{out}");
}

#[test]
fn a_command_gives_exit_code_signal_output_and_takes_stdin() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("pipes");

    let out = user.sh("cat; echo no >&2; exit 7").stdin("yes").output();
    assert_eq!((out.code, out.stdout.as_str(), out.stderr.as_str()), (7, "yes", "no\n"));
    assert_eq!(user.sh("kill -9 $$").output().code, 128 + 9);
    let tty = user.sh("test -t 0 && test -t 1 && echo a terminal").on_a_terminal().ok();
    assert_eq!(tty.stdout.trim(), "a terminal");
}

#[test]
fn a_spawned_command_can_be_watched_and_signalled() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("spawns");

    let mut running =
        user.sh("trap 'echo bye; exit 3' TERM; echo hi; while :; do sleep 0.01; done").spawn();
    running.wait_for_stdout("hi", secs(60));
    running.signal(rustix::process::Signal::TERM);

    let out = running.wait(secs(60));
    assert_eq!((out.code, out.stdout.as_str()), (3, "hi\nbye\n"));
}

#[test]
fn a_user_turns_lingering_on_without_being_asked() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("lingers");
    assert!(!user.host_path(format!("/var/lib/systemd/linger/{}", user.name)).exists());

    user.run(["loginctl", "enable-linger", &user.name]).ok();

    assert!(user.host_path(format!("/var/lib/systemd/linger/{}", user.name)).exists());
}

#[test]
fn the_system_manager_runs_a_unit_as_a_user() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("system");
    let uid = format!("--uid={}", user.uid);

    let out = lab.root(["systemd-run", "--wait", "--pipe", "-q", &uid, "id", "-un"]).ok();

    assert_eq!(out.stdout.trim(), user.name);
}

#[test]
fn nothing_written_in_the_lab_reaches_this_machine_except_in_srv_lab() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("writes");
    let mark = format!("/etc/samocode-lab-{}", std::process::id());
    lab.root_sh(&format!("echo x >{mark}; echo x >/tmp/lab-mark; mkdir /srv/lab/kept")).ok();

    assert!(lab.host_path(&mark).exists());
    assert!(!std::path::Path::new(&mark).exists());
    assert!(lab.disk_on_host().join("kept").is_dir());
    let disk = user.disk();
    user.sh("echo on disk >f").cwd(&disk).ok();
    assert_eq!(user.read(disk.join("f")), "on disk\n");
}

#[test]
fn a_repository_comes_with_origin_filter_and_hook() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("git");
    let repo = user
        .git_repo("shop")
        .with_filter("the large content")
        .with_hook("post-checkout", "echo ran >>~/hook.log")
        .with_origin()
        .create();

    user.run(["git", "worktree", "add", "-q", "-b", "work", "../work", "origin/HEAD"])
        .cwd(&repo)
        .ok();

    assert_eq!(user.read("work/data.big"), "the large content");
    assert_eq!(user.read("hook.log"), "ran\n");
    let stored = user.run(["git", "show", "work:data.big"]).cwd(&repo).ok();
    assert_eq!(stored.stdout, "pointer\n");
}

#[test]
fn a_project_has_the_three_keys_and_a_clean_repository() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("project");
    let project = user.project("shop").key("CLAUDE_MODEL", "haiku").create();

    let shop = user.home.join("shop").display().to_string();
    assert_eq!(
        user.read("shop/.samocode"),
        format!(
            "MAIN_REPO={shop}\nWORKTREES={shop}-worktrees\n\
             SESSIONS={shop}-sessions\nCLAUDE_MODEL=haiku\nSAMOCODE_CONFINE=off\n"
        )
    );
    assert_eq!(user.sh("git status --porcelain").cwd(&project.dir).ok().stdout, "");
    user.write(project.sessions.join("26-11-20-a/_overview.md"), "Phase: testing\n");
    user.write(project.sessions.join("26-11-20-not-a/_overview.md"), "Phase: init\n");
    assert_eq!(project.status("a", "Phase").as_deref(), Some("testing"));
}

#[test]
fn the_lab_ends_with_the_process_that_booted_it() {
    if lab::get().is_none() {
        return;
    }
    // A second test process of the same program, which waits in its lab.
    let mut other = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "lab_works::waits_for_ever_for_the_test_above", "--ignored"])
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let dir = lab::target_dir().join(other.id().to_string());
    let until = |what: &str, is_so: &dyn Fn() -> bool| {
        let end = std::time::Instant::now() + secs(60);
        while !is_so() {
            assert!(std::time::Instant::now() < end, "not within 60 s: {what}");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    };
    until("the other lab is up", &|| dir.join("disk/up").exists());
    let pid = std::fs::read_to_string(dir.join("pid")).unwrap();
    let proc = std::path::Path::new("/proc").join(pid.trim());
    assert!(proc.exists());

    other.kill().unwrap();
    other.wait().unwrap();

    until("its PID 1 is gone", &|| !proc.exists());
}

#[test]
#[ignore = "only for the test above, which kills it"]
fn waits_for_ever_for_the_test_above() {
    let Some(lab) = lab::get() else { return };
    lab.root_sh("touch /srv/lab/up; exec sleep infinity").within(secs(600)).ok();
}
