//! The event stream of `codex exec --json`.

use std::collections::VecDeque;
use std::path::Path;

use serde_json::{Map, Value};

use crate::agent::command_words::{first_words, unwrapped};
use crate::agent::event::{
    Decoder, Event, Finished, MAX_TEXT, Tool, Usage, cut, fingerprint, one_line,
};
use crate::agent::lenient;
use crate::agent::unknown::{NOT_JSON, Unknown};

/// How many ids of tools under way are remembered.
const MAX_TOOLS: usize = 64;

/// The fields of a turn's tokens in the tested version.
const OF_USAGE: &[&str] = &[
    "cache_write_input_tokens",
    "cached_input_tokens",
    "input_tokens",
    "output_tokens",
    "reasoning_output_tokens",
    "total_tokens",
];

/// Decodes the output of one run.
#[derive(Debug, Default)]
pub(super) struct CodexDecoder {
    working_dir: String,
    /// The tools that have started: those of some kinds are reported only when they end.
    tools: VecDeque<String>,
    unknown: Unknown,
}

impl CodexDecoder {
    pub(super) fn new(working_dir: &Path) -> Self {
        let working_dir = working_dir.to_string_lossy().into_owned();
        Self { working_dir, ..Self::default() }
    }

    fn event(&mut self, value: &Value, emit: &mut dyn FnMut(Event)) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match value["type"].as_str().unwrap_or_default() {
            "thread.started" => emit(Event::Started {
                conversation: text(&value["thread_id"]),
                model: String::new(),
                permissions: None,
            }),
            "turn.started" | "item.updated" => emit(Event::Progress),
            "item.started" => self.item(&value["item"], true, emit),
            "item.completed" => self.item(&value["item"], false, emit),
            // It keeps trying; if it gives up, the turn fails.
            "error" => emit(match attempt(value["message"].as_str().unwrap_or_default()) {
                Some(attempt) => {
                    Event::Retry { attempt, status: None, error: "reconnecting".to_owned() }
                }
                None => Event::Progress,
            }),
            "turn.completed" => {
                let names = value["usage"].as_object().into_iter().flat_map(Map::keys);
                self.unknown.note_fields("usage", names.map(String::as_str), OF_USAGE);
                if value["usage"].is_null() {
                    self.unknown.note("turn.completed without usage");
                }
                emit(Event::Finished(Box::new(Finished {
                    subtype: "success".to_owned(),
                    conversation_usage: usage(&value["usage"]),
                    ..Finished::default()
                })));
            }
            "turn.failed" => {
                let said = said(value["error"]["message"].as_str().unwrap_or_default());
                emit(Event::Finished(Box::new(Finished {
                    is_error: true,
                    text: cut(&said, MAX_TEXT).to_owned(),
                    ..Finished::default()
                })));
            }
            other => {
                self.unknown.note(other);
                emit(Event::Progress);
            }
        }
    }

    fn item(&mut self, item: &Value, starts: bool, emit: &mut dyn FnMut(Event)) {
        let text = |key: &str| item[key].as_str().unwrap_or_default();
        match text("type") {
            "agent_message" if !starts => {
                emit(Event::Text { text: cut(text("text"), MAX_TEXT).to_owned() });
            }
            "agent_message" | "reasoning" | "todo_list" | "error" => emit(Event::Progress),
            kind @ ("command_execution" | "file_change" | "mcp_tool_call" | "web_search"
            | "collab_tool_call") => {
                let id = text("id");
                let known = self.tools.iter().position(|known| known == id);
                match (starts, known) {
                    (false, Some(at)) => {
                        self.tools.remove(at);
                        return emit(Event::Progress);
                    }
                    (true, _) => {
                        self.tools.truncate(MAX_TOOLS - 1);
                        self.tools.push_front(id.to_owned());
                    }
                    (false, None) => {}
                }
                emit(Event::Tool(self.tool(kind, item)));
            }
            other => {
                self.unknown.note(&format!("item {other}"));
                emit(Event::Progress);
            }
        }
    }

    fn tool(&self, kind: &str, item: &Value) -> Tool {
        let text = |key: &str| item[key].as_str().unwrap_or_default();
        let (name, input, summary) = match kind {
            "command_execution" => {
                let command = text("command");
                (
                    "command",
                    command.to_owned(),
                    format!("running {}", first_words(&unwrapped(command))),
                )
            }
            "file_change" => {
                let changes = item["changes"].as_array().map(Vec::as_slice).unwrap_or_default();
                let paths: Vec<&str> =
                    changes.iter().filter_map(|change| change["path"].as_str()).collect();
                let more = if paths.len() > 1 {
                    format!(" and {} more", paths.len() - 1)
                } else {
                    String::new()
                };
                let path = self.relative(paths.first().copied().unwrap_or("files"));
                ("file_change", item["changes"].to_string(), format!("editing {path}{more}"))
            }
            "web_search" => {
                ("web_search", text("query").to_owned(), "searching the web".to_owned())
            }
            other => {
                let name = format!("{} {}", text("server"), text("tool"));
                (other, item["arguments"].to_string(), format!("calling {}", name.trim()))
            }
        };
        Tool {
            fingerprint: fingerprint(name, input.as_bytes()),
            name: name.to_owned(),
            summary: one_line(&summary, 80),
        }
    }

    fn relative<'a>(&self, path: &'a str) -> &'a str {
        let inside = path.strip_prefix(&self.working_dir);
        inside.and_then(|rest| rest.strip_prefix('/')).unwrap_or(path)
    }
}

impl Decoder for CodexDecoder {
    fn line(&mut self, line: &[u8], emit: &mut dyn FnMut(Event)) {
        let values = lenient::objects(line);
        if values.is_empty() {
            self.unknown.note(NOT_JSON);
            emit(Event::Progress);
        }
        values.iter().for_each(|value| self.event(value, emit));
    }

    fn unknown(&self) -> Option<&Unknown> {
        Some(&self.unknown)
    }
}

/// The number of the attempt in "Reconnecting... 2/5".
fn attempt(message: &str) -> Option<u32> {
    let (before, _) = message.split_once('/')?;
    before.strip_prefix("Reconnecting")?.trim_start_matches(['.', '…', ' ']).parse().ok()
}

/// The service's own words in an error, if it is quoted as JSON.
fn said(message: &str) -> String {
    let quoted = serde_json::from_str::<Value>(message).ok();
    let inner = quoted.as_ref().and_then(|quoted| {
        quoted["error"]["message"].as_str().or_else(|| quoted["detail"].as_str())
    });
    inner.unwrap_or(message).to_owned()
}

/// Token counts, in which the input includes what came from the cache.
pub(super) fn usage(counted: &Value) -> Option<Usage> {
    let count = |key: &str| lenient::count(&counted[key]).unwrap_or(0);
    let (cache_read, cache_write) =
        (count("cached_input_tokens"), count("cache_write_input_tokens"));
    let input = lenient::count(&counted["input_tokens"])?;
    Some(Usage {
        input: input.saturating_sub(cache_read).saturating_sub(cache_write),
        output: count("output_tokens"),
        cache_read,
        cache_write,
    })
}

#[cfg(test)]
mod tests;
