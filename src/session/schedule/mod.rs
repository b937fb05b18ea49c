//! When a session begins on its own: once at a time, or again and again. Pure.
//!
//! Times are read and counted in a time zone, the human's: a day at 03:00 stays at 03:00 when the
//! clocks change. A time that a change of the clocks skips is the same time after it; one that comes
//! twice is the first of the two.

mod at;
mod every;

use jiff::civil::Time;
use jiff::{Timestamp, Zoned};

pub use at::at;
pub use every::Every;

/// A time that cannot be understood, or that no session can begin at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct BadTime {
    what: String,
    /// What to write instead.
    pub remedy: &'static str,
}

impl BadTime {
    fn new(what: String, remedy: &'static str) -> Self {
        Self { what, remedy }
    }
}

/// Shows a moment to a human: `today 22:00`, `tomorrow 03:00`, `Sun 29 Nov 03:00`, with the year if it
/// is another one, and seconds if they matter.
#[must_use]
pub fn shown(at: Timestamp, now: &Zoned) -> String {
    let at = at.to_zoned(now.time_zone().clone());
    let time = if at.second() == 0 { "%H:%M" } else { "%H:%M:%S" };
    let tomorrow = now.date().tomorrow().ok();
    let day = if at.date() == now.date() {
        "today ".to_owned()
    } else if Some(at.date()) == tomorrow {
        "tomorrow ".to_owned()
    } else if at.year() == now.year() {
        at.strftime("%a %-d %b ").to_string()
    } else {
        at.strftime("%a %-d %b %Y ").to_string()
    };
    // The offset, where the same time of day is not the same as now.
    let zone = if at.offset() == now.offset() { "" } else { " %Z" };
    format!("{day}{}", at.strftime(&format!("{time}{zone}")))
}

/// A time of day: `9:00`, `09:00`, `03:30:15`.
fn time_of_day(text: &str) -> Option<Time> {
    let (hour, rest) = text.split_once(':')?;
    let is_number = |part: &str| part.len() <= 2 && part.bytes().all(|b| b.is_ascii_digit());
    if hour.is_empty() || !is_number(hour) || !rest.split(':').all(|part| part.len() == 2) {
        return None;
    }
    format!("{hour:0>2}:{rest}").parse().ok()
}

/// The weekday with this name, whole or its first three letters: 0 is Monday.
fn weekday(text: &str) -> Option<usize> {
    const DAYS: [&str; 7] =
        ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let text = text.to_lowercase();
    DAYS.iter().position(|day| *day == text || day[..3] == text)
}

/// Whole seconds: what the service managers can wait for. Never earlier than `at`.
fn whole(at: Timestamp) -> Timestamp {
    let second = at.as_second() + i64::from(at.subsec_nanosecond() > 0);
    Timestamp::from_second(second).unwrap_or(at)
}

#[cfg(test)]
mod tests;
