//! Where agents get their credentials from, and where those must never appear.

use std::path::Path;

use crate::lab::{self, Api, LabCommand, LabUser, Project, Reply, Script, secs};
use crate::session::{BOUND, Session};

const KEY: &str = "sk-ant-api03-never-to-be-seen";
const TOKEN: &str = "sk-ant-oat01-never-to-be-seen";
const BOT: &str = "123456:never-to-be-seen";
/// What all of them have in common.
const MARK: &str = "never-to-be-seen";

/// Every run ends the session at once, so that it comes to rest.
const BLOCKS: &str = r#"printf '{"status":"blocked","reason":"seen enough","needs":"human_decision"}' >"$SAMOCODE_SESSION_DIR/_signal.json""#;

/// A stand-in for claude: writes its environment to `~/seen`, blocks the
/// session and says what the real one says at its end.
fn stand_in(first_line: &str, extra: &str) -> String {
    format!(
        "{first_line}\n[ \"$1\" = --version ] && {{ echo '9.9.9 (Claude Code)'; exit; }}\n\
         read -r _\nenv >~/seen\n{BLOCKS}\n{extra}\n\
         echo '{{\"type\":\"system\",\"subtype\":\"init\",\"session_id\":\"x\"}}'\n\
         echo '{{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,\
         \"num_turns\":1,\"result\":\"done\",\"session_id\":\"x\",\"total_cost_usd\":0}}'\n"
    )
}

/// What the stand-in's environment had.
fn seen(user: &LabUser, name: &str) -> Option<String> {
    let prefix = format!("{name}=");
    user.read("seen").lines().find_map(|line| line.strip_prefix(&prefix).map(str::to_owned))
}

/// What the client needs to reach the scripted server, without credentials.
fn surroundings(api: &Api) -> impl Iterator<Item = (&'static str, String)> {
    api.environment().into_iter().filter(|(_, value)| !value.starts_with("sk-"))
}

/// The same in the user's env file.
fn reaches(user: &LabUser, api: &Api) {
    let lines: Vec<String> =
        surroundings(api).map(|(name, value)| format!("{name}={value}\n")).collect();
    user.write_env_file(lines.concat());
}

fn enable(project: &Project<'_>, args: &[&str]) -> LabCommand {
    project.samocode(["enable", "jwt", "--task", "JWT login"].iter().chain(args))
}

/// Everything that others can read, or that is kept, while a run is under way:
/// processes, units, journals, the session's files.
fn in_the_open(session: &Session<'_>) -> String {
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
fn leak(text: &str) -> Option<&str> {
    text.lines().find(|line| line.contains(MARK))
}

#[test]
fn an_imported_key_reaches_the_agent_and_shows_nowhere() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user("imported");
    let hold = format!("touch ~/begun; until [ -e ~/go-on ]; do sleep 0.05; done; {BLOCKS}");
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
    user.wait_until("the agent works", BOUND, || user.exists("begun"));

    assert!(enabled.stderr.contains("saved ANTHROPIC_API_KEY, ANTHROPIC_BASE_URL"), "{enabled}");
    assert!(!enabled.stderr.contains("this shell only"), "{enabled}");
    let file = user.read(".config/samocode/env");
    assert!(file.contains(&format!("ANTHROPIC_API_KEY={KEY}\n")), "{file}");
    assert!(file.contains(&format!("TELEGRAM_BOT_TOKEN={BOT}\n")), "{file}");
    assert_eq!(user.sh("stat -c %a ~/.config/samocode/env").ok().stdout, "600\n");
    assert_eq!(api.requests()[0].header("x-api-key"), Some(KEY));

    // The search finds what is there: the agent runs, and was told what to do.
    let open = in_the_open(&session);
    assert!(open.contains("claude -p") && open.contains("--output-format"), "no process is seen");
    assert!(open.contains("samocode worker jwt") && open.contains("SAMOCODE_CONFIG="));
    assert_eq!(leak(&(enabled.stdout + &enabled.stderr + &open)), None);
    // Of all processes the agent and what it starts has the key, and nobody the bot's.
    let environments = "cd /proc; for p in [0-9]*; do \
         tr '\\0' '\\n' <$p/environ | sed \"s|^|$(tr '\\0' ' ' <$p/cmdline | cut -c -60)#|\"; done 2>/dev/null";
    let environments = lab.root_sh(environments).output().stdout;
    let having = |text: &str| -> Vec<&str> {
        environments.lines().filter(|line| line.ends_with(text)).collect()
    };
    assert!(having(KEY).iter().any(|line| line.contains("claude")), "the agent has its key");
    assert!(!having(KEY).iter().any(|line| line.contains("samocode worker")));
    assert_eq!(having(BOT), [] as [&str; 0]);

    user.write("go-on", "");
    session.wait_for_state("blocked");
    assert_eq!(leak(&in_the_open(&session)), None);
    let doctor = project.samocode(["doctor"]).output();
    assert!(doctor.stdout.contains("✓ claude has ANTHROPIC_API_KEY from ~/.config"), "{doctor}");
}

#[test]
fn a_key_only_in_the_shell_is_named_and_not_taken_along() {
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
            "ANTHROPIC_API_KEY is set in this shell only, and units do not see it: save it in \
             ~/.config/samocode/env with --import-env"
        ),
        "{enabled}"
    );
    assert_eq!(seen(&user, "ANTHROPIC_API_KEY"), None);
    let two = enable(&project, &[]).env("ANTHROPIC_API_KEY", KEY).env("OPENAI_API_KEY", "x").ok();
    session.wait_for_state("blocked");
    assert!(
        two.stderr.contains("are set in this shell only, and units do not see them: save them")
    );
    assert!(!user.exists(".config/samocode/env"));
    let doctor = project.samocode(["doctor"]).env("ANTHROPIC_API_KEY", KEY).output();
    assert_eq!(doctor.code, 1, "{doctor}");
    assert!(doctor.stdout.contains("✗ ANTHROPIC_API_KEY is set in this shell only"), "{doctor}");
    assert!(doctor.stdout.contains("--import-env"), "{doctor}");
    assert_eq!(leak(&(enabled.stdout + &enabled.stderr + &in_the_open(&session))), None);
    assert_eq!(leak(&(doctor.stdout + &doctor.stderr)), None);
}

#[test]
fn what_an_agent_says_of_its_key_is_taken_out_before_it_is_written_down() {
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

/// Logs the real CLI in as a subscription does, in `folder` of the home.
fn logs_in(user: &LabUser, folder: &str) {
    let credentials = serde_json::json!({"claudeAiOauth": {
        "accessToken": TOKEN,
        "refreshToken": format!("sk-ant-ort01-{MARK}"),
        "expiresAt": 4_000_000_000_000_u64,
        "scopes": ["user:inference", "user:profile"],
        "subscriptionType": "max",
    }});
    let path = Path::new(folder).join(".credentials.json");
    user.write(&path, credentials.to_string());
    user.set_mode(&path, 0o600);
}

#[test]
fn a_login_in_the_agents_own_folder_serves_its_units() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user("oauth");
    let api = Api::start(Script::new().bash(BLOCKS).say("Blocked.").forever());
    reaches(&user, &api);
    logs_in(&user, ".claude");
    let project = user.project("shop").create();
    let session = project.named("jwt");

    enable(&project, &[]).ok();
    session.wait_for_state("blocked");

    let bearer = format!("Bearer {TOKEN}");
    assert_eq!(api.requests()[0].header("authorization"), Some(bearer.as_str()));
    assert!(user.exists(".claude/projects"), "the conversation is kept where the user's are");
    let doctor = project.samocode(["doctor"]).ok();
    assert!(
        doctor.stdout.contains("✓ claude is logged in by ~/.claude/.credentials.json"),
        "{doctor}"
    );
    assert_eq!(leak(&in_the_open(&session)), None);
}

/// Waits until a paused session has begun another run, long before its pause would have ended.
fn goes_on_at_once(session: &Session<'_>, runs: usize) {
    let paused = session.journal("paused").pop().expect("a pause");
    let name = session.name;
    session.user().wait_until(&format!("{name} goes on"), secs(60), || {
        session.journal("run_started").len() > runs
    });
    let at = |value: &serde_json::Value| -> jiff::Timestamp {
        value.as_str().and_then(|text| text.parse().ok()).expect("a time")
    };
    let run = &session.journal("run_started")[runs];
    assert!(at(&run["at"]) < at(&paused["until"]), "{paused} {run}");
    assert_eq!(session.journal("worker_started").len(), 1, "nobody had to start it");
    session.wait_for_state("blocked");
    assert_eq!(session.hook()["reason"], "seen enough");
}

#[test]
fn a_login_lifts_the_pause_of_all_sessions_that_wait_for_it() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user("logsin");
    let api = Api::start(Script::new().bash(BLOCKS).say("Blocked.").forever());
    reaches(&user, &api);
    let project = user.project("shop").create();
    let (first, second) = (project.named("jwt"), project.named("second"));
    enable(&project, &[]).ok();
    first.wait_for_state("paused");
    assert_eq!(first.journal("paused")[0]["cause"], "credentials");
    second.enable(&["--task", "Mow the lawn"]);
    second.wait_for_state("paused");
    assert_eq!(second.journal("run_started").len(), 0);
    assert_eq!(api.requests().len(), 0);

    logs_in(&user, ".claude");

    goes_on_at_once(&first, 1);
    goes_on_at_once(&second, 0);
    let bearer = format!("Bearer {TOKEN}");
    assert_eq!(api.requests()[0].header("authorization"), Some(bearer.as_str()));
}

#[test]
fn a_mended_env_file_lifts_the_pause() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user("mends");
    let api = Api::start(Script::new().reply(Reply::error(401)).forever());
    reaches(&user, &api);
    let set = |lines: &str| user.write_env_file(lines);
    let without = user.read(".config/samocode/env");
    set(&format!("{without}ANTHROPIC_API_KEY={KEY}\n"));
    let project = user.project("shop").create();
    let session = project.named("jwt");
    enable(&project, &[]).ok();
    session.wait_for_state("paused");

    // Another key is another account; the same one with another line may go well too.
    for (runs, lines) in [(1, "ANTHROPIC_API_KEY=sk-ant-mended"), (2, "NO_PROXY=127.0.0.1")] {
        let paused = session.journal("paused").len();
        let now = user.read(".config/samocode/env");
        set(&format!("{}{lines}\n", now.replace(&format!("ANTHROPIC_API_KEY={KEY}\n"), "")));
        user.wait_until("it has tried again", secs(60), || {
            session.journal("run_ended").len() > runs && session.journal("paused").len() > paused
        });
        let requests = api.requests();
        assert_eq!(requests.last().and_then(|r| r.header("x-api-key")), Some("sk-ant-mended"));
    }
    assert_eq!(session.journal("continued").len(), 2);
    assert_eq!(session.journal("worker_started").len(), 1);
    api.now(Script::new().bash(BLOCKS).say("Blocked.").forever());
    set(&user.read(".config/samocode/env"));
    goes_on_at_once(&session, 3);
}

#[test]
fn a_changed_config_folder_of_the_shell_is_the_units_too() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user("configdir");
    let api = Api::start(Script::new().bash(BLOCKS).say("Blocked.").forever());
    reaches(&user, &api);
    logs_in(&user, "claude-work");
    let folder = user.home.join("claude-work").display().to_string();
    let project = user.project("shop").create();
    let session = project.named("jwt");

    enable(&project, &[]).env("CLAUDE_CONFIG_DIR", &folder).ok();
    session.wait_for_state("blocked");

    let bearer = format!("Bearer {TOKEN}");
    assert_eq!(api.requests()[0].header("authorization"), Some(bearer.as_str()));
    assert!(user.exists("claude-work/projects") && !user.exists(".claude/projects"));

    // Sent on its way from a shell that does not know of it.
    let before = api.requests().len();
    project.samocode(["start", "jwt"]).ok();
    user.wait_until("it is asked again", secs(60), || api.requests().len() > before);
    assert_eq!(api.requests()[before].header("authorization"), Some(bearer.as_str()));
}

/// nvm's layout: a script that node runs beside its node, neither on PATH. The
/// stand-in for node is bash.
fn installs_by_nvm(user: &LabUser) -> String {
    let bin = ".nvm/versions/node/v20.11.0/bin";
    user.write_program(format!("{bin}/node"), "#!/bin/bash\nexec bash \"$@\"\n");
    user.write_program(
        ".nvm/versions/node/v20.11.0/lib/node_modules/claude/cli.js",
        stand_in("#!/usr/bin/env node", "command -v node >~/node"),
    );
    user.sh(&format!("ln -s ../lib/node_modules/claude/cli.js ~/{bin}/claude")).ok();
    user.home.join(bin).display().to_string()
}

/// A PATH with the system's programs, but no node and no claude.
fn bare_path(user: &LabUser) -> String {
    user.sh("mkdir ~/bare; ln -s /usr/bin/* ~/bare; rm -f ~/bare/{node,nodejs,claude}").ok();
    format!("/opt/samocode/bin:{}/bare", user.home.display())
}

#[test]
fn a_claude_of_nvm_finds_its_node_in_a_unit() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("nvm");
    let (bin, bare) = (installs_by_nvm(&user), bare_path(&user));
    let project = user.project("shop").create();

    // On PATH in the shell, as nvm has it there.
    let session = project.named("jwt");
    enable(&project, &[]).env("PATH", format!("{bin}:{bare}")).ok();
    session.wait_for_state("blocked");
    assert_eq!(user.read("node"), format!("{bin}/node\n"));

    // By its path alone, while PATH has no node.
    user.sh("rm ~/node ~/seen").ok();
    let by_path = project.named("by-path");
    project
        .samocode(["enable", "by-path", "--task", "x"])
        .env("PATH", &bare)
        .env("CLAUDE_PATH", format!("{bin}/claude"))
        .ok();
    by_path.wait_for_state("blocked");
    assert_eq!(user.read("node"), format!("{bin}/node\n"));
    let recorded = user.read(".config/systemd/user/samocode@by-path.service.d/session.conf");
    assert!(recorded.contains(&format!("CLAUDE_PATH={bin}/claude")), "links stay: {recorded}");
    assert!(!recorded.contains(&format!("PATH={bin}:")), "{recorded}");

    let doctor = project.samocode(["doctor"]).env("PATH", format!("{bin}:{bare}")).ok();
    assert!(doctor.stdout.contains("✓ claude 9.9.9 (Claude Code) ("), "{doctor}");
}

#[test]
fn a_claude_of_nvm_that_is_not_on_path_is_pointed_at() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("nvm");
    let (bin, bare) = (installs_by_nvm(&user), bare_path(&user));
    let project = user.project("shop").create();

    let out = enable(&project, &[]).env("PATH", &bare).output();

    assert_eq!(out.code, 78, "{out}");
    assert!(out.stderr.contains(&format!("there is one at {bin}/claude")), "{out}");
    assert!(!user.exists("shop-sessions"), "nothing was made");
}
