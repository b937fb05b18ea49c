//! A moment as a person types it.

use jiff::civil::{Date, DateTime, Time};
use jiff::{SignedDuration, Timestamp, Zoned};

use crate::control::Error;
use crate::session::clock::shown_zone;

/// The moment: a time ago, a time of day, a day, both, or an instant with its offset.
pub(super) fn time(text: &str) -> Result<Timestamp, Error> {
    read(text.trim(), &Timestamp::now().to_zoned(shown_zone())).ok_or_else(|| {
        Error::usage(format!("{text:?} is not a time"))
            .hint("write 2h, 30min, 10:30, 2026-11-20 or \"2026-11-20 10:30\"")
    })
}

fn read(text: &str, now: &Zoned) -> Option<Timestamp> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at);
    }
    let local = |at: DateTime| at.to_zoned(now.time_zone().clone()).ok().map(|at| at.timestamp());
    // A day with a time would be read as a time, too, and as a day.
    let words = text.split([' ', 'T']).count();
    if let (Ok(time), 1) = (text.parse::<Time>(), words) {
        let today = local(now.date().to_datetime(time))?;
        // A time of day that is yet to come was yesterday's.
        let is_to_come = today > now.timestamp();
        let yesterday = now.date().yesterday().ok().filter(|_| is_to_come);
        return yesterday.map_or(Some(today), |day| local(day.to_datetime(time)));
    }
    if let Ok(at) = text.parse::<DateTime>() {
        return local(at);
    }
    if let Ok(day) = text.parse::<Date>() {
        return local(day.to_datetime(Time::midnight()));
    }
    // "3d" is three times 24 hours.
    let days = text.strip_suffix('d').and_then(|days| days.trim().parse::<i64>().ok());
    let ago = match days {
        Some(days) => SignedDuration::try_from_hours(days.checked_mul(24)?)?,
        None => text.parse::<SignedDuration>().ok()?,
    };
    if ago.is_negative() { None } else { now.timestamp().checked_sub(ago).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::{Offset, TimeZone};

    #[test]
    fn a_time_is_read_as_people_write_it() {
        let zone = TimeZone::fixed(Offset::constant(1));
        let now = "2026-11-20T11:00:00Z".parse::<Timestamp>().unwrap().to_zoned(zone);
        for (text, at) in [
            ("2h", "2026-11-20T09:00:00Z"),
            ("90s", "2026-11-20T10:58:30Z"),
            ("30min", "2026-11-20T10:30:00Z"),
            ("30 min", "2026-11-20T10:30:00Z"),
            ("3d", "2026-11-17T11:00:00Z"),
            ("10:30", "2026-11-20T09:30:00Z"),
            ("23:00", "2026-11-19T22:00:00Z"),
            ("2026-11-19", "2026-11-18T23:00:00Z"),
            ("2026-11-19 10:30", "2026-11-19T09:30:00Z"),
            ("2026-11-19T10:30:00Z", "2026-11-19T10:30:00Z"),
        ] {
            assert_eq!(read(text, &now), Some(at.parse().unwrap()), "{text}");
        }
        for text in ["", "soon", "-2h", "25:00", "2026-13-01", "99999999999999d"] {
            assert_eq!(read(text, &now), None, "{text}");
        }
    }
}
