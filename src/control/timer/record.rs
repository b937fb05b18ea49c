//! What is remembered of a timer, and what a tick makes of it. Pure.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::control::enable::Overrides;
use crate::control::request::Work;
use crate::session::clock;
use crate::session::schedule::Every;
use crate::session::state::StateName;

use super::shown::{Skipped, Upcoming};

/// A session's timer: `_timers/INSTANCE.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The session's name.
    pub(super) session: String,
    /// The next time it begins; `None` once a single one has come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<Timestamp>,
    /// How its time comes again; `None` for a single one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) every: Option<Every>,
    /// The name of the time zone in which that is meant; the machine's if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) zone: Option<String>,
    /// What each session gets to do.
    pub(super) work: Work,
    /// Settings for each of them.
    pub(super) set: Overrides,
    /// Whether the manager's timer was set after that.
    #[serde(default)]
    pub(super) is_set: bool,
    /// The session that is about to begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pending: Option<String>,
    /// The session that it began last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) latest: Option<String>,
    /// The number in that one's name; 1 for the first, which has none.
    #[serde(default)]
    pub(super) number: u32,
    /// The time that was left out last, if the one after it was not reached yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) skipped: Option<Skipped>,
}

/// What is known of the session that the timer began last, or is to begin first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    /// It does not exist: it was put away.
    Gone,
    /// It waits for its time.
    Unbegun,
    /// It has begun and is in this state.
    Begun(StateName),
}

/// What becomes of a time that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Turn {
    /// The session itself begins, or resumes.
    Own,
    /// Another one begins, from the same task.
    Fresh,
    /// Nothing begins, for this reason.
    Skip(String),
}

impl Record {
    /// The session that the next time depends on.
    pub(super) fn last(&self) -> &str {
        self.latest.as_deref().unwrap_or(&self.session)
    }

    /// Whether a time has come that nothing was done about.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.pending.is_none() && self.next.is_some_and(|next| next <= now)
    }

    /// What becomes of a time that is due.
    pub(super) fn turn(&self, last: Last) -> Turn {
        if self.every.is_none() {
            return Turn::Own;
        }
        match last {
            Last::Unbegun => Turn::Own,
            Last::Gone | Last::Begun(StateName::Done) => Turn::Fresh,
            Last::Begun(state) => Turn::Skip(format!("{} was {state}", self.last())),
        }
    }

    /// Counts from a time that was due to the next one.
    pub(super) fn advance(&mut self, now: Timestamp) {
        let now = now.to_zoned(self.time_zone());
        self.next = self.every.as_ref().and_then(|every| every.next(self.next, &now));
    }

    fn time_zone(&self) -> TimeZone {
        let named = self.zone.as_deref().and_then(|name| TimeZone::get(name).ok());
        named.unwrap_or_else(clock::local_zone)
    }

    /// What happens at its times, for people who list the manager's timers.
    pub(super) fn describe(&self, name: &str) -> String {
        let when = self.every.as_ref().map_or_else(|| "once".to_owned(), Every::describe);
        let zone = self.zone.as_ref().filter(|_| self.every.is_some());
        let zone = zone.map_or_else(String::new, |zone| format!(" ({zone})"));
        format!("samocode: start {name} {when}{zone}")
    }

    pub(super) fn shown(&self) -> Upcoming {
        Upcoming {
            next: self.next,
            every: self.every.as_ref().map(Every::describe),
            zone: self.zone.clone(),
            latest: self.latest.clone(),
            skipped: self.skipped.clone(),
            is_set: self.is_set,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::control::timer) fn record(next: &str, every: Option<&str>) -> Record {
        Record {
            session: "deps".into(),
            next: Some(next.parse().unwrap()),
            every: every.map(|text| Every::parse(text).unwrap()),
            zone: Some("UTC".into()),
            work: Work { task: Some("Update".into()), ..Work::default() },
            set: Overrides::default(),
            is_set: true,
            pending: None,
            latest: None,
            number: 1,
            skipped: None,
        }
    }

    #[test]
    fn a_fresh_one_begins_only_when_the_last_is_done_or_gone() {
        let mut every = record("2026-11-28T03:00:00Z", Some("03:00"));
        assert_eq!(every.turn(Last::Unbegun), Turn::Own);
        for (last, turn) in [
            (Last::Gone, Turn::Fresh),
            (Last::Begun(StateName::Done), Turn::Fresh),
            (Last::Begun(StateName::Running), Turn::Skip("deps was running".into())),
            (Last::Begun(StateName::Waiting), Turn::Skip("deps was waiting".into())),
            (Last::Begun(StateName::Stopped), Turn::Skip("deps was stopped".into())),
        ] {
            assert_eq!(every.turn(last), turn, "{last:?}");
        }
        every.latest = Some("deps-2".into());
        let skip = Turn::Skip("deps-2 was blocked".into());
        assert_eq!(every.turn(Last::Begun(StateName::Blocked)), skip);
        // A single time is the session's own: it resumes one that is stopped, too.
        let once = record("2026-11-28T03:00:00Z", None);
        assert_eq!(once.turn(Last::Begun(StateName::Stopped)), Turn::Own);
    }

    #[test]
    fn times_that_were_missed_count_as_one() {
        let now = "2026-12-03T10:00:00Z".parse().unwrap();
        for (every, next) in [
            (Some("03:00"), Some("2026-12-04T03:00:00Z")),
            (Some("7h"), Some("2026-12-03T16:00:00Z")),
            (None, None),
        ] {
            let mut record = record("2026-11-28T03:00:00Z", every);
            assert!(record.is_due(now) && !record.is_due(Timestamp::UNIX_EPOCH));
            record.advance(now);
            assert_eq!(record.next.map(|at| at.to_string()).as_deref(), next, "{every:?}");
            assert!(!record.is_due(now));
        }
    }

    #[test]
    fn a_session_that_is_about_to_begin_comes_before_the_next_time() {
        let mut record = record("2026-11-28T03:00:00Z", Some("1h"));
        record.pending = Some("deps-2".into());
        assert!(!record.is_due("2026-12-03T10:00:00Z".parse().unwrap()));
    }

    #[test]
    fn it_is_read_back_and_describes_itself() {
        let mut record = record("2026-11-28T03:00:00Z", Some("Mon..Fri 03:00"));
        record.skipped = Some(Skipped { at: Timestamp::UNIX_EPOCH, why: "w".into() });
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
        assert_eq!(record.describe("deps"), "samocode: start deps every Mon..Fri at 03:00 (UTC)");
    }
}
