//! Mail: one JSON file a message, in `_inbox/` until an agent has been shown it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::names;

/// The largest message that is read or written, in bytes of its file.
pub const MAX_BYTES: usize = 256 * 1024;

/// The longest id, in bytes: the file name `ID.json` must stay a file name everywhere.
const MAX_ID: usize = 64;

/// What a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Words for the agent.
    Text,
    /// Answers to questions of `_qa.md`.
    Answer,
    /// Opens a gate.
    Approve,
    /// Sends a gate back, with a reason.
    Reject,
    /// Asks an agent that seems to hang to go on.
    Nudge,
    /// Asks the worker to stop at the iteration's end.
    Stop,
    /// Asks for a fresh conversation.
    Handoff,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::Text,
        Self::Answer,
        Self::Approve,
        Self::Reject,
        Self::Nudge,
        Self::Stop,
        Self::Handoff,
    ];

    /// The word as it stands in the file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
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

/// A message. The order of the fields is the order of the keys in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// A UUID of version 7 in our own messages; safe as a file name in all.
    pub id: String,
    /// `human`, `parent`, or a session's name or instance.
    pub from: String,
    /// The same, of who is to read it.
    pub to: String,
    /// When it was written.
    pub at: Timestamp,
    /// What it is for.
    pub kind: Kind,
    /// Its words; may be empty.
    pub body: String,
}

/// Why bytes are no message, or why a message cannot be written. The file is to be moved aside
/// and its name to be told with this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// Too large to be read or written.
    #[error(
        "the message has {0} bytes; at most {MAX_BYTES} are read: put long text in a file and send its path"
    )]
    TooLarge(usize),
    /// No content but white space.
    #[error("the message is empty")]
    Empty,
    /// The JSON ends in the middle, as after a write in place that was cut off.
    #[error("the message is cut off: write it elsewhere and rename it into the inbox")]
    Torn,
    /// Not JSON.
    #[error("the message is not JSON: {0}")]
    NotJson(String),
    /// JSON, but no object.
    #[error("the message is not a JSON object with id, from, to, at, kind and body")]
    NotAnObject,
    /// A field is missing or has a value that cannot be used.
    #[error("the message's '{field}' is {found}: it must be {expected}")]
    Field {
        /// The field's name.
        field: &'static str,
        /// What it holds.
        found: String,
        /// What it should hold.
        expected: &'static str,
    },
}

const ID: &str = "a name of at most 64 letters, digits, '-' and '_'";
const PARTY: &str = "human, parent or a session's name";
const TIME: &str = "a time like 2026-11-20T17:04:11Z";
const KIND: &str = "text, answer, approve, reject, nudge, stop or handoff";

impl Message {
    /// A new message with an id of its own. Ids made by one process sort in the order in which
    /// they were made.
    ///
    /// # Errors
    /// [`MailError::Field`] when `from` or `to` is nobody, [`MailError::TooLarge`].
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
        };
        let length = message.to_json()?.len();
        if length > MAX_BYTES { Err(MailError::TooLarge(length)) } else { Ok(message) }
    }

    /// Reads a message's file. A missing body is an empty one; unknown fields are ignored.
    ///
    /// # Errors
    /// A [`MailError`] that says what is wrong with the bytes.
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
        })
    }

    /// The contents of the message's file.
    ///
    /// # Errors
    /// [`MailError::NotJson`], in practice never: all of it has a JSON form.
    pub fn to_json(&self) -> Result<Vec<u8>, MailError> {
        let mut json =
            serde_json::to_vec(self).map_err(|error| MailError::NotJson(error.to_string()))?;
        json.push(b'\n');
        Ok(json)
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
        Some(_) => Err(MailError::Field { field, found: "no string".to_owned(), expected }),
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

/// Quotes the value, shortened: the error must stay one readable line.
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
    matches!(word, "human" | "parent") || names::is_instance(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WHOLE: &str = r#"{"id":"m-1","from":"human","to":"jwt-login","at":"2026-11-20T17:04:11Z","kind":"text","body":"go on"}"#;

    fn parse(text: &str) -> Result<Message, MailError> {
        Message::parse(text.as_bytes())
    }

    #[test]
    fn a_message_is_written_in_the_documented_order_and_read_back() {
        let message = parse(WHOLE).unwrap();
        assert_eq!(message.to_json().unwrap(), format!("{WHOLE}\n").as_bytes());
        assert_eq!(message.file_name(), "m-1.json");
    }

    #[test]
    fn a_new_message_has_an_id_that_sorts() {
        let new = || Message::new("parent", "a--shop", Timestamp::UNIX_EPOCH, Kind::Stop, "");
        let (first, second) = (new().unwrap(), new().unwrap());
        assert!(first.id < second.id, "{} {}", first.id, second.id);
        assert_eq!(uuid::Uuid::parse_str(&first.id).unwrap().get_version_num(), 7);
        assert_eq!(Message::parse(&first.to_json().unwrap()), Ok(first));
    }

    #[test]
    fn a_missing_body_is_an_empty_one() {
        assert_eq!(parse(&WHOLE.replace(",\"body\":\"go on\"", "")).unwrap().body, "");
        assert_eq!(parse(&WHOLE.replace("\"go on\"", "null")).unwrap().body, "");
    }

    #[test]
    fn what_is_no_message_is_told_apart() {
        for (damaged, told) in [
            (String::new(), "is empty"),
            (WHOLE[..40].to_owned(), "is cut off"),
            ("hello".to_owned(), "is not JSON"),
            ("[]".to_owned(), "is not a JSON object"),
            (WHOLE.replace("m-1", "../m"), "'id' is \"../m\""),
            (WHOLE.replace("\"m-1\"", "1"), "'id' is no string"),
            (WHOLE.replace("human", "Root User"), "'from' is \"Root User\""),
            (WHOLE.replace("\"to\"", "\"cc\""), "'to' is missing"),
            (WHOLE.replace("17:04:11Z", "noon"), "'at' is"),
            (
                WHOLE.replace("\"text\"", "\"shout\""),
                "'kind' is \"shout\": it must be text, answer",
            ),
            (WHOLE.replace("\"go on\"", "[]"), "'body' is no string"),
            (WHOLE.replace("go on", &"x".repeat(MAX_BYTES)), "at most 262144"),
        ] {
            let error = parse(&damaged).unwrap_err().to_string();
            assert!(error.contains(told) && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn nothing_is_made_that_could_not_be_read() {
        let new = |from, body| Message::new(from, "x", Timestamp::UNIX_EPOCH, Kind::Text, body);
        assert!(matches!(new("", String::new()), Err(MailError::Field { field: "from", .. })));
        // As JSON each of these bytes takes six.
        assert!(matches!(new("human", "\u{1}".repeat(60_000)), Err(MailError::TooLarge(_))));
    }

    proptest! {
        #[test]
        fn any_body_comes_back(body in any::<String>(), seconds in 0i64..4_000_000_000) {
            let at = Timestamp::from_second(seconds).unwrap();
            let message = Message::new("human", "x", at, Kind::Answer, body).unwrap();
            prop_assert_eq!(Message::parse(&message.to_json().unwrap()), Ok(message));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Message::parse(&bytes);
        }
    }
}
