//! `samocode logs`: a session's journal merged with the output of its agents.

mod format;
mod when;

use std::collections::VecDeque;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::Args;
use futures_util::StreamExt as _;

use crate::agent::Event as AgentEvent;
use crate::control::log::{Line, Log};
use crate::session::Phase;
use crate::session::describe::harmless;
use crate::session::journal::Event;

use super::{Common, complete, output, pager};
use format::{Form, fitted};

/// Show a session's events, and what its agents said and did
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode logs jwt-login\n  samocode logs -f jwt-login          follow until Ctrl-C\n  samocode logs --since 2h jwt-login     also 10:30, 2026-11-20, \"2026-11-20 10:30\"\n  samocode logs --phase testing --grep error jwt-login\n  samocode logs --tools jwt-login     only what its agents did\n  samocode logs --raw jwt-login       the agent's output in the last run, byte for byte"
)]
pub(in crate::cli) struct Logs {
    /// A name, a dated folder name, or an instance
    #[arg(add = complete::sessions())]
    session: String,
    /// Keep printing new lines until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// Only the last lines [default: all, or 20 with -f]
    #[arg(short = 'n', long, value_name = "LINES")]
    lines: Option<usize>,
    /// Only what happened since then; earlier runs are not read
    #[arg(long, value_name = "TIME", conflicts_with = "raw")]
    since: Option<String>,
    /// Only runs of this phase
    #[arg(long, value_name = "PHASE", conflicts_with = "raw", add = complete::phases())]
    phase: Option<Phase>,
    /// Only the calls of tools, below the line that starts each iteration
    #[arg(long, conflicts_with = "raw")]
    tools: bool,
    /// Only lines that contain this text, whatever its case
    #[arg(long, value_name = "TEXT", conflicts_with = "raw")]
    grep: Option<String>,
    /// The agent's unprocessed output in the current or last run
    #[arg(long, conflicts_with = "json")]
    raw: bool,
    /// Print entries and events as JSON, one per line
    #[arg(long)]
    json: bool,
}

/// How many old lines `--follow` shows first.
const BEFORE: usize = 20;

impl Logs {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        output::until_closed(self.show(common).await.map(|()| ExitCode::SUCCESS))
    }

    async fn show(&self, common: &Common) -> anyhow::Result<()> {
        let last = self.lines.or((self.follow && !self.raw).then_some(BEFORE));
        let since = self.since.as_deref().map(when::time).transpose()?;
        // What is not shown does not count.
        let last_read = last.filter(|_| !self.tools && self.grep.is_none());
        let (session, follow, raw, phase) =
            (self.session.clone(), self.follow, self.raw, self.phase);
        let log = Log { session, last: last_read, follow, raw, since, phase };
        let mut lines = common.host()?.log(log).await?;
        let _paged = pager::paged(!self.json && !self.follow && !self.raw);
        let form = Form::new(self.json);
        // Asked each time: a terminal that is followed changes its size.
        let width = || output::width().filter(|_| !self.json);
        let closed = self.follow.then(output::Closed::of_stdout);
        // Old lines, of which only the last are printed.
        let mut held = last.filter(|_| !self.raw).map(|most| (most, VecDeque::<String>::new()));
        loop {
            let line = tokio::select! {
                line = lines.next() => line,
                () = output::closed(closed.as_ref()) => return Ok(()),
            };
            let Some(line) = line else { return Ok(()) };
            match line? {
                Line::Raw { bytes } => write(&bytes)?,
                Line::Damaged { warning } | Line::Unwatched { warning } => output::note(&warning),
                Line::UpToDate => {
                    for text in held.take().into_iter().flat_map(|(_, texts)| texts) {
                        output::line(fitted(&text, width()))?;
                    }
                }
                line => {
                    if self.tools && !is_of_tools(&line) {
                        continue;
                    }
                    let Some(text) = form.line(&line)? else { continue };
                    let text = match &self.grep {
                        Some(wanted) => matching(&text, wanted),
                        None => Some(text),
                    };
                    let Some(text) = text else { continue };
                    match &mut held {
                        Some((most, texts)) => hold(texts, &text, *most),
                        None => output::line(fitted(&text, width()))?,
                    }
                }
            }
        }
    }
}

/// Whether it is a call of a tool, or begins an iteration.
fn is_of_tools(line: &Line) -> bool {
    match line {
        Line::Journal { entry } => matches!(entry.event, Event::RunStarted(_)),
        Line::Agent { event, .. } => {
            matches!(event, AgentEvent::Tool(_) | AgentEvent::Denied(_))
        }
        _ => false,
    }
}

/// The lines of a text that contain this; `None` if none does.
fn matching(text: &str, wanted: &str) -> Option<String> {
    let wanted = wanted.to_lowercase();
    let plain = |line: &str| anstream::adapter::strip_str(line).to_string().to_lowercase();
    let found: Vec<&str> = text.lines().filter(|line| plain(line).contains(&wanted)).collect();
    (!found.is_empty()).then(|| found.join("\n"))
}

fn hold(texts: &mut VecDeque<String>, text: &str, most: usize) {
    for line in text.lines() {
        texts.push_back(line.to_owned());
        if texts.len() > most {
            texts.pop_front();
        }
    }
}

/// Writes the bytes unchanged, or without control sequences if to a terminal.
fn write(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if out.is_terminal() {
        out.write_all(harmless(&String::from_utf8_lossy(bytes)).as_bytes())?;
    } else {
        out.write_all(bytes)?;
    }
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_by_their_words_and_not_by_their_colours() {
        let text = "\u{1b}[1mError\u{1b}[0m: no key\nall is well\nan ERROR";
        assert_eq!(matching(text, "error:").as_deref(), Some("\u{1b}[1mError\u{1b}[0m: no key"));
        assert_eq!(matching(text, "error").unwrap().lines().count(), 2);
        assert_eq!(matching(text, "[1m"), None);
    }
}
