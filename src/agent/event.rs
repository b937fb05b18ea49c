//! What agents tell while they run, in one form for all of them.

use std::hash::{DefaultHasher, Hasher};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The most text of an agent that one event carries, in bytes. The log has all of it.
pub const MAX_TEXT: usize = 8 * 1024;

/// One thing an agent told. Written as JSON with the key `event`, a line each, by agents that
/// speak this form themselves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The agent has read its input and works.
    Started {
        /// The conversation's id, to resume it by.
        #[serde(default)]
        conversation: String,
        /// The model that answers.
        #[serde(default)]
        model: String,
    },
    /// A sign of life without more to say.
    Progress,
    /// What the agent says, cut at [`MAX_TEXT`].
    Text {
        /// The words.
        text: String,
    },
    /// The agent uses a tool.
    Tool(Tool),
    /// What a reply of the model took in, as known when it began. Agents that report a
    /// [`Finished`] count more exactly there; this is for runs that never get so far.
    Usage {
        /// The reply's tokens.
        usage: Usage,
        /// Tokens in the main conversation's context after it; absent for helpers' replies.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        context_used: Option<u64>,
    },
    /// What the account may still use.
    Limit(Limit),
    /// The model could not be reached and the agent tries again by itself.
    Retry {
        /// Which attempt failed, from 1.
        attempt: u32,
        /// The HTTP status, where there was an answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        /// The agent's word for the failure.
        #[serde(default)]
        error: String,
    },
    /// The agent has ended its work; the process may take a little longer.
    Finished(Box<Finished>),
}

/// The use of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// The tool's name.
    pub name: String,
    /// What it does, for a status line: "editing src/auth.rs". One line, at most 80 characters.
    #[serde(default)]
    pub summary: String,
    /// A hash of the tool and its whole input: equal for equal calls.
    #[serde(default)]
    pub fingerprint: u64,
}

/// Tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Read afresh.
    pub input: u64,
    /// Written by the model.
    pub output: u64,
    /// Read from the provider's cache.
    pub cache_read: u64,
    /// Put into the provider's cache.
    pub cache_write: u64,
}

impl Usage {
    /// The sum, never overflowing.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            output: self.output.saturating_add(other.output),
            cache_read: self.cache_read.saturating_add(other.cache_read),
            cache_write: self.cache_write.saturating_add(other.cache_write),
        }
    }

    /// All tokens that went in: fresh, from the cache and to it.
    #[must_use]
    pub const fn taken_in(self) -> u64 {
        self.input.saturating_add(self.cache_read).saturating_add(self.cache_write)
    }
}

/// What an account may still use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Whether requests are refused now; else it is a warning or a mere statement.
    pub reached: bool,
    /// Which limit: `five_hour`, `seven_day`, …
    #[serde(default)]
    pub kind: String,
    /// When it is lifted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resets_at: Option<Timestamp>,
}

/// What an agent says when it has ended its work. Where one process reports several ends, each
/// holds the sum of the process so far.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Finished {
    /// Whether it ended with an error. Nothing else says so: an API failure has subtype `success`.
    pub is_error: bool,
    /// `success`, `error_max_turns`, `error_max_budget_usd`, `error_during_execution`.
    pub subtype: String,
    /// Why the agent's own loop ended, where it says: `completed`, `prompt_too_long`, ….
    pub terminal_reason: Option<String>,
    /// The HTTP status of the request that failed.
    pub api_status: Option<u16>,
    /// The agent's word for the failure, where it has one: `authentication_failed`,
    /// `usage_limit_reached`, ….
    pub error_kind: Option<String>,
    /// What the run cost.
    pub cost: Option<Cost>,
    /// The run's tokens.
    pub usage: Usage,
    /// The model's turns.
    pub num_turns: Option<u32>,
    /// The size of the model's context in tokens.
    pub context_window: Option<u64>,
    /// Messages that were fed in and not answered yet.
    pub queued: u32,
    /// The last words, or what went wrong; cut at [`MAX_TEXT`].
    pub text: String,
}

/// A cost in US dollars as an agent reports it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Cost {
    /// The figure reported.
    pub total: f64,
    /// This process' own share of it, where the agent tells. Where it does, `total` also holds
    /// earlier processes of the same conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<f64>,
}

/// Understands one run of an agent: turns its output into events, and messages into its input.
/// Neither any bytes nor any order of lines may make it
/// panic or grow without bound.
pub trait Decoder: Send {
    /// Takes a complete line, without its line end.
    fn line(&mut self, line: &[u8], emit: &mut dyn FnMut(Event));

    /// Takes the two ends of a line that was too long to be kept.
    fn oversized(&mut self, head: &[u8], tail: &[u8], emit: &mut dyn FnMut(Event)) {
        let _ = (head, tail);
        emit(Event::Progress);
    }

    /// The bytes that carry a message to the agent while it runs; `None` where it takes none.
    fn message(&mut self, text: &str) -> Option<Vec<u8>> {
        let _ = text;
        None
    }

    /// What the agent is to be sent because of what it has written, such as answers to its
    /// requests. Taken, and written to an input that is open, after every chunk that was read.
    fn take_replies(&mut self) -> Vec<u8> {
        Vec::new()
    }
}

/// `text` cut at a character's boundary to at most `max` bytes.
#[must_use]
pub fn cut(text: &str, max: usize) -> &str {
    let mut end = max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// `text` as one line of at most `max` characters, without control characters.
#[must_use]
pub fn one_line(text: &str, max: usize) -> String {
    let mut line = String::new();
    let mut length = 0;
    for c in text.trim_start().chars() {
        let c = if c.is_control() || c.is_whitespace() { ' ' } else { c };
        if c == ' ' && line.ends_with(' ') {
            continue;
        }
        if length == max {
            line.pop();
            line.push('…');
            return line;
        }
        line.push(c);
        length += 1;
    }
    line.truncate(line.trim_end().len());
    line
}

/// A hash of a tool's name and input, equal for equal calls.
#[must_use]
pub fn fingerprint(name: &str, input: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(name.as_bytes());
    hasher.write_u8(0xff);
    hasher.write(input);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_equal_for_equal_calls_only() {
        assert_eq!(fingerprint("Bash", b"{}"), fingerprint("Bash", b"{}"));
        assert_ne!(fingerprint("Bash", b"{}"), fingerprint("Bas", b"h{}"));
    }
}
