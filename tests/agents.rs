//! The real CLIs of other agents than Claude, as units, against the scripted server: whole
//! sessions, with everything on the way that ends a run.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use jiff::{SignedDuration, Timestamp};

use crate::clock::time;
use crate::lab::{self, Api, LabUser, Reply, Script};
use crate::session::{BOUND, Session, straight_through};

/// An agent's CLI.
pub(crate) struct Cli {
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

pub(crate) const GEMINI: Cli = Cli {
    name: "gemini",
    process: "node",
    uses: LabUser::uses_gemini,
    model: ("GEMINI_MODEL", "gemini-2.5-pro"),
    says_reset: false,
};

/// A tool that says it has begun and never ends on its own.
pub(crate) fn hold(name: &str) -> Script {
    Script::new().bash(&holding(name))
}

/// What it runs: in a cage, the session's folder is where it may say so.
pub(crate) fn holding(name: &str) -> String {
    format!(r#"touch "$SAMOCODE_SESSION_DIR/{name}"; sleep 3600"#)
}

/// Waits until such a tool runs.
#[track_caller]
pub(crate) fn wait_until_held(session: &Session<'_>, name: &str) {
    let user = session.user();
    user.wait_until(&format!("the tool {name} runs"), BOUND, || {
        let folder = session.project.session(session.name);
        folder.is_some_and(|folder| user.exists(folder.join(name)))
    });
}

/// Asserts that each run was confined as agents are by default.
#[track_caller]
pub(crate) fn was_confined(session: &Session<'_>) {
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
pub(crate) fn nothing_is_left(user: &LabUser, cli: &Cli) {
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
    // The tool says that it has begun before it sleeps.
    user.wait_until("only the second run's tool sleeps", BOUND, || {
        let holding = user.run(["pgrep", "-u", &user.name, "-x", "-c", "sleep"]).output();
        holding.stdout.trim() == "1"
    });
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
