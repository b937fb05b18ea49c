use jiff::tz::TimeZone;

use super::*;

/// A Friday evening in Berlin, whose clocks are set back on 25 October and ahead on 29 March 2027.
fn now(text: &str) -> Zoned {
    let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
    text.parse::<jiff::civil::DateTime>().unwrap().to_zoned(berlin).unwrap()
}

fn zulu(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn a_time_is_read_as_people_write_it() {
    let now = now("2026-11-27T20:15:30");
    for (text, at) in [
        ("22:00", "2026-11-27T21:00:00Z"),
        ("9:05", "2026-11-28T08:05:00Z"),
        ("20:15:31", "2026-11-27T19:15:31Z"),
        ("today 23:59", "2026-11-27T22:59:00Z"),
        ("tomorrow 06:30", "2026-11-28T05:30:00Z"),
        ("Mon 09:00", "2026-11-30T08:00:00Z"),
        ("friday 21:00", "2026-11-27T20:00:00Z"),
        ("Fri 20:00", "2026-12-04T19:00:00Z"),
        ("2026-12-01 03:00", "2026-12-01T02:00:00Z"),
        ("2026-12-01T03:00:15", "2026-12-01T02:00:15Z"),
        ("2026-12-01T03:00:00Z", "2026-12-01T03:00:00Z"),
        ("2026-12-01T03:00:00-08:00", "2026-12-01T11:00:00Z"),
        ("2h", "2026-11-27T21:15:30Z"),
        ("in 90min", "2026-11-27T20:45:30Z"),
        ("+3 days", "2026-11-30T19:15:30Z"),
        ("1h 30m", "2026-11-27T20:45:30Z"),
    ] {
        assert_eq!(at::at(text, &now), Ok(zulu(at)), "{text}");
    }
}

#[test]
fn what_is_no_time_or_none_that_a_session_can_begin_at_is_refused_with_a_remedy() {
    let now = now("2026-11-27T20:15:30");
    for (text, what) in [
        ("", "is not a time"),
        ("soon", "is not a time"),
        ("25:00", "is not a time"),
        ("10:5", "is not a time"),
        ("-2h", "is not a time"),
        ("0s", "is not a time"),
        ("2026-13-01 10:00", "is not a time"),
        ("Mon", "is not a time"),
        ("2026-11-27 20:15", "is past"),
        ("today 08:00", "is past"),
        ("2026-11-26T03:00:00Z", "is past"),
        ("2028-01-01 00:00", "is more than a year ahead"),
        ("99999999999999d", "is not a time"),
    ] {
        let error = at::at(text, &now).unwrap_err();
        assert_eq!(error.to_string(), format!("{text:?} {what}"));
        assert!(error.remedy.contains("22:00"));
    }
}

#[test]
fn a_time_that_the_clocks_skip_is_an_hour_later_and_one_that_comes_twice_is_the_first() {
    let spring = now("2027-03-27T20:00:00");
    assert_eq!(at::at("02:30", &spring), Ok(zulu("2027-03-28T01:30:00Z")), "03:30 in summer time");
    let autumn = now("2026-10-24T20:00:00");
    assert_eq!(at::at("02:30", &autumn), Ok(zulu("2026-10-25T00:30:00Z")), "still summer time");
}

fn next(text: &str, at: &str) -> String {
    Every::parse(text).unwrap().next(None, &now(at)).unwrap().to_string()
}

#[test]
fn a_calendar_has_its_next_time() {
    let friday = "2026-11-27T20:15:30";
    for (text, at, words) in [
        ("03:00", "2026-11-28T02:00:00Z", "every day at 03:00"),
        ("daily", "2026-11-27T23:00:00Z", "every day at 00:00"),
        ("every day at 21:00", "2026-11-27T20:00:00Z", "every day at 21:00"),
        ("Mon..Fri 09:00", "2026-11-30T08:00:00Z", "every Mon..Fri at 09:00"),
        ("weekdays 9:00", "2026-11-30T08:00:00Z", "every Mon..Fri at 09:00"),
        ("Mon..Fri *-*-* 09:00:00", "2026-11-30T08:00:00Z", "every Mon..Fri at 09:00"),
        ("sat,Sun 10:00,22:00", "2026-11-28T09:00:00Z", "every Sat,Sun at 10:00, 22:00"),
        ("Fri-Mon 20:15", "2026-11-28T19:15:00Z", "every Mon,Fri..Sun at 20:15"),
        ("weekly", "2026-11-29T23:00:00Z", "every Mon at 00:00"),
        ("monthly 03:00", "2026-12-01T02:00:00Z", "on day 1 of every month at 03:00"),
        ("*-*-31 12:00", "2026-12-31T11:00:00Z", "on day 31 of every month at 12:00"),
    ] {
        assert_eq!(next(text, friday), at, "{text}");
        assert_eq!(Every::parse(text).unwrap().describe(), words, "{text}");
    }
    // A day of a month that has none is that of the one after.
    assert_eq!(next("*-*-31 12:00", "2027-01-31T12:00:00"), "2027-03-31T10:00:00Z");
}

#[test]
fn a_calendar_keeps_its_time_of_day_over_changes_of_the_clocks() {
    let all = |first: &str, text: &str, count: usize| {
        let every = Every::parse(text).unwrap();
        let mut now = now(first);
        let mut found = Vec::new();
        for _ in 0..count {
            let at = every.next(None, &now).unwrap();
            found.push(at.to_string());
            now = at.to_zoned(now.time_zone().clone());
        }
        found
    };
    // Skipped, it comes an hour later, once.
    assert_eq!(
        all("2027-03-27T00:00:00", "02:30", 3),
        ["2027-03-27T01:30:00Z", "2027-03-28T01:30:00Z", "2027-03-29T00:30:00Z"]
    );
    // Had twice, it comes once.
    assert_eq!(
        all("2026-10-24T12:00:00", "02:30", 2),
        ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
    );
}

#[test]
fn an_interval_is_counted_from_its_last_time_and_missed_ones_are_skipped() {
    let at = |text: &str, last: &str, now: &str| {
        let now = super::tests::now(now);
        Every::parse(text).unwrap().next(Some(zulu(last)), &now).unwrap().to_string()
    };
    let last = "2026-11-27T10:00:00Z";
    assert_eq!(at("6h", last, "2026-11-27T11:00:00"), "2026-11-27T16:00:00Z");
    // It is 11:00 in Berlin: exactly now is not again.
    assert_eq!(at("30min", last, "2026-11-27T11:00:00"), "2026-11-27T10:30:00Z");
    assert_eq!(at("6h", last, "2026-11-30T11:30:00"), "2026-11-30T16:00:00Z", "days were missed");
    assert_eq!(at("1h 30m", last, "2026-11-27T11:00:01"), "2026-11-27T11:30:00Z");
    // Two days later is the same time of day, whatever the clocks did.
    assert_eq!(at("2d", "2026-10-24T10:00:00Z", "2026-10-25T00:00:00"), "2026-10-26T11:00:00Z");
    assert_eq!(Every::parse("every 6 hours").unwrap().describe(), "every 6h");
    assert_eq!(Every::parse("hourly").unwrap().describe(), "every 1h");
    assert!(Every::parse("2w").unwrap().is_interval());
}

#[test]
fn what_is_neither_interval_nor_calendar_is_refused_with_a_remedy() {
    for text in [
        "",
        "often",
        "30s",
        "0h",
        "-6h",
        "Mon",
        "Mon..Foo 09:00",
        "*:00/15",
        "*-*-32 09:00",
        "2y",
        "25:00",
        "Mon 09:00 Tue",
    ] {
        match Every::parse(text) {
            // A day alone is its midnight.
            Ok(every) => {
                assert_eq!((text, every.describe().as_str()), ("Mon", "every Mon at 00:00"))
            }
            Err(error) => {
                assert!(error.to_string().starts_with(&format!("{text:?} is n")), "{error}");
                assert!(error.remedy.contains("6h"));
            }
        }
    }
}

#[test]
fn it_is_written_as_it_was_typed_and_read_back() {
    for text in ["6h", "Mon..Fri 09:00", "monthly"] {
        let every = Every::parse(text).unwrap();
        let json = serde_json::to_string(&every).unwrap();
        assert_eq!(json, format!("{:?}", text.to_lowercase()));
        assert_eq!(serde_json::from_str::<Every>(&json).unwrap(), every);
    }
    assert!(serde_json::from_str::<Every>("\"often\"").is_err());
}

#[test]
fn a_moment_is_shown_as_people_say_it() {
    let now = now("2026-11-27T20:15:30");
    for (at, text) in [
        ("2026-11-27T21:00:00Z", "today 22:00"),
        ("2026-11-27T19:15:35Z", "today 20:15:35"),
        ("2026-11-28T02:00:00Z", "tomorrow 03:00"),
        ("2026-11-30T08:00:00Z", "Mon 30 Nov 09:00"),
        ("2027-01-04T08:00:00Z", "Mon 4 Jan 2027 09:00"),
        ("2027-04-01T01:00:00Z", "Thu 1 Apr 2027 03:00 CEST"),
    ] {
        assert_eq!(shown(zulu(at), &now), text);
    }
}
