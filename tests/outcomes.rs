//! Runs that end without a signal, classified by their stream and exit status, with real processes.

use serde_json::Value;

use crate::lab::{self, Api, Project, Reply, Script};
use crate::session::{BOUND, Session};

const SIGNAL: &str = r#"echo '{"status":"blocked","reason":"that is all","needs":"human_decision"}' >"$SAMOCODE_SESSION_DIR/_signal.json""#;

/// Outcome, whether it counts as a failure, and whether its conversation can be resumed, of
/// each run.
fn outcomes(session: &Session<'_>) -> Vec<(String, bool, bool)> {
    let is = |run: &Value, key: &str| run[key].as_bool().unwrap_or_default();
    session
        .journal("run_ended")
        .iter()
        .map(|run| {
            let outcome = run["outcome"].as_str().unwrap_or_default().to_owned();
            (outcome, is(run, "failure"), is(run, "resumable"))
        })
        .collect()
}

/// A session of a project in which two runs may fail.
#[track_caller]
fn run_to_its_block<'p>(project: &'p Project<'p>) -> Session<'p> {
    let session = project.named("fails");
    session.enable(&["--task", "Fail"]);
    session.wait_to_rest("blocked", "investigation");
    session
}

#[test]
fn an_agent_that_takes_longer_than_its_timeout_is_ended() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("slow");
    let agent = user.shell_agent("while :; do echo still at it; sleep 0.2; done");
    let project = user
        .project("shop")
        .key("SAMOCODE_AGENT", &agent)
        .key("CLAUDE_TIMEOUT", "2")
        .key("SAMOCODE_MAX_RETRIES", "1")
        .create();

    let session = run_to_its_block(&project);

    assert_eq!(outcomes(&session), [("timed_out".into(), true, false)]);
    assert!(session.reason().contains("CLAUDE_TIMEOUT"), "{}", session.reason());
}

#[test]
fn an_agent_that_cannot_be_executed_is_reported_as_such() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("unstartable");
    user.write_program("agent", "#!/no/such/interpreter\n");
    let agent = format!("command:{}", user.home.join("agent").display());
    let none = user.project("none").key("SAMOCODE_AGENT", &agent).create();
    let refused = none.samocode(["enable", "x", "--task", "t"]).output();
    assert_eq!(refused.code, 78, "{refused}");
    assert!(refused.stderr.contains("/no/such/interpreter, which does not exist"), "{refused}");
    // What only an attempt shows: that the interpreter itself cannot be started.
    user.write_program("between", "#!/no/such/interpreter\n");
    user.write_program("agent", format!("#!{}\n", user.home.join("between").display()));
    let project = user
        .project("shop")
        .key("SAMOCODE_AGENT", &agent)
        .key("SAMOCODE_MAX_RETRIES", "2")
        .key("SAMOCODE_RETRY_DELAY", "0 s")
        .create();

    let session = run_to_its_block(&project);

    assert_eq!(outcomes(&session), vec![("would_not_start".into(), true, false); 2]);
    let path = user.home.join("agent").display().to_string();
    assert!(session.reason().contains(&path), "{}", session.reason());
}

#[test]
fn the_real_cli_at_its_last_turn_resumes_the_same_conversation() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user("turns");
    let api = Api::start(Script::new().bash("echo one").bash("echo two").bash(SIGNAL).say("Done."));
    user.uses_claude(&api);
    let project = user.project("shop").key("CLAUDE_MAX_TURNS", "2").create();

    let session = run_to_its_block(&project);

    assert_eq!(session.reason(), "that is all");
    let ended = outcomes(&session);
    assert_eq!(ended[0], ("max_turns".into(), true, true), "{ended:?}");
    let detail = &session.journal("run_ended")[0]["detail"];
    assert_eq!(detail, "it used all of CLAUDE_MAX_TURNS");
    let runs = session.journal("run_started");
    assert_eq!(
        (&runs[1]["conversation"], &runs[1]["resume"]),
        (&runs[0]["conversation"], &true.into())
    );
}

#[test]
fn the_real_cli_is_stopped_by_its_own_cap_when_a_runs_budget_is_spent() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user("spends");
    // A reply costs more than that, whatever the model.
    let dear = |line: &str| Reply::bash(line).tokens(100, 30_000);
    let api = Api::start(
        Script::new().reply(dear("echo one")).reply(dear("echo two")).bash(SIGNAL).say("Done."),
    );
    user.uses_claude(&api);
    let project = user
        .project("shop")
        .key("SAMOCODE_BUDGET_USD_RUN", "0.50")
        .key("SAMOCODE_RETRY_DELAY", "0 s")
        .create();

    let session = run_to_its_block(&project);

    let ended = outcomes(&session);
    assert_eq!(ended[0].0, "budget", "{ended:?}\n{}", user.diagnosis());
    assert!(ended[0].1, "it counts against the retries");
}

#[test]
fn a_lost_conversation_is_followed_by_a_fresh_one_that_knows_what_happened() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user("forgets");
    let api = Api::start(Script::new().bash("touch ~/held; sleep 600").bash(SIGNAL).say("Done."));
    user.uses_claude(&api);
    let project = user.project("shop").key("SAMOCODE_RETRY_DELAY", "0 s").create();
    let session = project.named("fails");
    session.enable(&["--task", "Paint the fence"]);
    user.wait_until("the tool runs", BOUND, || user.exists("held"));
    // Its cost is unknown until it ends, which does not look like none.
    user.wait_until("its tokens are shown", BOUND, || {
        session.hook()["run"]["tokens"]["input"].as_u64().is_some_and(|tokens| tokens > 0)
    });
    let status = project.samocode(["status", "fails"]).ok();
    assert!(status.stdout.contains("? · 100 tokens read"), "{status}");
    let cost = project.samocode(["cost"]).ok();
    assert!(cost.stdout.contains("Cost unknown for 1 of 1 run."), "{cost}");

    user.sh("find ~/.claude/projects -name '*.jsonl' -delete").ok();
    user.run(["kill", "-KILL", &session.worker()]).ok();
    session.wait_to_rest("blocked", "investigation");

    assert_eq!(session.reason(), "that is all", "{}", user.diagnosis());
    let runs = session.journal("run_started");
    let conversation = |at: usize| &runs[at]["conversation"];
    assert_eq!(
        (runs.len(), conversation(1), &runs[1]["resume"]),
        (3, conversation(0), &true.into())
    );
    assert_eq!(outcomes(&session)[0], ("not_resumed".into(), true, false));
    assert_eq!(session.journal("run_lost")[0]["tokens"]["input"], 100);
    assert!(session.hook()["unpriced"].as_u64().is_some_and(|runs| runs > 0), "lost for good");
    assert_eq!(runs[2]["resume"], false);
    assert_ne!(conversation(2), conversation(0), "never the same failing id twice");
    let asked = api.requests();
    let fresh = asked.last().expect("a request");
    assert!(fresh.says("Paint the fence") && fresh.says("cut off"), "{}", fresh.prompt());
}

#[test]
fn a_conversation_that_the_api_refuses_twice_is_followed_by_a_fresh_one() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user("refuses");
    let mut started = false;
    let api = Api::start_with(move |request| {
        if !std::mem::replace(&mut started, true) {
            Reply::bash("touch ~/held; sleep 600")
        } else if request.body.to_string().contains("touch ~/held") {
            Reply::error(400)
        } else if request.ends_with_tool_result() {
            Reply::say("Done.")
        } else {
            Reply::bash(SIGNAL)
        }
    });
    user.uses_claude(&api);
    let project = user.project("shop").key("SAMOCODE_RETRY_DELAY", "0 s").create();
    let session = project.named("fails");
    session.enable(&["--task", "Paint the fence"]);
    user.wait_until("the tool runs", BOUND, || user.exists("held"));

    user.run(["kill", "-KILL", &session.worker()]).ok();
    session.wait_to_rest("blocked", "investigation");

    assert_eq!(session.reason(), "that is all", "{}", user.diagnosis());
    let ended = outcomes(&session);
    // The first refusal may have another cause, and says nothing against the conversation.
    assert_eq!(ended[0], ("rejected".into(), true, true), "{ended:?}");
    assert_eq!(ended[1], ("not_resumed".into(), true, false), "{ended:?}");
    let [first, second, third, fourth] = &session.conversations()[..] else {
        panic!("{:?}", session.conversations())
    };
    assert_eq!([(&second.0, second.1), (&third.0, third.1)], [(&first.0, true); 2]);
    assert!(fourth.0 != first.0 && !fourth.1, "a fresh one");
}

#[test]
fn the_reason_for_a_missing_signal_names_denied_calls_mode_and_last_words() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user("denied");
    let api = Api::start(Script::new().bash("printf hi").say("No command works here.").forever());
    user.uses_claude(&api);
    user.write(
        ".claude/settings.json",
        r#"{"hooks":{"PreToolUse":[{"matcher":"*","hooks":[
            {"type":"command","command":"echo no tools on Sundays >&2; exit 2"}]}]}}"#,
    );
    let project = user
        .project("shop")
        .key("SAMOCODE_MAX_RETRIES", "1")
        .key("SAMOCODE_RETRY_DELAY", "0 s")
        .create();

    let session = run_to_its_block(&project);

    let why = project.samocode(["why", "fails"]).ok();
    for reason in [&session.reason(), &why.stdout] {
        for word in
            ["_signal.json is missing", "denied", "permission mode: bypass", "No command works"]
        {
            assert!(reason.contains(word), "{word}: {reason}");
        }
    }
    let detail = session.journal("run_ended")[0]["detail"].to_string();
    assert!(detail.contains("1 call was denied, such as: running printf hi ("), "{detail}");
    assert!(detail.contains("no tools on Sundays"), "{detail}");
    let logs = project.samocode(["logs", "fails"]).ok();
    assert!(logs.stdout.contains("✗ denied: running printf hi: "), "{logs}");
}

#[test]
fn an_agents_program_that_is_replaced_between_two_runs_does_not_block() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("replaced");
    let agent = user.shell_agent(&format!(
        r#"if [ -e ~/away ]; then {SIGNAL}; exit; fi
           mv ~/agent ~/away
           echo '{{"status":"continue","phase":"requirements","summary":"ok"}}' >"$SAMOCODE_SESSION_DIR/_signal.json""#
    ));
    let project = user.project("shop").key("SAMOCODE_AGENT", &agent).create();
    let session = project.named("fails");
    session.enable(&["--task", "Fail"]);
    user.wait_until("it waits for the program", BOUND, || {
        user.unit_property(&session.unit(), "StatusText").contains("waiting a minute for the agent")
    });

    user.sh("cp ~/away ~/new && chmod +x ~/new && mv ~/new ~/agent").ok();

    session.wait_to_rest("blocked", "requirements");
    assert_eq!(session.reason(), "that is all", "{}", user.diagnosis());
}
