//! `samocode logs`: a session's journal merged with the output of its agents.

mod format;

use std::collections::VecDeque;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::Args;
use futures_util::StreamExt as _;

use crate::control::Host as _;
use crate::control::log::{Line, Log};
use crate::session::describe::harmless;

use super::{Common, complete, output, pager};
use format::Form;

/// Show a session's events, and what its agents said and did
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode logs jwt-login\n  samocode logs -f jwt-login          follow until Ctrl-C\n  samocode logs --raw jwt-login       the agent's output in the last run, byte for byte"
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
        let (session, follow, raw) = (self.session.clone(), self.follow, self.raw);
        let mut lines = common.host()?.log(Log { session, last, follow, raw }).await?;
        let _paged = pager::paged(!self.json && !self.follow && !self.raw);
        let form = Form::new(self.json);
        let closed = self.follow.then(output::Closed::of_stdout);
        // Old lines, of which only the last are printed.
        let mut held = last.filter(|_| !self.raw).map(|most| (most, VecDeque::new()));
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
                        output::line(text)?;
                    }
                }
                line => {
                    let Some(text) = form.line(&line)? else { continue };
                    match &mut held {
                        Some((most, texts)) => hold(texts, &text, *most),
                        None => output::line(text)?,
                    }
                }
            }
        }
    }
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
