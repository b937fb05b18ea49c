//! The journal, `_journal.jsonl`: append-only, one event per line. Hook, status, cost and history
//! all derive from it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use super::cost::{RunCost, Usage};
pub use super::event::{End, Event, Step};

/// One line of the journal: an event, numbered and timed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The line's number, from 1, without gaps.
    pub seq: u64,
    /// When the entry was written, by the wall clock.
    pub at: Timestamp,
    /// The event, flattened into the line's JSON object.
    #[serde(flatten)]
    pub event: Event,
}

/// An unreadable line in a journal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct Damage {
    /// Line number, from 1.
    pub line: usize,
    /// What is wrong with the line.
    pub what: String,
}

/// Reads a journal line by line, so that a long one needs little memory.
///
/// A last line without a newline was being written when the machine or the worker died; the caller
/// truncates the file at [`Scanner::whole`]. Any other unparsable line is damage.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scanner {
    /// Length in bytes of the complete lines from the start.
    pub whole: u64,
    /// The first damaged line; callers must report it.
    pub damage: Option<Damage>,
    lines: usize,
    last: u64,
}

impl Scanner {
    /// Takes the next line, including its newline if it has one; returns the entry if it is valid.
    pub fn line(&mut self, line: &[u8]) -> Option<Entry> {
        if !line.ends_with(b"\n") {
            return None;
        }
        self.whole += line.len() as u64;
        self.lines += 1;
        // Editors leave blank lines; they are harmless.
        if line.trim_ascii().is_empty() {
            return None;
        }
        let problem = match serde_json::from_slice::<Entry>(line) {
            Ok(entry) if entry.seq == self.last + 1 => {
                self.last = entry.seq;
                return Some(entry);
            }
            Ok(entry) => {
                format!("its number is {}, but the one before is {}", entry.seq, self.last)
            }
            Err(error) => in_words(&error),
        };
        self.damage.get_or_insert(Damage { line: self.lines, what: problem });
        None
    }

    /// Takes note of a line that is longer than any entry, of which only the beginning was read.
    pub fn endless(&mut self) {
        let what = "it is longer than any entry".to_owned();
        self.damage.get_or_insert(Damage { line: self.lines + 1, what });
    }
}

/// Describes a parse error, without the parser's own line number.
fn in_words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    match what.strip_prefix("unknown variant ").and_then(|rest| rest.split(", ").next()) {
        Some(kind) => {
            format!("unknown event {kind}; a newer samocode may have written it")
        }
        None if error.is_data() => what.to_owned(),
        None => format!("it is not JSON ({what})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::event;

    fn line(seq: u64) -> String {
        let entry =
            Entry { seq, at: Timestamp::UNIX_EPOCH, event: Event::Stopped(event::Stopped {}) };
        format!("{}\n", serde_json::to_string(&entry).unwrap())
    }

    #[test]
    fn the_kind_in_the_file_is_the_kind_it_is_called_by() {
        let event = Event::SignalAsked(event::SignalAsked { run: "r".into(), problem: "p".into() });
        let value = serde_json::to_value(&event).unwrap();
        assert_eq!(value["kind"], event.kind());
    }

    fn scan(text: &str) -> (Scanner, usize) {
        let mut scanner = Scanner::default();
        let lines = text.as_bytes().split_inclusive(|byte| *byte == b'\n');
        let entries = lines.filter_map(|line| scanner.line(line)).count();
        (scanner, entries)
    }

    #[test]
    fn a_torn_last_line_is_cut_off() {
        let (scanner, entries) = scan(&format!("{}{}{{\"seq\":3,\"at", line(1), line(2)));
        assert_eq!(entries, 2);
        assert_eq!(scanner.whole as usize, line(1).len() * 2);
        assert_eq!(scanner.damage, None);
    }

    #[test]
    fn a_damaged_middle_is_reported_with_its_line() {
        let (scanner, _) = scan(&format!("{}garbage\n{}", line(1), line(3)));
        assert_eq!(scanner.damage.unwrap().line, 2);
    }

    #[test]
    fn damage_is_described_in_words_that_fit_the_journal() {
        let newer = line(2).replace("stopped", "dreamt");
        for (second, what) in [
            ("garbage\n", "line 2: it is not JSON (expected value)"),
            ("{\"seq\":2}\n", "line 2: missing field `at`"),
            (&newer, "line 2: unknown event `dreamt`; a newer samocode may have written it"),
        ] {
            let (scanner, _) = scan(&format!("{}{second}", line(1)));
            assert_eq!(scanner.damage.unwrap().to_string(), what);
        }
    }

    #[test]
    fn a_line_that_is_empty_is_no_damage() {
        let text = format!("{}\n \r\n{}\n", line(1), line(2));
        let (scanner, entries) = scan(&text);
        assert_eq!((scanner.damage, entries, scanner.whole as usize), (None, 2, text.len()));
    }

    #[test]
    fn a_missing_or_repeated_line_is_damage() {
        for second in [1, 3] {
            let (scanner, _) = scan(&format!("{}{}", line(1), line(second)));
            assert_eq!(scanner.damage.unwrap().line, 2);
        }
    }
}
