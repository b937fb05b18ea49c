//! `samocode inbox`: the messages sent to a session.

use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;

use crate::control::inbox::{self, Mail};
use crate::session::clock;
use crate::session::describe::harmless;

use super::format::clock;
use super::{Common, complete, layout, output, pager};

/// Show a session's unread mail, or your own from agents
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  samocode inbox --all jwt-login       also messages the agent has seen\n  samocode inbox                       what agents wrote to you"
)]
pub(in crate::cli) struct Inbox {
    /// A name, a dated folder name, or an instance [default: your own mail from agents]
    #[arg(add = complete::sessions())]
    session: Option<String>,
    /// Include messages that were read
    #[arg(long)]
    all: bool,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

impl Inbox {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        output::until_closed(self.show(common).await.map(|()| ExitCode::SUCCESS))
    }

    async fn show(&self, common: &Common) -> anyhow::Result<()> {
        let call =
            inbox::Inbox { session: self.session.clone().unwrap_or_default(), all: self.all };
        let messages = common.call(call).await?;
        if self.json {
            return output::json(&serde_json::json!({ "messages": messages }));
        }
        if messages.is_empty() {
            let which = if self.all { "" } else { " unread" };
            let who = self.session.as_deref();
            let who = who.map_or_else(|| "You have".to_owned(), |who| format!("{who} has"));
            return output::line(format!("{who} no{which} mail."));
        }
        let _paged = pager::paged(true);
        let (now, zone) = (Timestamp::now(), clock::shown_zone());
        for Mail { message, read } in &messages {
            let mark = if *read { " (read)" } else { "" };
            let at = clock(message.at, now, &zone);
            let head = format!("{at}  {} from {}{mark}", message.kind, message.from);
            let head = match &message.reply_to {
                Some(id) => format!("{head}, in reply to {id}"),
                None => head,
            };
            let style = if *read { output::DIM } else { output::BOLD };
            output::line(output::painted(style, head))?;
            for line in harmless(message.body.trim()).lines() {
                for line in layout::wrap(line, "    ", "    ", output::width()) {
                    output::line(line)?;
                }
            }
        }
        Ok(())
    }
}
