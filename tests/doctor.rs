//! `samocode doctor`: finds problems and fixes them.

use crate::lab::{self, Api, LabUser, Reply, Script};

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

    let fixed = project.samocode(["doctor", "--fix"]).output();
    let well = project.samocode(["doctor", "--json"]).ok();

    assert_eq!(fixed.code, 0, "{fixed}");
    assert!(fixed.stdout.contains("Fixed: chmod 600 "), "{fixed}");
    assert_eq!(well.json()["healthy"], true);
    assert_eq!(user.unit_property("samocode-wake.path", "ActiveState"), "active");
    let mode = user.sh("stat -c %a ~/.config/samocode/env ~/.local/state/samocode/wake").ok();
    assert_eq!(mode.stdout, "600\n700\n");
    assert!(user.exists("shop-worktrees") && user.exists("shop-sessions"));
    assert!(user.host_path(format!("/var/lib/systemd/linger/{}", user.name)).exists(), "{fixed}");
    assert!(!user.read(".config/systemd/user/samocode@.service").contains("31s"));
    for out in [&sick, &fixed, &well] {
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

/// Tries the real CLI of an agent, which `uses` the scripted server.
fn tries(agent: &str, uses: fn(&LabUser, &Api)) {
    let lab = if agent == "claude" { lab::with_claude() } else { lab::with_cli(agent) };
    let Some(lab) = lab else { return };
    let user = lab.user("doctor");
    let api = Api::start(Script::new().say("ready").forever());
    uses(&user, &api);

    let asked = user.samocode(["doctor", "--agent", agent, "--live"]).output();
    assert_eq!(asked.code, 2, "nobody is there to agree: {asked}");
    assert!(asked.stderr.contains("sends two tiny prompts"), "{asked}");
    assert!(asked.stderr.contains(&format!("doctor --agent {agent} --live --yes")), "{asked}");
    assert_eq!(api.requests().len(), 0, "{asked}");

    let tried = user.samocode(["doctor", "--agent", agent, "--live", "--yes"]).output();
    assert_eq!(tried.code, 0, "{tried}");
    for line in [
        "✓ a turn ends with a report",
        "✓ it reports ",
        "✓ it exits with 0 after its report",
        "✓ it resumes a conversation",
        "✓ it exits after SIGTERM and leaves no process behind",
        "✓ everything in its output is known",
    ] {
        assert!(tried.stdout.contains(line), "{line:?} is missing in {tried}");
    }
    assert!(!tried.stdout.contains(['!', '✗']), "{tried}");
    assert!((2..=4).contains(&api.requests().len()), "{:?}", api.requests().len());

    api.now(Script::new().reply(Reply::error(401)).forever());
    let refused = user.samocode(["doctor", "--agent", agent, "--live", "--yes", "--json"]).output();
    assert_eq!((refused.code, &refused.json()["healthy"]), (1, &false.into()), "{refused}");
    let checks = refused.json()["checks"].as_array().cloned().unwrap_or_default();
    assert_eq!(checks.len(), 1, "{refused}");
    assert!(
        checks[0]["remedy"].as_str().is_some_and(|fix| fix.contains("samocode/env")),
        "{refused}"
    );
}

#[test]
fn doctor_tries_the_real_claude() {
    tries("claude", LabUser::uses_claude);
}

#[test]
fn doctor_tries_the_real_codex() {
    tries("codex", |user, api| user.uses_codex(api, "a-key"));
}

#[test]
fn doctor_tries_the_real_gemini() {
    tries("gemini", |user, api| user.uses_gemini(api, "a-key"));
}
