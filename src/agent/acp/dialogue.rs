//! The dialogue of one run, from our first request to the result of the prompt.

use std::path::Path;

use serde_json::Value;

use super::errors;
use super::wire::{self, Message, PermissionOption};
use crate::agent::Task;
use crate::agent::command_words::first_words;
use crate::agent::event::{
    Cost, Decoder, Denied, Event, Finished, MAX_TEXT, Tool, Usage, cut, fingerprint, one_line,
};
use crate::agent::lenient;
use crate::agent::unknown::{NOT_JSON, Unknown};

/// The dialogue, and what of the task it needs.
#[derive(Debug)]
pub(super) struct Dialogue {
    cwd: String,
    /// The session to resume; empty to open one.
    resumes: String,
    /// The prompt for a session that knows its instructions, and for a new one.
    prompts: (String, String),
    /// The agent's session, once it is open.
    session: String,
    /// The text of the current message, which comes in pieces.
    text: String,
    /// Whether the agent has said or done anything since the prompt.
    has_acted: bool,
    /// Whether the prompt has no result yet.
    is_prompted: bool,
    /// A tool call whose input is not known yet.
    announced: Option<Value>,
    /// What the session has cost so far in US dollars, if the agent says so.
    cost: Option<f64>,
    /// Whether it said so in another currency, or not as a number.
    cost_unread: bool,
    replies: Vec<u8>,
    unknown: Unknown,
}

impl Dialogue {
    pub(super) fn new(cwd: &Path, task: &Task) -> Self {
        Self {
            cwd: cwd.to_string_lossy().into_owned(),
            resumes: if task.resume { task.conversation.clone() } else { String::new() },
            prompts: (task.prompt.clone(), task.whole_prompt()),
            session: String::new(),
            text: String::new(),
            has_acted: false,
            is_prompted: false,
            announced: None,
            cost: None,
            cost_unread: false,
            replies: Vec::new(),
            unknown: Unknown::default(),
        }
    }

    fn take(&mut self, message: Message, emit: &mut dyn FnMut(Event)) {
        match (&message.method, message.id.is_null()) {
            (Some(method), true) => {
                if method == "session/update" {
                    self.update(&message.params["update"], emit);
                } else {
                    self.unknown.note(method);
                    emit(Event::Progress);
                }
            }
            (Some(method), false) if method == "session/request_permission" => {
                self.permission(&message.id, &message.params, emit);
            }
            (Some(method), false) => {
                self.unknown.note(method);
                self.replies.extend(wire::unknown_method(&message.id, method));
                emit(Event::Progress);
            }
            (None, _) => self.response(message, emit),
        }
    }

    fn response(&mut self, message: Message, emit: &mut dyn FnMut(Event)) {
        let id = lenient::count(&message.id).unwrap_or_default();
        match (id, message.error) {
            (wire::INITIALIZE, None) => {
                let spoken =
                    lenient::count(&message.result["protocolVersion"]).unwrap_or(wire::VERSION);
                if spoken != wire::VERSION {
                    let why = format!(
                        "it speaks version {spoken} of the Agent Client Protocol, but samocode needs version {}: install a version that speaks it",
                        wire::VERSION
                    );
                    return emit(failed(&why, "cli_version_too_old"));
                }
                let loads = message.result["agentCapabilities"]["loadSession"] == true;
                self.replies.extend(if loads && !self.resumes.is_empty() {
                    wire::load_session(&self.resumes, &self.cwd)
                } else {
                    wire::new_session(&self.cwd)
                });
                emit(Event::Progress);
            }
            (wire::LOAD, None) => {
                let id = self.resumes.clone();
                self.open(id, false, emit);
            }
            // The session no longer exists: the prompt repeats everything.
            (wire::LOAD, Some(_)) => {
                self.replies.extend(wire::new_session(&self.cwd));
                emit(Event::Progress);
            }
            (wire::NEW, None) => {
                let id = message.result["sessionId"].as_str().unwrap_or_default().to_owned();
                self.open(id, true, emit);
            }
            (wire::PROMPT, None) => {
                self.is_prompted = false;
                emit(self.ended(&message.result));
            }
            (wire::INITIALIZE | wire::NEW | wire::PROMPT, Some(error)) => {
                errors::refused(&error, emit)
            }
            _ => emit(Event::Progress),
        }
    }

    fn open(&mut self, id: String, is_new: bool, emit: &mut dyn FnMut(Event)) {
        let text = if is_new { &self.prompts.1 } else { &self.prompts.0 };
        self.replies.extend(wire::prompt(&id, text));
        self.session.clone_from(&id);
        self.is_prompted = true;
        emit(Event::Started { conversation: id, model: String::new(), permissions: None });
    }

    fn update(&mut self, update: &Value, emit: &mut dyn FnMut(Event)) {
        // A session that is loaded replays what it has.
        if self.session.is_empty() {
            return emit(Event::Progress);
        }
        if let Some(usage) = reply(&update["_meta"]["usage"]) {
            self.has_acted = true;
            emit(Event::Usage { usage, context_used: None });
        }
        let kind = update["sessionUpdate"].as_str().unwrap_or_default();
        if kind != "agent_message_chunk" {
            self.text.clear();
        }
        match kind {
            "agent_message_chunk" => {
                let text = update["content"]["text"].as_str().unwrap_or_default();
                if text.is_empty() {
                    return emit(Event::Progress);
                }
                self.has_acted = true;
                self.text.push_str(text);
                self.text.truncate(cut(&self.text, MAX_TEXT).len());
                emit(Event::Text { text: self.text.clone() });
            }
            "tool_call" => {
                self.has_acted = true;
                // Some agents announce a call before its input is written.
                if update["status"] == "pending" {
                    self.announced = Some(update.clone());
                    return emit(Event::Progress);
                }
                emit(Event::Tool(tool(update)));
            }
            "tool_call_update" => emit(self.described(update)),
            "usage_update" => {
                let cost = &update["cost"];
                let amount = lenient::number(&cost["amount"]).filter(|_| cost["currency"] == "USD");
                self.cost_unread |= !cost.is_null() && amount.is_none();
                self.cost = amount.or(self.cost);
                emit(Event::Progress);
            }
            "agent_thought_chunk"
            | "user_message_chunk"
            | "plan"
            | "available_commands_update"
            | "current_mode_update"
            | "config_option_update"
            | "session_info_update" => emit(Event::Progress),
            other => {
                self.unknown.note(other);
                emit(Event::Progress);
            }
        }
    }

    /// A call that was announced, once its input is known.
    fn described(&mut self, update: &Value) -> Event {
        let id = &update["toolCallId"];
        let is_known = update["status"] != "pending" || !update["rawInput"].is_null();
        let announced = self.announced.take_if(|call| call["toolCallId"] == *id && is_known);
        let Some(mut call) = announced else { return Event::Progress };
        for field in ["kind", "title", "rawInput"] {
            if !update[field].is_null() {
                call[field] = update[field].clone();
            }
        }
        Event::Tool(tool(&call))
    }

    /// It works unattended, so whatever may be allowed is.
    fn permission(&mut self, id: &Value, params: &Value, emit: &mut dyn FnMut(Event)) {
        let options: Vec<PermissionOption> =
            serde_json::from_value(params["options"].clone()).unwrap_or_default();
        let of = |kind: &str| options.iter().find(|option| option.kind == kind);
        let chosen = of("allow_always").or_else(|| of("allow_once"));
        self.replies.extend(wire::permission(id, chosen.map(|option| option.option_id.as_str())));
        emit(match chosen {
            Some(_) => Event::Progress,
            None => Event::Denied(Denied {
                call: tool(&params["toolCall"]).summary,
                why: "the agent offered no option that allows it".to_owned(),
            }),
        });
    }

    /// The result of the prompt.
    fn ended(&self, result: &Value) -> Event {
        let usage = reply(&result["usage"]);
        let stop = result["stopReason"].as_str().unwrap_or_default();
        let (is_error, subtype) = match stop {
            "end_turn" => (false, "success"),
            "max_turn_requests" | "max_tokens" => (true, "error_max_turns"),
            _ => (true, "error_during_execution"),
        };
        let silent = !is_error && !self.has_acted && usage.is_none();
        Event::Finished(Box::new(Finished {
            is_error,
            subtype: subtype.to_owned(),
            refused: stop == "refusal",
            // It is of the whole session, also over several processes.
            cost: self.cost.map(|total| Cost { total, own: Some(0.0) }),
            cost_unread: self.cost_unread && self.cost.is_none(),
            usage: usage.unwrap_or_default(),
            text: match (silent, is_error) {
                (true, _) => "its turn ended without any text or tool call".to_owned(),
                (false, true) => format!("it stopped: {stop}"),
                (false, false) => self.text.clone(),
            },
            ..Finished::default()
        }))
    }
}

/// The tokens of a reply, from an agent that does not add them up.
fn reply(usage: &Value) -> Option<Usage> {
    let count = |key: &str| lenient::count(&usage[key]).unwrap_or(0);
    let cached = count("cachedReadTokens");
    let usage = Usage {
        input: count("inputTokens").saturating_sub(cached),
        output: count("outputTokens"),
        cache_read: cached,
        cache_write: 0,
    };
    (usage != Usage::default()).then_some(usage)
}

fn failed(text: &str, name: &str) -> Event {
    Event::Finished(Box::new(Finished {
        is_error: true,
        error_kind: vec![name.to_owned()],
        text: cut(text, MAX_TEXT).to_owned(),
        ..Finished::default()
    }))
}

fn tool(call: &Value) -> Tool {
    let kind = call["kind"].as_str().unwrap_or("tool");
    let title = call["title"].as_str().unwrap_or_default();
    let summary = match kind {
        "execute" => format!("running {}", first_words(title)),
        "read" | "edit" | "delete" | "search" | "fetch" | "think" | "move" => title.to_owned(),
        _ if title.is_empty() => "using a tool".to_owned(),
        _ => format!("using {title}"),
    };
    let input =
        if call["rawInput"].is_null() { title.to_owned() } else { call["rawInput"].to_string() };
    Tool {
        name: one_line(kind, 80),
        summary: one_line(&summary, 80),
        fingerprint: fingerprint(kind, input.as_bytes()),
    }
}

impl Decoder for Dialogue {
    fn line(&mut self, line: &[u8], emit: &mut dyn FnMut(Event)) {
        let told = lenient::objects(line);
        if told.is_empty() {
            self.unknown.note(NOT_JSON);
            emit(Event::Progress);
        }
        told.into_iter().for_each(|told| self.take(Message::from(told), emit));
    }

    fn cancel(&mut self) -> Option<Vec<u8>> {
        self.is_prompted.then(|| wire::cancel(&self.session))
    }

    fn take_replies(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.replies)
    }

    fn unknown(&self) -> Option<&Unknown> {
        Some(&self.unknown)
    }
}

#[cfg(test)]
mod tests;
