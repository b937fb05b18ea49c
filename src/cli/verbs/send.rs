//! `samocode send`: a message to a session, from a human, a parent or another session.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::control::Error;
use crate::control::mail::{self, Recipient};
use crate::session::mail::{Kind as Sort, MAX_BYTES};

use super::{Common, complete, input, output, questions};

/// Send a message to a session; resumes one that is waiting or blocked
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode send jwt-login \"Use the existing users table\"\n  git diff | samocode send jwt-login -\n  samocode send jwt-login --kind handoff\n  samocode send --to human \"The API has no rate limit\"          from an agent\n  samocode send --to role:tester \"The login page is ready\"\n  samocode send --reply-to ID \"Port 8080\"                      answer a question\n\nA running session sees the message at once or in its next run. One that is stopped or done keeps\nit until samocode start, or samocode enable with a new --task.\n\nExit codes: 0 delivered, 2 usage or no such session, 1 anything else."
)]
pub(in crate::cli) struct Send {
    /// A name, a dated folder name, or an instance; left out with --to or --reply-to
    #[arg(add = complete::sessions())]
    session: Option<String>,
    /// The message; '-' reads standard input, as does leaving it out in a pipe
    text: Option<String>,
    /// Who it is for: human, parent, role:NAME, convoy:ID, or a session
    #[arg(long, value_name = "WHO")]
    to: Option<Recipient>,
    /// The id of the message this one answers, which also says who it is for
    #[arg(long, value_name = "ID")]
    reply_to: Option<String>,
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
    pub(super) async fn exec(mut self, common: &Common) -> anyhow::Result<ExitCode> {
        let to = match self.to.take() {
            None if self.reply_to.is_none() || self.text.is_some() => {
                self.session.take().map(Recipient::Session)
            }
            to => to,
        };
        if self.text.is_none() {
            // Without a session before it, the first word is the message.
            self.text = self.session.take();
        }
        if self.session.is_some() {
            let error = Error::usage("a session and --to cannot both be given");
            return Err(error.hint("samocode send --to WHO \"…\"").into());
        }
        let text = self.text()?;
        let kind = match self.kind {
            Kind::Text => Sort::Text,
            Kind::Nudge => Sort::Nudge,
            Kind::Handoff => Sort::Handoff,
        };
        let call = mail::Write { to, kind, text, reply_to: self.reply_to };
        let written = common.call(call).await?;
        for sent in &written.sessions {
            if self.json {
                output::json(sent)?;
            } else {
                questions::tell_sent(sent, "Delivered.");
            }
        }
        if written.left_to_worker {
            if self.json {
                output::json(&written)?;
            } else {
                outln!("Left to the worker, which sends it in some seconds.");
            }
        }
        if let Some(delivered) = &written.human {
            if self.json {
                output::json(delivered)?;
            } else if delivered.by.is_empty() {
                outln!("Saved for the human: samocode inbox");
            } else {
                outln!("Saved for the human, who was notified via {}.", delivered.by.join(" and "));
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn text(&self) -> anyhow::Result<String> {
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
