//! `samocode send`: a message to a session, from a human, a parent or another session.

use std::io::{IsTerminal as _, Read as _};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use crate::control::{Error, post};
use crate::session::mail::{self, MAX_BYTES};

use super::{Common, output, questions};

/// Send a message to a session; resumes one that is waiting or blocked
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode send jwt-login \"Use the existing users table\"\n  git diff | samocode send jwt-login -\n  samocode send jwt-login --kind handoff\n\nA running session sees the message at once or in its next run. One that is stopped or done keeps\nit until samocode start, or samocode enable with a new --task.\n\nExit codes: 0 delivered, 2 usage or no such session, 1 anything else."
)]
pub(in crate::cli) struct Send {
    /// A name, a dated folder name, or an instance
    session: String,
    /// The message; '-' reads standard input, as does leaving it out in a pipe
    text: Option<String>,
    /// text, nudge (you seem stuck, continue) or handoff (continue in a new conversation)
    #[arg(long, value_enum, default_value_t = Kind::Text, hide_possible_values = true)]
    kind: Kind,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

/// Messages that can be sent by hand; the other kinds have their own verbs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Text,
    Nudge,
    Handoff,
}

impl Send {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        let text = self.words()?;
        let kind = match self.kind {
            Kind::Text => mail::Kind::Text,
            Kind::Nudge => mail::Kind::Nudge,
            Kind::Handoff => mail::Kind::Handoff,
        };
        let sent = common.call(post::Send { session: self.session, kind, text }).await?;
        if self.json {
            output::json(&sent)?;
        } else {
            questions::tell_sent(&sent, "Delivered.");
        }
        Ok(ExitCode::SUCCESS)
    }

    fn words(&self) -> anyhow::Result<String> {
        let text = match self.text.as_deref() {
            Some("-") => read_stdin()?,
            Some(text) => text.to_owned(),
            None if self.kind != Kind::Text => String::new(),
            None if std::io::stdin().is_terminal() => String::new(),
            None => read_stdin()?,
        };
        Ok(text)
    }
}

/// The hint for input that does not fit into a message.
const AS_A_FILE: &str = "put it in a file and send its path";

/// Reads standard input, up to the size limit of a message.
fn read_stdin() -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(MAX_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .context("cannot read standard input")?;
    if bytes.len() > MAX_BYTES {
        let message = format!("standard input has more than {MAX_BYTES} bytes");
        return Err(Error::usage(message).hint(AS_A_FILE).into());
    }
    String::from_utf8(bytes)
        .map_err(|_| Error::usage("standard input is not UTF-8").hint(AS_A_FILE).into())
}
