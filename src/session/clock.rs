//! The wall clock, which anyone may change at any time, and local time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

/// Clock corrections up to this size are routine and are ignored.
const SLACK: SignedDuration = SignedDuration::from_mins(1);

/// Whether the clock was set back between two readings. Times recorded by the old clock, such as
/// the end of a wait, are then meaningless.
#[must_use]
pub fn was_set_back(earlier: Timestamp, later: Timestamp) -> bool {
    earlier.duration_since(later) > SLACK
}

/// How long the time zone is cached before it is read again, in case someone changes it.
const ZONE_KEPT: Duration = Duration::from_secs(300);

/// The local time zone. [`TimeZone::system`] also searches for the zone's name, which means reading
/// the machine's whole zone database in every new process. Only the offset is needed here, and
/// `/etc/localtime` has it.
#[must_use]
pub fn local_zone() -> TimeZone {
    static KEPT: Mutex<Option<(Instant, TimeZone)>> = Mutex::new(None);
    let read = || {
        // `TZ` takes precedence (tzset(3)).
        let bytes = match std::env::var_os("TZ") {
            None => std::fs::read("/etc/localtime").ok(),
            Some(_) => None,
        };
        let zone = bytes.and_then(|bytes| TimeZone::tzif("local", &bytes).ok());
        zone.unwrap_or_else(TimeZone::system)
    };
    let Ok(mut kept) = KEPT.lock() else { return read() };
    match kept.as_ref() {
        Some((since, zone)) if since.elapsed() < ZONE_KEPT => zone.clone(),
        _ => kept.insert((Instant::now(), read())).1.clone(),
    }
}

static IN_UTC: AtomicBool = AtomicBool::new(false);

/// From now on, times are shown in UTC.
pub fn show_utc() {
    IN_UTC.store(true, Ordering::Relaxed);
}

/// The zone of the times that people are shown: the local one, or UTC if that was asked for. What
/// goes into files and messages is in [`local_zone`].
#[must_use]
pub fn shown_zone() -> TimeZone {
    if IN_UTC.load(Ordering::Relaxed) { TimeZone::UTC } else { local_zone() }
}

/// The current time in the zone of the times that people are shown.
#[must_use]
pub fn shown_now() -> Zoned {
    Timestamp::now().to_zoned(shown_zone())
}

/// The current time in the machine's time zone, as session files show it.
#[must_use]
pub fn local_now() -> Zoned {
    Timestamp::now().to_zoned(local_zone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_time_is_what_the_library_says_it_is() {
        for month in [1, 7] {
            let at = jiff::civil::date(2026, month, 2).at(12, 0, 0, 0);
            let at = at.to_zoned(TimeZone::UTC).unwrap().timestamp();
            let (ours, theirs) = (at.to_zoned(local_zone()), at.to_zoned(TimeZone::system()));
            assert_eq!(ours.datetime(), theirs.datetime());
        }
    }

    #[test]
    fn a_correction_in_passing_does_not_count() {
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
        assert!(!was_set_back(at(0), at(0)) && !was_set_back(at(0), at(1_000_000)));
        assert!(!was_set_back(at(60), at(0)) && was_set_back(at(61), at(0)));
    }
}
