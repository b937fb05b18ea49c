//! Where agents get their credentials from, and where those must never appear.

use crate::lab::{self, Api, LabCommand, LabUser, Project, Script};
use crate::session::{BOUND, Session};

pub(crate) const KEY: &str = "sk-ant-api03-never-to-be-seen";
const BOT: &str = "123456:never-to-be-seen";
/// The settings that all these projects share.
pub(crate) const MARK: &str = "never-to-be-seen";

/// Every run ends the session at once, so that it comes to rest.
pub(crate) const BLOCKS: &str = r#"printf '{"status":"blocked","reason":"seen enough","needs":"human_decision"}' >"$SAMOCODE_SESSION_DIR/_signal.json""#;

/// A stand-in for claude: writes its environment to `~/seen`, blocks the
/// session and prints what the real one prints at its end.
pub(crate) fn stand_in(first_line: &str, extra: &str) -> String {
    format!(
        "{first_line}\n[ \"$1\" = --version ] && {{ echo '9.9.9 (Claude Code)'; exit; }}\n\
         read -r _\nenv >~/seen\n{BLOCKS}\n{extra}\n\
         echo '{{\"type\":\"system\",\"subtype\":\"init\",\"session_id\":\"x\"}}'\n\
         echo '{{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,\
         \"num_turns\":1,\"result\":\"done\",\"session_id\":\"x\",\"total_cost_usd\":0}}'\n"
    )
}

/// The environment of the stand-in.
pub(crate) fn seen(user: &LabUser, name: &str) -> Option<String> {
    let prefix = format!("{name}=");
    user.read("seen").lines().find_map(|line| line.strip_prefix(&prefix).map(str::to_owned))
}

/// What the client needs to reach the scripted server, without credentials.
pub(crate) fn surroundings(api: &Api) -> impl Iterator<Item = (&'static str, String)> {
    api.environment().into_iter().filter(|(_, value)| !value.starts_with("sk-"))
}

/// The same in the user's env file.
pub(crate) fn reaches(user: &LabUser, api: &Api) {
    let lines: Vec<String> =
        surroundings(api).map(|(name, value)| format!("{name}={value}\n")).collect();
    user.write_env_file(lines.concat());
}

pub(crate) fn enable(project: &Project<'_>, args: &[&str]) -> LabCommand {
    project.samocode(["enable", "jwt", "--task", "JWT login"].iter().chain(args))
}

/// Everything that others can read, or that is kept, while a run is under way:
/// processes, units, journals, the session's files.
pub(crate) fn in_the_open(session: &Session<'_>) -> String {
    let user = session.user();
    let lab = user.lab;
    lab.root(["journalctl", "--sync"]).ok();
    let commands =
        "for file in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$file; echo; done 2>/dev/null";
    let files = format!(
        // What the agent leaves itself, _signal.json, is its own.
        "grep -rh --exclude=_signal.json '' {} {} ~/.config/systemd ~/.local/state /run/user/$UID/systemd 2>/dev/null",
        session.project.sessions.display(),
        session.project.worktrees.display()
    );
    let units = "systemctl --user show 'samocode*'; systemctl --user cat 'samocode*'; \
                 systemctl --user status --full --no-pager 'samocode*'; \
                 systemctl --user show-environment";
    let ours = "samocode config jwt; samocode config jwt --json; samocode doctor; \
                samocode doctor --json";
    let dir = &session.project.dir;
    let mut all = String::new();
    for out in [
        lab.root_sh(commands).output(),
        lab.root(["journalctl", "--no-pager", "--all", "-o", "export"]).output(),
        user.journalctl(["--all", "-o", "verbose"]).output(),
        user.sh(&files).output(),
        user.sh(units).output(),
        user.sh(ours).cwd(dir).output(),
    ] {
        all.push_str(&out.stdout);
        all.push_str(&out.stderr);
    }
    all
}

/// The line around the first secret that shows.
pub(crate) fn leak(text: &str) -> Option<&str> {
    text.lines().find(|line| line.contains(MARK))
}

#[test]
fn an_imported_key_reaches_the_agent_and_appears_nowhere_else() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user("imported");
    let hold = format!("touch ~/started; until [ -e ~/go ]; do sleep 0.05; done; {BLOCKS}");
    let api = Api::start(Script::new().bash(&hold).say("Blocked.").forever());
    let project = user.project("shop").create();
    let session = project.named("jwt");
    let shell = |command: LabCommand| {
        surroundings(&api)
            .fold(command, |command, (name, value)| command.env(name, value))
            .env("ANTHROPIC_API_KEY", KEY)
            .env("TELEGRAM_BOT_TOKEN", BOT)
    };

    let enabled = shell(enable(&project, &["--import-env"])).ok();
    user.wait_until("the agent works", BOUND, || user.exists("started"));

    assert!(enabled.stderr.contains("saved ANTHROPIC_API_KEY, ANTHROPIC_BASE_URL"), "{enabled}");
    assert!(!enabled.stderr.contains("only in this shell"), "{enabled}");
    let file = user.read(".config/samocode/env");
    assert!(file.contains(&format!("ANTHROPIC_API_KEY={KEY}\n")), "{file}");
    assert!(file.contains(&format!("TELEGRAM_BOT_TOKEN={BOT}\n")), "{file}");
    assert_eq!(user.sh("stat -c %a ~/.config/samocode/env").ok().stdout, "600\n");
    assert_eq!(api.requests()[0].header("x-api-key"), Some(KEY));

    // The search can find something: the agent runs and has its prompt.
    let open = in_the_open(&session);
    assert!(open.contains("claude -p") && open.contains("--output-format"), "no process is seen");
    assert!(open.contains("samocode worker jwt") && open.contains("SAMOCODE_CONFIG="));
    assert_eq!(leak(&(enabled.stdout + &enabled.stderr + &open)), None);
    // Only the agent and its children have the key, and no process has the bot's.
    let environments = "cd /proc; for p in [0-9]*; do \
         tr '\\0' '\\n' <$p/environ | sed \"s|^|$(tr '\\0' ' ' <$p/cmdline | cut -c -60)#|\"; done 2>/dev/null";
    let environments = lab.root_sh(environments).output().stdout;
    let having = |text: &str| -> Vec<&str> {
        environments.lines().filter(|line| line.ends_with(text)).collect()
    };
    assert!(having(KEY).iter().any(|line| line.contains("claude")), "the agent has its key");
    assert!(!having(KEY).iter().any(|line| line.contains("samocode worker")));
    assert_eq!(having(BOT), [] as [&str; 0]);

    user.write("go", "");
    session.wait_for_state("blocked");
    assert_eq!(leak(&in_the_open(&session)), None);
    let doctor = project.samocode(["doctor"]).output();
    assert!(doctor.stdout.contains("✓ claude has ANTHROPIC_API_KEY from ~/.config"), "{doctor}");
}

#[test]
fn a_key_that_only_the_shell_has_is_named_and_not_copied() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("shell");
    user.write_program("bin/claude", stand_in("#!/bin/bash", ""));
    let program = user.home.join("bin/claude").display().to_string();
    let project = user.project("shop").key("CLAUDE_PATH", &program).create();
    let session = project.named("jwt");

    let enabled = enable(&project, &[]).env("ANTHROPIC_API_KEY", KEY).ok();
    session.wait_for_state("blocked");

    assert!(
        enabled.stderr.contains(
            "ANTHROPIC_API_KEY is set only in this shell, where units do not see it: save it to \
             ~/.config/samocode/env with --import-env"
        ),
        "{enabled}"
    );
    assert_eq!(seen(&user, "ANTHROPIC_API_KEY"), None);
    let two = enable(&project, &[]).env("ANTHROPIC_API_KEY", KEY).env("OPENAI_API_KEY", "x").ok();
    session.wait_for_state("blocked");
    assert!(
        two.stderr.contains("are set only in this shell, where units do not see them: save them")
    );
    assert!(!user.exists(".config/samocode/env"));
    let doctor = project.samocode(["doctor"]).env("ANTHROPIC_API_KEY", KEY).output();
    assert_eq!(doctor.code, 1, "{doctor}");
    assert!(doctor.stdout.contains("✗ ANTHROPIC_API_KEY is set only in this shell"), "{doctor}");
    assert!(doctor.stdout.contains("--import-env"), "{doctor}");
    assert_eq!(leak(&(enabled.stdout + &enabled.stderr + &in_the_open(&session))), None);
    assert_eq!(leak(&(doctor.stdout + &doctor.stderr)), None);
}

#[test]
fn what_decides_where_the_code_goes_is_named_imported_and_compared() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("routes");
    user.write_program("bin/claude", stand_in("#!/bin/bash", ""));
    let program = user.home.join("bin/claude").display().to_string();
    let project = user.project("shop").key("CLAUDE_PATH", &program).create();
    let session = project.named("jwt");
    let shell = |command: LabCommand| {
        command
            .env("CLAUDE_CODE_USE_BEDROCK", "1")
            .env("AWS_PROFILE", "work")
            .env("AWS_REGION", "eu-west-1")
            .env("NODE_EXTRA_CA_CERTS", "/etc/ca.pem")
    };

    let enabled = shell(enable(&project, &[])).ok();
    session.wait_for_state("blocked");
    let named = "AWS_PROFILE, AWS_REGION, CLAUDE_CODE_USE_BEDROCK and NODE_EXTRA_CA_CERTS decide";
    assert!(enabled.stderr.contains(named), "{enabled}");
    assert!(enabled.stderr.contains("with --import-env"), "{enabled}");
    assert_eq!(seen(&user, "CLAUDE_CODE_USE_BEDROCK"), None);
    let doctor = shell(project.samocode(["doctor"])).output();
    assert!(doctor.stdout.contains(&format!("! {named}")), "{doctor}");

    let enabled = shell(enable(&project, &["--import-env"])).ok();
    assert!(!enabled.stderr.contains("decide"), "{enabled}");
    user.wait_until("the agent has it", BOUND, || {
        seen(&user, "CLAUDE_CODE_USE_BEDROCK").as_deref() == Some("1")
            && seen(&user, "NODE_EXTRA_CA_CERTS").as_deref() == Some("/etc/ca.pem")
    });
    session.wait_for_state("blocked");

    // The manager's own environment overrides the file.
    user.systemctl(["set-environment", "AWS_REGION=us-east-1"]).ok();
    let doctor = shell(project.samocode(["doctor"])).output();
    let other = "! AWS_REGION has another value in the service manager's environment → use this \
                 shell's with: systemctl --user import-environment AWS_REGION";
    assert!(doctor.stdout.replace("\n", " ").contains(other), "{doctor}");
    let doctor = project.samocode(["doctor"]).output();
    assert!(doctor.stdout.contains("units have AWS_PROFILE, AWS_REGION, CLAUDE_CODE"), "{doctor}");
}

#[test]
fn keys_in_an_agents_output_are_redacted_before_it_is_written() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("tells");
    let tells = r#"printf '{"status":"blocked","reason":"the key %s is refused","summary":"tried %s","needs":"human_decision"}' "$ANTHROPIC_API_KEY" "$ANTHROPIC_API_KEY" >"$SAMOCODE_SESSION_DIR/_signal.json""#;
    user.write_program("bin/claude", stand_in("#!/bin/bash", tells));
    user.write_env_file(format!("ANTHROPIC_API_KEY={KEY}\n"));
    let program = user.home.join("bin/claude").display().to_string();
    let project = user.project("shop").key("CLAUDE_PATH", &program).create();
    let session = project.named("jwt");

    enable(&project, &[]).ok();
    session.wait_for_state("blocked");

    let reason = session.hook()["reason"].as_str().unwrap_or_default().to_owned();
    assert!(reason.starts_with("the key ") && reason.ends_with(" is refused"), "{reason}");
    assert_eq!(leak(&reason), None);
    assert_eq!(leak(&in_the_open(&session)), None);
}

#[test]
fn an_error_of_a_damaged_env_file_does_not_quote_it() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("damaged");
    let project = user.project("shop").key("SAMOCODE_AGENT", "rehearsal").create();
    user.write_env_file(format!("ANTHROPIC_API_KEY {KEY}\n"));

    for args in [&["enable", "jwt", "--task", "x"][..], &["config"], &["notify", "test"]] {
        let out = project.samocode(args).output();
        assert_eq!((out.code, out.stderr.lines().count()), (78, 1), "{out}");
        assert!(out.stderr.contains("samocode/env:1: "), "{out}");
        assert_eq!(leak(&(out.stdout + &out.stderr)), None);
    }
    let doctor = project.samocode(["doctor"]).output();
    assert_eq!(doctor.code, 1, "{doctor}");
    assert!(doctor.stdout.contains("samocode/env:1: "), "{doctor}");
    assert_eq!(leak(&(doctor.stdout + &doctor.stderr)), None);
}
