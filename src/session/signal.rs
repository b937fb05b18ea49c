//! The signal an agent leaves in `_signal.json` at the end of a run.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::blank::is_blank;
use super::phase::Phase;
use super::surrogates::without_halves;
use super::vocabulary::{Needs, WaitsFor};

/// Maximum size of a signal file, in bytes. An agent has no reason to write more.
pub const MAX_BYTES: usize = 1024 * 1024;

/// The status an agent signals at the end of its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Continue in this phase, or in the one the signal names.
    Continue,
    /// A human has to answer first.
    Waiting,
    /// The agent cannot continue without help.
    Blocked,
    /// The session is finished; valid only in the last phase.
    Done,
    /// Continue in this phase with a fresh conversation, which is given `state`.
    Handoff,
}

impl Status {
    /// Every status, for lookups by word.
    pub const ALL: [Self; 5] =
        [Self::Continue, Self::Waiting, Self::Blocked, Self::Done, Self::Handoff];

    /// The word used in files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Continue => "continue",
            Self::Waiting => "waiting",
            Self::Blocked => "blocked",
            Self::Done => "done",
            Self::Handoff => "handoff",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A well-formed signal. Unknown words in `needs` and `for` are shown to the human, not rejected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// The status the agent signals, which decides the next step.
    pub status: Status,
    /// The phase to move to; absent to stay in this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// What the run did, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// Why the session waits, is blocked or hands over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What a blocked session needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<Needs>,
    /// What a waiting session waits for.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<WaitsFor>,
    /// What the next conversation is given after a handoff.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Value>,
}

/// Why `_signal.json` is not a valid signal. The agent gets one chance to fix it, so each error
/// says exactly what was wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignalError {
    /// The file does not exist.
    #[error("_signal.json is missing")]
    Missing,
    /// It does not exist, but another file is where an agent may have meant to write it.
    #[error(
        "_signal.json is missing: {0} is not read, it must be $SAMOCODE_SESSION_DIR/_signal.json"
    )]
    Misplaced(String),
    /// The file holds nothing but white space.
    #[error("_signal.json is empty")]
    Empty,
    /// The path is not a readable file, for example a folder.
    #[error("_signal.json cannot be read: {0}")]
    Unreadable(String),
    /// The file is larger than [`MAX_BYTES`].
    #[error("_signal.json has {0} bytes, more than the maximum of {MAX_BYTES}")]
    TooLarge(u64),
    /// The JSON ends early, as after an interrupted write.
    #[error("_signal.json is truncated")]
    Torn,
    /// The file is not JSON; holds the parser's message.
    #[error("_signal.json is not JSON: {0}")]
    NotJson(String),
    /// The file is JSON, but not an object.
    #[error("_signal.json holds {0}; it must hold an object")]
    NotAnObject(&'static str),
    /// A field has the wrong type.
    #[error("_signal.json: '{field}' is {found}; it must be {expected}")]
    WrongType {
        /// Name of the field, as in the file.
        field: &'static str,
        /// Type of the value found.
        found: &'static str,
        /// Type the value should have.
        expected: &'static str,
    },
    /// The status is missing or is not a known word.
    #[error("_signal.json {}: use continue, waiting, blocked, done or handoff", of_status(.0))]
    UnknownStatus(String),
    /// The phase is not the name of a phase.
    #[error(
        "_signal.json: '{0}' is not a phase: use init, investigation, requirements, planning, implementation, testing, quality or done"
    )]
    UnknownPhase(String),
    /// A reviewer's verdict is missing or is not a known word.
    #[error("_signal.json: '{0}' is not a verdict: use approve or changes")]
    UnknownVerdict(String),
    /// A reviewer does not say what to change.
    #[error("_signal.json asks for changes without findings: list them in \"findings\"")]
    NoFindings,
    /// The signal names another run.
    #[error("_signal.json is for run {found}, but this is run {expected}")]
    Stale {
        /// ID of the run the signal names.
        found: String,
        /// ID of the run it should name.
        expected: String,
    },
}

impl Signal {
    /// Parses the signal of the run `run`.
    ///
    /// # Errors
    /// A [`SignalError`] that describes the problem.
    pub fn parse(bytes: &[u8], run: &str) -> Result<Self, SignalError> {
        let fields = fields(bytes, run)?;
        Ok(Self {
            status: status(&fields)?,
            phase: phase(&fields)?,
            summary: text(&fields, "summary")?,
            reason: text(&fields, "reason")?,
            needs: text(&fields, "needs")?.map(Needs::from),
            waits_for: text(&fields, "for")?.map(WaitsFor::from),
            state: fields.get("state").filter(|value| !value.is_null()).cloned(),
        })
    }
}

/// The fields of the file that the run `run` left.
pub(super) fn fields(bytes: &[u8], run: &str) -> Result<Map<String, Value>, SignalError> {
    if bytes.len() > MAX_BYTES {
        return Err(SignalError::TooLarge(bytes.len() as u64));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(SignalError::Empty);
    }
    let value: Value = serde_json::from_slice(bytes).or_else(|error| {
        let text = without_halves(&String::from_utf8_lossy(bytes));
        serde_json::from_str(&text).map_err(|_| match error.is_eof() {
            true => SignalError::Torn,
            false => SignalError::NotJson(format!("{error}; it begins with {}", beginning(&text))),
        })
    })?;
    let Value::Object(fields) = value else {
        return Err(SignalError::NotAnObject(type_of(&value)));
    };
    if let Some(found) = text(&fields, "run")?.filter(|found| found != run) {
        return Err(SignalError::Stale { found, expected: run.to_owned() });
    }
    Ok(fields)
}

fn of_status(word: &str) -> String {
    if word.is_empty() { "has no status".to_owned() } else { format!("has status '{word}'") }
}

/// The beginning of a text, quoted and in one line.
fn beginning(text: &str) -> String {
    const LONGEST: usize = 60;
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let shown: String = words.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    let more = if shown.len() < words.len() { "…" } else { "" };
    format!("`{}{more}`", shown.trim_end())
}

fn status(fields: &Map<String, Value>) -> Result<Status, SignalError> {
    let word = text(fields, "status")?.unwrap_or_default();
    Status::ALL
        .into_iter()
        .find(|status| status.as_str().eq_ignore_ascii_case(&word))
        .ok_or(SignalError::UnknownStatus(word))
}

fn phase(fields: &Map<String, Value>) -> Result<Option<Phase>, SignalError> {
    text(fields, "phase")?
        .map(|word| word.parse().map_err(|_| SignalError::UnknownPhase(word.clone())))
        .transpose()
}

/// The trimmed text of a field; absent, null and empty are treated alike.
pub(super) fn text(
    fields: &Map<String, Value>,
    field: &'static str,
) -> Result<Option<String>, SignalError> {
    // Some write "Status".
    let other_case = || fields.iter().find(|(name, _)| name.trim().eq_ignore_ascii_case(field));
    match fields.get(field).or_else(|| other_case().map(|(_, value)| value)) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => {
            let text = text.trim_matches(is_blank);
            Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
        }
        Some(other) => {
            Err(SignalError::WrongType { field, found: type_of(other), expected: "a string" })
        }
    }
}

const fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Signal, SignalError> {
        Signal::parse(text.as_bytes(), "r1")
    }

    #[test]
    fn a_full_signal_is_read() {
        let signal = parse(
            r#"{"status":"Waiting","phase":"Planning","summary":" s ","reason":"","for":"plan_approval","run":"r1"}"#,
        )
        .unwrap();
        assert_eq!(signal.status, Status::Waiting);
        assert_eq!(signal.phase, Some(Phase::Planning));
        assert_eq!(signal.summary.as_deref(), Some("s"));
        assert_eq!(signal.reason, None);
        assert_eq!(signal.waits_for, Some(WaitsFor::PlanApproval));
    }

    #[test]
    fn kinds_of_damage_are_distinguished() {
        use SignalError as E;
        let cases = [
            (r#"{"status":"Blockd\u200b"}"#, E::UnknownStatus("Blockd".into())),
            ("", E::Empty),
            (" \n\t", E::Empty),
            (r#"{"status":"cont"#, E::Torn),
            ("[]", E::NotAnObject("a list")),
            ("\"done\"", E::NotAnObject("a string")),
            ("{}", E::UnknownStatus(String::new())),
            (r#"{"status":"finished"}"#, E::UnknownStatus("finished".into())),
            (r#"{"status":"continue","phase":"ship"}"#, E::UnknownPhase("ship".into())),
            (
                r#"{"status":3}"#,
                E::WrongType { field: "status", found: "a number", expected: "a string" },
            ),
            (
                r#"{"status":"continue","run":"r0"}"#,
                E::Stale { found: "r0".into(), expected: "r1".into() },
            ),
        ];
        for (text, error) in cases {
            assert_eq!(parse(text), Err(error), "{text}");
        }
        assert!(matches!(parse("{nonsense}"), Err(E::NotJson(_))));
        let fenced = parse("```json\n{\"status\":\"continue\"}\n```\n").unwrap_err().to_string();
        assert!(
            fenced.ends_with(
                "begins with `\u{60}\u{60}\u{60}json {\"status\":\"continue\"} \u{60}\u{60}\u{60}`"
            ),
            "{fenced}"
        );
        let long = parse(&"x ".repeat(1000)).unwrap_err().to_string();
        assert!(long.ends_with("x…`") && long.len() < 160, "{long}");
        let said = |text| parse(text).unwrap_err().to_string();
        assert!(said("{}").starts_with("_signal.json has no status: use continue, "));
        assert!(said(r#"{"status":"fin"}"#).starts_with("_signal.json has status 'fin': use "));
        let capital = parse(r#"{"Status":"blocked","Reason":"r"}"#).unwrap();
        assert_eq!((capital.status, capital.reason.as_deref()), (Status::Blocked, Some("r")));
        // A summary that was cut within an emoji.
        let cut = parse(r#"{"status":"done","summary":"cut \ud83d"}"#).unwrap();
        assert_eq!(cut.summary.as_deref(), Some("cut \u{fffd}"));
        let large = format!("{{\"status\":\"{}\"}}", "x".repeat(MAX_BYTES));
        assert!(matches!(parse(&large), Err(E::TooLarge(_))));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Signal::parse(&bytes, "r1");
        }

        #[test]
        fn every_proper_prefix_of_a_signal_is_damage(cut in 0usize..42) {
            let whole = r#"{"status":"continue","phase":"planning"}"#;
            prop_assume!(cut < whole.len());
            prop_assert!(parse(&whole[..cut]).is_err());
        }
    }
}
