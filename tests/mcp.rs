//! `samocode mcp` with clients that are not ours: the MCP Inspector, and the real CLI as a parent.

use serde_json::{Value, json};

use crate::lab::api::Request;
use crate::lab::{self, Api, LabUser, Project, Reply, secs};

/// The Inspector's command line, fetched by `tests/run.sh`.
const INSPECTOR: &str =
    "/repo/tests/.cache/inspector/node_modules/@modelcontextprotocol/inspector-cli/build/cli.js";

/// One session of the Inspector with a server of its own: a method, and its arguments.
fn inspect(user: &LabUser, project: &Project<'_>, method: &[&str]) -> Value {
    let command = user.run(["node", INSPECTOR, "--cli", "samocode", "mcp", "--method"]);
    let command = method.iter().fold(command, |command, word| command.arg(*word));
    let out = command.cwd(&project.dir).within(secs(90)).ok();
    // It says on the same stream that it is old.
    let start = out.stdout.find('{').unwrap_or_else(|| panic!("{out}"));
    serde_json::from_str(&out.stdout[start..]).unwrap_or_else(|error| panic!("{error}: {out}"))
}

fn tool(user: &LabUser, project: &Project<'_>, name: &str, arguments: &[&str]) -> Value {
    let mut words = vec!["tools/call", "--tool-name", name];
    arguments.iter().for_each(|argument| words.extend(["--tool-arg", argument]));
    inspect(user, project, &words)
}

fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{result}"))
}

#[test]
fn the_inspector_takes_a_session_to_done_and_reads_its_documents() {
    let Some(lab) = lab::get() else { return };
    if !lab.host_path(INSPECTOR).exists() {
        return lab::skipped("the MCP Inspector is not in tests/.cache, ./tests/run.sh fetches it");
    }
    let user = lab.user("inspects");
    let project = user.project("shop").create();
    let call = |name: &str, arguments: &[&str]| tool(&user, &project, name, arguments);
    let wait = |state: &str| {
        for _ in 0..5 {
            let waited = call("session_wait", &["sessions=[\"jwt\"]"]);
            let reached = &waited["structuredContent"]["reached"];
            if !reached.is_null() {
                assert_eq!(reached["state"], state, "{waited}\n{}", user.diagnosis());
                return waited;
            }
        }
        panic!("nothing happened: {}", user.diagnosis());
    };

    let listed = inspect(&user, &project, &["tools/list"]);
    assert_eq!(listed["tools"].as_array().unwrap().len(), 18, "{listed}");
    let wrong = call("session_answer", &["session=jwt"]);
    assert_eq!(wrong["isError"], true);
    assert!(text(&wrong).contains("hint: pass `answers`"), "{wrong}");
    let unknown = call("session_status", &["session=jwt"]);
    assert!(text(&unknown).contains("hint: ") && unknown["isError"] == true, "{unknown}");

    call("session_enable", &["session=jwt", "task=JWT login", "agent=rehearsal", "budget_usd=2"]);
    let asked = wait("waiting");
    assert_eq!(asked["structuredContent"]["reached"]["needs"]["for"], "qa_answers", "{asked}");
    let early = call("session_approve", &["session=search"]);
    assert_eq!(early["isError"], true, "{early}");
    let questions = call("session_read", &["session=jwt"]);
    assert!(text(&questions).contains("Q1"), "{questions}");
    let answers = "answers={\"Q1\": \"A\", \"Q2\": \"only those who are named\"}";
    let answered = call("session_answer", &["session=jwt", answers]);
    assert_eq!(answered["structuredContent"]["open"], json!([]), "{answered}");

    let planned = wait("waiting");
    assert_eq!(planned["structuredContent"]["reached"]["needs"]["for"], "plan_approval");
    let plan = ["resources/read", "--uri", "samocode://session/jwt/plan"];
    assert!(inspect(&user, &project, &plan)["contents"][0]["text"].is_string());
    call("session_approve", &["session=jwt", "message=Good."]);

    wait("done");
    let summary = ["resources/read", "--uri", "samocode://session/jwt/summary"];
    assert!(inspect(&user, &project, &summary)["contents"][0]["text"].is_string());
    let why = call("session_why", &["session=jwt"]);
    assert!(text(&why).contains("through an agent"), "who opened the gates: {why}");
    let logs = call("session_logs", &["session=jwt", "lines=30"]);
    assert_eq!(logs["structuredContent"]["lines"].as_array().unwrap().len(), 30, "{logs}");

    // Without a manager every call still answers.
    user.stop_manager();
    let refused = call("session_start", &["session=jwt"]);
    assert_eq!(refused["isError"], true, "{refused}");
    assert!(
        text(&refused).contains("hint: ") || text(&refused).contains("samocode run"),
        "{refused}"
    );
    let status = call("session_status", &["session=jwt"]);
    assert_eq!(status["structuredContent"]["view"]["state"], "done", "{status}");
}

#[test]
fn inside_a_run_there_are_only_the_tools_that_look_and_write() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user_without_manager("in-a-run");
    let project = user.project("shop").create();
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}});
    let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let list = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"});
    let out = user
        .samocode(["mcp"])
        .env("SAMOCODE_RUN", "r1")
        .env("SAMOCODE_SESSION", "jwt")
        .cwd(&project.dir)
        .stdin(format!("{hello}\n{ready}\n{list}\n"))
        .ok();
    let listed = out
        .stdout
        .lines()
        .find(|line| line.contains("\"id\":2"))
        .unwrap_or_else(|| panic!("{out}"));
    let listed: Value = serde_json::from_str(listed).unwrap();
    let tools = listed["result"]["tools"].as_array().unwrap().iter();
    let names: Vec<&str> = tools.map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["session_status", "session_wait", "session_send"]);

    let out = user.samocode(["mcp"]).on_a_terminal().output();
    assert_eq!(out.code, 2, "{out}");
    assert!(out.stdout.contains("claude mcp add samocode"), "{out}");
}

/// What a parent would do, by what it was told last.
fn parent(request: &Request) -> Reply {
    let call = |name: &str, input: Value| {
        Reply::tool(&format!("mcp__plugin_samocode_samocode__session_{name}"), input)
    };
    let Some(last) = request.tool_results().pop() else {
        let input = json!({"session": "jwt", "task": "JWT login", "agent": "rehearsal"});
        return call("enable", input);
    };
    let wait = |cursor: &str| call("wait", json!({"sessions": ["jwt"], "cursor": cursor}));
    let told: Value = serde_json::from_str(&last).unwrap_or(Value::Null);
    let Some(reached) = told.get("reached") else {
        if told["topic"] == "summary" {
            return Reply::say(format!("Done. {}", told["text"]));
        }
        return wait("");
    };
    match (reached["state"].as_str(), reached["needs"]["for"].as_str()) {
        (None, _) => wait(told["cursor"].as_str().unwrap_or_default()),
        (_, Some("qa_answers")) => {
            call("answer", json!({"session": "jwt", "accept_suggestions": true}))
        }
        (_, Some("plan_approval")) => call("approve", json!({"session": "jwt"})),
        (Some("done"), _) => call("read", json!({"session": "jwt", "document": "summary"})),
        _ => Reply::say(format!("lost: {told}")),
    }
}

#[test]
fn a_parent_with_the_plugin_takes_a_session_to_done_by_the_tools() {
    let Some(lab) = lab::with_claude() else { return };
    let user = lab.user("parent");
    let project = user.project("shop").create();
    let api = Api::start_with(parent);
    user.run(["claude", "plugin", "marketplace", "add", "/repo"]).within(secs(60)).ok();
    user.run(["claude", "plugin", "install", "samocode@samocode"]).within(secs(60)).ok();

    let command = user
        .run([
            "claude",
            "-p",
            "run samocode on this: JWT login. Take every suggestion and approve the plan.",
        ])
        .arg("--dangerously-skip-permissions")
        .cwd(&project.dir)
        .within(secs(240));
    let command = api.environment().iter().fold(command, |c, (name, value)| c.env(name, value));
    let out = command.output();

    let results = || api.requests().last().map(Request::tool_results).unwrap_or_default();
    assert!(out.stdout.starts_with("Done. "), "{out}\n{:#?}", results());
    assert_eq!(project.status("jwt", "Phase").as_deref(), Some("done"));
    let first = &api.requests()[0];
    assert!(first.says("gates are the human's"), "the server's instructions: {}", first.system());
}
