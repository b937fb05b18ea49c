//! The event stream of Claude Code.
//!
//! Most of the bytes are tool results, which are only a sign of life. So lines are told apart by
//! their first key, and parsed only where their type matters; where `type` is not the first key
//! (in `result` it comes near the end), the line is parsed for it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use memchr::memmem;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{excerpt, summary};
use crate::agent::event::{
    Cost, Decoder, Event, Finished, Limit, MAX_TEXT, Tool, Usage, cut, fingerprint, one_line,
};

/// The most blocks of one message that are told one by one.
const MAX_BLOCKS: usize = 64;

/// Decodes the output of one run.
#[derive(Debug, Default)]
pub struct ClaudeDecoder {
    working_dir: String,
    /// The last reply whose usage was told: a reply comes in several lines with the same usage.
    reply: String,
    /// The word for the last API error, which stands in the line before the result.
    error_kind: Option<String>,
    /// What earlier results of this process add up to.
    usage: Usage,
    own_cost: Option<f64>,
    context_window: Option<u64>,
}

impl ClaudeDecoder {
    /// A decoder that names files below `working_dir` relatively.
    #[must_use]
    pub fn new(working_dir: String) -> Self {
        Self { working_dir, ..Self::default() }
    }

    fn assistant(&mut self, line: &[u8], emit: &mut dyn FnMut(Event)) {
        let Ok(told) = serde_json::from_slice::<Assistant>(line) else {
            return emit(Event::Progress);
        };
        if let Some(kind) = told.error {
            // The kind of a line of ours comes second: it is the finer one.
            self.error_kind = Some(told.api_error.unwrap_or(kind).into_owned());
        }
        let Some(message) = told.message else { return emit(Event::Progress) };
        let mut quiet = true;
        for block in message.content.iter().take(MAX_BLOCKS) {
            match block.kind.as_ref() {
                "text" => {
                    let text = block.text.map(excerpt::beginning).filter(|text| !text.is_empty());
                    if let Some(text) = text {
                        emit(Event::Text { text });
                        quiet = false;
                    }
                }
                "tool_use" | "server_tool_use" => {
                    emit(Event::Tool(self.tool(block)));
                    quiet = false;
                }
                _ => {}
            }
        }
        if let (Some(usage), Some(id)) = (message.usage, message.id.filter(|id| self.reply != *id))
        {
            let usage = Usage::from(usage);
            if usage != Usage::default() {
                let context_used =
                    told.parent.is_none().then(|| usage.taken_in().saturating_add(usage.output));
                emit(Event::Usage { usage, context_used });
                quiet = false;
            }
            self.reply = id.into_owned();
        }
        if quiet {
            emit(Event::Progress);
        }
    }

    fn tool(&self, block: &Block<'_>) -> Tool {
        let name = block.name.as_deref().unwrap_or_default();
        let input = block.input.map_or("null", RawValue::get);
        Tool {
            name: one_line(name, 80),
            summary: summary::summarize(name, input, &self.working_dir),
            fingerprint: fingerprint(name, input.as_bytes()),
        }
    }

    fn result(&mut self, told: Told<'_>) -> Event {
        let shares = told.since_last.as_ref().or(told.models.as_ref());
        if let Some(models) = &told.since_last {
            let cost: f64 = models.values().filter_map(|model| model.cost).sum();
            self.own_cost = Some(self.own_cost.unwrap_or(0.0) + cost);
        }
        // A result that a cap has forced reports no tokens in `usage`; the models' shares do.
        self.usage = self.usage.plus(match &told.since_last {
            Some(models) => {
                models.values().fold(Usage::default(), |sum, model| sum.plus(model.into()))
            }
            None => told.usage.map(Usage::from).unwrap_or_default(),
        });
        let window =
            shares.and_then(|models| models.values().filter_map(|m| m.context_window).max());
        self.context_window = window.or(self.context_window);
        let errors = || told.errors.as_ref().map(|errors| errors.join("; "));
        let text = told.result.map(Cow::into_owned).or_else(errors).unwrap_or_default();
        let kind = told.api_error.map(Cow::into_owned).or_else(|| self.error_kind.take());
        Event::Finished(Box::new(Finished {
            is_error: told.is_error.unwrap_or(false),
            subtype: told.subtype.map(Cow::into_owned).unwrap_or_default(),
            terminal_reason: told.terminal_reason.map(Cow::into_owned),
            api_status: told.api_error_status,
            error_kind: kind.filter(|_| told.is_error == Some(true)),
            cost: told.total_cost_usd.map(|total| Cost { total, own: self.own_cost }),
            usage: self.usage,
            num_turns: told.num_turns,
            context_window: self.context_window,
            queued: told.queued_turn_count.unwrap_or(0),
            text: cut(&text, MAX_TEXT).to_owned(),
        }))
    }

    fn other(&mut self, line: &[u8], emit: &mut dyn FnMut(Event)) {
        let Ok(told) = serde_json::from_slice::<Told>(line) else {
            return emit(Event::Progress);
        };
        match (told.kind.as_deref(), told.subtype.as_deref()) {
            (Some("result"), _) => emit(self.result(told)),
            (Some("assistant"), _) => self.assistant(line, emit),
            (Some("system"), Some("init")) => emit(Event::Started {
                conversation: told.session_id.map(Cow::into_owned).unwrap_or_default(),
                model: told.model.map(Cow::into_owned).unwrap_or_default(),
            }),
            (Some("system"), Some("api_retry")) => emit(Event::Retry {
                attempt: told.attempt.unwrap_or(0),
                status: told.error_status,
                error: told.error.and_then(|e| e.as_str().map(str::to_owned)).unwrap_or_default(),
            }),
            (Some("rate_limit_event"), _) => emit(told.limit.map_or(Event::Progress, Into::into)),
            _ => emit(Event::Progress),
        }
    }
}

impl Decoder for ClaudeDecoder {
    fn line(&mut self, line: &[u8], emit: &mut dyn FnMut(Event)) {
        match first_type(line) {
            Some(b"assistant") => self.assistant(line, emit),
            Some(b"user" | b"stream_event" | b"tool_progress") => emit(Event::Progress),
            Some(b"system" | b"rate_limit_event" | b"result") | None => self.other(line, emit),
            Some(_) => emit(Event::Progress),
        }
    }

    fn message(&mut self, text: &str) -> Option<Vec<u8>> {
        Some(super::user_message(text))
    }

    fn oversized(&mut self, head: &[u8], tail: &[u8], emit: &mut dyn FnMut(Event)) {
        let kind = first_type(head);
        let has = |key: &[u8]| memmem::find(tail, key).is_some();
        if kind != Some(b"result") && !(kind.is_none() && has(br#""type":"result""#)) {
            return emit(Event::Progress);
        }
        // Within a string a quote is escaped, so these keys are keys, not text.
        let ends = [head, tail];
        emit(Event::Finished(Box::new(Finished {
            is_error: scalar(ends, br#""is_error":"#) == Some("true"),
            subtype: scalar(ends, br#""subtype":"#).unwrap_or_default().to_owned(),
            terminal_reason: scalar(ends, br#""terminal_reason":"#).map(str::to_owned),
            api_status: scalar(ends, br#""api_error_status":"#).and_then(|n| n.parse().ok()),
            error_kind: self.error_kind.take(),
            cost: scalar(ends, br#""total_cost_usd":"#)
                .and_then(|n| n.parse().ok())
                .map(|total| Cost { total, own: self.own_cost }),
            usage: self.usage,
            num_turns: scalar(ends, br#""num_turns":"#).and_then(|n| n.parse().ok()),
            context_window: self.context_window,
            queued: 0,
            text: String::new(),
        })));
    }
}

/// The value of `type` where it is the line's first key.
fn first_type(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(br#"{"type":""#)?;
    let end = memchr::memchr(b'"', rest.get(..64).unwrap_or(rest))?;
    rest.get(..end)
}

/// The string, number or word that follows `key` in one of the two ends of a line.
fn scalar<'a>(ends: [&'a [u8]; 2], key: &[u8]) -> Option<&'a str> {
    let (end, at) = ends.into_iter().find_map(|end| Some((end, memmem::find(end, key)?)))?;
    let value = end.get(at + key.len()..)?.trim_ascii_start();
    let value = match value.strip_prefix(b"\"") {
        Some(quoted) => quoted.split(|byte| *byte == b'"').next()?,
        None => value.split(|byte| matches!(byte, b',' | b'}')).next()?.trim_ascii(),
    };
    std::str::from_utf8(value).ok().filter(|value| value.len() <= 64)
}

#[derive(Deserialize)]
struct Assistant<'a> {
    #[serde(borrow)]
    message: Option<Message<'a>>,
    #[serde(rename = "parent_tool_use_id")]
    parent: Option<Cow<'a, str>>,
    error: Option<Cow<'a, str>>,
    api_error: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    content: Vec<Block<'a>>,
    usage: Option<ApiUsage>,
}

#[derive(Deserialize)]
struct Block<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

#[derive(Deserialize, Clone, Copy)]
struct ApiUsage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
}

impl From<ApiUsage> for Usage {
    fn from(usage: ApiUsage) -> Self {
        Self {
            input: usage.input_tokens.unwrap_or(0),
            output: usage.output_tokens.unwrap_or(0),
            cache_read: usage.cache_read_input_tokens.unwrap_or(0),
            cache_write: usage.cache_creation_input_tokens.unwrap_or(0),
        }
    }
}

/// Every other event in one: all keys that matter, all optional.
#[derive(Deserialize)]
struct Told<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    subtype: Option<Cow<'a, str>>,
    #[serde(borrow)]
    session_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    model: Option<Cow<'a, str>>,
    attempt: Option<u32>,
    error_status: Option<u16>,
    error: Option<Value>,
    #[serde(borrow, rename = "rate_limit_info")]
    limit: Option<LimitInfo<'a>>,
    is_error: Option<bool>,
    #[serde(borrow)]
    terminal_reason: Option<Cow<'a, str>>,
    api_error_status: Option<u16>,
    #[serde(borrow)]
    api_error: Option<Cow<'a, str>>,
    total_cost_usd: Option<f64>,
    usage: Option<ApiUsage>,
    num_turns: Option<u32>,
    queued_turn_count: Option<u32>,
    #[serde(borrow)]
    result: Option<Cow<'a, str>>,
    errors: Option<Vec<String>>,
    #[serde(rename = "modelUsage")]
    models: Option<BTreeMap<String, ModelUsage>>,
    #[serde(rename = "model_usage_since_last_result")]
    since_last: Option<BTreeMap<String, ModelUsage>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ModelUsage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    context_window: Option<u64>,
    #[serde(rename = "costUSD")]
    cost: Option<f64>,
}

impl From<&ModelUsage> for Usage {
    fn from(usage: &ModelUsage) -> Self {
        Self {
            input: usage.input_tokens.unwrap_or(0),
            output: usage.output_tokens.unwrap_or(0),
            cache_read: usage.cache_read_input_tokens.unwrap_or(0),
            cache_write: usage.cache_creation_input_tokens.unwrap_or(0),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LimitInfo<'a> {
    #[serde(borrow)]
    status: Option<Cow<'a, str>>,
    /// Seconds since the epoch.
    resets_at: Option<f64>,
    #[serde(borrow)]
    rate_limit_type: Option<Cow<'a, str>>,
}

impl From<LimitInfo<'_>> for Event {
    fn from(info: LimitInfo<'_>) -> Self {
        #[allow(clippy::cast_possible_truncation, reason = "a float to integer cast saturates")]
        let resets_at = info.resets_at.and_then(|at| Timestamp::from_second(at as i64).ok());
        Self::Limit(Limit {
            reached: info.status.as_deref() == Some("rejected"),
            kind: info.rate_limit_type.map(Cow::into_owned).unwrap_or_default(),
            resets_at,
        })
    }
}

#[cfg(test)]
mod tests;
