//! A session's log, as lines of a page.

use jiff::tz::TimeZone;

use crate::agent::Event as AgentEvent;
use crate::control::log::Line;
use crate::session::event::{self, SignalTaken};
use crate::session::journal::{Event, Step};

use super::page::{Text, Tone};

/// As wide as a time of day and a space.
const MARGIN: &str = "         ";

/// The lines that show one entry of the log; none for mere signs of life.
pub(super) fn texts(line: &Line, zone: &TimeZone) -> Vec<Text> {
    match line {
        Line::Journal { entry } => {
            let at = entry.at.to_zoned(zone.clone()).strftime("%H:%M:%S ").to_string();
            vec![Text::new(tone(&entry.event), &entry.event.describe()).with_margin(at)]
        }
        Line::Agent { event, .. } => agent_event(event),
        Line::Stderr { text, .. } => vec![aside(Tone::Bad, &format!("stderr: {text}"))],
        Line::Unwatched { warning } | Line::Damaged { warning } => {
            vec![aside(Tone::Attention, warning)]
        }
        Line::Raw { .. } | Line::UpToDate => Vec::new(),
    }
}

fn aside(tone: Tone, text: &str) -> Text {
    Text::new(tone, text).with_margin(MARGIN)
}

const fn tone(event: &Event) -> Tone {
    match event {
        Event::RunStarted(_) => Tone::Strong,
        Event::SignalTaken(SignalTaken {
            step: Step::Block { .. } | Step::Dispute { .. }, ..
        })
        | Event::Blocked(_)
        | Event::Stalled(_)
        | Event::RunLost(_)
        | Event::RunEnded(event::RunEnded { failure: true, .. }) => Tone::Bad,
        Event::SignalTaken(SignalTaken { step: Step::Wait { .. }, .. })
        | Event::Nudged(_)
        | Event::Limited(_)
        | Event::Paused(_) => Tone::Attention,
        Event::SignalTaken(_) => Tone::Mark,
        _ => Tone::Plain,
    }
}

fn agent_event(event: &AgentEvent) -> Vec<Text> {
    match event {
        AgentEvent::Text { text } => {
            text.trim().lines().map(|line| aside(Tone::Plain, line)).collect()
        }
        AgentEvent::Tool(tool) => {
            let what = if tool.summary.is_empty() { &tool.name } else { &tool.summary };
            vec![aside(Tone::Tool, &format!("· {}", flat(what)))]
        }
        AgentEvent::Denied(denied) => {
            vec![aside(
                Tone::Bad,
                &format!("✗ denied: {}: {}", flat(&denied.call), flat(&denied.why)),
            )]
        }
        AgentEvent::Limit(limit) if limit.reached => {
            vec![aside(Tone::Attention, &format!("usage limit {} reached", limit.kind))]
        }
        AgentEvent::Retry { attempt, status, error } => {
            let status = status.map_or_else(String::new, |status| format!(" {status}"));
            vec![aside(Tone::Dim, &format!("API error{status} {error}, attempt {attempt}"))]
        }
        AgentEvent::Finished(finished) if finished.is_error => {
            vec![aside(Tone::Bad, &finished.text)]
        }
        _ => Vec::new(),
    }
}

fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
