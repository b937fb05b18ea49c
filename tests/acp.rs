//! The real CLIs that speak the Agent Client Protocol, as units, against the scripted server.

use crate::agents::{GEMINI, hold, holding, nothing_is_left, wait_until_held, was_confined};
use crate::lab::{self, Api, LabUser, Reply, Script};
use crate::session::{BOUND, OBEDIENT, straight_through};

/// Gemini CLI as an agent that speaks ACP.
fn gemini_by_acp(user: &LabUser) -> String {
    user.write(
        ".gemini/settings.json",
        r#"{"security":{"auth":{"selectedType":"gemini-api-key"}},"general":{"enableAutoUpdate":false,"sessionRetention":{"enabled":false}}}"#,
    );
    // Its shell hides the user's git configuration.
    let identity = "GIT_AUTHOR_NAME=Dev GIT_AUTHOR_EMAIL=dev@lab GIT_COMMITTER_NAME=Dev GIT_COMMITTER_EMAIL=dev@lab";
    user.write_program(
        "agent",
        format!("#!/bin/sh\nexec env GEMINI_CLI_NO_RELAUNCH=true {identity} gemini --acp --yolo --skip-trust -m gemini-2.5-pro\n"),
    );
    format!("acp:{}", user.home.join("agent").display())
}

#[test]
fn a_model_that_an_agent_by_acp_reports_as_an_internal_error_is_named_with_what_to_set() {
    let Some(lab) = lab::with_cli("gemini") else { return };
    let user = lab.user("acp404");
    let api = Api::start(Script::new().reply(Reply::error(404)).forever());
    user.uses_gemini(&api, "a-key");
    let project = user
        .project("shop")
        .key("SAMOCODE_AGENT", &gemini_by_acp(&user))
        .key("SAMOCODE_RETRY_DELAY", "0")
        .key("SAMOCODE_MAX_RETRIES", "1")
        .key("SAMOCODE_ALLOW_WRITE", "~/.gemini")
        .create();
    let session = project.named("jwt");
    session.enable(&["--task", "Paint the fence"]);
    session.wait_for_state("blocked");
    assert!(session.reason().contains("models/x is not found"), "{}", session.reason());
    assert!(session.reason().contains("set a model that the account may use"));
}

#[test]
fn an_agent_that_speaks_acp_goes_through_both_gates_and_resumes() {
    let Some(lab) = lab::with_cli("gemini") else { return };
    let user = lab.user("acp");
    let api = Api::start(hold("held1"));
    user.uses_gemini(&api, "first-key");
    let agent = gemini_by_acp(&user);
    // Its program has another name, so what it keeps at home is not known.
    let project = user
        .project("shop")
        .key("SAMOCODE_AGENT", &agent)
        .key("SAMOCODE_ALLOW_WRITE", "~/.gemini")
        .confined()
        .create();
    let session = project.named("jwt");

    session.enable(&["--task", "Paint the fence"]);
    wait_until_held(&session, "held1");
    api.now(Script::obedient());
    user.run(["kill", "-KILL", &session.worker()]).ok();
    session.through_the_gates();

    assert_eq!(session.history(), straight_through());
    was_confined(&session);
    let commits = user.run(["git", "log", "--format=%s", "main..jwt"]).cwd(&project.dir);
    assert_eq!(commits.ok().stdout, "Do the work\n");
    let runs = session.journal("run_started");
    assert_eq!((&runs[0]["agent"], &runs[0]["command"]), (&"acp".into(), &agent.as_str().into()));
    // Gemini forgets a conversation that was killed in its first minute, so the second run opens
    // another one and says the whole task again. On a slow machine that minute may be over.
    let named = session.journal("conversation_named").len();
    assert!((9..=10).contains(&named), "{named}: {:?}", session.conversations());
    let asked = api.requests();
    assert!(asked.iter().filter(|request| request.says("Paint the fence")).count() > 1);
    nothing_is_left(&user, &GEMINI);
}

/// A tool that says it has begun, and work for the run after it.
fn held_once(script: Script, phase: &'static str, name: &str) -> Script {
    script
        .when(move |request| request.says(&format!("PHASE: {phase}")))
        .bash(&holding(name))
        .bash(OBEDIENT)
        .say("The phase is finished.")
}

#[test]
fn qwen_and_opencode_speak_acp_and_resume_after_a_kill_and_after_a_cancelled_turn() {
    let Some(lab) = lab::with_cli("qwen") else { return };
    let Some(_) = lab::with_cli("opencode") else { return };
    let user = lab.user("acp2");
    // Qwen asks the model for suggestions and for memories, beside the work.
    let beside = Script::new()
        .when(|request| {
            request.says("Managed memory") || request.last_prompt().contains("SUGGESTION MODE")
        })
        .say("Nothing.")
        .forever();
    let script = held_once(beside, "implementation", "held1");
    let api = Api::start(held_once(script, "testing", "held2"));
    let config = serde_json::json!({
        "permission": "allow", "autoupdate": false,
        "provider": {"anthropic": {"options": {"baseURL": format!("{}/v1", api.url()), "apiKey": "k"}}},
        "model": "anthropic/claude-sonnet-4-5",
    });
    user.write(".config/opencode/opencode.json", config.to_string());
    let url = api.url();
    user.write_program(
        "qwen",
        format!("#!/bin/sh\nexport PATH=/opt/qwen/bin:$PATH ANTHROPIC_BASE_URL={url} ANTHROPIC_API_KEY=k ANTHROPIC_MODEL=claude-lab\nexec qwen --acp --yolo --auth-type anthropic\n"),
    );
    user.write_program(
        "opencode",
        "#!/bin/sh\nexport OPENCODE_DISABLE_MODELS_FETCH=1\nexec /opt/opencode/bin/opencode acp\n",
    );
    let acp = |program: &str| format!("acp:{}", user.home.join(program).display());
    let project = user
        .project("shop")
        .key("SAMOCODE_AGENT", &user.shell_agent(OBEDIENT))
        .key("SAMOCODE_AGENT_IMPLEMENTATION", &acp("qwen"))
        .key("SAMOCODE_AGENT_TESTING", &acp("opencode"))
        .confined()
        .create();
    let session = project.named("jwt");

    session.enable(&["--task", "Paint the fence"]);
    session.wait_to_rest("waiting", "requirements");
    session.answer();
    session.wait_to_rest("waiting", "planning");
    session.approve();
    wait_until_held(&session, "held1");
    user.run(["kill", "-KILL", &session.worker()]).ok();
    wait_until_held(&session, "held2");
    project.samocode(["stop", "--now", "jwt"]).ok();
    session.wait_for_state("stopped");
    let log = session.journal("run_started").last().expect("a run")["log"].clone();
    let log = session.file(&format!("_logs/{}", log.as_str().expect("a name")));
    assert!(log.contains(r#""stopReason":"cancelled""#), "it was not asked: {log}");
    let left = "pgrep -u $USER -x -a 'opencode|node|sleep|samocode'";
    // The waker may just be at work.
    user.wait_until("no process is left", BOUND, || user.sh(left).output().stdout.is_empty());
    project.samocode(["start", "jwt"]).ok();
    session.wait_to_rest("done", "done");

    assert_eq!(session.history(), straight_through());
    was_confined(&session);
    let commits = user.run(["git", "log", "--format=%s", "main..jwt"]).cwd(&project.dir);
    assert_eq!(commits.ok().stdout, "Do the work\n");
    let runs = session.journal("run_started");
    let of = |phase: &str| -> Vec<_> {
        let runs = runs.iter().filter(|run| run["phase"] == phase);
        runs.map(|run| (run["conversation"] == "", run["resume"] == true)).collect()
    };
    for phase in ["implementation", "testing"] {
        assert_eq!(of(phase), [(true, false), (false, true)], "{phase}");
    }
    let tokens = |phase: &str| -> u64 {
        let runs: Vec<_> = runs.iter().filter(|run| run["phase"] == phase).collect();
        let ended = session.journal("run_ended").into_iter();
        let own = ended.filter(|end| runs.iter().any(|run| run["run"] == end["run"]));
        own.filter_map(|end| end["cost"]["tokens"]["output"].as_u64()).sum()
    };
    assert!(tokens("implementation") > 0 && tokens("testing") > 0, "qwen counts by reply");
    user.wait_until("no process is left", BOUND, || user.sh(left).output().stdout.is_empty());
}

#[test]
fn claude_implements_and_codex_reviews() {
    let Some(lab) = lab::with_claude() else { return };
    let Some(_) = lab::with_cli("codex") else { return };
    let user = lab.user("mixed");
    let api = Api::start(Script::obedient());
    user.uses_codex(&api, "codex-key");
    let codex = user.read(".config/samocode/env");
    user.uses_claude(&api);
    user.write_env_file(user.read(".config/samocode/env") + &codex);
    let project = user.project("shop").key("SAMOCODE_AGENT_QUALITY", "codex").confined().create();
    let session = project.named("jwt");

    session.enable(&["--task", "JWT login"]);
    session.through_the_gates();

    assert_eq!(session.history(), straight_through());
    for run in session.journal("run_started") {
        let agent = if run["phase"] == "quality" { "codex" } else { "claude" };
        assert_eq!(run["agent"], agent, "{run}");
    }
    let doctor = project.samocode(["doctor"]).output();
    for line in ["claude 2.", "codex codex-cli 0."] {
        assert!(doctor.stdout.contains(line), "{line}: {doctor}");
    }
    let keys = |path: &str| -> Vec<String> {
        let all = api.requests().into_iter().filter(|request| request.path == path);
        let text = all.map(|request| format!("{:?} {}", request.headers, request.body));
        text.filter(|text| text.contains("codex-key")).collect()
    };
    assert_eq!(keys("/v1/messages"), Vec::<String>::new(), "Claude saw Codex's key");
    assert!(!keys("/v1/responses").is_empty(), "and Codex did not send it");
}
