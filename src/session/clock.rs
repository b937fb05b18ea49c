//! What can be known of the wall clock, which anyone may set, and of local time.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

/// By how much clocks are corrected in passing.
const SLACK: SignedDuration = SignedDuration::from_mins(1);

/// Whether the clock has been set back between two looks at it. What was noted by the old time, as
/// the end of a wait, means nothing then.
#[must_use]
pub fn was_set_back(earlier: Timestamp, later: Timestamp) -> bool {
    earlier.duration_since(later) > SLACK
}

/// How long a zone is used before the machine's is looked at again: somebody may have set another.
const ZONE_KEPT: Duration = Duration::from_secs(300);

/// The zone of local time. [`TimeZone::system`] looks for the name of the zone, and reads the folders of all the zones that a machine has to find it, every time a
/// process begins. All that is needed here is what the clock says, which the machine's own zone file tells.
#[must_use]
pub fn local_zone() -> TimeZone {
    static KEPT: Mutex<Option<(Instant, TimeZone)>> = Mutex::new(None);
    let read = || {
        // The variable counts first (tzset(3)).
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

/// Local time.
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
