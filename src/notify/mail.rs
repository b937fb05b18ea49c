//! E-mail, through the machine's `sendmail`.
//!
//! Everything that comes from elsewhere is one line and encoded (RFC 2047) before it gets into a
//! header, and the body is base64, so that no text can add a header or end the message.

use std::path::PathBuf;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Zoned;

use super::{Notice, Notifier, NotifyError, letter, program};

/// The longest text of a message, in UTF-16 code units.
const MAX_BODY: usize = 100_000;

/// The most bytes in one encoded word, which may have 75 characters with its frame.
const WORD: usize = 42;

/// The length of a line of the body.
const LINE: usize = 76;

/// Sends notices by e-mail.
pub(super) struct Mail {
    name: String,
    to: Vec<String>,
    from: Option<String>,
    sendmail: PathBuf,
}

impl Mail {
    /// To these addresses; each must be an [`is_address`].
    pub(super) fn new(
        name: &str,
        to: Vec<String>,
        from: Option<String>,
        sendmail: PathBuf,
    ) -> Self {
        Self { name: name.to_owned(), to, from, sendmail }
    }

    fn compose(&self, notice: &Notice, now: &Zoned) -> String {
        let id: String = notice.id.bytes().map(|byte| format!("{byte:02x}")).collect();
        let mut message = String::new();
        let mut header = |name: &str, value: &str| {
            message.push_str(&format!("{name}: {value}\n"));
        };
        if let Some(from) = &self.from {
            header("From", from);
        }
        header("To", &self.to.join(",\n "));
        header("Subject", &encoded(&letter::title(notice, 150)));
        header("Date", &now.strftime("%a, %d %b %Y %H:%M:%S %z").to_string());
        // The same each time that it is sent, so that a server may drop a second copy.
        header("Message-ID", &format!("<{id}@samocode.invalid>"));
        header("Auto-Submitted", "auto-generated");
        header("MIME-Version", "1.0");
        header("Content-Type", "text/plain; charset=utf-8");
        header("Content-Transfer-Encoding", "base64");
        message.push('\n');
        let body = letter::body(notice, MAX_BODY).replace('\n', "\r\n") + "\r\n";
        let body = STANDARD.encode(body);
        let mut rest = body.as_str();
        while !rest.is_empty() {
            let (line, more) = rest.split_at(rest.len().min(LINE));
            message.push_str(line);
            message.push('\n');
            rest = more;
        }
        message
    }
}

/// A text as a header's value: plain if it is printable ASCII, else in encoded words.
fn encoded(text: &str) -> String {
    let is_plain = text.len() <= WORD * 3 && text.chars().all(|c| matches!(c, ' '..='~'));
    if is_plain && !text.contains("=?") {
        return text.to_owned();
    }
    let mut words: Vec<String> = vec![String::new()];
    for c in text.chars() {
        let is_full = words.last().is_some_and(|word| word.len() + c.len_utf8() > WORD);
        if is_full {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(c);
        }
    }
    let words: Vec<_> =
        words.iter().map(|word| format!("=?UTF-8?B?{}?=", STANDARD.encode(word))).collect();
    words.join("\n ")
}

/// Whether it is an address that needs no quotes: `name@host`, or a local user's name.
pub(super) fn is_address(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".!#$%&'*+-/=?^_`{|}~@".contains(c);
    let starts = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    starts && text.chars().all(allowed) && text.matches('@').count() <= 1
}

#[async_trait]
impl Notifier for Mail {
    fn name(&self) -> &str {
        &self.name
    }

    async fn send(&self, notice: &Notice) -> Result<(), NotifyError> {
        let message = self.compose(notice, &Zoned::now());
        // `-i`: a line with a single dot does not end it.
        let mut arguments = vec!["-i".to_owned()];
        if let Some(from) = &self.from {
            arguments.extend(["-f".to_owned(), from.clone()]);
        }
        arguments.push("--".to_owned());
        arguments.extend(self.to.iter().cloned());
        program::run(&self.name, &self.sendmail, &arguments, message.as_bytes()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::About;
    use proptest::prelude::*;

    fn compose(session: &str, text: &str, detail: &str) -> String {
        let about =
            About { id: "x\n/7".to_owned(), session: session.to_owned(), ..About::default() };
        let mail = Mail::new(
            "mail",
            vec!["a@example.org".to_owned(), "root".to_owned()],
            Some("samocode@example.org".to_owned()),
            PathBuf::from("/usr/sbin/sendmail"),
        );
        let now = jiff::civil::date(2026, 11, 28).at(7, 5, 9, 0).to_zoned(jiff::tz::TimeZone::UTC);
        mail.compose(&Notice::mail(&about, text, Some(detail), "samocode send x"), &now.unwrap())
    }

    /// The text of an encoded header.
    fn decoded(value: &str) -> String {
        let words = value.split("\n ").map(|word| {
            let inner = word.strip_prefix("=?UTF-8?B?").and_then(|it| it.strip_suffix("?="));
            inner.map_or_else(
                || word.to_owned(),
                |inner| String::from_utf8(STANDARD.decode(inner).unwrap()).unwrap(),
            )
        });
        words.collect()
    }

    #[test]
    fn a_message_has_its_headers_and_its_body() {
        let message = compose("jwt", "schreibt dir: Grüße", "Line one\n.\nline two");
        let (head, body) = message.split_once("\n\n").unwrap();
        assert!(head.contains("Date: Sat, 28 Nov 2026 07:05:09 +0000\n"), "{head}");
        assert!(head.contains("To: a@example.org,\n root\n"), "{head}");
        assert!(head.contains("Message-ID: <780a2f37@samocode.invalid>\n"), "{head}");
        let subject = head.split("Subject: ").nth(1).unwrap().split("\nDate").next().unwrap();
        assert_eq!(decoded(subject), "jwt schreibt dir: Grüße");
        let body = STANDARD.decode(body.replace('\n', "")).unwrap();
        assert_eq!(
            String::from_utf8(body).unwrap(),
            "Line one\r\n.\r\nline two\r\n\r\nsamocode send x\r\n"
        );
    }

    #[test]
    fn an_address_cannot_be_an_option_or_a_second_header() {
        for address in ["a@example.org", "root", "a.b+c@x-y.example"] {
            assert!(is_address(address), "{address}");
        }
        for address in ["-oQ/tmp", "a@b@c", "a b@c", "a@b\nBcc: x@y", "", "\"a\"@b", "a@b,c@d"] {
            assert!(!is_address(address), "{address}");
        }
    }

    proptest! {
        #[test]
        fn no_text_adds_a_header(
            session in "(\\PC|[\r\n\t\0:]|Bcc: x@y){0,200}",
            text in "(\\PC|[\r\n]|=\\?UTF-8\\?B\\?eA==\\?=){0,200}",
            detail in "(\\PC|[\r\n.]){0,200}",
        ) {
            let message = compose(&session, &text, &detail);
            let (head, body) = message.split_once("\n\n").unwrap_or_default();
            let names: Vec<_> = head
                .lines()
                .filter(|line| !line.starts_with(' '))
                .map(|line| line.split(':').next().unwrap_or_default())
                .collect();
            prop_assert_eq!(names, [
                "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version",
                "Content-Type", "Content-Transfer-Encoding",
            ]);
            prop_assert!(head.lines().all(|line| line.is_ascii() && line.len() <= 140), "{}", head);
            let is_base64 = |c: char| c.is_ascii_alphanumeric() || "+/=\n".contains(c);
            prop_assert!(body.chars().all(is_base64));
        }
    }
}
