//! `samocode bot`: answers people by Telegram.

use std::process::ExitCode;

use clap::Args;
use tracing::Level;

use crate::bot;
use crate::control::bot::{Install, Remove};
use crate::control::notify::bot_account;
use crate::platform::memory;

use super::{Common, log, output};

/// Answer from the phone: a Telegram bot with buttons and commands
///
/// Runs until it is stopped. With --install the service manager keeps it up, now and at boot.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode bot --install     keep it up, now and at boot\n  samocode bot               in this terminal, until Ctrl-C\n  samocode bot --remove\n\nIt uses the bot and the chat of the channel telegram, see: samocode notify --help\nIn a group it hears only those whose ids are in the channel's users = [123456].\n\nIn the chat: buttons below questions and plans; /status, /stop NAME, /start NAME,\n/send NAME text, /new NAME task; and a reply to a message goes to its session."
)]
pub(in crate::cli) struct Bot {
    /// Keep it up, now and at boot
    #[arg(long, conflicts_with = "remove")]
    install: bool,
    /// Keep it up no longer
    #[arg(long)]
    remove: bool,
}

impl Bot {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        if self.install {
            let kept = common.call(Install {}).await?;
            let how = if kept.is_up {
                "runs, now and at boot"
            } else {
                "is installed, and ended at once"
            };
            output::line(format!("{} {how}.", kept.unit))?;
            return Ok(ExitCode::SUCCESS);
        }
        if self.remove {
            let kept = common.call(Remove {}).await?;
            output::line(format!("{} no longer runs.", kept.unit))?;
            return Ok(ExitCode::SUCCESS);
        }
        // Before the bot's token is read.
        memory::seal();
        log::start(Level::INFO);
        let caller = common.caller()?;
        let (account, folder) = bot_account(&caller)?;
        bot::run(account, caller, folder).await?;
        Ok(ExitCode::SUCCESS)
    }
}
