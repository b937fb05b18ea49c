//! `samocode inbox`: a session's mail.

use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::session::describe::harmless;
use crate::session::mail::Message;

use super::context::Context;
use super::words::clock;
use super::{Common, output, sessions};

/// Show a session's unread mail
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  samocode inbox --all jwt-login       also what the agent has been shown"
)]
pub(super) struct Inbox {
    /// A name, a dated folder name, or an instance
    session: String,
    /// Also the messages that were read
    #[arg(long)]
    all: bool,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// A message, as programs read it.
#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    message: Message,
    read: bool,
}

impl Inbox {
    pub(super) fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        output::until_closed(self.show(common).map(|()| ExitCode::SUCCESS))
    }

    fn show(&self, common: &Common) -> anyhow::Result<()> {
        let context = Context::load_for(common, &self.session)?;
        let session = sessions::find(&context, &self.session)?;
        let unread = session.folder.unread()?;
        for (name, why) in &unread.strange {
            output::note(&format!("{}: {why}", session.folder.inbox().join(name).display()));
        }
        let mut messages = Vec::new();
        if self.all {
            let read = session.folder.read_mail()?.into_iter();
            messages.extend(read.map(|message| Listed { message, read: true }));
        }
        let unread = unread.messages.into_iter();
        messages.extend(unread.map(|(_, message)| Listed { message, read: false }));
        if self.json {
            return output::json(&serde_json::json!({ "messages": messages }));
        }
        if messages.is_empty() {
            let which = if self.all { "" } else { " unread" };
            return output::line(format!("{} has no{which} mail.", session.name));
        }
        let (now, zone) = (Timestamp::now(), TimeZone::system());
        for Listed { message, read } in &messages {
            let mark = if *read { " (read)" } else { "" };
            let at = clock(message.at, now, &zone);
            let head = format!("{at}  {} from {}{mark}", message.kind, message.from);
            let style = if *read { output::DIM } else { output::BOLD };
            output::line(output::painted(style, head))?;
            for line in harmless(message.body.trim()).lines() {
                output::line(format!("    {line}"))?;
            }
        }
        Ok(())
    }
}
