//! Times, durations and amounts as people read them, for every front end.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::session::phase::Phase;
use crate::session::{Certainty, dollars};

/// From this far away on, a date needs its year.
const NEAR: SignedDuration = SignedDuration::from_hours(300 * 24);

/// How long ago something happened. More than an hour ago: the time of day, with the date unless it
/// is today. The same for what lies in the future, as after a clock that was wrong.
pub(crate) fn ago(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    match now.duration_since(at).as_secs() {
        seconds @ -60..60 => format!("{} s ago", seconds.max(0)),
        seconds @ 60..3600 => format!("{} min ago", seconds / 60),
        _ => clock(at, now, zone),
    }
}

/// The time of day, with the date unless it is today.
pub(crate) fn clock(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let time = at.to_zoned(zone.clone()).strftime("%H:%M").to_string();
    day(at, now, zone).map_or(time.clone(), |day| format!("{day} {time}"))
}

/// The time of day to the second; on another day, the date and the time to the minute.
pub(crate) fn instant(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    match day(at, now, zone) {
        Some(_) => clock(at, now, zone),
        None => at.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string(),
    }
}

/// The date, unless it is today's; with its year if it is far away.
pub(crate) fn day(at: Timestamp, now: Timestamp, zone: &TimeZone) -> Option<String> {
    let is_near = now.duration_since(at).abs() < NEAR;
    let (at, now) = (at.to_zoned(zone.clone()), now.to_zoned(zone.clone()));
    let form = if is_near { "%m-%d" } else { "%Y-%m-%d" };
    (at.date() != now.date()).then(|| at.strftime(form).to_string())
}

/// A duration in its largest unit, or its two largest from an hour up.
pub(crate) fn span(span: SignedDuration) -> String {
    let seconds = span.as_secs().max(0);
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match (hours, minutes, seconds) {
        (0, 0, _) => format!("{seconds} s"),
        (0, _, _) => format!("{minutes} min"),
        (..48, ..) if minutes % 60 == 0 => format!("{hours} h"),
        (..48, ..) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{} d {} h", hours / 24, hours % 24),
    }
}

/// An amount in US dollars, to the cent.
pub(crate) fn usd(amount: f64) -> String {
    format!("${amount:.2}")
}

/// An amount in US dollars, marked where it is an estimate.
pub(crate) fn about_usd(amount: f64, estimated: bool) -> String {
    dollars(amount, Certainty { estimated, ..Certainty::default() })
}

/// A whole number with commas between the thousands.
pub(crate) fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun: `one` for 1, else `several`.
pub(crate) fn count(n: usize, one: &str, several: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { several })
}

/// Progress through the phases: one square per phase.
pub(crate) fn bar(phase: Phase) -> String {
    let done = Phase::ALL.iter().position(|known| *known == phase).map_or(0, |at| at + 1);
    "■".repeat(done) + &"□".repeat(Phase::ALL.len() - done)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn times_are_told_by_distance_then_clock_then_date() {
        let now = at("2026-11-20T18:00:00Z");
        let told = |time| ago(at(time), now, &TimeZone::UTC);
        assert_eq!(told("2026-11-20T17:59:56Z"), "4 s ago");
        assert_eq!(told("2026-11-20T17:58:00Z"), "2 min ago");
        assert_eq!(told("2026-11-20T09:02:00Z"), "09:02");
        assert_eq!(told("2026-11-18T09:02:00Z"), "11-18 09:02");
        assert_eq!(told("2026-11-20T18:00:30Z"), "0 s ago");
        // The clock was wrong, or is.
        assert_eq!(told("2026-11-20T19:30:00Z"), "19:30");
        assert_eq!(told("2031-11-20T18:00:00Z"), "2031-11-20 18:00");
        assert_eq!(told("1970-01-01T00:00:05Z"), "1970-01-01 00:00");
        assert_eq!(told("2026-03-01T09:02:00Z"), "03-01 09:02");
        assert_eq!(instant(at("2023-11-20T18:00:00Z"), now, &TimeZone::UTC), "2023-11-20 18:00");
        assert_eq!(instant(at("2026-11-20T17:00:09Z"), now, &TimeZone::UTC), "17:00:09");
    }

    #[test]
    fn spans_have_two_units_at_most() {
        let told = |seconds| span(SignedDuration::from_secs(seconds));
        let cases = [(9, "9 s"), (150, "2 min"), (7200, "2 h"), (7860, "2 h 11 min")];
        for (seconds, text) in cases {
            assert_eq!(told(seconds), text);
        }
        assert_eq!(told(3 * 86_400 + 7200), "3 d 2 h");
    }

    #[test]
    fn amounts_and_phases_are_easy_to_read() {
        assert_eq!(usd(3.104), "$3.10");
        assert_eq!(
            (about_usd(3.1, true), about_usd(3.1, false)),
            ("~$3.10".into(), "$3.10".into())
        );
        assert_eq!([number(7), number(91_000), number(1_234_567)], ["7", "91,000", "1,234,567"]);
        assert_eq!(bar(Phase::Requirements), "■■■□□□□□");
        assert_eq!(bar(Phase::Done), "■■■■■■■■");
    }
}
