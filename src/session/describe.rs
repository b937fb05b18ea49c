//! What the descriptions of events are made of, and what makes them safe to print.

use std::borrow::Cow;

use jiff::Timestamp;

use super::{clock, stamp};

/// `text` after a colon, in one line; nothing if there is none.
pub(super) fn more(text: Option<&str>) -> String {
    text.map_or_else(String::new, |text| format!(": {}", one_line(text)))
}

/// Formats how long an agent was quiet, given in seconds: `90 s`, `10 min`.
#[must_use]
pub fn quiet(seconds: u64) -> String {
    if seconds < 120 { format!("{seconds} s") } else { format!("{} min", seconds / 60) }
}

/// Formats a size in the largest binary unit that fits, with one decimal below 10: `1.5 GiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    let units = [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.into_iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => {
            let tenths = u128::from(bytes) * 10 / u128::from(unit);
            if tenths >= 100 || tenths % 10 == 0 {
                format!("{} {name}", tenths / 10)
            } else {
                format!("{}.{} {name}", tenths / 10, tenths % 10)
            }
        }
        None => format!("{bytes} bytes"),
    }
}

/// Local time with its date, in the format of the flow log.
pub(super) fn local(at: Timestamp) -> String {
    stamp::log(&at.to_zoned(clock::shown_zone()))
}

/// Makes untrusted text safe to print on a terminal: control characters and those that change the
/// writing direction are replaced; line ends and tabs stay. (journalctl would show a message with a
/// control character as `[blob data]`.)
#[must_use]
pub fn harmless(text: &str) -> Cow<'_, str> {
    let is_bad = |c: char| (c.is_control() && !matches!(c, '\n' | '\t')) || turns_direction(c);
    if !text.contains(is_bad) {
        return Cow::Borrowed(text);
    }
    let text = text.replace("\r\n", "\n");
    let shown = |c: char| match u32::from(c) {
        _ if !is_bad(c) => c,
        // U+2400 onwards are the symbols for the control characters, in the same order.
        code @ 0..0x20 => char::from_u32(0x2400 + code).unwrap_or(char::REPLACEMENT_CHARACTER),
        0x7f => '\u{2421}',
        _ => char::REPLACEMENT_CHARACTER,
    };
    Cow::Owned(text.chars().map(shown).collect())
}

const fn turns_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

pub(super) fn one_line(text: &str) -> String {
    const LONGEST: usize = 300;
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if flat.chars().count() <= LONGEST {
        return flat;
    }
    let mut cut: String = flat.chars().take(LONGEST - 1).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::event::{Event, Limited, Nudged};

    #[test]
    fn times_are_those_of_the_clock_on_the_wall() {
        let until: Timestamp = "2026-11-20T18:30:00Z".parse().unwrap();
        let limited =
            Event::from(Limited { until, what: Some("five_hour".to_owned()), said: None });
        let clock = stamp::log(&until.to_zoned(clock::local_zone()));
        assert_eq!(limited.describe(), format!("usage limit until {clock} (five hour)"));
    }

    #[test]
    fn a_short_silence_is_shown_in_seconds() {
        let after = |quiet_s| Event::from(Nudged { run: "r".to_owned(), quiet_s }).describe();
        assert_eq!(after(6), "no sign of progress for 6 s: nudging the agent");
        assert_eq!(after(600), "no sign of progress for 10 min: nudging the agent");
    }

    #[test]
    fn sizes_are_told_in_the_unit_that_fits() {
        let told = [(1 << 30, "1 GiB"), (1_610_612_736, "1.5 GiB"), (40 << 30, "40 GiB")];
        for (bytes, text) in told {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(size(512), "512 bytes");
        assert_eq!(size(300 << 20), "300 MiB");
    }

    #[test]
    fn no_control_character_of_an_agent_reaches_the_terminal() {
        let evil = "a\u{1b}]0;title\u{7}\u{9b}2J\rb\u{7f}\u{202e}c";
        let shown = harmless(evil);
        assert_eq!(shown, "a␛]0;title␇\u{fffd}2J␍b␡\u{fffd}c");
        assert!(!shown.contains(char::is_control));
    }

    #[test]
    fn lines_tabs_and_letters_of_any_language_stay() {
        let text = "für\tвсех\n日本";
        assert_eq!(harmless(text), text);
        assert_eq!(harmless("a\r\nb"), "a\nb");
    }
}
