//! The end of a session's log, as plain text.

use std::collections::VecDeque;

use futures_util::StreamExt as _;

use crate::agent::Event as AgentEvent;
use crate::control::log::{Line, Log};
use crate::control::{Host, Result};
use crate::session::describe::harmless;

/// The last lines of a log, and what is wrong with it.
pub(super) struct End {
    pub(super) lines: Vec<String>,
    pub(super) warnings: Vec<String>,
}

/// How long one line may be: what an agent said in full is in its files.
const LONGEST: usize = 400;

/// Reads the last lines.
pub(super) async fn read(host: &dyn Host, session: String, most: usize) -> Result<End> {
    let log = Log { session, last: Some(most), ..Log::default() };
    let mut received = host.log(log).await?;
    let (mut lines, mut warnings) = (VecDeque::new(), Vec::new());
    while let Some(line) = received.next().await {
        match line? {
            Line::Damaged { warning } | Line::Unwatched { warning } => warnings.push(warning),
            line => {
                let Some(text) = plain(&line) else { continue };
                lines.push_back(text);
                if lines.len() > most {
                    lines.pop_front();
                }
            }
        }
    }
    Ok(End { lines: lines.into(), warnings })
}

/// A line as text; `None` if it says nothing.
fn plain(line: &Line) -> Option<String> {
    match line {
        Line::Journal { entry } => {
            let at = entry.at.strftime("%Y-%m-%d %H:%M:%SZ");
            Some(short(&format!("{at}  {}", entry.event.describe())))
        }
        Line::Agent { event, .. } => agent_event(event),
        Line::Stderr { text, .. } => Some(short(&format!("stderr: {text}"))),
        Line::Raw { .. } | Line::Damaged { .. } | Line::Unwatched { .. } | Line::UpToDate => None,
    }
}

fn agent_event(event: &AgentEvent) -> Option<String> {
    let text = match event {
        AgentEvent::Text { text } => text.trim().to_owned(),
        AgentEvent::Tool(tool) if tool.summary.is_empty() => format!("tool: {}", tool.name),
        AgentEvent::Tool(tool) => format!("tool: {}", tool.summary),
        AgentEvent::Denied(denied) => format!("denied: {}: {}", denied.call, denied.why),
        AgentEvent::Limit(limit) if limit.reached => format!("usage limit {} reached", limit.kind),
        AgentEvent::Retry { attempt, error, .. } => format!("API error {error}, attempt {attempt}"),
        AgentEvent::Finished(finished) if finished.is_error => format!("error: {}", finished.text),
        AgentEvent::Started { .. }
        | AgentEvent::Progress
        | AgentEvent::Usage { .. }
        | AgentEvent::Limit(_)
        | AgentEvent::Finished(_) => return None,
    };
    (!text.is_empty()).then(|| short(&text))
}

fn short(text: &str) -> String {
    let text = harmless(text);
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.into_owned(),
    }
}
