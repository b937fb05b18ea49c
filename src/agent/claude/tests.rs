use super::*;
use crate::agent::REGISTRY;
use crate::agent::registry::testing::agent_of;
use crate::session::Hint as _;

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
    let message = Claude.refusal(true, &Vec::new()).unwrap().in_one_line();
    assert!(message.contains("IS_SANDBOX=1") && message.contains("--run-as"), "{message}");
    assert!(Claude.refusal(true, &vec![("IS_SANDBOX".into(), "1".into())]).is_none());
    assert!(Claude.refusal(false, &Vec::new()).is_none());
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
