//! Mail: one JSON file per message, in `_inbox/` until an agent has seen it.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::names;

pub mod foreign;

/// Maximum size of a message file, in bytes.
pub const MAX_BYTES: usize = 256 * 1024;

/// The longest id, in bytes: the file name `ID.json` must stay a file name everywhere.
const MAX_ID: usize = 64;

/// The sender of what a human says.
pub const HUMAN: &str = "human";

/// The kinds of messages; the kind decides what a message does to the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Plain text for the agent.
    Text,
    /// A question that the sender waits to have answered, with a message that replies to it.
    Question,
    /// Answers to questions in `_qa.md`.
    Answer,
    /// Approves what the session is waiting on: opens a gate.
    Approve,
    /// Rejects it, with a reason in the body.
    Reject,
    /// Tells an agent that seems stuck to continue.
    Nudge,
    /// Tells the worker to stop after the current iteration.
    Stop,
    /// Asks for a handoff to a fresh conversation.
    Handoff,
}

impl Kind {
    /// Every kind there is, for lookups by word.
    pub const ALL: [Self; 8] = [
        Self::Text,
        Self::Question,
        Self::Answer,
        Self::Approve,
        Self::Reject,
        Self::Nudge,
        Self::Stop,
        Self::Handoff,
    ];

    /// Whether it says yes or no to what a session waits for.
    #[must_use]
    pub const fn is_verdict(&self) -> bool {
        matches!(self, Self::Answer | Self::Approve | Self::Reject)
    }

    /// Whether it opens the gate that a session waits at.
    #[must_use]
    pub const fn opens_gates(self) -> bool {
        matches!(self, Self::Answer | Self::Approve)
    }

    /// Whether it counts only if a verb vouches for it: it decides in a human's place.
    #[must_use]
    pub const fn needs_voucher(self) -> bool {
        matches!(self, Self::Answer | Self::Approve | Self::Reject | Self::Stop)
    }

    /// The word used in the message's file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Question => "question",
            Self::Answer => "answer",
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Nudge => "nudge",
            Self::Stop => "stop",
            Self::Handoff => "handoff",
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// A message. Keys are written in the order of these fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Safe as a file name; samocode's own messages use UUIDv7.
    pub id: String,
    /// The sender: `human`, `parent`, or a session's name or instance.
    pub from: String,
    /// The recipient, in the same form.
    pub to: String,
    /// When the sender wrote it.
    pub at: Timestamp,
    /// What the message is for.
    pub kind: Kind,
    /// The text, which may be empty.
    pub body: String,
    /// The id of the message that this one answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
}

/// Why a file is not a message, or why a message cannot be written. Callers move such a file aside
/// and report its name with this error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// The message's size in bytes exceeds [`MAX_BYTES`].
    #[error(
        "the message has more than {MAX_BYTES} bytes: put long text in a file and send its path"
    )]
    TooLarge(usize),
    /// The file holds nothing but white space.
    #[error("the message is empty")]
    Empty,
    /// The JSON ends early, as after an interrupted in-place write.
    #[error("the message is truncated: write it elsewhere, then rename it into the inbox")]
    Torn,
    /// The file is not JSON; holds the parser's message.
    #[error("the message is not JSON: {0}")]
    NotJson(String),
    /// The file is JSON, but not an object.
    #[error("the message is not a JSON object with id, from, to, at, kind and body")]
    NotAnObject,
    /// A field is missing or has an invalid value.
    #[error("the message's '{field}' is {found}: it must be {expected}")]
    Field {
        /// Name of the field, as in the file.
        field: &'static str,
        /// The value found, quoted and shortened.
        found: String,
        /// What the value should be.
        expected: &'static str,
    },
}

const ID: &str = "a name of at most 64 letters, digits, '-' and '_'";
const PARTY: &str = "human, parent or a session's name";
const TIME: &str = "a time like 2026-11-20T17:04:11Z";
const KIND: &str = "text, question, answer, approve, reject, nudge, stop or handoff";

impl Message {
    /// Creates a message with a new ID. IDs from one process sort in creation order.
    ///
    /// # Errors
    /// [`MailError::Field`] if `from` or `to` is not a valid party, or [`MailError::TooLarge`].
    pub fn new(
        from: &str,
        to: &str,
        at: Timestamp,
        kind: Kind,
        body: impl Into<String>,
    ) -> Result<Self, MailError> {
        let message = Self {
            id: uuid::Uuid::now_v7().to_string(),
            from: checked("from", from, is_party, PARTY)?,
            to: checked("to", to, is_party, PARTY)?,
            at,
            kind,
            body: body.into(),
            reply_to: None,
        };
        let length = message.to_json()?.len();
        if length > MAX_BYTES { Err(MailError::TooLarge(length)) } else { Ok(message) }
    }

    /// Parses a message file. A missing body is empty; unknown fields are ignored.
    ///
    /// # Errors
    /// A [`MailError`] that describes the problem.
    pub fn parse(bytes: &[u8]) -> Result<Self, MailError> {
        if bytes.len() > MAX_BYTES {
            return Err(MailError::TooLarge(bytes.len()));
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(MailError::Empty);
        }
        let value: Value = serde_json::from_slice(bytes).map_err(|error| {
            if error.is_eof() { MailError::Torn } else { MailError::NotJson(error.to_string()) }
        })?;
        let Value::Object(fields) = value else {
            return Err(MailError::NotAnObject);
        };
        let at = text(&fields, "at", TIME)?;
        let kind = text(&fields, "kind", KIND)?;
        Ok(Self {
            id: checked("id", text(&fields, "id", ID)?, is_id, ID)?,
            from: checked("from", text(&fields, "from", PARTY)?, is_party, PARTY)?,
            to: checked("to", text(&fields, "to", PARTY)?, is_party, PARTY)?,
            at: at.parse().map_err(|_| wrong("at", at, TIME))?,
            kind: Kind::ALL
                .into_iter()
                .find(|known| known.as_str().eq_ignore_ascii_case(kind.trim()))
                .ok_or_else(|| wrong("kind", kind, KIND))?,
            body: match fields.get("body") {
                None | Some(Value::Null) => String::new(),
                Some(_) => text(&fields, "body", "a string")?.to_owned(),
            },
            reply_to: match fields.get("reply_to") {
                None | Some(Value::Null) => None,
                Some(_) => Some(checked("reply_to", text(&fields, "reply_to", ID)?, is_id, ID)?),
            },
        })
    }

    /// Serializes the message for its file.
    ///
    /// # Errors
    /// [`MailError::NotJson`], never in practice: every field has a JSON form.
    pub fn to_json(&self) -> Result<Vec<u8>, MailError> {
        let mut json =
            serde_json::to_vec(self).map_err(|error| MailError::NotJson(error.to_string()))?;
        json.push(b'\n');
        Ok(json)
    }

    /// The same message as an answer to the one with this id.
    ///
    /// # Errors
    /// [`MailError::Field`] if that is no id.
    pub fn in_reply_to(self, id: Option<&str>) -> Result<Self, MailError> {
        let reply_to = id.map(|id| checked("reply_to", id, is_id, ID)).transpose()?;
        Ok(Self { reply_to, ..self })
    }

    /// The same message with an ID that depends on its words alone.
    #[must_use]
    pub fn with_own_id(&self) -> Self {
        let mut hasher = DefaultHasher::new();
        (self.kind, &self.from, &self.to, &self.at.as_nanosecond()).hash(&mut hasher);
        (&self.body, &self.reply_to).hash(&mut hasher);
        Self { id: format!("mail-{:016x}", hasher.finish()), ..self.clone() }
    }

    /// Whether another message has the same sender, kind and words, and answers the same.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        let of = |message: &Self| (message.kind, message.from.clone(), message.reply_to.clone());
        of(self) == of(other) && self.body == other.body
    }

    /// The name of the message's file in `_inbox/` and `_mail/`.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}.json", self.id)
    }
}

fn text<'a>(
    fields: &'a Map<String, Value>,
    field: &'static str,
    expected: &'static str,
) -> Result<&'a str, MailError> {
    match fields.get(field) {
        Some(Value::String(text)) => Ok(text),
        None => Err(MailError::Field { field, found: "missing".to_owned(), expected }),
        Some(_) => Err(MailError::Field { field, found: "not a string".to_owned(), expected }),
    }
}

fn checked(
    field: &'static str,
    value: &str,
    is_sound: fn(&str) -> bool,
    expected: &'static str,
) -> Result<String, MailError> {
    if is_sound(value) { Ok(value.to_owned()) } else { Err(wrong(field, value, expected)) }
}

/// Quotes and shortens the value, so that the error stays one readable line.
fn wrong(field: &'static str, value: &str, expected: &'static str) -> MailError {
    let mut found: String = value.chars().take(40).collect();
    if found.len() < value.len() {
        found.push('…');
    }
    MailError::Field { field, found: format!("{found:?}"), expected }
}

fn is_id(word: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !word.is_empty() && word.len() <= MAX_ID && word.bytes().all(is_allowed)
}

fn is_party(word: &str) -> bool {
    matches!(word, HUMAN | "parent") || names::is_instance(word)
}

#[cfg(test)]
mod tests;
