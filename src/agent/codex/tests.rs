use super::*;
use crate::agent::outcome::{EndedBy, ProcessExit, Reported};
use crate::agent::registry::testing::agent_of;
use crate::agent::{Environment, REGISTRY};

fn launch(config: &str, task: &Task) -> (Vec<String>, Input) {
    let config = format!("CODEX_PATH=/bin/true\n{config}");
    let launch = agent_of(&REGISTRY, "codex", &config).unwrap().launch(task);
    let args = launch.args.into_iter().map(|arg| arg.into_string().unwrap()).collect();
    (args, launch.input)
}

fn task() -> Task {
    let system_prompt = "Rules: \"a\"\n\u{7f}".to_owned();
    Task { prompt: "Work.".into(), system_prompt, ..Task::default() }
}

#[test]
fn the_prompt_comes_on_standard_input_and_options_before_the_thread() {
    let (args, input) = launch("CODEX_MODEL=gpt-5\nCODEX_EFFORT=high\n", &task());
    assert_eq!(args[..2], ["exec", "--json"]);
    assert_eq!(args.last().unwrap(), "-");
    assert!(!args.contains(&"resume".to_owned()));
    assert!(args.windows(2).any(|pair| pair == ["-m", "gpt-5"]));
    assert!(args.contains(&"model_reasoning_effort=\"high\"".to_owned()));
    assert_eq!(input, Input::Text(b"Work.".to_vec()));
    let rules = args.iter().find(|arg| arg.starts_with("developer_instructions=")).unwrap();
    assert!(rules.contains(r#"="Rules: \"a\"\n\u007f"#), "{rules}");
    assert!(rules.contains("rm -r PATH"), "{rules}");

    let resumed = Task { resume: true, conversation: "01a2".into(), ..task() };
    let (args, _) = launch("", &resumed);
    assert_eq!(args[args.len() - 3..], ["resume", "01a2", "-"]);
    assert!(!args.contains(&"-m".to_owned()), "{args:?}");
}

#[test]
fn settings_that_git_gets_by_its_environment_are_not_hidden_with_the_keys() {
    let environment = vec![
        ("GIT_CONFIG_KEY_0".into(), "core.fsync".into()),
        ("CODEX_API_KEY".into(), "sk-x".into()),
    ];
    let (args, _) = launch("", &Task { environment, ..task() });
    let set = "shell_environment_policy.set.GIT_CONFIG_KEY_0=\"core.fsync\"";
    assert!(args.contains(&set.to_owned()), "{args:?}");
    assert!(!format!("{args:?}").contains("sk-x"), "everyone can read arguments");
}

#[test]
fn instructions_too_long_for_an_argument_go_before_the_prompt() {
    let long = Task { system_prompt: "x".repeat(MAX_ARGUMENT), ..task() };
    let (args, input) = launch("", &long);
    assert!(args.iter().all(|arg| arg.len() < MAX_ARGUMENT));
    let Input::Text(text) = input else { panic!("{input:?}") };
    assert!(text.len() > MAX_ARGUMENT && text.ends_with(b"\nWork."));
}

const ID: &str = "01a220dc-10f2-7c62-b791-aa76ea7c642f";

/// The outcome of a run that printed this, with this file of its conversation.
fn judged(stream: &str, rollout: &str, stderr: &str, resumed: bool) -> Outcome {
    let home = tempfile::tempdir().unwrap();
    let day = home.path().join("sessions/2026/11/28");
    std::fs::create_dir_all(&day).unwrap();
    std::fs::write(day.join(format!("rollout-x-{ID}.jsonl")), rollout).unwrap();
    let mut told = Reported::default();
    let mut decoder = decode::CodexDecoder::new(Path::new("/w"));
    for line in stream.lines() {
        decoder.line(line.as_bytes(), &mut |event| told.take(&event));
    }
    let environment: Environment = vec![("CODEX_HOME".into(), home.path().into())];
    Codex.outcome(&Facts {
        exit: ProcessExit::Code(1),
        reported: &told,
        stderr_tail: stderr,
        oom_kills: 0,
        ended_by: None::<EndedBy>,
        resumed,
        rejected: false,
        reports_end: true,
        conversation: ID,
        environment: &environment,
    })
}

const FAILED: &str = "{\"type\":\"thread.started\",\"thread_id\":\"x\"}\n{\"type\":\"turn.failed\",\"error\":{\"message\":\"Said.\"}}";

#[test]
fn an_outcome_has_its_class_and_reset_time_from_the_conversations_file() {
    let limit = include_str!("../../../tests/fixtures/codex/usage-limit.rollout.jsonl");
    let outcome = judged(FAILED, limit, "", false);
    let Outcome::Limit { resets_at, kind, what } = outcome else { panic!("{outcome:?}") };
    assert_eq!(resets_at.unwrap().as_second(), 1_795_851_223);
    assert_eq!((kind.as_str(), what.as_str()), ("five_hour", "Said."));
    let refused = include_str!("../../../tests/fixtures/codex/unauthorized.rollout.jsonl");
    assert!(matches!(judged(FAILED, refused, "", false), Outcome::Auth { .. }));
    let bad = include_str!("../../../tests/fixtures/codex/bad-request.rollout.jsonl");
    assert!(matches!(judged(FAILED, bad, "", false), Outcome::Rejected { .. }));
    let throttled = include_str!("../../../tests/fixtures/codex/throttled.rollout.jsonl");
    assert!(matches!(judged(FAILED, throttled, "", false), Outcome::Throttled { .. }));
    let server = include_str!("../../../tests/fixtures/codex/server-error.rollout.jsonl");
    assert!(matches!(judged(FAILED, server, "", false), Outcome::Transient { .. }));
    let unknown = include_str!("../../../tests/fixtures/codex/unknown-model.rollout.jsonl");
    let named = unknown
        .replace("{\"http_connection_failed\":{\"http_status_code\":404}}", "\"model_not_found\"");
    assert_ne!(unknown, named);
    for rollout in [unknown, &named] {
        let outcome = judged(FAILED, rollout, "", false);
        let Outcome::Failed { why } = outcome else { panic!("{outcome:?}") };
        assert_eq!(why, "Said. (set CODEX_MODEL to a model that the account may use)");
    }
    // Without the file there is still the failure, in words.
    assert!(matches!(judged(FAILED, "", "", false), Outcome::Failed { why } if why == "Said."));
}

#[test]
fn a_thread_that_is_gone_is_begun_again_and_one_that_is_open_elsewhere_is_not() {
    let gone = "Error: thread/resume failed: no rollout found for thread id";
    assert!(matches!(judged("", "", gone, true), Outcome::NotResumed { .. }));
    let open = "Error: thread/resume failed: thread x already has an active writer (code -32600)";
    let outcome = judged("", "", open, true);
    assert!(matches!(&outcome, Outcome::Failed { why } if why.contains(ID)), "{outcome:?}");
    let flag = "error: unexpected argument '--nonsense' found";
    assert!(matches!(judged("", "", flag, false), Outcome::WouldNotStart { .. }));
}

#[test]
fn a_request_that_a_login_may_not_make_is_refused_in_the_services_words() {
    let said = r#"{\"detail\":\"The 'x' model is not supported with this account.\"}"#;
    let stream = FAILED.replace("Said.", said);
    let rollout = format!(
        r#"{{"type":"event_msg","payload":{{"type":"task_complete","error":{{"message":"{said}","codex_error_info":"other"}}}}}}"#
    );
    let why = "The 'x' model is not supported with this account.".to_owned();
    assert_eq!(judged(&stream, &rollout, "", false), Outcome::Rejected { why });
}

#[test]
fn on_a_terminal_it_resumes_the_conversation_with_the_same_model() {
    let task = Task { resume: true, conversation: ID.to_owned(), ..Task::default() };
    let agent = agent_of(&REGISTRY, "codex", "CODEX_PATH=/bin/true\nCODEX_MODEL=gpt-5\n").unwrap();
    let launch = agent.interactive(&task).unwrap();
    assert_eq!(launch.args, ["resume", "-m", "gpt-5", ID]);
}
