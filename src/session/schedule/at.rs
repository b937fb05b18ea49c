//! A single time, as a person types it.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};

use super::{BadTime, time_of_day, weekday, whole};

const REMEDY: &str =
    "write 22:00, \"tomorrow 06:30\", \"Mon 09:00\", \"2026-12-01 03:00\", or 2h for in two hours";

/// Reads the time that a session is to begin at: a time of day, with a day if it is not the next one;
/// or how long from now.
///
/// # Errors
/// For what is no time, one that is past, and one that is more than a year ahead.
pub fn at(text: &str, now: &Zoned) -> Result<Timestamp, BadTime> {
    let bad = |what: &str| BadTime::new(format!("{text:?} {what}"), REMEDY);
    let found = read(text.trim(), now).ok_or_else(|| bad("is not a time"))?;
    let year = now.checked_add(Span::new().years(1)).map_or(Timestamp::MAX, |at| at.timestamp());
    match found {
        found if found < now.timestamp() => Err(bad("is past")),
        found if found > year => Err(bad("is more than a year ahead")),
        found => Ok(whole(found)),
    }
}

fn read(text: &str, now: &Zoned) -> Option<Timestamp> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at);
    }
    // With the name of its zone: 2026-12-01T03:00[Europe/Berlin].
    if let Ok(at) = text.parse::<Zoned>() {
        return Some(at.timestamp());
    }
    let local = |at: DateTime| local(at, now.time_zone());
    if let Some(time) = time_of_day(text) {
        let today = local(now.date().to_datetime(time))?;
        if today > now.timestamp() {
            return Some(today);
        }
        return local(now.date().tomorrow().ok()?.to_datetime(time));
    }
    if let Some((day, time)) = text.split_once([' ', 'T'])
        && let (Some(day), Some(time)) = (day_of(day, now), time_of_day(time.trim()))
    {
        let found = local(day.to_datetime(time))?;
        // The weekday of today, at a time that is past, is that of next week.
        let is_past = found < now.timestamp() && weekday(text.split(' ').next()?).is_some();
        return match is_past {
            true => local(day.checked_add(Span::new().days(7)).ok()?.to_datetime(time)),
            false => Some(found),
        };
    }
    let text = text.strip_prefix("in ").or_else(|| text.strip_prefix('+')).unwrap_or(text);
    let span: Span = text.trim().parse().ok()?;
    if !span.is_positive() {
        return None;
    }
    now.checked_add(span).ok().map(|at| at.timestamp())
}

/// The next day of this name, today included, or the one with this date.
fn day_of(text: &str, now: &Zoned) -> Option<Date> {
    match text.to_lowercase().as_str() {
        "today" => return Some(now.date()),
        "tomorrow" => return now.date().tomorrow().ok(),
        _ => {}
    }
    if let Some(day) = weekday(text) {
        let today = usize::try_from(now.weekday().to_monday_zero_offset()).ok()?;
        let ahead = i64::try_from((day + 7 - today) % 7).ok()?;
        return now.date().checked_add(Span::new().days(ahead)).ok();
    }
    text.parse().ok()
}

/// This time in a zone.
pub(super) fn local(at: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    at.to_zoned(zone.clone()).ok().map(|at| at.timestamp())
}
