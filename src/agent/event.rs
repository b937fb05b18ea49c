//! Events that agents report while they run, in one form for all agents.

use std::hash::{DefaultHasher, Hasher};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use super::unknown::Unknown;
pub use crate::session::journal::Usage;

/// The most text that one event carries, in bytes. The log has all of it.
pub const MAX_TEXT: usize = 8 * 1024;

/// One event of an agent. Agents that use this format themselves write a JSON object per line, with
/// the key `event`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The agent has read its input and started to work.
    Started {
        /// The conversation's id, to resume it by.
        #[serde(default)]
        conversation: String,
        /// The model that answers.
        #[serde(default)]
        model: String,
        /// The permission mode it runs in, in its own word.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        permissions: Option<String>,
    },
    /// A sign of life without details.
    Progress,
    /// Text from the agent, cut at [`MAX_TEXT`].
    Text {
        /// The text of one reply, or of a part of it.
        text: String,
    },
    /// The agent is using a tool.
    Tool(Tool),
    /// The agent was not allowed to make a call.
    Denied(Denied),
    /// The tokens of a model's reply, as known when it started. Agents that report [`Finished`] are
    /// more exact there; this is for runs that never get that far.
    Usage {
        /// The tokens of this reply alone, not of the run so far.
        usage: Usage,
        /// Tokens in the main conversation's context after it; absent for helpers' replies.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        context_used: Option<u64>,
    },
    /// The state of one of the account's usage limits.
    Limit(Limit),
    /// The agent could not reach the model and is retrying on its own.
    Retry {
        /// Which attempt failed, from 1.
        attempt: u32,
        /// The HTTP status, if there was a response.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        /// The agent's name for the failure.
        #[serde(default)]
        error: String,
    },
    /// The agent has finished its work; the process may exit a little later.
    Finished(Box<Finished>),
}

/// One use of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// The tool's name as the agent's program gives it, such as `Bash`.
    pub name: String,
    /// What it does, for a status line: "editing src/auth.rs". One line, at most 80 characters.
    #[serde(default)]
    pub summary: String,
    /// A hash of the tool and its whole input: equal for equal calls.
    #[serde(default)]
    pub fingerprint: u64,
}

/// A call that the agent was not allowed to make: by its permissions, or by a hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denied {
    /// The call, as in [`Tool::summary`].
    pub call: String,
    /// The reason, as the agent received it. One line.
    #[serde(default)]
    pub why: String,
}

/// The state of a usage limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Whether requests are refused now. Otherwise this is a warning or just information, or the
    /// account pays for what exceeds its limit.
    pub reached: bool,
    /// Which limit: `five_hour`, `seven_day`, …
    #[serde(default)]
    pub kind: String,
    /// When the limit resets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resets_at: Option<Timestamp>,
    /// How full the account's windows are, as far as the agent says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
}

/// A span of time in which an account may use so much and no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Which one: `five_hour`, `seven_day`, …
    pub kind: String,
    /// How much of it is used, in percent; 100 if it is more.
    pub percent: u8,
    /// When it is empty again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resets_at: Option<Timestamp>,
}

/// An agent's report at the end of its work. If one process reports several ends, each holds the
/// totals of the process so far.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Finished {
    /// Whether it ended with an error. Only this field tells: an API failure has subtype `success`.
    pub is_error: bool,
    /// `success`, `error_max_turns`, `error_max_budget_usd`, `error_during_execution`.
    pub subtype: String,
    /// Why the agent's own loop ended, if reported: `completed`, `prompt_too_long`, ….
    pub terminal_reason: Option<String>,
    /// The HTTP status of the request that failed.
    pub api_status: Option<u16>,
    /// The agent's names for the failure, the most specific one first: `usage_limit_reached`,
    /// `rate_limit`, …. See [`Remedy`](super::remedy::Remedy).
    #[serde(deserialize_with = "one_or_more")]
    pub error_kind: Vec<String>,
    /// Whether the model declined to answer.
    pub refused: bool,
    /// How to fix the failure, if the agent's own text does not say.
    pub advice: Option<String>,
    /// How many calls the agent was not allowed to make.
    pub denied: u32,
    /// One of them, as in [`Tool::summary`].
    pub denied_example: Option<String>,
    /// The cost of the run, if reported.
    pub cost: Option<Cost>,
    /// Whether it reported a cost that is no number of dollars, or none where it always reports one.
    pub cost_unread: bool,
    /// The tokens that the run used.
    pub usage: Usage,
    /// The tokens of the whole conversation so far, from an agent that counts only those.
    pub conversation_usage: Option<Usage>,
    /// How many turns the model took.
    pub num_turns: Option<u32>,
    /// The size of the model's context in tokens.
    pub context_window: Option<u64>,
    /// Messages that were sent in and not yet answered.
    pub queued: u32,
    /// The final text or the error message; cut at [`MAX_TEXT`].
    pub text: String,
}

/// Reads a list of words, or a single one, as agents wrote before there could be several.
fn one_or_more<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Words {
        Many(Vec<String>),
        One(Option<String>),
    }
    Ok(match Words::deserialize(from)? {
        Words::Many(words) => words,
        Words::One(word) => word.into_iter().collect(),
    })
}

/// A cost in US dollars as an agent reports it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Cost {
    /// The figure in US dollars, as the agent's program reported it.
    pub total: f64,
    /// This process's own share, if the agent reports it. If so, `total` also includes earlier
    /// processes of the same conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<f64>,
}

/// Decodes one run of an agent: turns its output into events, and messages into its input. No bytes
/// and no order of lines may make it panic or grow without bound.
pub trait Decoder: Send {
    /// Takes a complete line, without its line end.
    fn line(&mut self, line: &[u8], emit: &mut dyn FnMut(Event));

    /// Takes the beginning and the end of a line that was too long to keep.
    fn oversized(&mut self, head: &[u8], tail: &[u8], emit: &mut dyn FnMut(Event)) {
        let _ = (head, tail);
        emit(Event::Progress);
    }

    /// What it met and does not know.
    fn unknown(&self) -> Option<&Unknown> {
        None
    }

    /// The bytes that carry a message to the agent while it runs; `None` if it takes no messages.
    fn message(&mut self, text: &str) -> Option<Vec<u8>> {
        let _ = text;
        None
    }

    /// The bytes that ask the agent to end its turn in order; `None` if only a signal does that.
    fn cancel(&mut self) -> Option<Vec<u8>> {
        None
    }

    /// Replies to what the agent has written, such as answers to its requests. They are taken after
    /// every chunk that is read, and written to its input if that is open.
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
    fn an_error_has_one_name_or_several() {
        for (json, names) in [
            (r#"{"error_kind":"overloaded"}"#, vec!["overloaded"]),
            (
                r#"{"error_kind":["usage_limit_reached","rate_limit"]}"#,
                vec!["usage_limit_reached", "rate_limit"],
            ),
            (r#"{"error_kind":null}"#, vec![]),
            ("{}", vec![]),
        ] {
            let end: Finished = serde_json::from_str(json).unwrap();
            assert_eq!(end.error_kind, names, "{json}");
        }
    }

    #[test]
    fn fingerprints_are_equal_for_equal_calls_only() {
        assert_eq!(fingerprint("Bash", b"{}"), fingerprint("Bash", b"{}"));
        assert_ne!(fingerprint("Bash", b"{}"), fingerprint("Bas", b"h{}"));
    }
}
