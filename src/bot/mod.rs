//! The phone's side: a Telegram bot that hears presses on buttons, commands and replies, and makes
//! calls of `control` of them. Messages with buttons are sent by the channel, like all notices.
//!
//! **Exactly once.** Telegram repeats an update until a later one is asked for. What is being handled
//! is on disk before its effect, and that it was handled is there after it ([`progress`]). An update
//! that was interrupted is handled again if that changes nothing, else the person is asked to look.
//!
//! **Who is heard.** The configured chat, and in it the configured people; in a private chat its other
//! person. Everybody else gets silence, and one line of the log an hour.

mod act;
mod api;
mod live;
pub mod pairing;
mod progress;
mod update;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::control::origin::Origin;
use crate::control::{Caller, Error, Result};
use crate::notify::{BotAccount, NotifyError};

use act::Conversation;
use api::Api;
use progress::Progress;
use update::{Heard, Update};

/// The pause after the first failed poll; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause between polls that fail.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How often strangers are mentioned in the log.
const STRANGERS: Duration = Duration::from_secs(3600);

/// Hears and answers until something must be changed by a human.
///
/// # Errors
/// If the bot may not be used, or its state cannot be written.
pub async fn run(account: BotAccount, caller: Caller, folder: PathBuf) -> Result<()> {
    let api = Arc::new(Api::new(&account)?);
    let me = retried(|| api.me()).await?.id;
    let live = live::Progress::begin(Arc::clone(&api), caller.clone(), &folder);
    let progress = Progress::open(folder)?;
    let mut bot = Bot { progress, live, account, caller, api, me, warned: None };
    tracing::info!("hearing the chat {} as bot {}", bot.account.chat, bot.me);
    loop {
        let offset = bot.progress.next();
        let updates = retried(|| bot.api.updates(offset)).await?;
        for update in updates {
            bot.take(update).await?;
        }
    }
}

/// Repeats a request that may work later.
async fn retried<T, F: Future<Output = std::result::Result<T, NotifyError>>>(
    request: impl Fn() -> F,
) -> Result<T> {
    let mut pause = FIRST_PAUSE;
    loop {
        match request().await {
            Ok(reply) => return Ok(reply),
            Err(NotifyError::Retryable { reason, after }) => {
                tracing::warn!("{reason}");
                tokio::time::sleep(after.unwrap_or_default().max(pause)).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Err(error) => return Err(Error::unavailable(error.to_string())),
        }
    }
}

struct Bot {
    account: BotAccount,
    caller: Caller,
    api: Arc<Api>,
    /// The bot's own id.
    me: i64,
    progress: Progress,
    live: live::Progress,
    /// When strangers were last mentioned.
    warned: Option<Instant>,
}

impl Bot {
    async fn take(&mut self, update: Update) -> Result<()> {
        let id = update.update_id;
        if id < self.progress.next() {
            return Ok(());
        }
        let is_again = self.progress.begin(id)?;
        match update.heard(self.me) {
            Some(heard) if self.hears(&heard) => {
                let by = format!("{} by Telegram", heard.who());
                let origin = Origin::Outside(by);
                let caller = Caller { origin, ..self.caller.clone() };
                let it = Conversation { api: &self.api, caller, heard: &heard, is_again };
                if let Some(message) = it.answer().await {
                    self.live.follow(message);
                }
            }
            Some(heard) => self.mention(&heard),
            None => {}
        }
        self.progress.finish(id)
    }

    fn hears(&self, heard: &Heard) -> bool {
        let chat = heard.chat.to_string();
        let is_private = heard.chat == heard.from;
        chat == self.account.chat.trim() && (is_private || self.account.users.contains(&heard.from))
    }

    /// Mentions a stranger, without what they said.
    fn mention(&mut self, heard: &Heard) {
        if self.warned.is_some_and(|warned| warned.elapsed() < STRANGERS) {
            return;
        }
        self.warned = Some(Instant::now());
        tracing::warn!(
            "ignored user {} in chat {}; to hear them there, set chat and users of the channel in \
             ~/.config/samocode/notify.toml",
            heard.from,
            heard.chat
        );
    }
}

#[cfg(test)]
mod tests;
