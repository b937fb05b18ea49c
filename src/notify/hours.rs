//! Quiet hours, during which most notices are held back, and the digest that tells of them.

use jiff::civil::Time;
use jiff::{Span, Timestamp, Zoned};

use super::NoticeKind;

/// When notices are held back, and when what was held is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hours {
    /// The quiet hours of the day, if there are any.
    pub quiet: Option<Quiet>,
    /// When what was held is sent, in one message. Without it, each is sent when the quiet hours are
    /// over.
    pub digest: Option<Time>,
}

/// The quiet hours of each day, by the local clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quiet {
    /// Their begin.
    pub from: Time,
    /// Their end, which may be on the next day.
    pub to: Time,
    /// What is sent all the same.
    pub except: Vec<NoticeKind>,
}

impl Quiet {
    pub(super) fn includes(&self, time: Time) -> bool {
        if self.from < self.to {
            (self.from..self.to).contains(&time)
        } else {
            time >= self.from || time < self.to
        }
    }
}

impl Hours {
    /// Until when a notice is held back at this moment; `None` if it may be sent.
    pub(super) fn hold(&self, kind: NoticeKind, now: &Zoned) -> Option<Timestamp> {
        let quiet = self.quiet.as_ref()?;
        if kind.is_for_all() || quiet.except.contains(&kind) || !quiet.includes(now.time()) {
            return None;
        }
        next(self.digest.unwrap_or(quiet.to), now)
    }
}

/// The next moment at which the clock shows this time.
fn next(time: Time, now: &Zoned) -> Option<Timestamp> {
    let at = |days: i64| {
        let date = now.date().checked_add(Span::new().days(days)).ok()?;
        Some(date.to_datetime(time).to_zoned(now.time_zone().clone()).ok()?.timestamp())
    };
    at(0).filter(|today| *today > now.timestamp()).or_else(|| at(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::{date, time};
    use jiff::tz::TimeZone;

    fn hours(digest: Option<Time>) -> Hours {
        let (from, to) = (time(22, 0, 0, 0), time(7, 0, 0, 0));
        Hours { quiet: Some(Quiet { from, to, except: vec![NoticeKind::Blocked] }), digest }
    }

    fn held(hours: &Hours, kind: NoticeKind, day: i8, hour: i8, minute: i8) -> Option<String> {
        let now = date(2026, 11, day).at(hour, minute, 0, 0).to_zoned(TimeZone::UTC).unwrap();
        hours.hold(kind, &now).map(|until| until.to_string())
    }

    #[test]
    fn all_but_what_is_named_is_held_until_the_end_of_the_night() {
        let hours = hours(None);
        let morning = Some("2026-11-29T07:00:00Z".to_owned());
        assert_eq!(held(&hours, NoticeKind::Done, 28, 22, 0), morning);
        assert_eq!(held(&hours, NoticeKind::Done, 29, 6, 59), morning);
        for (kind, day, hour, minute) in [
            (NoticeKind::Done, 28, 21, 59),
            (NoticeKind::Done, 29, 7, 0),
            (NoticeKind::Blocked, 28, 23, 0),
            (NoticeKind::Test, 28, 23, 0),
            (NoticeKind::Digest, 28, 23, 0),
        ] {
            assert_eq!(held(&hours, kind, day, hour, minute), None, "{kind} {day} {hour}:{minute}");
        }
        assert_eq!(held(&Hours::default(), NoticeKind::Done, 28, 23, 0), None);
    }

    #[test]
    fn a_digest_has_a_time_of_its_own_and_quiet_hours_may_be_in_the_day() {
        let digest = hours(Some(time(8, 30, 0, 0)));
        let until = Some("2026-11-29T08:30:00Z".to_owned());
        assert_eq!(held(&digest, NoticeKind::Waiting, 28, 23, 0), until);
        let mut noon = hours(None);
        noon.quiet.as_mut().unwrap().from = time(12, 0, 0, 0);
        noon.quiet.as_mut().unwrap().to = time(13, 0, 0, 0);
        let until = Some("2026-11-28T13:00:00Z".to_owned());
        assert_eq!(held(&noon, NoticeKind::Done, 28, 12, 30), until);
        assert_eq!(held(&noon, NoticeKind::Done, 28, 13, 30), None);
    }

    #[test]
    fn a_time_that_the_clock_skips_is_not_lost() {
        let night = hours(Some(time(2, 30, 0, 0)));
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let now = date(2026, 3, 28).at(23, 0, 0, 0).to_zoned(zone).unwrap();
        let until = night.hold(NoticeKind::Done, &now).unwrap();
        assert_eq!(until.to_string(), "2026-03-29T01:30:00Z");
    }
}
