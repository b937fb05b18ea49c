//! What a timer will do, in words.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::session::clock;
use crate::session::schedule::shown;
use crate::session::state::StateName;

/// What is to come of a session on its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upcoming {
    /// When it begins next; `None` if its single time has come and could not be used.
    pub next: Option<Timestamp>,
    /// How its time comes again, as in `every day at 03:00`; `None` if it begins once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<String>,
    /// The name of the time zone in which that is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// The session that its timer began last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest: Option<String>,
    /// The last time, if nothing began at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<Skipped>,
    /// Whether the service manager has the timer.
    pub is_set: bool,
}

/// A time at which nothing began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// When it came.
    pub at: Timestamp,
    /// Why nothing began.
    pub why: String,
}

impl Upcoming {
    /// When it begins, as in `tomorrow 03:00, and again every day at 03:00`.
    #[must_use]
    pub fn when(&self) -> String {
        let now = clock::shown_now();
        let next = self.next.map(|at| shown(at, &now));
        match (next, &self.every) {
            (Some(next), Some(every)) => format!("{next}, and {every}"),
            (Some(next), None) => next,
            (None, every) => every.clone().unwrap_or_default(),
        }
    }

    /// Why a session that has not begun waits.
    #[must_use]
    pub fn reason(&self) -> String {
        format!("it starts {}", self.when())
    }

    /// What a human should know of it, beside the session's state.
    #[must_use]
    pub fn note(&self, session: &str, state: StateName) -> Option<String> {
        let now = clock::shown_now();
        let mut parts = Vec::new();
        match (&self.every, self.next) {
            (Some(every), Some(next)) => {
                parts.push(format!("it starts {every}, next {}", shown(next, &now)));
            }
            (Some(every), None) => {
                parts.push(format!("it was to start {every}, which never comes"))
            }
            // The reason for its state says it.
            (None, Some(_)) if state == StateName::Queued => {}
            (None, Some(next)) => parts.push(format!("it starts {}", shown(next, &now))),
            (None, None) => {}
        }
        if let Some(latest) = self.latest.as_ref().filter(|latest| *latest != session) {
            parts.push(format!("the last one is {latest}"));
        }
        if let Some(Skipped { at, why }) = &self.skipped {
            parts.push(format!("nothing began {}: {why}", shown(*at, &now)));
        }
        if !self.is_set && self.next.is_some() {
            parts.push("its timer is not set up: run the samocode enable command again".to_owned());
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::record;
    use super::*;

    #[test]
    fn a_note_says_what_comes_what_came_and_what_did_not() {
        let far = "2120-01-01T03:00:00Z";
        let mut record = record(far, Some("03:00"));
        let note = |record: &super::super::record::Record, state| {
            record.shown().note("deps", state).unwrap_or_default()
        };
        let text = note(&record, StateName::Done);
        assert!(text.starts_with("it starts every day at 03:00, next "), "{text}");
        assert!(!text.contains(';'), "{text}");
        record.latest = Some("deps-2".into());
        record.skipped =
            Some(Skipped { at: Timestamp::UNIX_EPOCH, why: "deps-2 was waiting".into() });
        record.is_set = false;
        let text = note(&record, StateName::Done);
        for part in
            ["; the last one is deps-2; nothing began ", ": deps-2 was waiting; its timer is not"]
        {
            assert!(text.contains(part), "{text}");
        }
        record.every = None;
        record.latest = None;
        record.skipped = None;
        record.is_set = true;
        assert_eq!(note(&record, StateName::Queued), "", "its reason says it");
        assert!(note(&record, StateName::Stopped).starts_with("it starts "));
        assert!(record.shown().reason().starts_with("it starts "));
    }
}
