//! The model's replies, and how the connection behaves while they are sent.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::{Value, json};

use super::request::{Dialect, Request};
use super::{gemini, responses};

/// One answer of the server.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    content: Content,
    headers: Vec<(String, String)>,
    pace: Duration,
    end: End,
    tokens: (u64, u64),
}

#[derive(Clone, Debug)]
enum Content {
    Blocks(Vec<Block>),
    Error { status: u16, message: String, resets_at: Option<u64> },
}

#[derive(Clone, Debug)]
pub(super) enum Block {
    Text(String),
    Tool { name: String, input: Value },
}

/// How a stream ends.
#[derive(Clone, Debug)]
enum End {
    Whole,
    /// The connection stays open but falls silent.
    Silent,
    /// From here on only pings.
    Pings,
    /// The connection ends in the middle.
    CutOff,
}

/// The blocks with the agent's own name for the shell, if it is another one over this API.
fn in_words_of(to: &Request, blocks: &[Block]) -> Vec<Block> {
    let shell = to.shell_tool();
    let renamed = |block: &Block| match block {
        Block::Tool { name, input } if name == "Bash" && shell != "Bash" => {
            let command = gemini::plain(input["command"].as_str().unwrap_or_default());
            let input =
                json!({"command": command, "description": "A step", "is_background": false});
            Block::Tool { name: shell.into(), input }
        }
        other => other.clone(),
    };
    if to.dialect() != Dialect::Messages {
        return blocks.to_vec();
    }
    blocks.iter().map(renamed).collect()
}

impl Reply {
    fn new(content: Content) -> Self {
        Self {
            content,
            headers: Vec::new(),
            pace: Duration::ZERO,
            end: End::Whole,
            tokens: (100, 20),
        }
    }

    /// Text. Without a tool it ends the model's turn.
    pub(crate) fn say(text: impl Into<String>) -> Self {
        Self::new(Content::Blocks(vec![Block::Text(text.into())]))
    }

    /// A tool to run.
    pub(crate) fn tool(name: &str, input: Value) -> Self {
        Self::new(Content::Blocks(vec![Block::Tool { name: name.into(), input }]))
    }

    /// A line of shell to run.
    pub(crate) fn bash(line: &str) -> Self {
        Self::tool("Bash", json!({"command": line, "description": "A step of the script"}))
    }

    /// A file to write; the CLI wants an absolute path.
    pub(crate) fn write(path: &str, text: &str) -> Self {
        Self::tool("Write", json!({"file_path": path, "content": text}))
    }

    /// An error status with the API's error body.
    pub(crate) fn error(status: u16) -> Self {
        Self::new(Content::Error {
            status,
            message: format!("the script says {status}"),
            resets_at: None,
        })
    }

    /// A subscription's usage limit, over at `resets_at` (seconds since 1970).
    /// The CLI reports it only to clients of [`super::Api::for_a_subscription`].
    pub(crate) fn usage_limit(resets_at: u64) -> Self {
        let resets = resets_at.to_string();
        Self::error(429)
            .resets_at(resets_at)
            .header("anthropic-ratelimit-unified-status", "rejected")
            .header("anthropic-ratelimit-unified-reset", &resets)
            .header("anthropic-ratelimit-unified-representative-claim", "five_hour")
            .header("anthropic-ratelimit-unified-5h-reset", &resets)
            .header("anthropic-ratelimit-unified-overage-status", "rejected")
    }

    fn resets_at(mut self, at: u64) -> Self {
        if let Content::Error { resets_at, .. } = &mut self.content {
            *resets_at = Some(at);
        }
        self
    }

    /// A stream that starts and falls silent.
    pub(crate) fn silent() -> Self {
        Self { end: End::Silent, ..Self::say("I begin and") }
    }

    /// A stream that starts and then only pings.
    pub(crate) fn pings() -> Self {
        Self { end: End::Pings, ..Self::say("I begin and") }
    }

    /// A stream whose connection ends in the middle.
    pub(crate) fn cut_off() -> Self {
        Self { end: End::CutOff, ..Self::say("I begin and") }
    }

    /// One more block, after the others.
    pub(crate) fn and(mut self, other: Self) -> Self {
        if let (Content::Blocks(mine), Content::Blocks(theirs)) = (&mut self.content, other.content)
        {
            mine.extend(theirs);
        }
        self
    }

    /// One more header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// With a pause before each event of the stream.
    pub(crate) fn slowly(mut self, pause: Duration) -> Self {
        self.pace = pause;
        self
    }

    /// With these numbers of tokens in its usage; 100 and 20 unless set.
    pub(crate) fn tokens(mut self, input: u64, output: u64) -> Self {
        self.tokens = (input, output);
        self
    }

    pub(super) fn into_response(self, to: &Request, id: u64) -> Response {
        let (dialect, model, streamed) = (to.dialect(), to.model(), to.wants_stream());
        let mut headers = self.headers.clone();
        let mut response = match &self.content {
            Content::Error { status, message, resets_at } if dialect == Dialect::Responses => {
                let (body, more) = responses::error(*status, message, *resets_at);
                headers.extend(more);
                let status = StatusCode::from_u16(*status).expect("an HTTP status");
                (status, Json(body)).into_response()
            }
            Content::Error { status, message, resets_at } if dialect == Dialect::Gemini => {
                let (status, body) = gemini::error(*status, message, resets_at.is_some());
                let status = StatusCode::from_u16(status).expect("an HTTP status");
                (status, Json(body)).into_response()
            }
            Content::Error { status, message, .. } => {
                let body = json!({"type": "error", "error": {"type": error_type(*status), "message": message}});
                let status = StatusCode::from_u16(*status).expect("an HTTP status");
                (status, Json(body)).into_response()
            }
            Content::Blocks(blocks) if streamed => {
                let blocks = &in_words_of(to, blocks);
                let whole = matches!(self.end, End::Whole);
                let events = match dialect {
                    Dialect::Messages => self.events(blocks, model, id),
                    Dialect::Gemini => gemini::events(blocks, self.tokens, whole),
                    Dialect::Responses => responses::events(blocks, id, self.tokens, whole),
                };
                let body = Body::from_stream(paced(events, self.pace, self.end.clone()));
                ([("content-type", "text/event-stream; charset=utf-8")], body).into_response()
            }
            Content::Blocks(blocks) => Json(self.message(blocks, model, id)).into_response(),
        };
        let map = response.headers_mut();
        for (name, value) in headers.iter().chain([&("request-id".into(), format!("req_{id}"))]) {
            let name: axum::http::HeaderName = name.parse().expect("a header's name");
            map.insert(name, value.parse().expect("a header's value"));
        }
        response
    }

    fn message(&self, blocks: &[Block], model: &str, id: u64) -> Value {
        let content: Vec<Value> = blocks
            .iter()
            .enumerate()
            .map(|(at, block)| match block {
                Block::Text(text) => json!({"type": "text", "text": text}),
                Block::Tool { name, input } => {
                    json!({"type": "tool_use", "id": tool_id(id, at), "name": name, "input": input})
                }
            })
            .collect();
        json!({
            "id": format!("msg_{id:06}"), "type": "message", "role": "assistant", "model": model,
            "content": content, "stop_reason": stop_reason(blocks), "stop_sequence": null,
            "usage": {"input_tokens": self.tokens.0, "output_tokens": self.tokens.1},
        })
    }

    /// The stream's events in their order; the ends that are not whole stop
    /// within the last block.
    fn events(&self, blocks: &[Block], model: &str, id: u64) -> Vec<Bytes> {
        let mut start = self.message(&[], model, id);
        start["stop_reason"] = Value::Null;
        start["usage"]["output_tokens"] = json!(1);
        let mut events = vec![
            event(json!({"type": "message_start", "message": start})),
            event(json!({"type": "ping"})),
        ];
        for (index, block) in blocks.iter().enumerate() {
            let (empty, deltas) = block_parts(block, id, index);
            events.push(event(
                json!({"type": "content_block_start", "index": index, "content_block": empty}),
            ));
            for delta in deltas {
                events.push(event(
                    json!({"type": "content_block_delta", "index": index, "delta": delta}),
                ));
            }
            events.push(event(json!({"type": "content_block_stop", "index": index})));
        }
        if !matches!(self.end, End::Whole) {
            events.pop();
            return events;
        }
        events.push(event(json!({
            "type": "message_delta",
            "delta": {"stop_reason": stop_reason(blocks), "stop_sequence": null},
            "usage": {"input_tokens": self.tokens.0, "output_tokens": self.tokens.1},
        })));
        events.push(event(json!({"type": "message_stop"})));
        events
    }
}

/// The empty block that starts a content block, and the deltas that fill it.
fn block_parts(block: &Block, id: u64, index: usize) -> (Value, Vec<Value>) {
    match block {
        Block::Text(text) => (
            json!({"type": "text", "text": ""}),
            pieces(text).map(|p| json!({"type": "text_delta", "text": p})).collect(),
        ),
        Block::Tool { name, input } => (
            json!({"type": "tool_use", "id": tool_id(id, index), "name": name, "input": {}}),
            pieces(&input.to_string())
                .map(|p| json!({"type": "input_json_delta", "partial_json": p}))
                .collect(),
        ),
    }
}

/// Pieces of a few words' length, as a model gives them.
fn pieces(text: &str) -> impl Iterator<Item = String> {
    let chars: Vec<char> = text.chars().collect();
    let pieces: Vec<String> = chars.chunks(40).map(|piece| piece.iter().collect()).collect();
    pieces.into_iter()
}

fn tool_id(id: u64, index: usize) -> String {
    format!("toolu_{id:06}_{index}")
}

fn stop_reason(blocks: &[Block]) -> &'static str {
    let runs_a_tool = blocks.iter().any(|block| matches!(block, Block::Tool { .. }));
    if runs_a_tool { "tool_use" } else { "end_turn" }
}

fn event(data: Value) -> Bytes {
    let name = data["type"].as_str().unwrap_or_default();
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

/// The Messages API's names of its errors.
fn error_type(status: u16) -> &'static str {
    match status {
        400 => "invalid_request_error",
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        _ => "api_error",
    }
}

fn paced(
    events: Vec<Bytes>,
    pace: Duration,
    end: End,
) -> impl futures_util::Stream<Item = Result<Bytes, std::io::Error>> {
    stream::unfold((events.into_iter(), end), move |(mut events, end)| async move {
        if !pace.is_zero() {
            tokio::time::sleep(pace).await;
        }
        if let Some(event) = events.next() {
            return Some((Ok(event), (events, end)));
        }
        match end {
            End::Whole => None,
            End::Silent => match std::future::pending::<Infallible>().await {},
            End::Pings => {
                // The API itself pings every few seconds.
                tokio::time::sleep(pace.max(Duration::from_millis(500))).await;
                Some((Ok(event(json!({"type": "ping"}))), (events, end)))
            }
            End::CutOff => {
                // The server sends what it has when the body has nothing ready,
                // and drops it on an error.
                tokio::task::yield_now().await;
                let cut = std::io::Error::new(std::io::ErrorKind::ConnectionAborted, "cut off");
                Some((Err(cut), (events, End::Whole)))
            }
        }
    })
}
