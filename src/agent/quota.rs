//! Google's quota of a day. Its error does not say when it ends, but its documentation does: at
//! midnight Pacific time.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use super::event::Limit;

/// The name of a limit of a day whose end is not reported but expected.
pub const DAILY: &str = "daily";

/// What Gemini CLI says once the day's quota of a model is used up.
const USED_UP: &str = "exhausted your daily quota";

/// What to add to these words.
pub(super) const ADVICE: &str = "Google renews it at midnight Pacific time";

/// Pacific time, without a database of time zones, which not every machine has.
const PACIFIC: &str = "PST8PDT,M3.2.0,M11.1.0";

/// The limit that an error of this text reports, if it is this one.
pub(super) fn of_day(said: &str, now: Timestamp) -> Option<Limit> {
    said.contains(USED_UP).then(|| Limit {
        reached: true,
        kind: DAILY.to_owned(),
        resets_at: renewed_after(now),
        windows: Vec::new(),
    })
}

/// The next midnight Pacific time.
fn renewed_after(now: Timestamp) -> Option<Timestamp> {
    let zone = TimeZone::posix(PACIFIC).ok()?;
    let today = now.to_zoned(zone.clone()).date();
    Some(today.checked_add(1.day()).ok()?.to_zoned(zone).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_of_a_day_is_renewed_at_the_next_midnight_in_summer_and_winter() {
        for (now, renewed) in [
            ("2026-11-29T07:59:59Z", "2026-11-29T08:00:00Z"),
            ("2026-11-29T08:00:00Z", "2026-11-30T08:00:00Z"),
            ("2026-07-04T06:59:00Z", "2026-07-04T07:00:00Z"),
            ("2026-07-04T07:30:00Z", "2026-07-05T07:00:00Z"),
            // The days on which the clocks are set forward and back.
            ("2026-03-08T12:00:00Z", "2026-03-09T07:00:00Z"),
            ("2026-11-01T12:00:00Z", "2026-11-02T08:00:00Z"),
        ] {
            let limit =
                of_day("You have exhausted your daily quota on this model.", now.parse().unwrap());
            assert_eq!(limit.unwrap().resets_at, Some(renewed.parse().unwrap()), "{now}");
        }
        assert_eq!(of_day("You exceeded your current quota", Timestamp::UNIX_EPOCH), None);
    }
}
