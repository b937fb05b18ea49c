//! The messages of the protocol that a run needs: JSON-RPC 2.0, a line each.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::agent::lenient;

/// The version of the protocol that is spoken here.
pub(super) const VERSION: u64 = 1;

/// The ids of our requests.
pub(super) const INITIALIZE: u64 = 1;
pub(super) const LOAD: u64 = 2;
pub(super) const NEW: u64 = 3;
pub(super) const PROMPT: u64 = 4;

/// Any message of the agent.
#[derive(Debug)]
pub(super) struct Message {
    /// Present in requests and responses.
    pub(super) id: Value,
    /// Present in requests and notifications.
    pub(super) method: Option<String>,
    pub(super) params: Value,
    /// Present in a response; absent if it is an error.
    pub(super) result: Value,
    pub(super) error: Option<Error>,
}

/// An error in a response.
#[derive(Debug)]
pub(super) struct Error {
    pub(super) code: i64,
    pub(super) message: String,
    pub(super) data: Value,
}

impl From<Value> for Message {
    fn from(mut told: Value) -> Self {
        let mut take = |key: &str| told[key].take();
        Self {
            id: take("id"),
            method: take("method").as_str().map(str::to_owned),
            params: take("params"),
            result: take("result"),
            error: Some(take("error")).filter(|error| !error.is_null()).map(Error::from),
        }
    }
}

impl From<Value> for Error {
    fn from(mut told: Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        #[allow(clippy::cast_possible_truncation, reason = "a float to integer cast saturates")]
        let code = lenient::number(&told["code"]).map_or(0, |code| code as i64);
        // An error may be but its message.
        let message = if told.is_string() { text(&told) } else { text(&told["message"]) };
        let data = if told.is_object() { told["data"].take() } else { Value::Null };
        Self { code, message, data }
    }
}

/// One of the options of a permission request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PermissionOption {
    pub(super) option_id: String,
    #[serde(default)]
    pub(super) kind: String,
}

fn line(message: &Value) -> Vec<u8> {
    let mut line = message.to_string().into_bytes();
    line.push(b'\n');
    line
}

fn request(id: u64, method: &str, params: &Value) -> Vec<u8> {
    line(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))
}

/// The first message: we offer neither a file system nor a terminal.
pub(super) fn initialize() -> Vec<u8> {
    request(
        INITIALIZE,
        "initialize",
        &json!({"protocolVersion": VERSION, "clientCapabilities": {}}),
    )
}

pub(super) fn new_session(cwd: &str) -> Vec<u8> {
    request(NEW, "session/new", &json!({"cwd": cwd, "mcpServers": []}))
}

pub(super) fn load_session(id: &str, cwd: &str) -> Vec<u8> {
    request(LOAD, "session/load", &json!({"sessionId": id, "cwd": cwd, "mcpServers": []}))
}

pub(super) fn prompt(session: &str, text: &str) -> Vec<u8> {
    let prompt = json!([{"type": "text", "text": text}]);
    request(PROMPT, "session/prompt", &json!({"sessionId": session, "prompt": prompt}))
}

/// Ends the turn; the prompt's result follows.
pub(super) fn cancel(session: &str) -> Vec<u8> {
    line(&json!({"jsonrpc": "2.0", "method": "session/cancel", "params": {"sessionId": session}}))
}

/// The reply to a permission request: the option that was chosen, or none.
pub(super) fn permission(id: &Value, option: Option<&str>) -> Vec<u8> {
    let outcome = match option {
        Some(option) => json!({"outcome": "selected", "optionId": option}),
        None => json!({"outcome": "cancelled"}),
    };
    line(&json!({"jsonrpc": "2.0", "id": id, "result": {"outcome": outcome}}))
}

/// The reply to a request that we do not know.
pub(super) fn unknown_method(id: &Value, method: &str) -> Vec<u8> {
    let error = json!({"code": -32601, "message": format!("method not found: {method}")});
    line(&json!({"jsonrpc": "2.0", "id": id, "error": error}))
}
