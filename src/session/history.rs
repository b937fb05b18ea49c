//! `_signal_history.jsonl`: one line per signal.

use jiff::Zoned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::phase::Phase;
use super::signal::{Signal, Status};
use super::stamp;

/// A line of the history. Keys are written in the order of these fields, and absent values as null.
/// Words are kept as text, so that a line with a status or phase unknown to this version can still
/// be shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HistoryLine {
    /// Local time, `YYYY-MM-DD HH:MM:SS`.
    #[serde(deserialize_with = "text")]
    pub timestamp: Option<String>,
    /// The iteration that the signal ended.
    #[serde(deserialize_with = "number")]
    pub iteration: Option<u32>,
    /// The phase in which the signal was given.
    #[serde(deserialize_with = "text")]
    pub phase: Option<String>,
    /// The signal's status, as the agent wrote it.
    #[serde(deserialize_with = "text")]
    pub status: Option<String>,
    /// What the iteration did, in the agent's words.
    #[serde(deserialize_with = "text")]
    pub summary: Option<String>,
    /// Why the session waits or is blocked.
    #[serde(deserialize_with = "text")]
    pub reason: Option<String>,
    /// What a blocked session needs.
    #[serde(deserialize_with = "text")]
    pub needs: Option<String>,
    /// What a waiting session waits for.
    #[serde(rename = "for", deserialize_with = "text")]
    pub waits_for: Option<String>,
}

/// Reads a string as it is, null as nothing, and anything else as its JSON.
fn text<'de, D: Deserializer<'de>>(source: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(source)? {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    })
}

/// Reads a number, in quotes or not, and anything else as nothing.
fn number<'de, D: Deserializer<'de>>(source: D) -> Result<Option<u32>, D::Error> {
    Ok(match Value::deserialize(source)? {
        Value::Number(number) => number.as_u64().and_then(|number| number.try_into().ok()),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    })
}

impl HistoryLine {
    /// Makes the line of a signal that ended this iteration of this phase.
    #[must_use]
    pub fn from_signal(signal: &Signal, iteration: u32, phase: Phase, at: &Zoned) -> Self {
        Self {
            timestamp: Some(stamp::history(at)),
            iteration: Some(iteration),
            phase: Some(phase.to_string()),
            status: Some(signal.status.to_string()),
            summary: signal.summary.clone(),
            reason: signal.reason.clone(),
            needs: signal.needs.as_ref().map(|needs| needs.as_str().to_owned()),
            waits_for: signal.waits_for.as_ref().map(|wait| wait.as_str().to_owned()),
        }
    }

    /// The status, if it is one this version knows.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        Status::ALL.into_iter().find(|status| Some(status.as_str()) == self.status.as_deref())
    }

    /// The line as written to the file, including the line ending.
    ///
    /// # Errors
    /// None in practice: strings, a number and nulls always have a JSON form.
    pub fn to_line(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self).map(|line| line + "\n")
    }
}

/// Everything readable in a `_signal_history.jsonl`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// The readable lines, in file order.
    pub lines: Vec<HistoryLine>,
    /// Line numbers, from 1, of unreadable lines.
    pub damaged: Vec<usize>,
    /// Byte offset of a torn last line, cut off while it was being written. Before appending, cut
    /// the file there or end that line.
    pub torn_at: Option<usize>,
}

impl History {
    /// Reads the file's bytes. An unreadable last line without a line ending is torn; any other
    /// unreadable line is damaged. Blank lines are skipped.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        let mut history = Self::default();
        let mut at = if bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        for (number, line) in bytes[at..].split_inclusive(|byte| *byte == b'\n').enumerate() {
            if !line.iter().all(u8::is_ascii_whitespace) {
                match serde_json::from_slice::<Value>(line).map(object) {
                    Ok(Some(read)) => history.lines.push(read),
                    _ if line.ends_with(b"\n") => history.damaged.push(number + 1),
                    _ => history.torn_at = Some(at),
                }
            }
            at += line.len();
        }
        history
    }
}

/// serde would also accept a list for a struct, so check for an object first.
fn object(value: Value) -> Option<HistoryLine> {
    value.is_object().then(|| serde_json::from_value(value).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line() -> HistoryLine {
        let signal = r#"{"status":"waiting","for":"qa_answers","summary":"asked\ntwo"}"#;
        let signal = Signal::parse(signal.as_bytes(), "r1").unwrap();
        let at = jiff::civil::date(2026, 11, 20).at(18, 1, 9, 0);
        let at = at.to_zoned(jiff::tz::TimeZone::UTC).unwrap();
        HistoryLine::from_signal(&signal, 3, Phase::Requirements, &at)
    }

    #[test]
    fn a_line_has_all_keys_in_their_order() {
        let written = line().to_line().unwrap();
        let expected = concat!(
            r#"{"timestamp":"2026-11-20 18:01:09","iteration":3,"phase":"requirements","#,
            r#""status":"waiting","summary":"asked\ntwo","reason":null,"needs":null,"#,
            r#""for":"qa_answers"}"#,
            "\n"
        );
        assert_eq!(written, expected);
        assert_eq!(History::parse(written.as_bytes()).lines, [line()]);
    }

    #[test]
    fn lines_of_other_versions_are_kept_as_they_are() {
        let text = "\u{feff}{\"timestamp\": \"2025-12-01 09:00:00\", \"iteration\": \"4\", \
                    \"phase\": \"Shipping\", \"status\": \"paused\", \"extra\": [1], \"needs\": 5}\r\n\n{}";
        let read = History::parse(text.as_bytes());
        assert_eq!((read.lines.len(), read.damaged.len(), read.torn_at), (2, 0, None));
        let first = &read.lines[0];
        assert_eq!(first.phase.as_deref(), Some("Shipping"));
        assert_eq!(first.status.as_deref(), Some("paused"));
        assert_eq!((first.iteration, first.needs.as_deref()), (Some(4), Some("5")));
    }

    #[test]
    fn a_torn_end_and_a_damaged_middle_are_distinguished() {
        let whole = line().to_line().unwrap();
        let text = format!("{whole}\u{0}\u{0}\n[]\n{whole}{{\"timest");
        let read = History::parse(text.as_bytes());
        assert_eq!(read.lines.len(), 2);
        assert_eq!(read.damaged, [2, 3]);
        assert_eq!(read.torn_at, Some(text.len() - 8));
    }

    proptest! {
        #[test]
        fn a_cut_anywhere_loses_only_the_line_it_cuts(cut in 0usize..400) {
            let whole = line().to_line().unwrap();
            let text = whole.repeat(3);
            prop_assume!(cut <= text.len());
            let read = History::parse(&text.as_bytes()[..cut]);
            // A line that lacks only its line ending is complete.
            let complete = (cut + 1) / whole.len();
            prop_assert_eq!(read.lines.len(), complete);
            prop_assert!(read.damaged.is_empty());
            let rest = cut > complete * whole.len();
            prop_assert_eq!(read.torn_at, rest.then_some(complete * whole.len()));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = History::parse(&bytes);
        }
    }
}
