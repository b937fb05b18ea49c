//! Pairing: whoever sends the bot a code that only this terminal shows is the human.

use std::time::Duration;

use super::api::Api;
use super::update::{Command, What};
use crate::config::Secret;
use crate::control::{Error, Result};
use crate::notify::telegram::API_URL;
use crate::notify::{BotAccount, NotifyError, Proxies, http};
use crate::service::Progress;

/// The pause after an attempt to hear that failed.
const PAUSE: Duration = Duration::from_secs(2);

/// A bot that waits for its human.
pub struct Pairing {
    api: Api,
    me: i64,
    name: String,
    code: String,
}

/// The human's chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paired {
    /// The chat's id.
    pub chat: i64,
    /// The id of the person, which differs from the chat's in a group.
    pub user: i64,
}

impl Pairing {
    /// Checks the token.
    ///
    /// # Errors
    /// If Telegram does not know it, or cannot be reached.
    pub async fn begin(token: &Secret, api_url: Option<&str>, proxies: Proxies) -> Result<Self> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '-');
        if token.expose().is_empty() || !token.expose().chars().all(allowed) {
            return Err(Error::usage("this is not the token of a bot")
                .hint("copy it from @BotFather: digits, a colon, letters"));
        }
        let url = api_url.filter(|url| !url.trim().is_empty()).unwrap_or(API_URL);
        let api_url = http::address(url).ok_or_else(|| {
            Error::usage(format!("TELEGRAM_API_URL is no address like {API_URL}"))
        })?;
        let account = BotAccount {
            token: token.clone(),
            chat: String::new(),
            users: Vec::new(),
            api_url,
            proxies,
        };
        let api = Api::new(&account)?;
        let me = api.me().await.map_err(failed)?;
        let code = uuid::Uuid::new_v4().simple().to_string()[..8].to_owned();
        Ok(Self { api, me: me.id, name: me.username, code })
    }

    /// The address that sends the code when it is opened on the phone.
    #[must_use]
    pub fn link(&self) -> String {
        format!("https://t.me/{}?start={}", self.name, self.code)
    }

    /// The message that pairs: the same to be typed.
    #[must_use]
    pub fn message(&self) -> String {
        format!("/start {}", self.code)
    }

    /// Waits for the code; says why it does not hear, if it does not.
    ///
    /// # Errors
    /// If the bot may not be used any more.
    pub async fn wait(&self, progress: Progress<'_>) -> Result<Paired> {
        let mut next = 0;
        let mut said = None;
        loop {
            let updates = match self.api.updates(next).await {
                Ok(updates) => updates,
                Err(NotifyError::Retryable { reason, after }) => {
                    if said.as_ref() != Some(&reason) {
                        progress(&format!("{reason}; trying again until it works"));
                        said = Some(reason);
                    }
                    tokio::time::sleep(after.unwrap_or(PAUSE)).await;
                    continue;
                }
                Err(error) => return Err(failed(error)),
            };
            if said.take().is_some() {
                progress("Telegram can be reached again");
            }
            for update in updates {
                next = update.update_id + 1;
                let Some(heard) = update.heard(self.me) else { continue };
                let is_code = |typed: &str| typed == self.code;
                if matches!(&heard.what, What::Command(Command::Start(typed)) if is_code(typed)) {
                    // The bot must not take it for a command.
                    self.api.forget_until(next).await;
                    return Ok(Paired { chat: heard.chat, user: heard.from });
                }
            }
        }
    }
}

/// Why the bot cannot be paired, and what to do about it at a terminal.
fn failed(error: NotifyError) -> Error {
    let hint = match &error {
        NotifyError::Retryable { .. } => {
            "nothing was saved; check the network and TELEGRAM_API_URL, then: samocode notify setup"
        }
        _ => {
            "nothing was saved; copy the token from @BotFather, which /mybots shows, then: samocode \
             notify setup"
        }
    };
    Error::unavailable(error.to_string()).hint(hint)
}
