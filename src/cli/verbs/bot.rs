//! `samocode bot`: answers people by Telegram.

use std::process::ExitCode;

use clap::Args;
use tracing::Level;

use crate::bot;
use crate::control::notify::bot_account;
use crate::platform::memory;

use super::{Common, log};

/// Answer from the phone: a Telegram bot with buttons and commands
///
/// Runs until it is stopped; `samocode-bot.service` runs it in the background.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  systemctl --user enable --now samocode-bot\n  samocode bot\n\nIt uses the bot and the chat of the channel telegram, see: samocode notify --help\nIn a group it hears only those whose ids are in the channel's users = [123456].\n\nIn the chat: buttons below questions and plans; /status, /stop NAME, /start NAME,\n/send NAME text, /new NAME task; and a reply to a message goes to its session."
)]
pub(in crate::cli) struct Bot {}

impl Bot {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        // Before the bot's token is read.
        memory::seal();
        log::start(Level::INFO);
        let caller = common.caller()?;
        let (account, folder) = bot_account(&caller)?;
        bot::run(account, caller, folder).await?;
        Ok(ExitCode::SUCCESS)
    }
}
