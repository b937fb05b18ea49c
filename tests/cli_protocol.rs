//! What samocode relies on in the real `claude` CLI, asserted against the
//! pinned version: when an update changes one of these, this says which.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use samocode::agent::remedy::Remedy;
use serde_json::{Value, json};

use crate::lab::{self, Api, LabCommand, LabUser, Outcome, Reply, Script, secs};

const SESSION: &str = "7d0c7b64-9f0e-4a53-8d6e-0c4f3a1b2c3d";

/// The command line that samocode uses, one retry instead of ten.
fn claude(user: &LabUser, api: &Api, prompt: &str) -> LabCommand {
    let command = user
        .run(["claude", "-p", prompt, "--output-format", "stream-json", "--verbose"])
        .arg("--model")
        .arg("opus")
        .arg("--dangerously-skip-permissions");
    let command = api.environment().iter().fold(command, |c, (name, value)| c.env(name, value));
    command.env("CLAUDE_CODE_MAX_RETRIES", "1")
}

fn with(command: LabCommand, args: &[&str]) -> LabCommand {
    args.iter().fold(command, |command, arg| command.arg(*arg))
}

fn events(out: &Outcome) -> Vec<Value> {
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    out.stdout.lines().map(parse).collect()
}

fn of_kind<'e>(events: &'e [Value], kind: &str) -> Vec<&'e Value> {
    events.iter().filter(|e| e["type"] == kind || e["subtype"] == kind).collect()
}

#[track_caller]
fn result(out: &Outcome) -> Value {
    let events = events(out);
    let result = of_kind(&events, "result").pop();
    result.unwrap_or_else(|| panic!("no result: {out}")).clone()
}

#[test]
fn claude_runs_tools_as_the_user_and_reports_the_result() {
    let Some(lab) = lab::with_claude() else {
        return;
    };
    let user = lab.user_without_manager("claude");
    let api = Api::start(
        Script::new()
            .bash("echo made by $(id -un) >made; echo out of bash")
            .write(&user.home.join("written").to_string_lossy(), "by the Write tool\n")
            .reply(Reply::say("All is done.").tokens(1000, 500)),
    );

    let command = claude(&user, &api, "Start");
    let out = with(
        command,
        &["--max-turns", "300", "--session-id", SESSION, "--append-system-prompt", "Be a lamp."],
    )
    .ok();

    assert_eq!(user.read("made"), format!("made by {}\n", user.name));
    assert_eq!(user.read("written"), "by the Write tool\n");
    let events = events(&out);
    assert_eq!(events[0]["subtype"], "init", "{out}");
    assert_eq!(events[0]["session_id"], SESSION);
    let tools: Vec<&Value> = of_kind(&events, "assistant")
        .into_iter()
        .flat_map(|e| e["message"]["content"].as_array().unwrap())
        .filter(|block| block["type"] == "tool_use")
        .map(|block| &block["name"])
        .collect();
    assert_eq!(tools, ["Bash", "Write"]);
    let result = result(&out);
    assert_eq!(result["subtype"], "success");
    assert_eq!(result["is_error"], false);
    assert_eq!(result["num_turns"], 3);
    assert_eq!(result["result"], "All is done.");
    assert_eq!(result["session_id"], SESSION);
    assert_eq!(result["api_error_status"], Value::Null);
    assert_eq!(result["usage"]["input_tokens"], 1200);
    assert_eq!(result["usage"]["output_tokens"], 540);
    assert!(result["total_cost_usd"].as_f64().unwrap() > 0.0);

    let requests = api.requests();
    assert_eq!(requests.len(), 3);
    assert!(requests[0].system().contains("Be a lamp."));
    assert!(requests[0].prompt().contains("Start"));
    assert!(requests[1].tool_results()[0].contains("out of bash"));
    assert_eq!(requests[0].header("x-api-key"), Some("sk-ant-lab"));
}

#[test]
fn claude_resumes_a_killed_conversation_by_its_id() {
    let Some(lab) = lab::with_claude() else {
        return;
    };
    let user = lab.user_without_manager("resumes");
    let api = Api::start(Script::new().bash("touch started; sleep 600").say("Resumed."));

    let command = with(claude(&user, &api, "Paint the fence"), &["--session-id", SESSION]);
    let mut first = command.spawn();
    user.wait_until("the tool runs", secs(20), || user.exists("started"));
    first.signal(Signal::KILL);
    assert_eq!(first.wait(secs(60)).code, 128 + 9);
    let again = with(claude(&user, &api, "Continue"), &["--resume", SESSION]).ok();

    let result = result(&again);
    assert_eq!(result["result"], "Resumed.");
    assert_eq!(result["session_id"], SESSION);
    let last = api.requests().pop().unwrap();
    assert!(last.says("Paint the fence") && last.says("Continue"), "{:?}", last.body);
}

#[test]
fn claude_adds_up_cost_over_resumes_and_reports_usage_per_run() {
    let Some(lab) = lab::with_claude() else {
        return;
    };
    let user = lab.user_without_manager("costs");
    let api = Api::start(Script::new().reply(Reply::say("Yes.").tokens(1000, 500)).forever());

    let first = with(claude(&user, &api, "One"), &["--session-id", SESSION]).ok();
    let second = with(claude(&user, &api, "Two"), &["--resume", SESSION]).ok();

    let cost = |out: &Outcome| result(out)["total_cost_usd"].as_f64().unwrap();
    assert!((cost(&second) - 2.0 * cost(&first)).abs() < 1e-9, "{first}\n{second}");
    assert_eq!(result(&second)["usage"]["output_tokens"], 500);
}

#[test]
fn claude_refuses_a_used_or_unknown_session_id_on_stderr_only() {
    let Some(lab) = lab::with_claude() else {
        return;
    };
    let user = lab.user_without_manager("ids");
    let api = Api::start(Script::new().say("Yes.").forever());
    with(claude(&user, &api, "One"), &["--session-id", SESSION]).ok();

    let reused = with(claude(&user, &api, "Two"), &["--session-id", SESSION]).output();
    let unknown = "00000000-0000-4000-8000-000000000000";
    let missing = with(claude(&user, &api, "Two"), &["--resume", unknown]).output();

    assert_eq!((reused.code, reused.stdout.as_str()), (1, ""), "{reused}");
    assert!(reused.stderr.contains("already in use"), "{reused}");
    assert_eq!(missing.code, 1, "{missing}");
    assert!(missing.stderr.contains(unknown), "{missing}");
    assert_eq!(api.requests().len(), 1);
}

#[test]
fn claude_reports_an_api_failure_by_is_error_and_its_status() {
    let Some(lab) = lab::with_claude() else {
        return;
    };
    let user = lab.user_without_manager("fails");
    for (status, retries) in [(400, 0), (401, 1), (429, 1), (500, 1), (529, 1)] {
        let api = Api::start(Script::new().reply(Reply::error(status)).forever());

        let out = claude(&user, &api, "Start").output();

        assert_eq!(out.code, 1, "{out}");
        let events = events(&out);
        assert_eq!(of_kind(&events, "api_retry").len(), retries, "{out}");
        let result = result(&out);
        assert_eq!(result["subtype"], "success", "{out}");
        assert_eq!(result["is_error"], true, "{out}");
        assert_eq!(result["api_error_status"], status, "{out}");
    }
}

#[test]
fn claude_recovers_from_a_transient_failure() {
    let Some(lab) = lab::with_claude() else {
        return;
    };
    let user = lab.user_without_manager("passes");
    let api = Api::start(Script::new().reply(Reply::error(529)).say("Back again."));

    let out = claude(&user, &api, "Start").ok();

    assert_eq!(result(&out)["is_error"], false);
    let events = events(&out);
    let retry = of_kind(&events, "api_retry")[0];
    assert_eq!((&retry["attempt"], &retry["error_status"]), (&json!(1), &json!(529)), "{out}");
    assert!(retry["retry_delay_ms"].is_number(), "{out}");
}

#[test]
fn claude_does_not_wait_out_a_long_retry_after() {
    let Some(lab) = lab::with_claude() else {
        return;
    };
    let user = lab.user_without_manager("waits");
    let api =
        Api::start(Script::new().reply(Reply::error(429).header("retry-after", "90")).forever());

    let out = claude(&user, &api, "Start").within(secs(20)).output();

    assert_eq!(out.code, 1, "{out}");
    assert!(of_kind(&events(&out), "api_retry").is_empty(), "{out}");
    assert_eq!(result(&out)["api_error_status"], 429, "{out}");
}

#[test]
fn claude_reports_when_a_subscriptions_usage_limit_ends() {
    let Some(lab) = lab::with_claude() else {
        return;
    };
    let user = lab.user_without_manager("limited");
    let resets_at = 4_000_000_000;
    let script = Script::new().reply(Reply::usage_limit(resets_at)).forever();
    let api = Api::start(script).for_a_subscription();

    let out = claude(&user, &api, "Start").output();

    assert_eq!(out.code, 1, "{out}");
    let events = events(&out);
    let info = &of_kind(&events, "rate_limit_event")[0]["rate_limit_info"];
    assert_eq!(info["status"], "rejected", "{out}");
    assert_eq!(info["resetsAt"], resets_at, "{out}");
    assert_eq!(info["rateLimitType"], "five_hour", "{out}");
    assert_eq!(result(&out)["is_error"], true, "{out}");
    assert_eq!(api.requests().len(), 1);
}

#[test]
fn claude_ends_on_sigterm_without_a_result() {
    let Some(lab) = lab::with_claude() else {
        return;
    };
    let user = lab.user_without_manager("ends");
    let api = Api::start(Script::new().reply(Reply::silent()));

    let mut running = claude(&user, &api, "Start").spawn();
    user.wait_until("the model is asked", secs(20), || api.requests().len() == 1);
    running.signal(Signal::TERM);

    let out = running.wait(secs(10));
    assert_eq!(out.code, 143, "{out}");
    assert!(of_kind(&events(&out), "result").is_empty(), "{out}");
}

#[test]
fn claude_receives_a_message_sent_while_a_tool_runs() {
    let Some(lab) = lab::with_claude() else {
        return;
    };
    let user = lab.user_without_manager("hears");
    let script = Script::new()
        .bash("touch started; until [ -e sent ]; do sleep 0.05; done")
        .say("Heard.")
        .forever();
    let api = Api::start(script);
    let say = |text: &str| {
        format!("{}\n", json!({"type": "user", "message": {"role": "user", "content": text}}))
    };

    let command = with(claude(&user, &api, "ignored"), &["--input-format", "stream-json"]);
    let mut running = command.stdin_open().spawn();
    running.send(&say("Start"));
    user.wait_until("the tool runs", secs(20), || user.exists("started"));
    running.send(&say("Paint it green"));
    user.write("sent", "");
    running.wait_for_stdout("Heard.", secs(20));
    running.close_stdin();

    let out = running.wait(secs(20));
    assert_eq!(out.code, 0, "{out}");
    let requests = api.requests();
    assert!(!requests[0].says("Paint it green"));
    assert!(requests[1].says("Paint it green"), "{:?}", requests[1].body["messages"]);
}

#[test]
fn claude_refuses_to_work_as_root() {
    let Some(lab) = lab::with_claude() else {
        return;
    };
    let out = lab.root(["claude", "-p", "Start", "--dangerously-skip-permissions"]).output();

    assert_eq!((out.code, out.stdout.as_str()), (1, ""), "{out}");
    assert!(out.stderr.contains("root"), "{out}");
}

/// The native program of the pinned version.
fn program() -> PathBuf {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/.cache/claude/node_modules/@anthropic-ai");
    let found = std::fs::read_dir(&packages).into_iter().flatten().flatten();
    let programs = found.map(|entry| entry.path().join("claude"));
    let programs = programs.filter(|path| path.metadata().is_ok_and(|meta| meta.len() > 1 << 20));
    programs.last().unwrap_or_else(|| panic!("no program in {}", packages.display()))
}

/// The lists of words in a part of the program that have this word.
fn lists(part: &[u8], word: &str) -> Vec<Vec<String>> {
    let quoted = format!("{word:?}");
    let places = memchr::memmem::find_iter(part, quoted.as_bytes());
    let list = |place: usize| {
        let begin = memchr::memrchr(b'[', &part[..place])?;
        let end = place + memchr::memchr(b']', &part[place..])?;
        serde_json::from_slice::<Vec<String>>(&part[begin..=end]).ok()
    };
    places.filter_map(list).collect()
}

/// An error that samocode does not know is judged by its HTTP status alone, and a failed start has none.
#[test]
fn every_kind_of_error_in_the_schema_of_claude_has_a_remedy() {
    const STEP: usize = 16 << 20;
    const LONGEST: usize = 64 << 10;
    if lab::with_claude().is_none() {
        return;
    }
    let mut file = File::open(program()).expect("the program");
    // A word of each of the schema's three lists: of responses, coarser ones, of failed starts.
    let words = ["stream_idle_timeout", "verification_required", "temp_dir_unusable"];
    let (mut part, mut found) = (Vec::new(), words.map(|_| 0));
    loop {
        let kept = part.len().saturating_sub(LONGEST);
        part.drain(..kept);
        if (&mut file).take(STEP as u64).read_to_end(&mut part).expect("read") == 0 {
            break;
        }
        for (word, found) in words.iter().zip(&mut found) {
            for list in lists(&part, word).into_iter().filter(|list| list.len() > 9) {
                let unknown: Vec<_> =
                    list.iter().filter(|kind| Remedy::of_name(kind).is_none()).collect();
                // It says so itself.
                let unknown: Vec<_> =
                    unknown.into_iter().filter(|kind| *kind != "unknown").collect();
                assert!(unknown.is_empty(), "without a remedy: {unknown:?}");
                *found += 1;
            }
        }
    }
    assert!(found.iter().all(|count| *count > 0), "the lists are elsewhere now: {found:?}");
}
