use super::*;
use serde_json::json;

/// A peer that says these lines; what it gets in reply, and the events.
struct Talk {
    dialogue: Dialogue,
    events: Vec<Event>,
    sent: Vec<Value>,
}

impl Talk {
    fn new(resumes: &str) -> Self {
        let task = Task {
            prompt: "Work.".into(),
            system_prompt: "Rules.".into(),
            conversation: resumes.into(),
            resume: !resumes.is_empty(),
            ..Task::default()
        };
        let dialogue = Dialogue::new(Path::new("/w"), &task);
        Self { dialogue, events: Vec::new(), sent: Vec::new() }
    }

    fn hears(&mut self, line: &Value) -> &mut Self {
        self.hears_text(&line.to_string())
    }

    fn hears_text(&mut self, line: &str) -> &mut Self {
        self.dialogue.line(line.as_bytes(), &mut |event| self.events.push(event));
        let replies = self.dialogue.take_replies();
        let lines = std::str::from_utf8(&replies).unwrap().lines();
        self.sent.extend(lines.map(|line| serde_json::from_str::<Value>(line).unwrap()));
        self
    }

    fn begun(resumes: &str, loads: bool) -> Self {
        let mut talk = Self::new(resumes);
        let capabilities = json!({"loadSession": loads});
        talk.hears(
            &json!({"id": 1, "result": {"protocolVersion": 1, "agentCapabilities": capabilities}}),
        );
        talk
    }

    fn opened() -> Self {
        let mut talk = Self::begun("", true);
        talk.hears(&json!({"id": 3, "result": {"sessionId": "s-1"}}));
        talk
    }

    fn updated(&mut self, update: &Value) -> &mut Self {
        let params = json!({"sessionId": "s-1", "update": update});
        self.hears(&json!({"method": "session/update", "params": params}))
    }

    fn finished(&self) -> &Finished {
        match self.events.last() {
            Some(Event::Finished(end)) => end,
            other => panic!("{other:?}"),
        }
    }

    fn methods(&self) -> Vec<&str> {
        self.sent.iter().filter_map(|message| message["method"].as_str()).collect()
    }
}

#[test]
fn a_new_session_gets_its_instructions_and_the_prompt() {
    let mut talk = Talk::opened();
    assert_eq!(talk.methods(), ["session/new", "session/prompt"]);
    assert_eq!(talk.sent[0]["params"]["cwd"], "/w");
    assert_eq!(talk.sent[1]["params"]["prompt"][0]["text"], "Rules.\n\nWork.");
    talk.updated(
        &json!({"sessionUpdate": "tool_call", "kind": "execute", "title": "git commit -m x"}),
    );
    talk.updated(
        &json!({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": "Do"}}),
    );
    talk.updated(
        &json!({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": "ne"}}),
    );
    let usage = json!({"inputTokens": 100, "cachedReadTokens": 40, "outputTokens": 7});
    talk.hears(&json!({"id": 4, "result": {"stopReason": "end_turn", "usage": usage}}));
    assert!(
        matches!(&talk.events[1], Event::Started { conversation, .. } if conversation == "s-1")
    );
    assert!(matches!(&talk.events[2], Event::Tool(tool) if tool.summary == "running git commit"));
    let end = talk.finished();
    assert_eq!((end.is_error, end.text.as_str()), (false, "Done"));
    assert_eq!((end.usage.input, end.usage.cache_read, end.usage.output), (60, 40, 7));
}

#[test]
fn a_session_is_loaded_its_replay_passed_over_and_one_that_is_gone_opened_again() {
    let mut talk = Talk::begun("s-0", true);
    assert_eq!(talk.methods(), ["session/load"]);
    assert_eq!(talk.sent[0]["params"]["sessionId"], "s-0");
    talk.updated(&json!({"sessionUpdate": "tool_call", "title": "of old"}));
    assert_eq!(talk.events.last(), Some(&Event::Progress), "a replay");
    talk.hears(&json!({"id": 2, "result": null}));
    assert_eq!(talk.sent[1]["params"]["prompt"][0]["text"], "Work.");
    assert_eq!(talk.sent[1]["params"]["sessionId"], "s-0");

    let mut gone = Talk::begun("s-0", true);
    gone.hears(&json!({"id": 2, "error": {"code": -32603, "message": "no such session"}}));
    gone.hears(&json!({"id": 3, "result": {"sessionId": "s-2"}}));
    assert_eq!(gone.methods(), ["session/load", "session/new", "session/prompt"]);
    assert_eq!(gone.sent[2]["params"]["prompt"][0]["text"], "Rules.\n\nWork.");
    assert_eq!(Talk::begun("s-0", false).methods(), ["session/new"], "it cannot load");
}

#[test]
fn what_may_be_allowed_is_and_unknown_methods_are_refused() {
    let mut talk = Talk::opened();
    let ask = |options: Value| {
        let call = json!({"kind": "execute", "title": "make"});
        json!({"id": "p-1", "method": "session/request_permission", "params": {"options": options, "toolCall": call}})
    };
    let once = json!({"optionId": "yes", "name": "Yes", "kind": "allow_once"});
    let no = json!({"optionId": "no", "name": "No", "kind": "reject_once"});
    talk.hears(&ask(json!([no, once])));
    assert_eq!(talk.sent[2]["id"], "p-1");
    assert_eq!(
        talk.sent[2]["result"]["outcome"],
        json!({"outcome": "selected", "optionId": "yes"})
    );
    talk.hears(&ask(json!([no])));
    assert_eq!(talk.sent[3]["result"]["outcome"]["outcome"], "cancelled");
    assert!(
        matches!(talk.events.last(), Some(Event::Denied(denied)) if denied.call == "running make")
    );
    talk.hears(&json!({"id": 9, "method": "fs/read_text_file", "params": {}}));
    assert_eq!(talk.sent[4]["error"]["code"], -32601);
    assert_eq!(talk.dialogue.unknown.describe(), "fs/read_text_file (1)");
}

#[test]
fn an_end_without_a_word_is_told_from_one_with() {
    let mut talk = Talk::opened();
    talk.hears(&json!({"id": 4, "result": {"stopReason": "end_turn"}}));
    assert!(!talk.finished().is_error);
    assert_eq!(talk.finished().text, "its turn ended without any text or tool call");
    for (stop, subtype) in
        [("max_turn_requests", "error_max_turns"), ("cancelled", "error_during_execution")]
    {
        let mut talk = Talk::opened();
        talk.hears(&json!({"id": 4, "result": {"stopReason": stop}}));
        assert_eq!((talk.finished().is_error, talk.finished().subtype.as_str()), (true, subtype));
    }
}

#[test]
fn an_error_ends_the_run_and_another_version_of_the_protocol_too() {
    use crate::agent::remedy::Remedy;
    let mut talk = Talk::opened();
    talk.hears(&json!({"id": 4, "error": {"code": 401, "message": "no"}}));
    assert_eq!(Remedy::of(talk.finished()), Some(Remedy::LogIn));
    let mut talk = Talk::new("");
    talk.hears(&json!({"id": 1, "result": {"protocolVersion": 2}}));
    assert_eq!(Remedy::of(talk.finished()), Some(Remedy::Setup));
    assert!(talk.methods().is_empty());
}

#[test]
fn odd_lines_are_signs_of_life_and_nothing_is_sent() {
    let mut talk = Talk::opened();
    let sent = talk.sent.len();
    for line in ["{", "[]", "null", "Loading…", r#"{"id":77,"result":{}}"#, r#"{"method":"x/y"}"#]
    {
        talk.hears_text(line);
        assert_eq!(talk.events.last(), Some(&Event::Progress), "{line}");
    }
    talk.updated(&json!({"sessionUpdate": "dance"})).updated(&Value::Null);
    assert_eq!(talk.sent.len(), sent);
    assert!(talk.dialogue.unknown.describe().contains("dance (1)"));
}

#[test]
fn a_call_that_is_announced_counts_once_its_input_is_known() {
    // As opencode and qwen do it; the fingerprints tell a loop from work.
    let mut talk = Talk::opened();
    let tools = |talk: &Talk| {
        let tools = talk.events.iter().filter_map(|event| match event {
            Event::Tool(tool) => Some((tool.summary.clone(), tool.fingerprint)),
            _ => None,
        });
        tools.collect::<Vec<_>>()
    };
    for (id, command) in [("t1", "make"), ("t2", "make test")] {
        talk.updated(&json!({"sessionUpdate": "tool_call", "toolCallId": id, "title": "bash",
            "kind": "execute", "status": "pending", "rawInput": {"cwd": "/w"}}));
        for status in ["in_progress", "in_progress", "completed"] {
            talk.updated(&json!({"sessionUpdate": "tool_call_update", "toolCallId": id,
                "status": status, "title": command, "rawInput": {"command": command}}));
        }
    }
    let tools = tools(&talk);
    assert_eq!(tools.len(), 2, "{tools:?}");
    assert_eq!(tools[1].0, "running make test");
    assert_ne!(tools[0].1, tools[1].1);
    talk.updated(&json!({"sessionUpdate": "tool_call_update", "toolCallId": "t9", "title": "x"}));
    assert_eq!(talk.events.last(), Some(&Event::Progress), "nobody announced it");
}

#[test]
fn tokens_of_single_replies_and_a_sessions_cost_are_counted() {
    let mut talk = Talk::opened();
    let chunk = json!({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": ""},
        "_meta": {"usage": {"inputTokens": 10, "cachedReadTokens": 4, "outputTokens": 5}}});
    talk.updated(&chunk);
    let usage = Usage { input: 6, output: 5, cache_read: 4, cache_write: 0 };
    assert_eq!(talk.events[2], Event::Usage { usage, context_used: None });
    for (amount, currency) in [(json!(0.25), "USD"), (json!(9), "EUR"), (json!("x"), "USD")] {
        let cost = json!({"amount": amount, "currency": currency});
        talk.updated(&json!({"sessionUpdate": "usage_update", "used": 10, "cost": cost}));
    }
    talk.hears(&json!({"id": 4, "result": {"stopReason": "end_turn"}}));
    assert_eq!(talk.finished().cost, Some(Cost { total: 0.25, own: Some(0.0) }));
    assert_eq!(talk.finished().text, "", "it has answered");
    assert!(!talk.finished().cost_unread);
}

#[test]
fn a_cost_that_is_no_number_of_dollars_is_unknown() {
    for (cost, unread) in [
        (json!({"amount": 9, "currency": "EUR"}), true),
        (json!({"amount": "nine", "currency": "USD"}), true),
        (json!(null), false),
    ] {
        let mut talk = Talk::opened();
        talk.updated(&json!({"sessionUpdate": "usage_update", "used": 10, "cost": cost}));
        talk.hears(&json!({"id": 4, "result": {"stopReason": "end_turn"}}));
        assert_eq!((talk.finished().cost, talk.finished().cost_unread), (None, unread), "{cost}");
    }
}

#[test]
fn a_turn_is_cancelled_while_there_is_one() {
    let mut talk = Talk::begun("", true);
    assert_eq!(talk.dialogue.cancel(), None);
    talk.hears(&json!({"id": 3, "result": {"sessionId": "s-1"}}));
    let cancel: Value = serde_json::from_slice(&talk.dialogue.cancel().unwrap()).unwrap();
    assert_eq!((&cancel["method"], &cancel["id"]), (&json!("session/cancel"), &Value::Null));
    assert_eq!(cancel["params"]["sessionId"], "s-1");
    talk.hears(&json!({"id": 4, "result": {"stopReason": "cancelled"}}));
    assert_eq!(talk.dialogue.cancel(), None);
}
