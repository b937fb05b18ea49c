//! A session's log: what its agents say and do, and what the worker decides.

use std::time::Duration;

use futures_util::StreamExt as _;
use jiff::tz::TimeZone;
use maud::{Markup, html};

use crate::agent::Event as AgentEvent;
use crate::control::Result;
use crate::control::log::{Line, Log};
use crate::session::event::{self, SignalTaken};
use crate::session::journal::{Event, Step};

use super::super::app::App;
use super::{Refusal, plain};

/// How many lines of the past a page shows.
pub(in super::super) const LINES: usize = 400;

/// The longest time to read them.
const PATIENCE: Duration = Duration::from_secs(20);

/// The end of a session's log, as it is now.
pub(super) async fn page(app: &App, session: &str) -> Result<Markup, Refusal> {
    let wanted = Log { session: session.to_owned(), last: Some(LINES), follow: false, raw: false };
    let stream = app.host.log(wanted).await?;
    let read = tokio::time::timeout(PATIENCE, stream.collect::<Vec<_>>()).await.unwrap_or_default();
    Ok(html! {
        h2.hidden { "Log" }
        ol #log tabindex="0" aria-label="Log, the latest last" { (lines(&read, &app.zone)) }
    })
}

/// Lines of a log.
pub(in super::super) fn lines(lines: &[Result<Line>], zone: &TimeZone) -> Markup {
    html! {
        @for line in lines {
            @match line {
                Ok(line) => (one(line, zone)),
                Err(error) => (entry("bad", None, &error.in_one_line())),
            }
        }
    }
}

fn one(line: &Line, zone: &TimeZone) -> Markup {
    match line {
        Line::Journal { entry: of } => {
            let at = of.at.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string();
            entry(class(&of.event), Some(&at), &of.event.describe())
        }
        Line::Agent { event, .. } => agent(event),
        Line::Stderr { text, .. } => entry("bad", None, text),
        Line::Unwatched { warning } | Line::Damaged { warning } => {
            entry("attention", None, warning)
        }
        Line::Raw { .. } | Line::UpToDate => Markup::default(),
    }
}

fn entry(class: &str, at: Option<&str>, text: &str) -> Markup {
    html! {
        li class=(class) {
            @if let Some(at) = at { span.at { (at) } " " }
            (plain(text.trim_end()))
        }
    }
}

const fn class(event: &Event) -> &'static str {
    match event {
        Event::RunStarted(_) => "head",
        Event::SignalTaken(SignalTaken {
            step: Step::Block { .. } | Step::Dispute { .. }, ..
        })
        | Event::Blocked(_)
        | Event::Stalled(_)
        | Event::RunLost(_)
        | Event::RunEnded(event::RunEnded { failure: true, .. }) => "bad",
        Event::SignalTaken(SignalTaken { step: Step::Wait { .. }, .. })
        | Event::Nudged(_)
        | Event::Limited(_)
        | Event::Paused(_) => "attention",
        Event::SignalTaken(_) => "good",
        _ => "event",
    }
}

fn agent(event: &AgentEvent) -> Markup {
    match event {
        AgentEvent::Text { text } if !text.trim().is_empty() => entry("said", None, text.trim()),
        AgentEvent::Tool(tool) => {
            let what = if tool.summary.is_empty() { &tool.name } else { &tool.summary };
            entry("tool", None, what)
        }
        AgentEvent::Denied(denied) => {
            entry("bad", None, &format!("denied: {}: {}", denied.call, denied.why))
        }
        AgentEvent::Limit(limit) if limit.reached => {
            entry("attention", None, &format!("usage limit {} reached", limit.kind))
        }
        AgentEvent::Retry { attempt, status, error } => {
            let status = status.map_or_else(String::new, |status| format!(" {status}"));
            entry("event", None, &format!("API error{status} {error}, attempt {attempt}"))
        }
        AgentEvent::Finished(finished) if finished.is_error => entry("bad", None, &finished.text),
        _ => Markup::default(),
    }
}
