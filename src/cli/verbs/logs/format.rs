//! The lines of a log as text for people, or as JSON for programs.

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::agent::Event as AgentEvent;
use crate::cli::ui::format::day;
use crate::cli::ui::output::{BOLD, DIM, in_line, painted};
use crate::control::log::Line;
use crate::session::clock;
use crate::session::describe::harmless;
use crate::session::event;
use crate::session::journal::{Entry, Event, Step};

/// Output format: text for people, or JSON for programs.
#[derive(Debug, Clone)]
pub(super) struct Form {
    json: bool,
    zone: TimeZone,
}

impl Form {
    pub(super) fn new(json: bool) -> Self {
        Self { json, zone: clock::shown_zone() }
    }

    /// One line of the log, which may be several of text; none for mere signs of life.
    pub(super) fn line(&self, line: &Line) -> anyhow::Result<Option<String>> {
        match line {
            Line::Journal { entry } => self.entry(entry).map(Some),
            Line::Agent { run, event } => self.agent_event(run, event),
            Line::Stderr { run, text } => Ok(Some(self.stderr(run, text))),
            Line::Raw { .. } | Line::Damaged { .. } | Line::Unwatched { .. } | Line::UpToDate => {
                Ok(None)
            }
        }
    }

    fn entry(&self, entry: &Entry) -> anyhow::Result<String> {
        if self.json {
            let mut value = serde_json::to_value(entry)?;
            value["source"] = Value::from("journal");
            return Ok(value.to_string());
        }
        let at = entry.at.to_zoned(self.zone.clone()).strftime("%H:%M:%S").to_string();
        let day = day(entry.at, Timestamp::now(), &self.zone);
        let at = day.map_or(at.clone(), |day| format!("{day} {at}"));
        let text = harmless(&entry.event.describe()).into_owned();
        Ok(format!("{}  {}", painted(DIM, at), painted(style_of(&entry.event), text)))
    }

    fn agent_event(&self, run: &str, said: &AgentEvent) -> anyhow::Result<Option<String>> {
        if self.json {
            let mut value = serde_json::to_value(said)?;
            value["source"] = Value::from("agent");
            value["run"] = Value::from(run);
            return Ok(Some(value.to_string()));
        }
        Ok(readable(said))
    }

    fn stderr(&self, run: &str, line: &str) -> String {
        if self.json {
            return json!({ "source": "stderr", "run": run, "text": line }).to_string();
        }
        let red = AnsiColor::Red.on_default();
        format!("{INDENT}{}", painted(red, format!("stderr: {}", harmless(line))))
    }
}

const INDENT: &str = "          ";

const fn style_of(event: &Event) -> Style {
    match event {
        Event::RunStarted(_) => BOLD,
        Event::SignalTaken(event::SignalTaken {
            step: Step::Block { .. } | Step::Dispute { .. },
            ..
        })
        | Event::Blocked(_)
        | Event::Stalled(_)
        | Event::RunLost(_)
        | Event::RunEnded(event::RunEnded { failure: true, .. }) => AnsiColor::Red.on_default(),
        Event::SignalTaken(event::SignalTaken { step: Step::Wait { .. }, .. })
        | Event::Nudged(_)
        | Event::Limited(_)
        | Event::Paused(_) => AnsiColor::Yellow.on_default(),
        Event::SignalTaken(_) => AnsiColor::Cyan.on_default(),
        _ => Style::new(),
    }
}

/// Formats what an agent said or did; `None` for mere signs of life.
fn readable(said: &AgentEvent) -> Option<String> {
    let note = |text: String| Some(format!("{INDENT}{}", painted(DIM, text)));
    match said {
        AgentEvent::Text { text } => {
            let text = harmless(text.trim());
            let lines: Vec<String> =
                text.lines().map(|line| format!("{INDENT}{line}").trim_end().to_owned()).collect();
            (!lines.is_empty()).then(|| lines.join("\n"))
        }
        AgentEvent::Tool(tool) => {
            let what = if tool.summary.is_empty() { &tool.name } else { &tool.summary };
            note(format!("· {}", in_line(what, 120)))
        }
        AgentEvent::Denied(denied) => {
            let why = in_line(&denied.why, 200);
            let why = if why.is_empty() { why } else { format!(": {why}") };
            let text = format!("✗ denied: {}{why}", in_line(&denied.call, 120));
            Some(format!("{INDENT}{}", painted(AnsiColor::Red.on_default(), text)))
        }
        AgentEvent::Limit(limit) if limit.reached => {
            note(format!("· usage limit {} reached", in_line(&limit.kind, 40)))
        }
        AgentEvent::Retry { attempt, status, error } => {
            let status = status.map_or_else(String::new, |status| format!(" {status}"));
            note(format!("· API error{status} {}, attempt {attempt}", in_line(error, 80)))
        }
        AgentEvent::Finished(finished) if finished.is_error => {
            let text = in_line(&finished.text, 300);
            Some(format!("{INDENT}{}", painted(AnsiColor::Red.on_default(), text)))
        }
        AgentEvent::Started { .. }
        | AgentEvent::Progress
        | AgentEvent::Usage { .. }
        | AgentEvent::Limit(_)
        | AgentEvent::Finished(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::{Denied, Tool};

    #[test]
    fn a_call_that_was_denied_does_not_look_like_one_that_runs() {
        let plain = |event: AgentEvent| {
            anstream::adapter::strip_str(&readable(&event).unwrap()).to_string().trim().to_owned()
        };
        let tool = Tool { name: "Bash".into(), summary: "running printf".into(), fingerprint: 1 };
        assert_eq!(plain(AgentEvent::Tool(tool)), "· running printf");
        let denied = Denied { call: "running printf".into(), why: "no tools\non Sundays".into() };
        assert_eq!(
            plain(AgentEvent::Denied(denied)),
            "✗ denied: running printf: no tools on Sundays"
        );
        let silent = Denied { call: "running printf".into(), why: String::new() };
        assert_eq!(plain(AgentEvent::Denied(silent)), "✗ denied: running printf");
    }
}
