use super::*;
use crate::agent::registry::testing::{agent_in, agent_of};
use crate::agent::{REGISTRY, vocabulary};
use crate::config::Env;
use crate::session::Phase;

fn task() -> Task {
    Task {
        conversation: "7d9f".into(),
        prompt: "-p is no flag\nhere".into(),
        system_prompt: "Rules.".into(),
        max_budget_usd: Some(1.5),
        live_input: true,
        ..Task::default()
    }
}

fn launch(task: &Task) -> (String, Input) {
    let launch = agent_of(&REGISTRY, "claude", "CLAUDE_PATH=/bin/sh\n").unwrap().launch(task);
    let args: Vec<_> = launch.args.iter().map(|arg| arg.to_str().unwrap()).collect();
    (args.join(" "), launch.input)
}

#[test]
fn a_first_run_chooses_its_conversation_and_is_fed() {
    let (args, input) = launch(&task());
    assert_eq!(
        args,
        "-p --output-format stream-json --verbose --dangerously-skip-permissions --model opus --max-turns 300 --max-budget-usd 1.5 --session-id 7d9f --append-system-prompt Rules. --input-format stream-json"
    );
    let Input::Feed(line) = input else { panic!("{input:?}") };
    assert_eq!(line.last(), Some(&b'\n'));
    assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
    let message: serde_json::Value = serde_json::from_slice(&line).unwrap();
    assert_eq!(message["message"]["content"], "-p is no flag\nhere");
}

#[test]
fn a_resumed_run_names_the_conversation_and_no_new_one() {
    let (args, input) = launch(&Task { resume: true, live_input: false, ..task() });
    assert!(args.contains("--resume 7d9f") && !args.contains("--session-id"));
    assert_eq!(input, Input::Text(b"-p is no flag\nhere".to_vec()));
}

#[test]
fn a_system_prompt_too_long_for_an_argument_is_said_first() {
    let long = "x".repeat(MAX_ARGUMENT);
    let (args, input) = launch(&Task { system_prompt: long, live_input: false, ..task() });
    assert!(args.len() < 1000);
    let Input::Text(text) = input else { panic!("{input:?}") };
    assert!(text.starts_with(b"xxx") && text.ends_with(b"here"));
}

#[test]
fn root_is_refused_unless_it_is_a_sandbox() {
    let agent = |text: &str| {
        agent_of(&REGISTRY, "claude", &format!("CLAUDE_PATH=/bin/sh\n{text}")).unwrap()
    };
    let sandbox = vec![("IS_SANDBOX".into(), "1".into())];
    let skips = agent("");
    let message = Claude.refusal(&skips, true, &Vec::new()).unwrap().in_one_line();
    assert!(message.contains("IS_SANDBOX=1") && message.contains("--run-as"), "{message}");
    assert!(Claude.refusal(&skips, true, &sandbox).is_none());
    assert!(Claude.refusal(&skips, false, &Vec::new()).is_none());
    assert!(Claude.refusal(&agent("CLAUDE_PERMISSIONS=auto\n"), true, &Vec::new()).is_none());
    let gone = agent("CLAUDE_PERMISSIONS=/not/there.json\n");
    let message = Claude.refusal(&gone, false, &Vec::new()).unwrap().in_one_line();
    assert!(message.contains("CLAUDE_PERMISSIONS names /not/there.json"), "{message}");
    assert!(message.contains("skip or auto"), "{message}");
}

#[test]
fn permissions_model_and_effort_are_flags_that_may_differ_by_phase() {
    let launched = |text: &str, phase| {
        let text = format!("CLAUDE_PATH=/bin/sh\n{text}");
        let launch = agent_in(&REGISTRY, "claude", &text, phase).unwrap().launch(&task());
        launch.args.iter().map(|arg| arg.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    };
    let text = "CLAUDE_MODEL_QUALITY=sonnet\nCLAUDE_EFFORT_QUALITY=high\nCLAUDE_FALLBACK_MODEL=haiku\nCLAUDE_PERMISSIONS=Auto\n";
    let written = launched(text, Phase::Implementation);
    assert!(written.contains("--model opus") && !written.contains("--effort"), "{written}");
    assert!(written.contains("--permission-mode auto --permission-prompts none"), "{written}");
    assert!(!written.contains("--dangerously"), "{written}");
    let reviewed = launched(text, Phase::Quality);
    assert!(reviewed.contains("--model sonnet"), "{reviewed}");
    assert!(reviewed.contains("--fallback-model haiku --effort high"), "{reviewed}");
    let by_file = launched("CLAUDE_PERMISSIONS=~/allowed.json\n", Phase::Quality);
    assert!(by_file.contains("--settings /h/allowed.json --permission-prompts none"), "{by_file}");
}

#[test]
fn it_is_logged_in_by_oauth_or_a_helper() {
    let folder = tempfile::tempdir().unwrap();
    let how = || Claude.logged_in(folder.path()).map(|login| login.how);
    assert_eq!(how(), None);
    let settings = folder.path().join("settings.json");
    fs::write(&settings, "{\"model\": \"opus\"}").unwrap();
    assert_eq!(how(), None);
    fs::write(&settings, "{\"apiKeyHelper\": \"/bin/key\"}").unwrap();
    assert_eq!(how(), Some("apiKeyHelper in"));
    fs::write(folder.path().join(".credentials.json"), "{}").unwrap();
    assert_eq!(how(), Some("logged in by"));
}

#[test]
fn what_helps_against_refused_credentials_depends_on_what_they_are() {
    let advice = |set: &[&str]| {
        let env: Env = set.iter().map(|name| (*name, "x")).collect();
        let name = AgentName::parse("claude", "/".as_ref(), None, &vocabulary()).unwrap();
        REGISTRY.log_in(&name, &env, "~/env")
    };
    let login = advice(&[]);
    assert!(login.starts_with(
        "log in with: claude /login, or make a token that lasts with: claude setup-token"
    ));
    assert!(login.ends_with("put it as CLAUDE_CODE_OAUTH_TOKEN into ~/env"), "{login}");
    let token = advice(&["CLAUDE_CODE_OAUTH_TOKEN"]);
    assert!(token.starts_with("make a new token with: claude setup-token"), "{token}");
    for name in ["ANTHROPIC_API_KEY", "CLAUDE_CODE_USE_BEDROCK"] {
        assert_eq!(advice(&[name]), format!("fix {name} in ~/env"), "no token would help");
    }
    for (agent, set, expected) in [
        ("codex", &[][..], "log in with: codex login, or put CODEX_API_KEY into ~/env"),
        ("codex", &["CODEX_API_KEY"], "fix CODEX_API_KEY in ~/env"),
        ("acp:qwen --acp", &[], "log in again, or fix ~/env"),
    ] {
        let env: Env = set.iter().map(|name| (*name, "x")).collect();
        let name = AgentName::parse(agent, "/".as_ref(), None, &vocabulary()).unwrap();
        assert_eq!(REGISTRY.log_in(&name, &env, "~/env"), expected);
    }
}
