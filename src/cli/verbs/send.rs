//! `samocode send`: a message to a session, from a human, a parent or another session.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::control::post;
use crate::session::mail::{self, MAX_BYTES};

use super::{Common, complete, input, output, questions};

/// Send a message to a session; resumes one that is waiting or blocked
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode send jwt-login \"Use the existing users table\"\n  git diff | samocode send jwt-login -\n  samocode send jwt-login --kind handoff\n\nA running session sees the message at once or in its next run. One that is stopped or done keeps\nit until samocode start, or samocode enable with a new --task.\n\nExit codes: 0 delivered, 2 usage or no such session, 1 anything else."
)]
pub(in crate::cli) struct Send {
    /// A name, a dated folder name, or an instance
    #[arg(add = complete::sessions())]
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
            Some("-") => input::stdin(MAX_BYTES, AS_A_FILE)?,
            Some(text) => text.to_owned(),
            None if self.kind != Kind::Text => String::new(),
            None if std::io::stdin().is_terminal() => String::new(),
            None => input::stdin(MAX_BYTES, AS_A_FILE)?,
        };
        Ok(text)
    }
}

/// The hint for input that does not fit into a message.
const AS_A_FILE: &str = "put it in a file and send its path";
