//! The server as a client sees it: lines of JSON in, lines of JSON out.

use std::path::Path;

use rmcp::ServiceExt as _;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, ReadHalf};
use tokio::io::{Lines, WriteHalf};

use super::*;
use crate::config::Env;
use crate::control::origin::Origin;
use crate::control::{Caller, Local};
use crate::service::Scope;
use crate::session::store::Folder;

struct Client {
    sends: WriteHalf<DuplexStream>,
    receives: Lines<BufReader<ReadHalf<DuplexStream>>>,
    last: u64,
}

impl Client {
    async fn of(root: &Path, audience: Audience) -> Self {
        for folder in ["repo", "worktrees", "sessions"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        let text = "MAIN_REPO=repo\nWORKTREES=worktrees\nSESSIONS=sessions\n";
        std::fs::write(root.join(".samocode"), text).unwrap();
        let caller = Caller {
            env: Env::from_iter([("HOME", root), ("XDG_RUNTIME_DIR", root)]),
            cwd: root.to_owned(),
            config: None,
            scope: Scope::User,
            origin: Origin::Outside("a test".to_owned()),
            binary: "/nowhere/samocode".into(),
        };
        let server = Server::new(Arc::new(Local::new(caller)), audience);
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        tokio::spawn(async move {
            let running = server.serve(theirs).await.unwrap();
            running.waiting().await.unwrap();
        });
        let (receives, sends) = tokio::io::split(ours);
        let mut client = Self { sends, receives: BufReader::new(receives).lines(), last: 0 };
        let info = json!({"name": "test", "version": "1"});
        let hello =
            json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": info});
        let welcome = client.request("initialize", hello).await;
        assert_eq!(welcome["result"]["serverInfo"]["name"], "samocode", "{welcome}");
        client.line(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await;
        client
    }

    async fn line(&mut self, line: &str) {
        self.sends.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    async fn request(&mut self, method: &str, params: Value) -> Value {
        self.last += 1;
        let id = self.last;
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.line(&request.to_string()).await;
        loop {
            let line = tokio::time::timeout(
                tokio::time::Duration::from_secs(60),
                self.receives.next_line(),
            );
            let reply: Value =
                serde_json::from_str(&line.await.unwrap().unwrap().unwrap()).unwrap();
            if reply["id"] == id {
                return reply;
            }
        }
    }

    async fn tool(&mut self, name: &str, arguments: Value) -> Value {
        let params = json!({"name": name, "arguments": arguments});
        let reply = self.request("tools/call", params).await;
        assert!(reply["result"].is_object(), "{reply}");
        reply["result"].clone()
    }

    /// The text of a call that must fail.
    async fn error(&mut self, name: &str, arguments: Value) -> String {
        let result = self.tool(name, arguments).await;
        assert_eq!(result["isError"], true, "{result}");
        result["content"][0]["text"].as_str().unwrap().to_owned()
    }

    async fn names(&mut self) -> Vec<String> {
        let listed = self.request("tools/list", json!({})).await;
        let tools = listed["result"]["tools"].as_array().unwrap().clone();
        tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
    }
}

fn session(root: &Path, status: &str) {
    let folder = root.join("sessions/26-11-20-jwt");
    std::fs::create_dir_all(&folder).unwrap();
    let text = format!("# Session: jwt\n## Status\n{status}");
    std::fs::write(Folder::new(&folder).overview(), text).unwrap();
    std::fs::write(folder.join("11-20-18:31-plan-jwt.md"), "# The plan\n").unwrap();
}

const WAITING: &str = "Phase: planning\nIteration: 2\nBlocked: waiting_human\n";

#[tokio::test]
async fn each_tool_says_what_it_takes_what_it_does_and_whose_the_gates_are() {
    let root = tempfile::tempdir().unwrap();
    let mut client = Client::of(root.path(), Audience::Parent).await;
    let listed = client.request("tools/list", json!({})).await;
    let tools = listed["result"]["tools"].as_array().unwrap();
    for tool in tools {
        let name = tool["name"].as_str().unwrap();
        assert!(tool["inputSchema"]["properties"].is_object(), "{tool}");
        assert_eq!(tool["inputSchema"]["additionalProperties"], false, "{tool}");
        let looks = ["status", "wait", "read", "logs", "why"];
        let looks = looks.iter().any(|end| name.ends_with(end));
        assert_eq!(tool["annotations"]["readOnlyHint"], looks, "{tool}");
        let undoes = ["session_stop", "session_reject", "convoy_stop", "convoy_remove", "merge"];
        let undoes = undoes.contains(&name);
        assert_eq!(tool["annotations"]["destructiveHint"] == true, undoes, "{tool}");
        let is_gate = ["session_answer", "session_approve", "session_reject"].contains(&name);
        let says_so = tool["description"].as_str().unwrap().contains("gate is the human's");
        assert_eq!(says_so, is_gate, "{tool}");
        for (argument, schema) in tool["inputSchema"]["properties"].as_object().unwrap() {
            let described = schema["description"].is_string() || schema["$ref"].is_string();
            assert!(described, "{name}: {argument}: {schema}");
        }
    }
}

#[tokio::test]
async fn what_does_not_fit_is_an_error_of_the_tool_with_a_hint_and_the_server_stays_up() {
    let root = tempfile::tempdir().unwrap();
    let mut client = Client::of(root.path(), Audience::Parent).await;
    let cases = [
        ("session_status", json!({"session": "search"}), "no session", "samocode enable"),
        ("session_wait", json!({"sessions": []}), "no session is named", ""),
        ("session_wait", json!({"sessions": "jwt"}), "expected a sequence", "sessions (required)"),
        ("session_wait", json!({"sessions": ["jwt"], "until": ["ready"]}), "ready", "until"),
        ("session_answer", json!({}), "missing field `session`", "answers, session (required)"),
        ("session_approve", json!({"name": "jwt"}), "unknown field `name`", "session (required)"),
        ("session_send", json!({"session": "jwt", "kind": "stop"}), "stop", "kind"),
        ("session_enable", json!({"session": "../x", "task": "t"}), "../x", ""),
        ("session_aprove", json!({"session": "jwt"}), "no tool", "did you mean session_approve?"),
        ("session_enable", json!({"session": "a", "delegate": "all"}), "all", "delegate"),
        ("convoy_create", json!({"convoy": "c", "sessions": []}), "no sessions", ""),
        ("convoy_create", json!({"sessions": []}), "missing field `convoy`", "convoy (required)"),
        ("convoy_create", json!({"convoy": "c", "sessions": ["a"]}), "expected struct", "sessions"),
        ("convoy_status", json!({"convoy": "c"}), "no convoy", "samocode convoy create c"),
        ("convoy_start", json!({"convoy": "../c"}), "../c", ""),
        ("convoy_stop", json!({"id": "c"}), "unknown field `id`", "convoy (required), now"),
        ("convoy_remove", json!({}), "missing field", "convoy (required)"),
    ];
    for (tool, arguments, message, hint) in cases {
        let text = client.error(tool, arguments).await;
        assert!(text.contains(message) && text.contains(hint), "{tool}: {text}");
    }
    client.line("this is not JSON").await;
    client.line(r#"{"jsonrpc":"2.0","id":7000,"method":"no/such"}"#).await;
    assert_eq!(client.names().await, PARENTS);
}

#[tokio::test]
async fn convoys_are_planned_looked_at_and_removed() {
    let root = tempfile::tempdir().unwrap();
    session(root.path(), "Phase: implementation\nIteration: 2\nBlocked: no\n");
    let mut client = Client::of(root.path(), Audience::Parent).await;
    let planned = json!({"convoy": "login", "sessions": [{"session": "jwt"}], "budget_usd": 20.5});
    let made = client.tool("convoy_create", planned).await;
    assert_eq!(made["structuredContent"]["members"][0]["session"], "jwt", "{made}");
    assert_eq!(made["structuredContent"]["budget"], 20.5, "{made}");
    let wrong = [
        (json!([{"session": "jwt", "after": ["api"]}]), "after 'api'"),
        (json!([{"session": "jwt", "task": "other"}]), "has another task"),
        (json!([{"session": "jwt"}, {"session": "page"}]), "there is no session 'page'"),
        (json!([{"session": "jwt"}, {"session": "jwt"}]), "named twice"),
    ];
    for (sessions, message) in wrong {
        let text = json!({"convoy": "login", "sessions": sessions});
        let text = client.error("convoy_create", text).await;
        assert!(text.contains(message), "{message}: {text}");
    }
    let one = client.tool("convoy_status", json!({"convoy": "login"})).await;
    assert_eq!(one["structuredContent"]["complete"], false, "{one}");
    let all = client.tool("convoy_status", json!({})).await;
    assert_eq!(all["structuredContent"]["convoys"][0]["id"], "login", "{all}");
    let near = client.error("convoy_status", json!({"convoy": "logn"})).await;
    assert!(near.contains("did you mean 'login'?"), "{near}");
    client.tool("convoy_remove", json!({"convoy": "login"})).await;
    let none = client.tool("convoy_status", json!({})).await;
    assert_eq!(none["structuredContent"]["convoys"], json!([]), "{none}");
}

#[tokio::test]
async fn a_coordinator_acts_on_sessions_and_convoys_are_its_humans() {
    let root = tempfile::tempdir().unwrap();
    session(root.path(), WAITING);
    let mut client = Client::of(root.path(), Audience::Coordinator).await;
    let names = client.names().await;
    let sessions = PARENTS.iter().filter(|name| !name.starts_with("convoy_"));
    assert_eq!(names, sessions.copied().collect::<Vec<_>>());
    let uri = json!({"uri": "samocode://session/jwt/plan"});
    assert!(client.request("resources/read", uri).await["result"].is_object());
    for convoy in PARENTS.iter().filter(|name| name.starts_with("convoy_")) {
        let text = client.error(convoy, json!({"convoy": "login"})).await;
        assert!(text.contains("in a run"), "{text}");
    }
}

/// The tools of a run.
const RUNS: [&str; 3] = ["session_status", "session_wait", "session_send"];

/// The tools of a parent, in order.
const PARENTS: [&str; 18] = [
    "session_enable",
    "session_status",
    "session_wait",
    "session_read",
    "session_answer",
    "session_approve",
    "session_reject",
    "session_send",
    "session_stop",
    "session_start",
    "convoy_create",
    "convoy_status",
    "convoy_start",
    "convoy_stop",
    "convoy_remove",
    "merge",
    "session_logs",
    "session_why",
];

#[tokio::test]
async fn a_run_may_look_and_write_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    session(root.path(), WAITING);
    let mut client = Client::of(root.path(), Audience::Run).await;
    assert_eq!(client.names().await, RUNS);
    for tool in PARENTS.iter().filter(|name| !RUNS.contains(name)) {
        let text = client.error(tool, json!({"session": "jwt"})).await;
        assert!(text.contains("in a run") && text.contains("waiting"), "{text}");
    }
    let uri = json!({"uri": "samocode://session/jwt/plan"});
    assert!(client.request("resources/read", uri).await["error"].is_object());
}

#[tokio::test]
async fn a_wait_reports_a_state_once_and_says_what_to_do() {
    let root = tempfile::tempdir().unwrap();
    session(root.path(), WAITING);
    let mut client = Client::of(root.path(), Audience::Parent).await;
    let reached = client.tool("session_wait", json!({"sessions": ["jwt"]})).await;
    let reached = &reached["structuredContent"];
    assert_eq!(reached["reached"]["state"], "waiting", "{reached}");
    assert!(reached["then"].as_str().unwrap().contains("let them decide"), "{reached}");

    let again = json!({"sessions": ["jwt"], "cursor": reached["cursor"], "timeout_s": 1});
    let again = client.tool("session_wait", again).await;
    let again = &again["structuredContent"];
    assert_eq!(again["reached"], Value::Null, "{again}");
    assert_eq!(again["cursor"], reached["cursor"]);
    assert_eq!(again["standing"], json!(["jwt is waiting"]));

    session(root.path(), "Phase: done\nIteration: 1\nBlocked: no\n");
    let done = json!({"sessions": ["jwt"], "cursor": reached["cursor"]});
    let done = client.tool("session_wait", done).await;
    assert_eq!(done["structuredContent"]["reached"]["state"], "done", "{done}");
}

#[tokio::test]
async fn documents_are_resources_and_a_missing_one_is_said() {
    let root = tempfile::tempdir().unwrap();
    session(root.path(), WAITING);
    let mut client = Client::of(root.path(), Audience::Parent).await;
    let listed = client.request("resources/list", json!({})).await;
    let all = listed["result"]["resources"].as_array().unwrap();
    assert!(all.iter().any(|one| one["uri"] == "samocode://session/jwt/overview"), "{listed}");
    let templates = client.request("resources/templates/list", json!({})).await;
    assert_eq!(templates["result"]["resourceTemplates"].as_array().unwrap().len(), 4);

    let plan = json!({"uri": "samocode://session/jwt/plan"});
    let plan = client.request("resources/read", plan).await;
    assert_eq!(plan["result"]["contents"][0]["text"], "# The plan\n");
    assert_eq!(plan["result"]["contents"][0]["mimeType"], "text/markdown");
    let overview = client.tool("session_read", json!({"session": "jwt", "document": "overview"}));
    let overview = overview.await["structuredContent"]["text"].as_str().unwrap().to_owned();
    assert!(overview.starts_with("# Session: jwt"), "{overview}");

    for missing in ["jwt/summary", "search/plan", "jwt/secrets"] {
        let uri = format!("samocode://session/{missing}");
        let reply = client.request("resources/read", json!({ "uri": uri })).await;
        assert!(reply["error"]["message"].is_string(), "{reply}");
    }
}
