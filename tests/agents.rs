//! The real CLIs of other agents than Claude, as units, against the scripted server: whole
//! sessions, with everything on the way that ends a run.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use jiff::{SignedDuration, Timestamp};

use crate::clock::time;
use crate::lab::{self, Api, LabUser, Reply, Script};
use crate::session::{BOUND, OBEDIENT, Session, straight_through};

/// An agent's CLI.
struct Cli {
    name: &'static str,
    /// The name of its process.
    process: &'static str,
    /// Points it at the server, with this key.
    uses: fn(&LabUser, &Api, &str),
    /// The key that chooses its model, and one that has a price.
    model: (&'static str, &'static str),
    /// Whether it says when a limit ends. Where it does not, that is expected at midnight Pacific time,
    /// and a human starts the session here.
    says_reset: bool,
}

const CODEX: Cli = Cli {
    name: "codex",
    process: "codex",
    uses: LabUser::uses_codex,
    model: ("CODEX_MODEL", "gpt-5"),
    says_reset: true,
};

const GEMINI: Cli = Cli {
    name: "gemini",
    process: "node",
    uses: LabUser::uses_gemini,
    model: ("GEMINI_MODEL", "gemini-2.5-pro"),
    says_reset: false,
};

/// A tool that says it has begun and never ends on its own.
fn hold(name: &str) -> Script {
    Script::new().bash(&holding(name))
}

/// What it runs: in a cage, the session's folder is where it may say so.
fn holding(name: &str) -> String {
    format!(r#"touch "$SAMOCODE_SESSION_DIR/{name}"; sleep 3600"#)
}

/// Waits until such a tool runs.
#[track_caller]
fn wait_until_held(session: &Session<'_>, name: &str) {
    let user = session.user();
    user.wait_until(&format!("the tool {name} runs"), BOUND, || {
        let folder = session.project.session(session.name);
        folder.is_some_and(|folder| user.exists(folder.join(name)))
    });
}

/// Asserts that each run was confined as agents are by default.
#[track_caller]
fn was_confined(session: &Session<'_>) {
    for run in session.journal("run_started") {
        let confined = run["confined"].as_str().unwrap_or_default();
        assert!(confined.starts_with("standard (Landlock "), "{run}");
    }
}

/// A name whose session resumes at once after a limit: sessions spread over half a minute.
fn prompt_name() -> String {
    let spread = |name: &str| {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        hasher.finish() % 30_000
    };
    let names = (0..1000).map(|n| format!("jwt{n}"));
    names.min_by_key(|name| spread(name)).expect("a name")
}

/// Asserts that no process of the user's is left but the service manager's own.
#[track_caller]
fn nothing_is_left(user: &LabUser, cli: &Cli) {
    let left = format!("pgrep -u $USER -x -a '{}|sleep|samocode'", cli.process);
    assert_eq!(user.sh(&left).output().stdout, "");
}

/// One whole session in which the worker and the agent are killed, the key is refused and the
/// account's limit is reached, all in its first iteration.
fn goes_through_everything(cli: &Cli) {
    let Some(lab) = lab::with_cli(cli.name) else { return };
    let user = lab.user(cli.name);
    let api = Api::start(hold("held1"));
    (cli.uses)(&user, &api, "first-key");
    let project = user
        .project("shop")
        .key("SAMOCODE_AGENT", cli.name)
        .key("SAMOCODE_RETRY_DELAY", "0")
        .key(cli.model.0, cli.model.1)
        .confined()
        .create();
    let name = prompt_name();
    let session = project.named(&name);

    session.enable(&["--task", "Paint the fence"]);
    wait_until_held(&session, "held1");
    api.now(hold("held2"));
    user.run(["kill", "-KILL", &session.worker()]).ok();

    wait_until_held(&session, "held2");
    assert!(api.requests().last().expect("a request").says("Paint the fence"));
    let holding = user.run(["pgrep", "-u", &user.name, "-x", "-c", "sleep"]).output();
    assert_eq!(holding.stdout.trim(), "1", "the first run's tool outlived its worker");
    api.now(Script::new().reply(Reply::error(401)).forever());
    user.sh(&format!("kill -KILL $(pgrep -u $USER -x {})", cli.process)).ok();

    session.wait_for_state("paused");
    assert_eq!(session.journal("paused")[0]["cause"], "credentials", "{}", user.diagnosis());
    is_limited(cli, &user, &api, &session);
    api.now(Script::obedient());
    if !cli.says_reset {
        project.samocode(["start", &name]).ok();
    }
    session.through_the_gates();

    assert_eq!(session.history(), straight_through());
    was_confined(&session);
    let commits = user.run(["git", "log", "--format=%s", &format!("main..{name}")]);
    assert_eq!(commits.cwd(&project.dir).ok().stdout, "Do the work\n");
    let ends: Vec<String> = session
        .journal("run_ended")
        .iter()
        .map(|run| run["outcome"].as_str().expect("a word").to_owned())
        .collect();
    let expected = ["killed", "auth", "limit", "finished"];
    assert_eq!(ends[..expected.len()], expected, "{ends:?}");
    assert_eq!(session.journal("run_lost").len(), 1);
    is_one_conversation(&session, 5);
    let failures = session.journal("run_ended");
    assert_eq!(failures.iter().filter(|run| run["failure"] == true).count(), 1, "the kill alone");
    let cost = project.samocode(["cost", &name]).ok().stdout;
    assert!(cost.contains("~$0.0"), "an estimate: {cost}");
    nothing_is_left(&user, cli);
}

/// Gives it a new key whose account is at its limit, and looks at when it resumes.
fn is_limited(cli: &Cli, user: &LabUser, api: &Api, session: &Session<'_>) {
    let until = Timestamp::now() + SignedDuration::from_secs(12);
    let until = Timestamp::from_second(until.as_second()).expect("a time");
    let limit = Reply::usage_limit(until.as_second().unsigned_abs());
    api.now(Script::new().reply(limit).forever());
    (cli.uses)(user, api, "second-key");

    session.wait_for_state("limited");
    let found = time(&session.hook()["until"]);
    if cli.says_reset {
        assert_eq!(found, until);
    } else {
        // Its day's quota is renewed at midnight Pacific time.
        assert!(["T07:00:00Z", "T08:00:00Z"].iter().any(|end| found.to_string().ends_with(end)));
        assert!(found.duration_since(Timestamp::now()).as_hours() <= 25, "{found}");
        assert!(session.reason().contains("midnight Pacific time"), "{}", session.reason());
    }
}

/// Asserts that all runs of the first iteration were in one conversation, and no other run in it.
#[track_caller]
fn is_one_conversation(session: &Session<'_>, runs_expected: usize) {
    let started = session.journal("run_started");
    let first = started.iter().filter(|run| run["total"] == 1).count();
    assert_eq!(first, runs_expected, "{started:?}");
    let runs = session.conversations();
    let id = &runs[1].0;
    assert!(runs[1..first].iter().all(|run| run == &(id.clone(), true)), "{runs:?}");
    assert!(runs[first..].iter().all(|run| &run.0 != id && !run.1), "{runs:?}");
}

#[test]
fn the_real_codex_goes_through_everything_and_loses_nothing() {
    goes_through_everything(&CODEX);
}

#[test]
fn the_real_gemini_goes_through_everything_and_loses_nothing() {
    goes_through_everything(&GEMINI);
}

#[test]
fn a_model_that_the_account_does_not_have_is_named_with_the_key_to_set() {
    let Some(lab) = lab::with_claude() else { return };
    for cli in [&CODEX, &GEMINI] {
        if lab::with_cli(cli.name).is_none() {
            return;
        }
    }
    let user = lab.user("models");
    let api = Api::start(Script::new().reply(Reply::error(404)).forever());
    let mut env = String::new();
    for uses in
        [CODEX.uses, GEMINI.uses, |user: &LabUser, api: &Api, _: &str| user.uses_claude(api)]
    {
        uses(&user, &api, "a-key");
        env += &user.read(".config/samocode/env");
    }
    user.write_env_file(env);
    for agent in ["claude", "codex", "gemini"] {
        let project = user
            .project(&format!("of-{agent}"))
            .key("SAMOCODE_AGENT", agent)
            .key("SAMOCODE_RETRY_DELAY", "0")
            .key("SAMOCODE_MAX_RETRIES", "1")
            .create();
        let session = project.named(agent);
        session.enable(&["--task", "Paint the fence"]);
        session.wait_for_state("blocked");
        let advice = format!("set {}_MODEL to a model that", agent.to_ascii_uppercase());
        assert!(session.reason().contains(&advice), "{}", session.reason());
        let doctor = project.samocode(["doctor"]).output();
        assert!(doctor.stdout.contains(&advice), "{doctor}");
    }
}

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
