//! Logins of the agent and keys that are fixed while a session waits for them.

use std::path::Path;

use crate::credentials::{BLOCKS, KEY, MARK, enable, in_the_open, leak, reaches};
use crate::lab::{self, Api, LabUser, Reply, Script, secs};
use crate::session::Session;

const TOKEN: &str = "sk-ant-oat01-never-to-be-seen";

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

/// Waits until a paused session has started another run, long before its pause would have ended.
fn goes_on_at_once(session: &Session<'_>, runs: usize) {
    let paused = session.journal("paused").pop().expect("a pause");
    let name = session.name;
    session.user().wait_until(&format!("{name} resumes"), secs(60), || {
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
    let enabled = enable(&project, &[]).ok();
    assert!(enabled.stderr.contains("found no credentials for claude"), "{enabled}");
    first.wait_for_state("paused");
    assert_eq!(first.journal("paused")[0]["cause"], "credentials");
    let waited = project.samocode(["wait", "jwt", "--timeout", "60s"]).output();
    assert_eq!(waited.code, 13, "it takes a human to log in: {waited}");
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
fn a_corrected_env_file_lifts_the_pause() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user("corrects");
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
    for (runs, lines) in [(1, "ANTHROPIC_API_KEY=sk-ant-corrected"), (2, "NO_PROXY=127.0.0.1")] {
        let paused = session.journal("paused").len();
        let now = user.read(".config/samocode/env");
        set(&format!("{}{lines}\n", now.replace(&format!("ANTHROPIC_API_KEY={KEY}\n"), "")));
        user.wait_until("it has tried again", secs(60), || {
            session.journal("run_ended").len() > runs && session.journal("paused").len() > paused
        });
        let requests = api.requests();
        assert_eq!(requests.last().and_then(|r| r.header("x-api-key")), Some("sk-ant-corrected"));
    }
    assert_eq!(session.journal("continued").len(), 2);
    assert_eq!(session.journal("worker_started").len(), 1);
    api.now(Script::new().bash(BLOCKS).say("Blocked.").forever());
    set(&user.read(".config/samocode/env"));
    goes_on_at_once(&session, 3);
}

#[test]
fn a_config_folder_changed_in_the_shell_applies_to_the_unit_too() {
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
