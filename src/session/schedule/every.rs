//! A time that comes again and again, as a person types it.

use jiff::civil::Time;
use jiff::{SignedDuration, Span, Timestamp, Zoned};
use serde::{Deserialize, Serialize};

use super::at::local;
use super::{BadTime, time_of_day, weekday, whole};

const REMEDY: &str = "write 30min, 6h, 2d, hourly, daily, weekly, monthly, 03:00, \"Mon..Fri 09:00\" or \"Sat,Sun 10:00,22:00\"";

/// How far ahead the next day of a calendar is looked for: the 31st comes in two months at the latest.
const DAYS_AHEAD: usize = 100;

/// Again and again: after an interval, or by the calendar. Written and read as it was typed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Every {
    text: String,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// From one beginning to the next.
    Interval(IntervalSpan),
    /// On these days at these times.
    Calendar(Calendar),
}

/// A positive span, compared as it is written.
#[derive(Debug, Clone)]
struct IntervalSpan(Span);

impl PartialEq for IntervalSpan {
    fn eq(&self, other: &Self) -> bool {
        self.0.fieldwise() == other.0.fieldwise()
    }
}

impl Eq for IntervalSpan {}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Calendar {
    days: Days,
    /// In order.
    times: Vec<Time>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Days {
    /// Those of the week that are set, from Monday on.
    OfWeek([bool; 7]),
    /// This day of each month that has it.
    OfMonth(i8),
}

const ALL: Days = Days::OfWeek([true; 7]);

impl Every {
    /// Reads an interval or a calendar.
    ///
    /// # Errors
    /// For what is neither, and for an interval under a minute.
    pub fn parse(text: &str) -> Result<Self, BadTime> {
        let plain = text.trim().to_lowercase();
        let plain = plain.strip_prefix("every ").unwrap_or(&plain).trim();
        let bad = |what: &str| BadTime::new(format!("{text:?} {what}"), REMEDY);
        let words = plain.split_whitespace().collect::<Vec<_>>();
        let kind = match calendar(&words) {
            Some(calendar) => Kind::Calendar(calendar),
            None => {
                let plain = match plain {
                    "hourly" | "hour" => "1h",
                    other => other,
                };
                let span: Span =
                    plain.parse().map_err(|_| bad("is neither an interval nor a time"))?;
                Kind::Interval(IntervalSpan(checked(span).ok_or_else(|| {
                    bad("is not an interval that a session can be started at; the shortest is 1min, the longest 1y")
                })?))
            }
        };
        Ok(Self { text: plain.to_owned(), kind })
    }

    /// Whether it counts from its first beginning, not by the calendar.
    #[must_use]
    pub const fn is_interval(&self) -> bool {
        matches!(self.kind, Kind::Interval(_))
    }

    /// The first time after `now`. An interval is counted from `last`, the time it was due before. So
    /// times that were missed are skipped.
    #[must_use]
    pub fn next(&self, last: Option<Timestamp>, now: &Zoned) -> Option<Timestamp> {
        match &self.kind {
            Kind::Interval(span) => after(last?, span.0, now).map(whole),
            Kind::Calendar(calendar) => calendar.next(now),
        }
    }

    /// In words: `every 6h`, `every day at 03:00`, `every Mon..Fri at 09:00`.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.kind {
            Kind::Interval(span) => format!("every {:#}", span.0),
            Kind::Calendar(calendar) => calendar.describe(),
        }
    }
}

/// An interval of at least a minute and at most a year.
fn checked(span: Span) -> Option<Span> {
    let from = jiff::civil::date(2027, 1, 1).at(0, 0, 0, 0);
    let to = from.checked_add(span).ok()?;
    let least = from.checked_add(Span::new().minutes(1)).ok()?;
    let most = from.checked_add(Span::new().years(1)).ok()?;
    (least..=most).contains(&to).then_some(span)
}

/// The first of the times `span` apart, counted from `last`, that is after `now`.
fn after(last: Timestamp, span: Span, now: &Zoned) -> Option<Timestamp> {
    if let Ok(step) = SignedDuration::try_from(span) {
        let (last, now) = (last.as_second(), now.timestamp().as_second());
        let gone = now.saturating_sub(last).max(-1).div_euclid(step.as_secs());
        return Timestamp::from_second(last + (gone + 1) * step.as_secs()).ok();
    }
    // By the calendar of the zone: three days later it is the same time of day.
    let mut at = last.to_zoned(now.time_zone().clone());
    while at <= *now {
        at = at.checked_add(span).ok()?;
    }
    Some(at.timestamp())
}

impl Calendar {
    fn next(&self, now: &Zoned) -> Option<Timestamp> {
        let mut day = now.date();
        for _ in 0..DAYS_AHEAD {
            if self.days.have(day) {
                let times = self
                    .times
                    .iter()
                    .filter_map(|time| local(day.to_datetime(*time), now.time_zone()));
                if let Some(at) = times.filter(|at| *at > now.timestamp()).min() {
                    return Some(at);
                }
            }
            day = day.tomorrow().ok()?;
        }
        None
    }

    fn describe(&self) -> String {
        let times = self.times.iter().map(|time| {
            let form = if time.second() == 0 { "%H:%M" } else { "%H:%M:%S" };
            time.strftime(form).to_string()
        });
        let times = times.collect::<Vec<_>>().join(", ");
        match &self.days {
            Days::OfMonth(day) => format!("on day {day} of every month at {times}"),
            Days::OfWeek(set) => format!("every {} at {times}", days_of_week(*set)),
        }
    }
}

fn days_of_week(set: [bool; 7]) -> String {
    const NAMES: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    if set == [true; 7] {
        return "day".to_owned();
    }
    let mut parts = Vec::new();
    let mut at = 0;
    while at < 7 {
        let end = (at..7).find(|day| !set[*day]).unwrap_or(7);
        match end - at {
            0 => {}
            1 => parts.push(NAMES[at].to_owned()),
            2 => parts.push(format!("{},{}", NAMES[at], NAMES[end - 1])),
            _ => parts.push(format!("{}..{}", NAMES[at], NAMES[end - 1])),
        }
        at = end.max(at) + 1;
    }
    parts.join(",")
}

impl Days {
    fn have(&self, day: jiff::civil::Date) -> bool {
        match self {
            Self::OfWeek(set) => {
                usize::try_from(day.weekday().to_monday_zero_offset()).is_ok_and(|day| set[day])
            }
            Self::OfMonth(number) => day.day() == *number,
        }
    }
}

/// Days, then times: either may be missing.
fn calendar(words: &[&str]) -> Option<Calendar> {
    let midnight = || vec![Time::midnight()];
    let words: Vec<&str> =
        words.iter().copied().filter(|word| !matches!(*word, "at" | "on")).collect();
    match words.as_slice() {
        [one] => match (days(one), times(one)) {
            (Some(days), _) => Some(Calendar { days, times: midnight() }),
            (None, Some(times)) => Some(Calendar { days: ALL, times }),
            _ => None,
        },
        [first, second] => Some(Calendar { days: days(first)?, times: times(second)? }),
        // systemd writes all days of a week as a date.
        [first, "*-*-*", last] => Some(Calendar { days: days(first)?, times: times(last)? }),
        _ => None,
    }
}

fn times(text: &str) -> Option<Vec<Time>> {
    let mut times = text.split(',').map(time_of_day).collect::<Option<Vec<_>>>()?;
    times.sort_unstable();
    times.dedup();
    Some(times)
}

fn days(text: &str) -> Option<Days> {
    let of = |first: usize, last: usize| {
        let mut set = [false; 7];
        (first..=last).for_each(|day| set[day] = true);
        Days::OfWeek(set)
    };
    match text {
        "daily" | "day" | "days" | "*-*-*" => return Some(ALL),
        "weekly" | "week" => return Some(of(0, 0)),
        "weekday" | "weekdays" => return Some(of(0, 4)),
        "weekend" | "weekends" => return Some(of(5, 6)),
        "monthly" | "month" => return Some(Days::OfMonth(1)),
        _ => {}
    }
    if let Some(number) = text.strip_prefix("*-*-") {
        return number.parse().ok().filter(|day| (1..=31).contains(day)).map(Days::OfMonth);
    }
    let mut set = [false; 7];
    for part in text.split(',') {
        match part.split_once("..").or_else(|| part.split_once('-')) {
            None => set[weekday(part)?] = true,
            Some((first, last)) => {
                let (mut day, last) = (weekday(first)?, weekday(last)?);
                // It may lead over the end of the week.
                loop {
                    set[day] = true;
                    if day == last {
                        break;
                    }
                    day = (day + 1) % 7;
                }
            }
        }
    }
    Some(Days::OfWeek(set))
}

impl TryFrom<String> for Every {
    type Error = BadTime;

    fn try_from(text: String) -> Result<Self, BadTime> {
        Self::parse(&text)
    }
}

impl From<Every> for String {
    fn from(every: Every) -> Self {
        every.text
    }
}
