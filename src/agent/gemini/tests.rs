use super::*;
use crate::agent::outcome::Reported;
use crate::agent::registry::testing::agent_of;
use crate::agent::{Environment, Identity, REGISTRY};

fn task() -> Task {
    Task {
        prompt: "Work.".into(),
        system_prompt: "Rules.".into(),
        conversation: "affb7929-2ee7-4b01-9126-5bacbf0d7bd4".into(),
        environment: vec![
            ("HOME".into(), "/h".into()),
            ("SAMOCODE_SESSION_DIR".into(), "/s/26-11-28-jwt".into()),
            ("GEMINI_API_KEY".into(), "AIza-secret".into()),
        ],
        identity: Some(Identity { name: "Dev".into(), email: "dev@lab".into() }),
        ..Task::default()
    }
}

fn launch(task: &Task) -> Launch {
    agent_of(&REGISTRY, "gemini", "GEMINI_PATH=/bin/true\n").unwrap().launch(task)
}

#[test]
fn a_conversation_has_our_id_and_its_instructions_once() {
    let first = launch(&task());
    let id = "affb7929-2ee7-4b01-9126-5bacbf0d7bd4";
    assert!(first.args.windows(2).any(|pair| pair == ["--session-id", id]), "{first:?}");
    assert!(first.args.windows(2).any(|pair| pair == ["--include-directories", "/s/26-11-28-jwt"]));
    assert_eq!(first.input, Input::Text(b"Rules.\n\nWork.".to_vec()));
    let resumed = launch(&Task { resume: true, ..task() });
    assert!(resumed.args.windows(2).any(|pair| pair == ["--resume", id]), "{resumed:?}");
    assert_eq!(resumed.input, Input::Text(b"Work.".to_vec()));
}

#[test]
fn what_it_depends_on_is_set_without_touching_the_users_settings() {
    let launch = launch(&task());
    let set = |name: &str| {
        let found = launch.defaults.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.to_string_lossy().into_owned())
    };
    assert_eq!(set("GEMINI_CLI_NO_RELAUNCH").as_deref(), Some("true"));
    assert_eq!(set("GIT_COMMITTER_EMAIL").as_deref(), Some("dev@lab"));
    let [(path, text)] = launch.files.as_slice() else { panic!("{:?}", launch.files) };
    assert_eq!(path, Path::new("/h/.local/state/samocode/gemini/.gemini/settings.json"));
    assert_eq!(set("GEMINI_CLI_HOME").as_deref(), Some("/h/.local/state/samocode/gemini"));
    let folders = Gemini.own_folders(&task().environment);
    assert_eq!(folders, [Path::new("/h/.local/state/samocode/gemini/.gemini")]);
    assert_eq!(set("GIT_CONFIG_PARAMETERS").as_deref(), Some("'core.fsync=all'"));
    let mut unsigned = task();
    unsigned.environment.push(("GIT_CONFIG_KEY_1".into(), "commit.gpgSign".into()));
    let told = super::git_settings(&unsigned.environment);
    assert_eq!(told, "'core.fsync=all' 'commit.gpgSign=false' 'tag.gpgSign=false'");
    let text = String::from_utf8(text.clone()).unwrap();
    let settings: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(settings["general"]["sessionRetention"]["enabled"], false);
    assert_eq!(settings["security"]["auth"]["selectedType"], "gemini-api-key");
    assert!(!format!("{launch:?}").contains("AIza") && !text.contains("AIza"));
}

#[test]
fn the_users_settings_stay_and_a_login_is_used_in_the_users_own_home() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".gemini")).unwrap();
    let users = home.path().join(home::SETTINGS);
    std::fs::write(&users, r#"{"general":{"vimMode":true},"mcpServers":{"a":{}}}"#).unwrap();
    let environment = |key: Option<&str>| -> Environment {
        let key = key.map(|key| ("GEMINI_API_KEY".into(), key.into()));
        [("HOME".into(), home.path().into())].into_iter().chain(key).collect()
    };
    let with_key = Task { environment: environment(Some("AIza")), ..task() };
    let [(_, text)] = launch(&with_key).files.try_into().unwrap();
    let settings: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(settings["general"]["vimMode"], true);
    assert_eq!(settings["general"]["sessionRetention"]["enabled"], false);
    assert!(settings["mcpServers"]["a"].is_object());
    let with_login = launch(&Task { environment: environment(None), ..task() });
    assert!(with_login.files.is_empty());
    assert!(with_login.defaults.iter().all(|(name, _)| *name != "GEMINI_CLI_HOME"));
    assert!(!home::keeps_sessions(&users), "doctor says so");
    std::fs::write(&users, r#"{"general":{"sessionRetention":{"enabled":false}}}"#).unwrap();
    assert!(home::keeps_sessions(&users));
}

fn judged(stream: &str, code: i32, stderr: &str, resumed: bool) -> Outcome {
    let mut told = Reported::default();
    let mut decoder = decode::GeminiDecoder::new(Path::new("/w"));
    for line in stream.lines() {
        decoder.line(line.as_bytes(), &mut |event| told.take(&event));
    }
    Gemini.outcome(&Facts {
        exit: ProcessExit::Code(code),
        reported: &told,
        stderr_tail: stderr,
        oom_kills: 0,
        ended_by: None,
        resumed,
        rejected: false,
        reports_end: true,
        conversation: "x",
        environment: &Vec::new(),
    })
}

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../tests/fixtures/gemini/", $name, ".jsonl"))
    };
}

#[test]
fn success_is_what_the_result_says_and_never_the_exit_code() {
    assert_eq!(judged(fixture!("success"), 0, "", false), Outcome::Finished);
    let cut = "{\"type\":\"result\",\"status\":\"error\",\"error\":{\"message\":\"cut off\"}}";
    assert!(matches!(judged(cut, 0, "", false), Outcome::Transient { .. }));
    assert!(matches!(judged("", 0, "", false), Outcome::Failed { .. }), "a swallowed SIGTERM");
}

#[test]
fn each_failure_has_its_outcome() {
    let quota =
        "Full report … TerminalQuotaError: You have exhausted your daily quota\n  status: 429\n}";
    let outcome = judged(fixture!("daily"), 173, quota, false);
    let Outcome::Limit { resets_at: Some(at), kind, what } = outcome else { panic!("{outcome:?}") };
    let hours = at.duration_since(jiff::Timestamp::now()).as_hours();
    assert!((0..=25).contains(&hours) && kind == "daily", "{at} {kind}");
    let renewed = "(Google renews it at midnight Pacific time)";
    assert_eq!(what, format!("You have exhausted your daily quota on this model. {renewed}"));
    let delayed = quota.replace("  status", "  retryDelayMs: 3600000,\n  status");
    let outcome = judged(fixture!("daily"), 173, &delayed, false);
    let Outcome::Limit { resets_at: Some(at), .. } = outcome else { panic!("{outcome:?}") };
    let minutes = at.duration_since(jiff::Timestamp::now()).as_mins();
    assert!((50..=60).contains(&minutes), "{minutes}");
    let unknown = quota.replace("  status", "  retryDelayMs: undefined,\n  status");
    let outcome = judged(fixture!("daily"), 173, &unknown, false);
    assert!(matches!(&outcome, Outcome::Limit { kind, .. } if kind == "daily"), "{outcome:?}");
    // A delay that is too long, of a quota that is none of the day's.
    let other = "{\"type\":\"result\",\"status\":\"error\",\"error\":{\"message\":\"x\"}}";
    let outcome = judged(other, 173, &unknown, false);
    assert!(matches!(outcome, Outcome::Limit { resets_at: None, .. }), "{outcome:?}");
    for code in [173, 1] {
        let outcome = judged(fixture!("daily"), code, "", false);
        assert!(matches!(&outcome, Outcome::Limit { kind, .. } if kind == "daily"), "{outcome:?}");
    }
    assert!(matches!(judged(other, 173, "", false), Outcome::Throttled { .. }));
    let outcome = judged(fixture!("401"), 145, "}\n  status: 401\n}", false);
    assert_eq!(outcome, Outcome::Auth { what: "the script says 401".into() });
    assert!(matches!(judged(fixture!("401"), 145, "", false), Outcome::Auth { .. }));
    assert!(matches!(judged(fixture!("400"), 144, "", false), Outcome::Rejected { .. }));
    // As the service refuses a key that is wrong or expired.
    let outcome = judged(fixture!("bad-key"), 144, "}\n  status: 400\n}", false);
    let what = "API key not valid. Please pass a valid API key.".to_owned();
    assert_eq!(outcome, Outcome::Auth { what });
    let missing = "… ModelNotFoundError:\n  code: 404\n}";
    let outcome = judged(fixture!("404"), 1, missing, false);
    assert!(
        matches!(&outcome, Outcome::Failed { why } if why.contains("GEMINI_MODEL")),
        "{outcome:?}"
    );
    let error = "{\"type\":\"result\",\"status\":\"error\",\"error\":{\"message\":\"x\"}}";
    assert!(matches!(judged(error, 244, "", false), Outcome::Transient { .. }));
    assert!(matches!(judged(error, 17, "", false), Outcome::Transient { .. }));
    assert_eq!(judged(error, 53, "", false), Outcome::MaxTurns);
}

#[test]
fn a_conversation_that_is_gone_is_begun_again() {
    let gone = "Error resuming session: Invalid session identifier";
    assert!(matches!(judged("", 42, gone, true), Outcome::NotResumed { .. }));
    assert!(matches!(judged("", 41, "Invalid auth method", false), Outcome::WouldNotStart { .. }));
}

#[test]
fn on_a_terminal_it_has_the_same_home_and_conversation() {
    let agent = agent_of(&REGISTRY, "gemini", "GEMINI_PATH=/bin/true\n").unwrap();
    let shown = agent.interactive(&Task { resume: true, ..task() }).unwrap();
    let headless = launch(&Task { resume: true, ..task() });
    assert_eq!((&shown.defaults, &shown.files), (&headless.defaults, &headless.files));
    let id = "affb7929-2ee7-4b01-9126-5bacbf0d7bd4";
    assert!(shown.args.windows(2).any(|pair| pair == ["--resume", id]), "{shown:?}");
    assert!(!shown.args.contains(&"stream-json".into()), "{shown:?}");
}
