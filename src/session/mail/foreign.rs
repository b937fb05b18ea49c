//! Files in the inbox that are not messages: what a person or a program put there without the
//! format. Nothing of it is lost. What can be read goes to the agent as text, with a remark that
//! says why it is no message; the rest is set aside and reported.

use std::ffi::OsString;
use std::hash::{DefaultHasher, Hasher as _};

use jiff::{SignedDuration, Timestamp};

use super::{Kind, MAX_BYTES, MailError, Message, is_party};
use crate::session::utf16::utf16;

/// The sender of a message made from such a file. It is no person: it opens no gate.
pub const SENDER: &str = "unknown";

/// The recipient if the session's folder has no name that a message could carry.
const ANY_SESSION: &str = "session";

/// How long after its last change a file is complete, if nothing else tells.
const SETTLED: SignedDuration = SignedDuration::from_secs(2);

/// The longest part of a file's name that its new name keeps, in bytes.
const MAX_NAME: usize = 120;

/// A file in the inbox that is not a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// Its name in the inbox.
    pub name: OsString,
    /// Its name among the read messages, unlike that of any message.
    pub kept: String,
    /// When it was last written.
    pub at: Timestamp,
    /// Why it is not a message.
    pub why: String,
    /// What the agent gets.
    pub content: Content,
}

/// What the agent gets of a file that is not a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Plain text, which needs no remark.
    Plain(Message),
    /// What it says, or where it is kept, with a remark.
    Remarked(Message),
    /// Nothing: there is nothing in it to hand over.
    Nothing,
}

impl Content {
    const fn message(&self) -> Option<&Message> {
        match self {
            Self::Plain(message) | Self::Remarked(message) => Some(message),
            Self::Nothing => None,
        }
    }
}

impl Foreign {
    /// A file that cannot be opened, or is no regular file.
    #[must_use]
    pub fn closed(name: OsString, at: Timestamp, why: String) -> Self {
        let kept = kept_as(&id_of(&name, at, &[]), &name);
        Self { name, kept, at, why, content: Content::Nothing }
    }

    /// A file whose first bytes are `bytes`, of `length` in all. `to` is the session.
    #[must_use]
    pub fn of(
        name: OsString,
        at: Timestamp,
        to: &str,
        bytes: &[u8],
        length: u64,
        error: &MailError,
    ) -> Self {
        let why = error.to_string();
        let id = id_of(&name, at, bytes);
        let kept = kept_as(&id, &name);
        if *error == MailError::Empty {
            return Self { name, kept, at, why, content: Content::Nothing };
        }
        let to = if is_party(to) { to } else { ANY_SESSION };
        let message = |body: String| Message {
            id: id.clone(),
            from: SENDER.to_owned(),
            to: to.to_owned(),
            at,
            kind: Kind::Text,
            body,
            reply_to: None,
        };
        let fits = |message: &Message| message.to_json().is_ok_and(|json| json.len() <= MAX_BYTES);
        let shown = name.to_string_lossy();
        let whole = (length == bytes.len() as u64).then(|| text_of(bytes)).flatten();
        let content = whole.map(|Decoded { text, exact }| {
            if exact && !looks_like_json(&text) {
                Content::Plain(message(text))
            } else {
                let doubt = if exact {
                    ""
                } else {
                    " It is not UTF-8: what could not be read is shown as \u{fffd}."
                };
                Content::Remarked(message(format!(
                    "[samocode: someone put the file {shown} into _inbox/. samocode cannot read it as a message ({why}), so it had no effect. This is its text.{doubt}]\n\n{text}"
                )))
            }
        });
        let by_place = || {
            Content::Remarked(message(format!(
                "[samocode: someone put the file {shown} ({length} bytes) into _inbox/. It is not text, or too long for a message. Read it at _mail/{kept} in the session's folder.]"
            )))
        };
        let content =
            content.filter(|content| content.message().is_some_and(fits)).unwrap_or_else(by_place);
        Self { name, kept, at, why, content }
    }

    /// The message that the agent gets in its place.
    #[must_use]
    pub const fn message(&self) -> Option<&Message> {
        self.content.message()
    }

    /// Whether it has not been written to for a moment. A clock that was set back does not count.
    #[must_use]
    pub fn is_settled(&self, now: Timestamp) -> bool {
        let age = now.duration_since(self.at);
        age.is_negative() || age > SETTLED
    }

    /// Whether the human should hear of it: plain text arrives as it was meant.
    #[must_use]
    pub const fn is_doubtful(&self) -> bool {
        !matches!(self.content, Content::Plain(_))
    }
}

/// Equal for the same file, so that one that was handed over is recognized after a crash.
fn id_of(name: &OsString, at: Timestamp, bytes: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(name.as_encoded_bytes());
    hasher.write_u8(0xff);
    hasher.write_i128(at.as_nanosecond());
    hasher.write(bytes);
    format!("file-{:016x}", hasher.finish())
}

fn kept_as(id: &str, name: &OsString) -> String {
    let shown: String =
        name.to_string_lossy().chars().map(|c| if c.is_control() { '_' } else { c }).collect();
    let mut end = shown.len().min(MAX_NAME);
    while !shown.is_char_boundary(end) {
        end -= 1;
    }
    format!("{id}-{}", &shown[..end])
}

struct Decoded {
    text: String,
    /// Whether every byte was understood.
    exact: bool,
}

/// The text in a file; `None` if it holds something else.
fn text_of(bytes: &[u8]) -> Option<Decoded> {
    if let Some(text) = utf16(bytes) {
        return Some(Decoded { text, exact: true });
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.contains(&0) {
        return None;
    }
    let text = String::from_utf8_lossy(bytes).into_owned();
    let exact = std::str::from_utf8(bytes).is_ok();
    // In text of another encoding most bytes are ASCII; in compressed data they are not.
    let lost = text.chars().filter(|c| *c == char::REPLACEMENT_CHARACTER).count();
    (exact || lost * 4 <= text.chars().count()).then_some(Decoded { text, exact })
}

/// Whether a text was meant as data: then the agent should know that it had no effect.
fn looks_like_json(text: &str) -> bool {
    let text = text.trim_start();
    text.starts_with('{')
        || serde_json::from_str::<serde_json::Value>(text)
            .is_ok_and(|value| value.is_array() || value.is_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(name: &str, bytes: &[u8]) -> Foreign {
        let error = Message::parse(bytes).unwrap_err();
        let at = Timestamp::from_second(7).unwrap();
        Foreign::of(name.into(), at, "jwt", bytes, bytes.len() as u64, &error)
    }

    fn body(foreign: &Foreign) -> &str {
        let message = foreign.message().unwrap();
        assert_eq!((message.kind, message.from.as_str()), (Kind::Text, "unknown"));
        assert_eq!(Message::parse(&message.to_json().unwrap()).as_ref(), Ok(message));
        &message.body
    }

    #[test]
    fn plain_text_is_handed_over_as_text() {
        for (bytes, text) in [
            (b"use port 8081\nnot 8080\n".as_slice(), "use port 8081\nnot 8080\n"),
            ("\u{feff}größer".as_bytes(), "größer"),
            (b"[ ] first this\n", "[ ] first this\n"),
            (b"\xff\xfeh\0i\0", "hi"),
            (b"42", "42"),
        ] {
            let foreign = read("note.txt", bytes);
            assert!(matches!(foreign.content, Content::Plain(_)), "{foreign:?}");
            assert!(!foreign.is_doubtful());
            assert_eq!(body(&foreign), text);
        }
    }

    #[test]
    fn what_was_meant_as_a_message_is_handed_over_raw_with_the_reason() {
        const WHOLE: &str = r#"{"id":"m-1","from":"human","to":"jwt","at":"2026-11-20T17:04:11Z","kind":"approve","body":"go on"}"#;
        for (text, why) in [
            (WHOLE[..60].to_owned(), "truncated"),
            (WHOLE.replace("approve", "shout"), "'kind' is \"shout\""),
            (WHOLE.replace("2026-11-20T17:04:11Z", "tomorrow at noon"), "'at' is \"tomorrow"),
            ("[1, 2]".to_owned(), "not a JSON object"),
        ] {
            let foreign = read("m-1.json", text.as_bytes());
            assert!(foreign.is_doubtful() && foreign.why.contains(why), "{foreign:?}");
            let body = body(&foreign);
            assert!(body.contains(why) && body.ends_with(&format!("]\n\n{text}")), "{body}");
        }
    }

    #[test]
    fn text_in_another_encoding_is_handed_over_as_far_as_it_can_be_read() {
        let foreign =
            read("brief.txt", b"sch\xf6ne Gr\xfc\xdfe aus dem B\xfcro, macht bitte weiter");
        let body = body(&foreign);
        assert!(body.contains("not UTF-8") && body.ends_with("macht bitte weiter"), "{body}");
    }

    #[test]
    fn what_is_no_text_or_too_long_is_handed_over_by_its_place() {
        let (long, escaped) = (vec![b'x'; MAX_BYTES + 1], vec![b'"'; MAX_BYTES - 9]);
        for bytes in
            [b"\x89PNG\r\n\0\0\0\rIHDR".as_slice(), b"\x1f\x8b\x08\xff\xfe\xfd", &long, &escaped]
        {
            let foreign = read("shot.png", bytes);
            assert!(body(&foreign).contains(&format!("_mail/{}", foreign.kept)), "{foreign:?}");
            assert!(foreign.kept.ends_with("-shot.png"), "{}", foreign.kept);
        }
    }

    #[test]
    fn an_empty_or_closed_file_hands_over_nothing() {
        assert_eq!(read("empty", b" \n").message(), None);
        let closed = Foreign::closed("x".into(), Timestamp::UNIX_EPOCH, "a pipe".to_owned());
        assert!(closed.message().is_none() && closed.is_doubtful());
    }

    #[test]
    fn the_same_file_has_the_same_id_and_another_one_another() {
        let id = |name: &str, text: &str| body_id(&read(name, text.as_bytes()));
        assert_eq!(id("a", "x"), id("a", "x"));
        assert_ne!(id("a", "x"), id("b", "x"));
        assert_ne!(id("a", "x"), id("a", "y"));
    }

    fn body_id(foreign: &Foreign) -> String {
        foreign.message().unwrap().id.clone()
    }

    proptest! {
        #[test]
        fn nothing_that_holds_more_than_white_space_is_lost(
            name in "\\PC{1,300}", bytes in proptest::collection::vec(any::<u8>(), 0..200)
        ) {
            if let Err(error) = Message::parse(&bytes) {
                let at = Timestamp::UNIX_EPOCH;
                let foreign =
                    Foreign::of(name.into(), at, "jwt", &bytes, bytes.len() as u64, &error);
                prop_assert_eq!(foreign.message().is_none(), error == MailError::Empty);
                prop_assert!(foreign.kept.len() < 200);
                if let Some(message) = foreign.message() {
                    prop_assert!(Message::parse(&message.to_json().unwrap()).is_ok());
                }
            }
        }
    }
}
