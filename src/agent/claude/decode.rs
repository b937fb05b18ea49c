//! The event stream of Claude Code.
//!
//! Most of the bytes are tool results, which only show that the agent is alive. So lines are
//! classified by their first key, and parsed only if their type matters, or if `type` is not the
//! first key (in `result` it comes near the end). A field of an unexpected type does not lose the
//! other fields, and a line that is not a single JSON object does not lose the objects in it.

use std::collections::VecDeque;

use memchr::memmem;
use serde_json::value::RawValue;

use super::errors::ApiError;
use super::message::{Assistant, Block};
use super::{excerpt, known, result, summary};
use crate::agent::event::{Decoder, Denied, Event, Limit, Tool, Usage, fingerprint, one_line};
use crate::agent::fields::Fields;
use crate::agent::mend::mended;
use crate::agent::salvage;
use crate::agent::salvage::RESULT;
use crate::agent::stream::MAX_LINE;
use crate::agent::unknown::{NOT_JSON, Unknown};

/// The most blocks of one message to report.
const MAX_BLOCKS: usize = 64;

/// How many of the last calls to remember, so that a denial can name its call.
const MAX_CALLS: usize = 64;

/// Occurs in events about the account's limits, which the CLI may write at any moment.
const LIMIT: &[u8] = br#""type":"rate_limit_event""#;

/// Occurs in the result of a call that failed or was denied.
const FAILED: &[u8] = br#""is_error":true"#;

/// Decodes the output of one run.
#[derive(Debug, Default)]
pub struct ClaudeDecoder {
    working_dir: String,
    /// The last reply whose usage was reported: a reply spans several lines with the same usage.
    reply: String,
    /// The last API error, if the model has not replied since.
    pub(super) error: Option<ApiError>,
    /// The sum of this process's earlier results.
    pub(super) usage: Usage,
    pub(super) own_cost: Option<f64>,
    pub(super) context_window: Option<u64>,
    /// Ids and summaries of the last calls. A denied call is removed.
    calls: VecDeque<(String, String)>,
    last_limit: Option<Limit>,
    /// Why a hook refused the prompt, if one did.
    pub(super) prompt_refused: Option<String>,
    /// The beginning of an object whose rest may be on the next line.
    torn: String,
    unknown: Unknown,
}

impl ClaudeDecoder {
    /// A decoder that shows files below `working_dir` with relative paths.
    #[must_use]
    pub fn new(working_dir: String) -> Self {
        Self { working_dir, ..Self::default() }
    }

    fn assistant(&mut self, fields: Assistant<'_>, emit: &mut dyn FnMut(Event)) {
        let Some(message) = fields.message else { return emit(Event::Progress) };
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
                "thinking" | "redacted_thinking" => {}
                other if other.ends_with("_tool_result") => {}
                other => self.unknown.note(&format!("block {other}")),
            }
        }
        if let (Some(usage), Some(id)) = (message.usage, message.id.filter(|id| self.reply != *id))
        {
            let usage = Usage::from(usage);
            if usage != Usage::default() {
                let context_used =
                    fields.parent.is_none().then(|| usage.taken_in().saturating_add(usage.output));
                emit(Event::Usage { usage, context_used });
                self.error = None;
                quiet = false;
            }
            self.reply = id.into_owned();
        }
        if quiet {
            emit(Event::Progress);
        }
    }

    fn tool(&mut self, block: &Block<'_>) -> Tool {
        let name = block.name.as_deref().unwrap_or_default();
        let input = block.input.map_or("null", RawValue::get);
        let summary = summary::summarize(name, input, &self.working_dir);
        if let Some(id) = &block.id {
            self.calls.truncate(MAX_CALLS - 1);
            self.calls.push_front((id.clone().into_owned(), summary.clone()));
        }
        Tool { name: one_line(name, 80), summary, fingerprint: fingerprint(name, input.as_bytes()) }
    }

    /// The summary of a call in a result's list of denied calls.
    pub(super) fn call(&self, denied: &Fields<'_>) -> String {
        let input = denied.get("tool_input").map_or("null", RawValue::get);
        summary::summarize(&denied.text("tool_name").unwrap_or_default(), input, &self.working_dir)
    }

    /// Reports that the call `id` was denied, once.
    fn denied(&mut self, id: &str, why: &str, emit: &mut dyn FnMut(Event)) {
        if let Some(at) = self.calls.iter().position(|(known, _)| known == id)
            && let Some((_, call)) = self.calls.remove(at)
        {
            emit(Event::Denied(Denied { call, why: one_line(why, 300) }));
        }
    }

    /// Results of calls. Only those denied by a permission or a hook matter.
    fn user(&mut self, fields: &Fields<'_>, emit: &mut dyn FnMut(Event)) {
        emit(Event::Progress);
        let objects = |fields: &Fields<'_>, key| -> Vec<String> {
            let list = fields.list(key).unwrap_or_default();
            list.into_iter().map(|value| value.get().to_owned()).collect()
        };
        let results = fields.object("message").map(|message| objects(&message, "content"));
        for result in results.unwrap_or_default() {
            let Some(result) = Fields::of(&result) else { continue };
            let id = result.text("tool_use_id").unwrap_or_default();
            let is_denied = objects(fields, "tool_result_meta").iter().any(|meta| {
                Fields::of(meta).is_some_and(|meta| {
                    let decision = meta.object("permission_decision");
                    meta.text("id").as_deref() == Some(&id)
                        && decision
                            .is_some_and(|made| made.text("decision").as_deref() == Some("reject"))
                })
            });
            if is_denied {
                self.denied(&id, &result.text("content").unwrap_or_default(), emit);
            }
        }
    }

    /// Reports the state of a limit, unless it was the last one reported: an error repeats it.
    fn limit(&mut self, info: &Fields<'_>, emit: &mut dyn FnMut(Event)) {
        let limit = result::limit(info);
        if self.last_limit.as_ref() != Some(&limit) {
            emit(Event::Limit(limit.clone()));
            self.last_limit = Some(limit);
        }
    }

    /// Reports the events of one object.
    fn object(&mut self, json: &str, emit: &mut dyn FnMut(Event)) {
        let Some(fields) = Fields::of(json) else { return emit(Event::Progress) };
        known::check(&fields, &mut self.unknown);
        match (fields.text("type").as_deref(), fields.text("subtype").as_deref()) {
            (Some("result"), _) => emit(self.result(&fields)),
            (Some("assistant"), _) => {
                let message = Assistant::of(&fields);
                let error = ApiError::of(&fields).filter(|_| message.parent.is_none());
                self.assistant(message, emit);
                let info = fields.object("api_error_params");
                if let Some(info) = info.and_then(|all| all.object("rate_limit_info")) {
                    self.limit(&info, emit);
                }
                self.error = error.or_else(|| self.error.take());
            }
            (Some("user"), _) => self.user(&fields, emit),
            (Some("system"), Some("init")) => emit(Event::Started {
                conversation: fields.text("session_id").unwrap_or_default(),
                model: fields.text("model").unwrap_or_default(),
                permissions: fields.text("permissionMode"),
            }),
            (Some("system"), Some("api_retry")) => emit(Event::Retry {
                attempt: fields.whole("attempt").and_then(|n| u32::try_from(n).ok()).unwrap_or(0),
                status: fields.whole("error_status").and_then(|n| u16::try_from(n).ok()),
                error: fields.text("error").unwrap_or_default(),
            }),
            (Some("system"), Some("permission_denied")) => {
                let id = fields.text("tool_use_id").unwrap_or_default();
                self.denied(&id, &fields.text("message").unwrap_or_default(), emit);
            }
            (Some("system"), Some("informational")) => {
                let outcome = fields.object("prompt_submit_outcome");
                let by_hook = |outcome: &Fields<'_>| {
                    outcome.text("kind").as_deref() == Some("blocked_by_hook")
                };
                if let Some(outcome) = outcome.filter(by_hook) {
                    self.prompt_refused = Some(outcome.text("reason").unwrap_or_default());
                }
                emit(Event::Progress);
            }
            (Some("rate_limit_event"), _) => match fields.object("rate_limit_info") {
                Some(info) => self.limit(&info, emit),
                None => emit(Event::Progress),
            },
            _ => emit(Event::Progress),
        }
    }

    /// Reports the events of a line that is not exactly one object, as far as they can be read.
    fn damaged(&mut self, line: &str, emit: &mut dyn FnMut(Event)) {
        let torn = std::mem::take(&mut self.torn);
        let found = salvage::joined(&torn, line);
        if found.objects.is_empty() {
            if found.torn.is_empty() {
                self.unknown.note(NOT_JSON);
            }
            emit(Event::Progress);
        }
        for object in &found.objects {
            self.object(object, emit);
        }
        // A result that is cut off still counts. If its rest follows, the complete one replaces it.
        let rest = found.torn;
        if rest.contains(RESULT) {
            emit(self.cut_off([rest.as_bytes(), b""]).unwrap_or(Event::Progress));
        }
        // Bounded, and dropped if the next line does not complete it.
        if rest.len() <= MAX_LINE && (torn.is_empty() || !found.objects.is_empty()) {
            self.torn = rest;
        }
    }
}

impl Decoder for ClaudeDecoder {
    fn line(&mut self, line: &[u8], emit: &mut dyn FnMut(Event)) {
        let kind = first_type(line);
        if kind == Some(b"assistant".as_slice())
            && let Ok(fields) = serde_json::from_slice::<Assistant>(line)
            && !fields.is_error()
        {
            self.torn.clear();
            return self.assistant(fields, emit);
        }
        // A line that does not matter may have another object after it, or inside it.
        let has = |what: &[u8]| memmem::find(line, what).is_some();
        let is_quiet = match kind {
            Some(b"stream_event" | b"tool_progress") => true,
            Some(b"user") => !has(FAILED),
            _ => false,
        };
        if is_quiet && !has(br#"}{"type":""#) && !has(RESULT.as_bytes()) && !has(LIMIT) {
            return emit(Event::Progress);
        }
        let text = String::from_utf8_lossy(line);
        let mended = || Some(mended(&text)).filter(|mended| Fields::of(mended).is_some());
        if Fields::of(&text).is_some() {
            self.torn.clear();
            self.object(&text, emit);
        } else if let Some(mended) = mended() {
            self.torn.clear();
            self.object(&mended, emit);
        } else {
            self.damaged(&text, emit);
        }
    }

    fn unknown(&self) -> Option<&Unknown> {
        Some(&self.unknown)
    }

    fn message(&mut self, text: &str) -> Option<Vec<u8>> {
        Some(super::user_message(text))
    }

    fn oversized(&mut self, head: &[u8], tail: &[u8], emit: &mut dyn FnMut(Event)) {
        let kind = first_type(head);
        let is_result = kind == Some(b"result")
            || (kind.is_none() && memmem::find(tail, RESULT.as_bytes()).is_some());
        let event = if is_result { self.cut_off([head, tail]) } else { None };
        emit(event.unwrap_or(Event::Progress));
    }
}

/// The value of `type` if it is the line's first key.
fn first_type(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(br#"{"type":""#)?;
    let end = memchr::memchr(b'"', rest.get(..64).unwrap_or(rest))?;
    rest.get(..end)
}

#[cfg(test)]
mod tests;
