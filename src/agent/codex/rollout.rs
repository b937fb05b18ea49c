//! The file that Codex keeps of a conversation: `CODEX_HOME/sessions/Y/M/D/rollout-TIME-ID.jsonl`.
//! Its stream prints an error as prose only; the error's class, the limits with their reset times
//! and the tokens of a run that did not end are here.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::Value;

use super::decode::usage;
use crate::agent::event::{Finished, Limit, Usage, Window};
use crate::agent::lenient;
use crate::session::order;

/// How much of the file's end is read.
const END: u64 = 4 * 1024 * 1024;

/// What the end of the file says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Record {
    /// The error that the last turn ended with.
    pub(super) error: Option<Error>,
    /// The usage limit that is reached.
    pub(super) limit: Option<Limit>,
    /// How full the account's windows are.
    pub(super) windows: Vec<Window>,
    /// The tokens of the whole conversation.
    pub(super) usage: Option<Usage>,
    /// The model of the last turn.
    pub(super) model: Option<String>,
}

/// The class of an error, and the HTTP status if there was a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Error {
    class: String,
    status: Option<u16>,
    /// Whether the service's own words for it are JSON, as those of a refused request are.
    is_quoted: bool,
}

impl Error {
    fn of(error: &Value) -> Option<Self> {
        let info = error.get("codex_error_info")?;
        let message = error["message"].as_str().unwrap_or_default();
        let quoted = serde_json::from_str::<Value>(message).ok();
        let is_quoted = quoted
            .is_some_and(|message| message["error"].is_object() || message["detail"].is_string());
        let (class, status) = match info {
            Value::String(class) => (class.clone(), None),
            Value::Object(info) => {
                let (class, details) = info.iter().next()?;
                let status = lenient::count(&details["http_status_code"]);
                (class.clone(), status.and_then(|status| u16::try_from(status).ok()))
            }
            _ => return None,
        };
        Some(Self { class, status, is_quoted })
    }

    /// Adds what it means, in the names that [`Remedy`](crate::agent::remedy::Remedy) knows.
    pub(super) fn explain(self, finished: &mut Finished) {
        finished.api_status = self.status;
        let name = match self.class.as_str() {
            "usage_limit_exceeded" => "usage_limit_reached",
            "server_overloaded" => "overloaded",
            "internal_server_error" => "server_error",
            "unauthorized" => "authentication_failed",
            "cyber_policy" => "policy_blocked",
            "bad_request" => "invalid_request",
            "model_not_found" => "model_not_found",
            "context_window_exceeded" => {
                finished.terminal_reason = Some("prompt_too_long".to_owned());
                return;
            }
            "session_budget_exceeded" => {
                finished.subtype = "error_max_budget_usd".to_owned();
                return;
            }
            // A service that has no such address, or has the model's name in the address.
            _ if self.status == Some(404) => "model_not_found",
            // A refused request is of no class of its own.
            "other" if self.is_quoted => "invalid_request",
            "http_connection_failed"
            | "response_stream_connection_failed"
            | "response_stream_disconnected"
            | "response_too_many_failed_attempts"
                if self.status.is_none() =>
            {
                "connection_failed"
            }
            _ => return,
        };
        finished.error_kind = vec![name.to_owned()];
        if name == "model_not_found" {
            finished.advice =
                Some("set CODEX_MODEL to a model that the account may use".to_owned());
        }
    }
}

/// The file of a conversation.
pub(super) fn find(home: &Path, conversation: &str) -> Option<PathBuf> {
    // An id is a UUID; anything else would be a pattern or a path.
    uuid::Uuid::try_parse(conversation).ok()?;
    let end = format!("-{conversation}.jsonl");
    let is_it = |path: &PathBuf| path.to_string_lossy().ends_with(&end);
    let years = newest_first(&home.join("sessions"));
    let months = years.iter().flat_map(|year| newest_first(year));
    let days = months.flat_map(|month| newest_first(&month));
    days.into_iter().find_map(|day| newest_first(&day).into_iter().find(is_it))
}

fn newest_first(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    order::by(&mut paths, |a, b| b.cmp(a));
    paths
}

/// Reads the end of the file.
pub(super) fn read(path: &Path) -> Record {
    let mut bytes = Vec::new();
    let end = || -> std::io::Result<()> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(END)))?;
        file.take(END).read_to_end(&mut bytes).map(drop)
    };
    match { end }() {
        Ok(()) => parse(&String::from_utf8_lossy(&bytes)),
        Err(_) => Record::default(),
    }
}

fn parse(text: &str) -> Record {
    let mut record = Record::default();
    // The first line may be cut off, the last one torn.
    for line in text.lines() {
        lenient::objects(line.as_bytes()).iter().for_each(|told| record.take(told));
    }
    record
}

impl Record {
    fn take(&mut self, told: &Value) {
        let payload = &told["payload"];
        match (told["type"].as_str(), payload["type"].as_str()) {
            (Some("turn_context"), _) => {
                // What came before is about an earlier turn.
                self.error = None;
                self.limit = None;
                self.model = payload["model"].as_str().map(str::to_owned).or(self.model.take());
            }
            (Some("event_msg"), Some("token_count")) => {
                let total = usage(&payload["info"]["total_token_usage"]);
                self.usage = total.or(self.usage);
                let windows = windows(&payload["rate_limits"]);
                if !windows.is_empty() {
                    self.limit = reached(&windows).or(self.limit.take());
                    self.windows = windows;
                }
            }
            (Some("event_msg"), Some("task_complete")) => {
                self.error = Error::of(&payload["error"]);
            }
            _ => {}
        }
    }
}

/// How full the account's two windows are.
fn windows(limits: &Value) -> Vec<Window> {
    let windows = ["primary", "secondary"].map(|name| &limits[name]);
    let filled = windows.into_iter().filter_map(|window| {
        let used = lenient::number(&window["used_percent"]).filter(|used| *used >= 0.0)?;
        let resets_at = lenient::count(&window["resets_at"])
            .and_then(|at| Timestamp::from_second(i64::try_from(at).ok()?).ok());
        // A full window is one in which no request succeeds, so 99.6 % is not 100.
        Some(Window {
            kind: kind(lenient::count(&window["window_minutes"])),
            percent: used.min(100.0) as u8,
            resets_at,
        })
    });
    filled.collect()
}

/// The limit that is reached; the later one if both are.
fn reached(windows: &[Window]) -> Option<Limit> {
    let full = windows.iter().filter(|window| window.percent >= 100);
    let last = full.max_by_key(|window| window.resets_at)?;
    let (kind, resets_at) = (last.kind.clone(), last.resets_at);
    Some(Limit { reached: true, kind, resets_at, windows: Vec::new() })
}

/// The name of a limit by its window.
fn kind(minutes: Option<u64>) -> String {
    match minutes {
        Some(300) => "five_hour".to_owned(),
        Some(10_080) => "seven_day".to_owned(),
        Some(minutes) if minutes % 60 == 0 => format!("{}_hour", minutes / 60),
        Some(minutes) => format!("{minutes}_minute"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests;
