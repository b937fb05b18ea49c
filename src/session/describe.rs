//! Events in words, the same in journald, `logs` and `history`.

use std::borrow::Cow;

use jiff::Timestamp;

use super::journal::{End, Event, Step};
use super::mail::Kind;
use super::{clock, stamp};

/// An event in one line, without its time.
#[must_use]
pub fn describe(event: &Event) -> String {
    let more = |text: &Option<String>| {
        text.as_deref().map_or_else(String::new, |text| format!(": {}", one_line(text)))
    };
    match event {
        Event::Created { task, .. } => format!("session created: {}", one_line(task)),
        Event::Imported { phase, total, .. } => {
            format!("session taken over from its files in {phase} after {total} iterations")
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
            End::Settled => "worker ended: nothing is left to do",
            End::Interrupted => "worker interrupted; it goes on at the next start",
            End::Reloaded => "worker executes the unit's binary anew",
            End::GaveUp => "worker gave up after too many quick deaths",
        }
        .to_owned(),
        Event::RunStarted { agent, phase, iteration, attempt, resume, .. } => {
            let again = if *attempt > 1 { format!(", run {attempt}") } else { String::new() };
            let resumed = if *resume { " in the same conversation" } else { "" };
            format!("{phase} {iteration}{again}: {agent} starts{resumed}")
        }
        Event::RunEnded { outcome, detail, cost, .. } => {
            let cost = cost.usd.map_or_else(String::new, |usd| format!(" (${usd:.2})"));
            format!("run ended: {}{}{cost}", outcome.as_str().replace('_', " "), more(detail))
        }
        Event::RunLost { .. } => "the run was cut off together with its worker".to_owned(),
        Event::SignalAsked { problem, .. } => {
            format!("the run left no usable signal ({problem}); the agent is asked for it")
        }
        Event::SignalTaken { phase, status, line, step, .. } => {
            let text = more(if line.summary.is_some() { &line.summary } else { &line.reason });
            let leads = match step {
                Step::Stay => String::new(),
                Step::Enter { phase } => format!(" -> {phase}"),
                Step::Wait { waits_for } => format!(" -> waits for {waits_for}"),
                Step::Block { reason, .. } => {
                    return format!("{phase} blocked: {}", one_line(reason));
                }
                Step::Finish => " -> the session is done".to_owned(),
                Step::HandOver => " -> a fresh conversation".to_owned(),
            };
            format!("{phase} {status}{leads}{text}")
        }
        Event::Blocked { reason, .. } => format!("blocked: {}", one_line(reason)),
        Event::Mail { from, mail, .. } => match mail {
            Kind::Text => format!("message from {from}"),
            Kind::Answer => format!("{from} answered"),
            Kind::Approve => format!("{from} approved"),
            Kind::Reject => format!("{from} sent it back"),
            Kind::Nudge => format!("{from} nudged"),
            Kind::Stop => format!("{from} stopped the session"),
            Kind::Handoff => format!("{from} asked for a handoff"),
        },
        Event::Answered => "the questions in _qa.md are answered".to_owned(),
        Event::PhaseSet { phase } => format!("a human set the phase to {phase}"),
        Event::Retried { by } => format!("tries again (by {by})"),
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
            format!("queued: {cap} sessions run, as many as SAMOCODE_MAX_RUNNING allows")
        }
        Event::Continued => "goes on".to_owned(),
        Event::Outage { since, what } => {
            format!("goes on after it was paused since {}: {}", local(*since), one_line(what))
        }
        Event::Restored(restored) => one_line(&restored.describe()),
        Event::Nudged { quiet_s, .. } => {
            format!("no sign of progress for {}: the agent is nudged", quiet(*quiet_s))
        }
        Event::Stalled { quiet_s, .. } => {
            format!("no sign of progress for {}: the watchdog is left to act", quiet(*quiet_s))
        }
        Event::Repeated { what, times, .. } => {
            format!("the agent has made the same call {times} times in a row: {}", one_line(what))
        }
        Event::HandoffAsked { used, .. } => match used {
            Some(used) => format!("the context fills up ({used} tokens): asked to hand over"),
            None => "asked to hand over".to_owned(),
        },
        Event::HandoffMade { .. } => {
            "the conversation ended without a handoff; one was made from what was last seen"
                .to_owned()
        }
        Event::BudgetWarned { text } => one_line(text),
        Event::Notified { what, by, error, .. } => match error {
            None => format!("told the human by {by}: {what}"),
            Some(error) => format!("could not tell the human by {by}: {what}: {}", one_line(error)),
        },
    }
}

/// How long an agent was quiet.
#[must_use]
pub fn quiet(seconds: u64) -> String {
    if seconds < 120 { format!("{seconds} s") } else { format!("{} min", seconds / 60) }
}

/// A time as the rest of what people read has it: local, with its date.
fn local(at: Timestamp) -> String {
    stamp::log(&at.to_zoned(clock::local_zone()))
}

/// Words of an agent or of others, made harmless to terminals: no control character reaches
/// them, nor one that turns the direction of writing. Line ends and tabs stay. journalctl shows a
/// message with a control character as `[blob data]`.
#[must_use]
pub fn harmless(text: &str) -> Cow<'_, str> {
    let is_bad = |c: char| (c.is_control() && !matches!(c, '\n' | '\t')) || turns_direction(c);
    if !text.contains(is_bad) {
        return Cow::Borrowed(text);
    }
    let text = text.replace("\r\n", "\n");
    let shown = |c: char| match u32::from(c) {
        _ if !is_bad(c) => c,
        // The pictures of the control characters stand in their order.
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
    fn a_short_silence_is_told_in_seconds() {
        let after = |quiet_s| describe(&Event::Nudged { run: "r".to_owned(), quiet_s });
        assert_eq!(after(6), "no sign of progress for 6 s: the agent is nudged");
        assert_eq!(after(600), "no sign of progress for 10 min: the agent is nudged");
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
