//! `samocode ask`: a question to a session, and its answer.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::control::mail;
use crate::session::describe::harmless;
use crate::session::mail::MAX_BYTES;

use super::wait::bound;
use super::{Common, complete, input, output};

/// Ask a session something and wait for its answer
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode ask jwt-login \"Which port does the login service use?\"\n  samocode ask jwt-login --timeout 10m \"…\"\n\nIts agent answers with: samocode send --reply-to ID \"…\". An answer that comes after the timeout is delivered like any other mail: see samocode inbox.\n\nExit codes: 0 answered, 124 the timeout, 2 usage or no such session, 1 anything else."
)]
pub(in crate::cli) struct Ask {
    /// A name, a dated folder name, or an instance
    #[arg(add = complete::sessions())]
    session: String,
    /// The question; '-' reads standard input, as does leaving it out in a pipe
    text: Option<String>,
    /// Give up after this long: 90s, 10 min, 2h
    #[arg(long, value_name = "TIME", value_parser = bound)]
    timeout: Option<Duration>,
    /// Print question and answer as JSON
    #[arg(long)]
    json: bool,
}

/// Exit code when the time is over.
const TIMEOUT: u8 = 124;

impl Ask {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        let text = match self.text.as_deref() {
            Some("-") => input::stdin(MAX_BYTES, "shorten the question")?,
            Some(text) => text.to_owned(),
            None if std::io::stdin().is_terminal() => String::new(),
            None => input::stdin(MAX_BYTES, "shorten the question")?,
        };
        let timeout_s = self.timeout.map(|bound| bound.as_secs());
        let call = mail::Ask { session: self.session, text, timeout_s };
        let asked = common.call(call).await?;
        if self.json {
            output::json(&asked)?;
        }
        match &asked.answer {
            Some(_) if self.json => {}
            Some(answer) => output::line(harmless(answer.body.trim()))?,
            None => output::note(&format!(
                "{} has not answered yet; its answer will arrive as mail",
                asked.question.session
            )),
        }
        Ok(if asked.answer.is_some() { ExitCode::SUCCESS } else { ExitCode::from(TIMEOUT) })
    }
}
