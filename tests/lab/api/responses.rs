//! The same replies in the words of the Responses API, for Codex.

use axum::body::Bytes;
use serde_json::{Value, json};

use super::reply::Block;

/// The events of a stream whose end may be missing.
pub(super) fn events(blocks: &[Block], id: u64, tokens: (u64, u64), whole: bool) -> Vec<Bytes> {
    let response = format!("resp_{id:06}");
    let mut events = vec![event(json!({"type": "response.created", "response": {"id": response}}))];
    for (index, block) in blocks.iter().enumerate() {
        let item = item(block, id, index);
        events.push(event(json!({
            "type": "response.output_item.added", "output_index": index, "item": item,
        })));
        if whole {
            events.push(event(json!({
                "type": "response.output_item.done", "output_index": index, "item": item,
            })));
        }
    }
    if whole {
        let (input, output) = tokens;
        events.push(event(json!({"type": "response.completed", "response": {
            "id": response,
            "usage": {
                "input_tokens": input, "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": output, "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": input + output,
            },
        }})));
    }
    events
}

fn item(block: &Block, id: u64, index: usize) -> Value {
    match block {
        Block::Text(text) => json!({
            "type": "message", "id": format!("msg_{id:06}_{index}"), "role": "assistant",
            "content": [{"type": "output_text", "text": text}],
        }),
        Block::Tool { name, input } => {
            let (name, arguments) = match (name.as_str(), input["command"].as_str()) {
                // It gives a command half a minute before it comes back to the model.
                ("Bash", Some(command)) => {
                    ("exec_command", json!({"cmd": command, "yield_time_ms": 30_000}))
                }
                (name, _) => (name, input.clone()),
            };
            json!({
                "type": "function_call", "id": format!("fc_{id:06}_{index}"), "name": name,
                "call_id": format!("call_{id:06}_{index}"), "arguments": arguments.to_string(),
            })
        }
    }
}

/// The body of an error, and its headers.
pub(super) fn error(
    status: u16,
    message: &str,
    resets_at: Option<u64>,
) -> (Value, Vec<(String, String)>) {
    let Some(resets_at) = resets_at else {
        return (json!({"error": {"message": message, "type": "lab", "code": status}}), Vec::new());
    };
    let body = json!({"error": {
        "type": "usage_limit_reached", "message": "The usage limit has been reached",
        "plan_type": "plus", "resets_at": resets_at,
    }});
    let header = |name: &str, value: String| (format!("x-codex-primary-{name}"), value);
    let headers = vec![
        header("used-percent", "100".into()),
        header("window-minutes", "300".into()),
        header("reset-at", resets_at.to_string()),
    ];
    (body, headers)
}

fn event(data: Value) -> Bytes {
    let name = data["type"].as_str().unwrap_or_default();
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}
