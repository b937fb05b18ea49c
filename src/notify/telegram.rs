//! Telegram: the Bot API's `sendMessage` (<https://core.telegram.org/bots/api#sendmessage>).
//!
//! The bot's token is part of the URL, which no error contains.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use reqwest::Url;
use serde::Serialize;
use serde_json::Value;

use super::buttons::{self, Button};
use super::http::{Http, address};
use super::text::{escape_within, tame_block, tame_line, utf16_len};
use super::{Notice, Notifier, NotifyError, Proxies};
use crate::config::Secret;

/// The default address of the Bot API.
pub const API_URL: &str = "https://api.telegram.org";

/// The longest message, in UTF-16 code units. Telegram's limit excludes markup; including it here
/// is simpler and always within the limit.
const MAX_UNITS: usize = 4096;

/// Sends notices to one Telegram chat.
pub struct Telegram {
    name: String,
    token: Secret,
    chat: String,
    /// The number that a group got when it became a supergroup.
    moved: Mutex<Option<i64>>,
    http: Http,
    proxies: Proxies,
    /// Who may answer, besides the other person of a private chat.
    users: Vec<i64>,
    /// Whether messages have buttons.
    buttons: bool,
}

/// A bot, and whom it hears.
#[derive(Debug, Clone)]
pub struct BotAccount {
    /// Its token.
    pub token: Secret,
    /// The chat it writes to.
    pub chat: String,
    /// Who may answer, besides the other person of a private chat.
    pub users: Vec<i64>,
    /// The server of the Bot API.
    pub api_url: Url,
    /// The proxies to it.
    pub proxies: Proxies,
}

impl Telegram {
    /// A notifier for the chat `chat` (a number, or a channel's `@name`) through the bot with this
    /// token. `api_url` replaces [`API_URL`].
    ///
    /// # Errors
    /// [`NotifyError::Final`] naming the key with the invalid value.
    pub fn new(
        token: Secret,
        chat: &str,
        api_url: Option<&str>,
        proxies: Proxies,
    ) -> Result<Self, NotifyError> {
        let chat = chat.trim();
        // Such a token needs no encoding in a URL and cannot change the path.
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '-');
        if token.expose().is_empty() || !token.expose().chars().all(allowed) {
            return Err(NotifyError::Final(
                "Telegram: TELEGRAM_BOT_TOKEN is not a bot token; copy it from @BotFather \
                 (digits, a colon, letters)"
                    .to_owned(),
            ));
        }
        if chat.is_empty() || chat.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(NotifyError::Final(
                "Telegram: TELEGRAM_CHAT_ID is not a chat; use its number, or a channel's @name"
                    .to_owned(),
            ));
        }
        let base = address(api_url.unwrap_or(API_URL)).ok_or_else(|| {
            NotifyError::Final(format!(
                "Telegram: TELEGRAM_API_URL is not an address; write it like {API_URL}"
            ))
        })?;
        let http = Http::new("Telegram", base, vec![token.clone()], proxies.clone());
        Ok(Self {
            name: "telegram".to_owned(),
            token,
            chat: chat.to_owned(),
            moved: Mutex::default(),
            http,
            proxies,
            users: Vec::new(),
            buttons: false,
        })
    }

    /// The same under another name.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }

    /// The same for these people, who may answer it.
    #[must_use]
    pub fn heard_from(self, users: Vec<i64>) -> Self {
        Self { users, ..self }
    }

    /// The same with or without buttons below its messages.
    #[must_use]
    pub fn with_buttons(self, buttons: bool) -> Self {
        Self { buttons, ..self }
    }

    /// Replaces the time limit of one attempt.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.http.set_timeout(timeout);
        self
    }

    fn endpoint(&self) -> Url {
        let mut url = self.http.url().clone();
        let path =
            format!("{}/bot{}/sendMessage", url.path().trim_end_matches('/'), self.token.expose());
        url.set_path(&path);
        url
    }

    /// Sends a message to one chat.
    async fn send_to(&self, chat: &str, notice: &Notice) -> Result<Answered, NotifyError> {
        let message = Message {
            chat_id: chat,
            text: compose(notice),
            parse_mode: "HTML",
            disable_web_page_preview: true,
            reply_markup: self.keyboard(notice),
        };
        let answered = self.http.post(self.endpoint(), |request| request.json(&message)).await?;
        self.judge(answered.status, &answered.body)
    }

    fn keyboard(&self, notice: &Notice) -> Option<Keyboard> {
        let inline_keyboard = if self.buttons { buttons::rows(notice) } else { Vec::new() };
        (!inline_keyboard.is_empty()).then_some(Keyboard { inline_keyboard })
    }

    fn moved_to(&self) -> Option<i64> {
        *self.moved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Interprets an answer: status and body become success or a reason.
    fn judge(&self, status: u16, body: &[u8]) -> Result<Answered, NotifyError> {
        let answer = Answer::of(body);
        let said = match answer.as_ref().and_then(|answer| answer.description.as_deref()) {
            Some(said) => format!("{status}, \"{}\"", self.http.safe(said)),
            None => status.to_string(),
        };
        let ok = answer.as_ref().is_some_and(|answer| answer.ok);
        let host = self.http.host();
        Err(match status {
            200 if ok => return Ok(Answered::Sent),
            429 => NotifyError::Retryable {
                reason: format!("Telegram: too many messages ({said})"),
                after: answer
                    .as_ref()
                    .and_then(|answer| answer.retry_after)
                    .map(Duration::from_secs),
            },
            408 | 421 | 425 | 500..=599 => {
                NotifyError::retryable(format!("Telegram: {host} has an internal problem ({said})"))
            }
            // An unknown token gives "not found", a revoked one "unauthorized".
            401 | 404 if answer.is_some() => NotifyError::Final(format!(
                "Telegram rejected the bot's token ({said}); check TELEGRAM_BOT_TOKEN"
            )),
            400 => match answer.as_ref().and_then(|answer| answer.migrate_to_chat_id) {
                Some(id) => return Ok(Answered::Moved(id)),
                None => NotifyError::Final(format!(
                    "Telegram rejected the message ({said}); check TELEGRAM_CHAT_ID, \
                     and write to the bot once so that it may answer"
                )),
            },
            403 => NotifyError::Final(format!(
                "Telegram: the bot is not allowed to write to this chat ({said}); \
                 unblock it, or add it to the group again"
            )),
            _ => NotifyError::Final(format!(
                "Telegram: the answer of {host} is not from the Bot API ({said}); \
                 check TELEGRAM_API_URL and the proxy"
            )),
        })
    }
}

impl fmt::Debug for Telegram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telegram").field("host", &self.http.host()).finish_non_exhaustive()
    }
}

#[async_trait]
impl Notifier for Telegram {
    fn name(&self) -> &str {
        &self.name
    }

    async fn send(&self, notice: &Notice) -> Result<(), NotifyError> {
        let known = self.moved_to().map(|id| id.to_string());
        let chat = known.as_deref().unwrap_or(&self.chat);
        let Answered::Moved(id) = self.send_to(chat, notice).await? else { return Ok(()) };
        *self.moved.lock().unwrap_or_else(PoisonError::into_inner) = Some(id);
        // The phone is where it is read.
        let detail = [notice.detail.clone(), self.remark()].into_iter().flatten();
        let detail = Some(detail.collect::<Vec<_>>().join("\n\n"));
        match self.send_to(&id.to_string(), &Notice { detail, ..notice.clone() }).await? {
            Answered::Sent => Ok(()),
            Answered::Moved(_) => Err(NotifyError::Final(format!(
                "Telegram: the group has a new number, and that has another; \
                 set TELEGRAM_CHAT_ID={id} and try again"
            ))),
        }
    }

    fn bot(&self) -> Option<BotAccount> {
        Some(BotAccount {
            token: self.token.clone(),
            chat: self.chat.clone(),
            users: self.users.clone(),
            api_url: self.http.url().clone(),
            proxies: self.proxies.clone(),
        })
    }

    fn remark(&self) -> Option<String> {
        self.moved_to().map(|id| {
            format!(
                "the Telegram group has a new number and messages go there; \
                 set TELEGRAM_CHAT_ID={id} in place of {}",
                self.chat
            )
        })
    }
}

/// What an answer says of a message that was not refused.
enum Answered {
    Sent,
    /// The chat is now this one; the message was not sent.
    Moved(i64),
}

#[derive(Serialize)]
struct Message<'a> {
    chat_id: &'a str,
    text: String,
    parse_mode: &'static str,
    disable_web_page_preview: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_markup: Option<Keyboard>,
}

/// The buttons below a message.
#[derive(Serialize)]
struct Keyboard {
    inline_keyboard: Vec<Vec<Button>>,
}

/// The common form of all answers (<https://core.telegram.org/bots/api#making-requests>), read field by
/// field: a gateway may write numbers as text.
struct Answer {
    ok: bool,
    description: Option<String>,
    retry_after: Option<u64>,
    migrate_to_chat_id: Option<i64>,
}

impl Answer {
    fn of(body: &[u8]) -> Option<Self> {
        let answer: Value = serde_json::from_slice(body).ok()?;
        let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let number = |key| {
            let written = word(answer.get("parameters")?.get(key)?);
            let whole = written.trim().split('.').next().unwrap_or_default();
            whole.parse::<i64>().ok()
        };
        Some(Self {
            ok: word(answer.get("ok")?).parse().ok()?,
            description: answer.get("description").and_then(Value::as_str).map(str::to_owned),
            retry_after: number("retry_after").and_then(|after| u64::try_from(after).ok()),
            migrate_to_chat_id: number("migrate_to_chat_id"),
        })
    }
}

/// The message in the Bot API's HTML. Session, place and command each have a fixed limit; the
/// detail gets the rest, so that the command is never cut off.
fn compose(notice: &Notice) -> String {
    let headline = escape_within(&tame_line(&notice.text), 400);
    let mut head = match escape_within(&tame_line(notice.subject()), 200) {
        session if session.is_empty() => format!("<b>{headline}</b>"),
        session => format!("<b>{session}</b> {headline}"),
    };
    let place = notice.place();
    if !place.is_empty() {
        head.push('\n');
        head.push_str(&escape_within(&place, 200));
    }
    let foot = match &notice.command {
        Some(command) => {
            format!("\n\n<code>{}</code>", escape_within(&tame_line(command), 600))
        }
        None => String::new(),
    };
    let detail = tame_block(&notice.words());
    let room = MAX_UNITS - utf16_len(&head) - utf16_len(&foot) - "\n\n".len();
    match escape_within(detail.trim(), room) {
        detail if detail.is_empty() => head + &foot,
        detail => format!("{head}\n\n{detail}{foot}"),
    }
}

#[cfg(test)]
mod tests;
