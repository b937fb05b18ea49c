//! The same replies in the words of the Gemini API.

use axum::body::Bytes;
use serde_json::{Value, json};

use super::reply::Block;

/// The events of a stream whose end may be missing.
pub(super) fn events(blocks: &[Block], tokens: (u64, u64), whole: bool) -> Vec<Bytes> {
    let parts: Vec<Value> = blocks.iter().map(part).collect();
    let mut reply = json!({
        "candidates": [{"content": {"role": "model", "parts": parts}, "index": 0}],
        "usageMetadata": {
            "promptTokenCount": tokens.0, "candidatesTokenCount": tokens.1,
            "totalTokenCount": tokens.0 + tokens.1,
        },
        "modelVersion": "gemini-lab",
    });
    if whole {
        reply["candidates"][0]["finishReason"] = json!("STOP");
    }
    vec![Bytes::from(format!("data: {reply}\r\n\r\n"))]
}

fn part(block: &Block) -> Value {
    match block {
        Block::Text(text) => json!({"text": text}),
        Block::Tool { name, input } => {
            let (name, args) = match (name.as_str(), input["command"].as_str()) {
                ("Bash", Some(command)) => (
                    "run_shell_command",
                    json!({"command": plain(command), "description": "A step"}),
                ),
                (name, _) => (name, input.clone()),
            };
            json!({"functionCall": {"name": name, "args": args}})
        }
    }
}

/// A command without substitutions, which its shell refuses: those that have any are handed over as
/// bytes in octal.
pub(super) fn plain(command: &str) -> String {
    if !command.contains(['`']) && !command.contains("$(") && !command.contains("<(") {
        return command.to_owned();
    }
    let bytes: String = command.bytes().map(|byte| format!("\\0{byte:03o}")).collect();
    format!("printf '%b' '{bytes}' | bash")
}

/// An error's status and body; a usage limit is the day's quota. A key that is wrong or has expired
/// is an invalid request here.
pub(super) fn error(status: u16, message: &str, is_limit: bool) -> (u16, Value) {
    let details = json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "API_KEY_INVALID", "domain": "googleapis.com",
    });
    if status == 401 {
        return (
            400,
            json!({"error": {
                "code": 400, "status": "INVALID_ARGUMENT", "details": [details],
                "message": "API key expired. Please renew the API key.",
            }}),
        );
    }
    if status == 404 {
        let message = "models/x is not found for API version v1beta, or is not supported for generateContent.";
        return (
            status,
            json!({"error": {"code": 404, "message": message, "status": "NOT_FOUND"}}),
        );
    }
    if !is_limit {
        return (status, json!({"error": {"code": status, "message": message, "status": "LAB"}}));
    }
    let quota = json!({"error": {
        "code": 429, "status": "RESOURCE_EXHAUSTED",
        "message": "You exceeded your current quota",
        "details": [{
            "@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel"}],
        }],
    }});
    (429, quota)
}
