//! One-line descriptions of events, used by journald, `logs` and `history`.

use std::borrow::Cow;

use jiff::Timestamp;

use super::journal::{End, Event, Step};
use super::mail::Kind;
use super::{clock, stamp};

/// Describes an event in one line, without its time.
#[must_use]
pub fn describe(event: &Event) -> String {
    let more = |text: &Option<String>| {
        text.as_deref().map_or_else(String::new, |text| format!(": {}", one_line(text)))
    };
    match event {
        Event::Created { task, .. } => format!("session created: {}", one_line(task)),
        Event::Imported { phase, total, .. } => {
            format!("session imported from its files: {phase}, {total} iterations so far")
        }
        Event::Prepared { branch, working_dir, base, notes } => {
            let mut text = match (branch, base) {
                (Some(branch), Some(base)) => {
                    format!("branch {branch} from {base} in {working_dir}")
                }
                (Some(branch), None) => format!("branch {branch} in {working_dir}"),
                (None, _) => format!("working in {working_dir}"),
            };
            for note in notes {
                text.push_str("; ");
                text.push_str(&one_line(note));
            }
            text
        }
        Event::Resumed { task } => format!("resumed with a new task: {}", one_line(task)),
        Event::WorkerStarted { pid, version, .. } => {
            format!("worker {pid} started (samocode {version})")
        }
        Event::WorkerEnded { end } => match end {
            End::Settled => "worker ended: nothing left to do",
            End::Interrupted => "worker interrupted; resumes at the next start",
            End::Reloaded => "worker switches to the installed samocode",
            End::GaveUp => "worker gave up after too many quick deaths",
        }
        .to_owned(),
        Event::RunStarted { agent, phase, iteration, attempt, resume, .. } => {
            let again = if *attempt > 1 { format!(", run {attempt}") } else { String::new() };
            let starts = if *resume { "resumes its conversation" } else { "starts" };
            format!("{phase} {iteration}{again}: {agent} {starts}")
        }
        Event::RunEnded { outcome, detail, cost, .. } => {
            let cost = cost.usd.map_or_else(String::new, |usd| format!(" (${usd:.2})"));
            format!("run ended: {}{}{cost}", outcome.as_str().replace('_', " "), more(detail))
        }
        Event::RunLost { .. } => "run cut off when its worker died".to_owned(),
        Event::SignalAsked { problem, .. } => {
            format!("run left no usable signal ({problem}); asking the agent for one")
        }
        Event::SignalTaken { phase, status, line, step, .. } => {
            let text = more(if line.summary.is_some() { &line.summary } else { &line.reason });
            let leads = match step {
                Step::Stay => String::new(),
                Step::Enter { phase } => format!(" -> {phase}"),
                Step::Wait { waits_for } => format!(" -> waiting for {waits_for}"),
                Step::Block { reason, .. } => {
                    return format!("{phase} blocked: {}", one_line(reason));
                }
                Step::Finish => " -> session done".to_owned(),
                Step::HandOver => " -> a fresh conversation".to_owned(),
            };
            format!("{phase} {status}{leads}{text}")
        }
        Event::Blocked { reason, .. } => format!("blocked: {}", one_line(reason)),
        Event::Mail { from, mail, .. } => match mail {
            Kind::Text => format!("message from {from}"),
            Kind::Answer => format!("{from} answered"),
            Kind::Approve => format!("{from} approved"),
            Kind::Reject => format!("{from} rejected it"),
            Kind::Nudge => format!("{from} nudged"),
            Kind::Stop => format!("{from} stopped the session"),
            Kind::Handoff => format!("{from} asked for a handoff"),
        },
        Event::Answered => "questions in _qa.md answered by hand".to_owned(),
        Event::PhaseSet { phase } => format!("phase set to {phase} by hand"),
        Event::Retried { by } => format!("retry ({by})"),
        Event::Stopped => "stopped by a human".to_owned(),
        Event::Started => "started by a human".to_owned(),
        Event::Limited { until, what } => {
            let which = what.as_deref().map_or_else(String::new, |what| {
                format!(" ({})", one_line(what).replace('_', " "))
            });
            format!("usage limit until {}{which}", local(*until))
        }
        Event::Paused { detail, .. } => format!("paused: {}", one_line(detail)),
        Event::Queued { cap } => {
            format!("queued: {cap} already running, the limit of SAMOCODE_MAX_RUNNING")
        }
        Event::Continued => "resumes".to_owned(),
        Event::Outage { since, what } => {
            format!("resumes; was paused since {}: {}", local(*since), one_line(what))
        }
        Event::Restored(restored) => one_line(&restored.describe()),
        Event::Nudged { quiet_s, .. } => {
            format!("no sign of progress for {}: nudging the agent", quiet(*quiet_s))
        }
        Event::Stalled { quiet_s, .. } => {
            format!("no sign of progress for {}: leaving it to the watchdog", quiet(*quiet_s))
        }
        Event::Repeated { what, times, .. } => {
            format!("the agent made the same call {times} times in a row: {}", one_line(what))
        }
        Event::HandoffAsked { used, .. } => match used {
            Some(used) => format!("context filling up ({used} tokens): asked for a handoff"),
            None => "asked for a handoff".to_owned(),
        },
        Event::HandoffMade { .. } => {
            "conversation ended without a handoff; made one from its last output".to_owned()
        }
        Event::BudgetWarned { text } => one_line(text),
        Event::Notified { what, by, error, .. } => match error {
            None => format!("notified you via {by}: {what}"),
            Some(error) => format!("could not notify you via {by}: {what}: {}", one_line(error)),
        },
    }
}

/// Formats how long an agent was quiet, given in seconds: `90 s`, `10 min`.
#[must_use]
pub fn quiet(seconds: u64) -> String {
    if seconds < 120 { format!("{seconds} s") } else { format!("{} min", seconds / 60) }
}

/// Local time with its date, in the format of the flow log.
fn local(at: Timestamp) -> String {
    stamp::log(&at.to_zoned(clock::local_zone()))
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

fn one_line(text: &str) -> String {
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

    #[test]
    fn times_are_those_of_the_clock_on_the_wall() {
        let until: Timestamp = "2026-11-20T18:30:00Z".parse().unwrap();
        let limited = Event::Limited { until, what: Some("five_hour".to_owned()) };
        let clock = stamp::log(&until.to_zoned(clock::local_zone()));
        assert_eq!(describe(&limited), format!("usage limit until {clock} (five hour)"));
    }

    #[test]
    fn a_short_silence_is_shown_in_seconds() {
        let after = |quiet_s| describe(&Event::Nudged { run: "r".to_owned(), quiet_s });
        assert_eq!(after(6), "no sign of progress for 6 s: nudging the agent");
        assert_eq!(after(600), "no sign of progress for 10 min: nudging the agent");
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
