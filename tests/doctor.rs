//! `samocode doctor`: finds problems and fixes them.

use crate::lab;

#[test]
fn doctor_finds_and_fixes_problems() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("doctor");
    let project = user.project("shop").key("SAMOCODE_AGENT", "rehearsal").create();
    user.samocode(["units", "install"]).ok();
    user.systemctl(["stop", "samocode-wake.path"]).ok();
    user.write(".config/samocode/env", "ANTHROPIC_API_KEY=sk-ant-hidden\n");
    user.set_mode(".config/samocode/env", 0o644);
    user.set_mode(".local/state/samocode/wake", 0o755);
    user.sh("sed -i s/WatchdogSec=30s/WatchdogSec=31s/ ~/.config/systemd/user/samocode@.service")
        .ok();

    let sick = project.samocode(["doctor"]).output();
    assert_eq!(sick.code, 1, "{sick}");
    for line in [
        "✗ samocode-wake.path is inactive and enabled",
        "✗ ~/.config/samocode/env can be read by others (mode 0644)",
        "samocode/wake has mode 755",
        "! out of date: samocode@.service",
        "shop-worktrees does not exist → mkdir -p ",
        "! lingering is off",
        "✓ rehearsal, which is built in",
        "✓ commits work",
    ] {
        assert!(sick.stdout.contains(line), "{line:?} is missing in {sick}");
    }

    let mended = project.samocode(["doctor", "--fix"]).output();
    let well = project.samocode(["doctor", "--json"]).ok();

    assert_eq!(mended.code, 0, "{mended}");
    assert!(mended.stdout.contains("Fixed: chmod 600 "), "{mended}");
    assert_eq!(well.json()["healthy"], true);
    assert_eq!(user.unit_property("samocode-wake.path", "ActiveState"), "active");
    let mode = user.sh("stat -c %a ~/.config/samocode/env ~/.local/state/samocode/wake").ok();
    assert_eq!(mode.stdout, "600\n700\n");
    assert!(user.exists("shop-worktrees") && user.exists("shop-sessions"));
    assert!(user.host_path(format!("/var/lib/systemd/linger/{}", user.name)).exists(), "{mended}");
    assert!(!user.read(".config/systemd/user/samocode@.service").contains("31s"));
    for out in [&sick, &mended, &well] {
        assert!(!out.stdout.contains("hidden") && !out.stderr.contains("hidden"), "{out}");
    }
}

#[test]
fn doctor_works_outside_a_project_and_without_a_manager() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("doctor");

    let out = user.samocode(["doctor"]).env("PATH", "/opt/samocode/bin:/usr/bin:/bin").output();

    assert_eq!(out.code, 1, "{out}");
    assert!(out.stdout.contains("✗ no user service manager is reachable"), "{out}");
    assert!(out.stdout.contains("samocode run SESSION"), "{out}");
    assert!(out.stdout.contains("project checks were skipped"), "{out}");
    assert!(out.stdout.contains("✗ cannot find claude: looked in"), "{out}");
    assert_eq!(out.stderr, "", "{out}");
}

#[test]
fn doctor_reports_an_agents_version_with_a_time_limit() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("doctor");
    user.write_program("agents/claude", "#!/bin/sh\necho \"9.9.9 (Stand-in)\"\n");
    let program = user.home.join("agents/claude").display().to_string();
    let doctor = || user.samocode(["doctor"]).env("CLAUDE_PATH", &program);

    let out = doctor().ok();
    assert!(out.stdout.contains("✓ claude 9.9.9 (Stand-in) (/home/"), "{out}");

    user.write_program("agents/claude", "#!/bin/sh\nexec sleep 1000\n");
    let out = doctor().output();
    assert_eq!(out.code, 1, "{out}");
    assert!(out.stdout.contains("--version' printed nothing for 10 s"), "{out}");

    let root = lab.root(["samocode", "doctor"]).env("CLAUDE_PATH", &program).output();
    assert!(root.stdout.contains("✗ claude does not run as root"), "{root}");
}

#[test]
fn doctor_does_not_start_a_command_that_might_take_its_version_for_a_task() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("doctor");
    user.write_program("agent", "#!/bin/sh\ntouch ~/started\n");
    let agent = format!("command:{}/agent", user.home.display());

    let out = user.samocode(["doctor"]).env("SAMOCODE_AGENT", &agent).ok();

    assert!(out.stdout.contains(&format!("✓ {agent}")), "{out}");
    assert!(!user.exists("started"));
}
