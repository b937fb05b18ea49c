//! The calls of the Bot API that the bot makes (<https://core.telegram.org/bots/api>).

use std::time::Duration;

use reqwest::Url;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::update::Update;
use crate::config::Secret;
use crate::control::Result;
use crate::notify::http::Http;
use crate::notify::{BotAccount, NotifyError};

/// How long Telegram waits for an update before it answers that there is none.
const POLL_S: u64 = 50;

/// The time limit of a poll.
const POLL_LIMIT: Duration = Duration::from_secs(POLL_S + 15);

pub(super) struct Api {
    http: Http,
    poll: Http,
    token: Secret,
}

#[derive(Deserialize)]
struct Answer<T> {
    ok: bool,
    result: Option<T>,
    description: Option<String>,
    parameters: Option<Parameters>,
}

#[derive(Deserialize)]
struct Parameters {
    retry_after: Option<u64>,
}

/// A message that was sent.
#[derive(Deserialize)]
struct Said {
    message_id: i64,
}

/// What became of replacing a message's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edited {
    Done,
    /// It may work later.
    Later,
    /// It will not: the message was deleted, say.
    Never,
}

/// The bot itself.
#[derive(Deserialize)]
pub(super) struct Me {
    pub(super) id: i64,
    #[serde(default)]
    pub(super) username: String,
}

impl Api {
    pub(super) fn new(account: &BotAccount) -> Result<Self> {
        let http = || {
            let secrets = vec![account.token.clone()];
            Http::new("Telegram", account.api_url.clone(), secrets, account.proxies.clone())
        };
        let mut poll = http();
        poll.set_timeout(POLL_LIMIT);
        Ok(Self { http: http(), poll, token: account.token.clone() })
    }

    /// The bot itself.
    pub(super) async fn me(&self) -> std::result::Result<Me, NotifyError> {
        self.call(&self.http, "getMe", &json!({})).await
    }

    /// Says that all updates before this one were handled.
    pub(super) async fn forget_until(&self, next: i64) {
        let ask = json!({"offset": next, "timeout": 0, "limit": 1});
        self.tell("getUpdates", &ask).await;
    }

    /// Waits for updates from `offset` on, which says that all earlier ones were handled.
    pub(super) async fn updates(
        &self,
        offset: i64,
    ) -> std::result::Result<Vec<Update>, NotifyError> {
        let ask = json!({"offset": offset, "timeout": POLL_S,
            "allowed_updates": ["message", "callback_query"]});
        // One that cannot be read is not heard, and does not come back.
        let updates: Vec<Value> = self.call(&self.poll, "getUpdates", &ask).await?;
        Ok(updates.into_iter().filter_map(|update| serde_json::from_value(update).ok()).collect())
    }

    /// Says something in reply to a message; returns the number of what was said. `more` are further
    /// fields.
    pub(super) async fn say(&self, chat: i64, to: i64, html: &str, more: Value) -> Option<i64> {
        let mut message = json!({"chat_id": chat, "text": html, "parse_mode": "HTML",
            "disable_web_page_preview": true,
            "reply_parameters": {"message_id": to, "allow_sending_without_reply": true}});
        if let (Some(message), Value::Object(more)) = (message.as_object_mut(), more) {
            message.extend(more);
        }
        match self.call::<Said>(&self.http, "sendMessage", &message).await {
            Ok(said) => Some(said.message_id),
            Err(error) => {
                tracing::warn!("sendMessage: {error}");
                None
            }
        }
    }

    /// Replaces the text of a message.
    pub(super) async fn edit(&self, chat: i64, message: i64, html: &str) -> Edited {
        let edit = json!({"chat_id": chat, "message_id": message, "text": html,
            "parse_mode": "HTML", "disable_web_page_preview": true});
        match self.call::<Value>(&self.http, "editMessageText", &edit).await {
            Ok(_) => Edited::Done,
            Err(error) => {
                tracing::info!("editMessageText: {error}");
                if error.is_retryable() { Edited::Later } else { Edited::Never }
            }
        }
    }

    /// Answers a press with a line that is shown to who pressed.
    pub(super) async fn answer_press(&self, query: &str, text: &str, is_alert: bool) {
        let answer = json!({"callback_query_id": query, "text": text, "show_alert": is_alert});
        self.tell("answerCallbackQuery", &answer).await;
    }

    /// Replaces the buttons of a message.
    pub(super) async fn set_buttons(&self, chat: i64, message: i64, rows: &Value) {
        let edit = json!({"chat_id": chat, "message_id": message,
            "reply_markup": {"inline_keyboard": rows}});
        self.tell("editMessageReplyMarkup", &edit).await;
    }

    /// Sends a text as a file.
    pub(super) async fn send_file(&self, chat: i64, to: i64, name: &str, text: &str) {
        // Random, so that no text can contain it.
        let boundary = uuid::Uuid::new_v4().simple().to_string();
        let field = |name: &str, value: &str| {
            format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            )
        };
        let reply = json!({"message_id": to, "allow_sending_without_reply": true}).to_string();
        let body = format!(
            "{}{}--{boundary}\r\nContent-Disposition: form-data; name=\"document\"; \
             filename=\"{name}\"\r\nContent-Type: text/markdown; charset=utf-8\r\n\r\n\
             {text}\r\n--{boundary}--\r\n",
            field("chat_id", &chat.to_string()),
            field("reply_parameters", &reply),
        );
        let kind = format!("multipart/form-data; boundary={boundary}");
        let sent = self
            .http
            .post(self.endpoint(&self.http, "sendDocument"), |request| {
                request.header("Content-Type", kind).body(body)
            })
            .await
            .and_then(|answered| self.read::<Value>(answered.status, &answered.body));
        if let Err(error) = sent {
            tracing::warn!("sendDocument: {error}");
        }
    }

    /// Calls a method whose failure changes nothing.
    async fn tell(&self, method: &str, body: &Value) {
        if let Err(error) = self.call::<Value>(&self.http, method, body).await {
            tracing::warn!("{method}: {error}");
        }
    }

    async fn call<T: DeserializeOwned>(
        &self,
        http: &Http,
        method: &str,
        body: &(impl Serialize + Sync),
    ) -> std::result::Result<T, NotifyError> {
        let url = self.endpoint(http, method);
        let answered = http.post(url, |request| request.json(body)).await?;
        self.read(answered.status, &answered.body)
    }

    fn endpoint(&self, http: &Http, method: &str) -> Url {
        let mut url = http.url().clone();
        let path =
            format!("{}/bot{}/{method}", url.path().trim_end_matches('/'), self.token.expose());
        url.set_path(&path);
        url
    }

    fn read<T: DeserializeOwned>(
        &self,
        status: u16,
        body: &[u8],
    ) -> std::result::Result<T, NotifyError> {
        let host = self.http.host();
        let unfit = || NotifyError::Retryable {
            reason: format!("Telegram: the answer of {host} is not from the Bot API ({status})"),
            after: None,
        };
        let answer: Answer<T> = serde_json::from_slice(body).map_err(|_| unfit())?;
        if let (true, Some(result)) = (answer.ok, answer.result) {
            return Ok(result);
        }
        let said = self.http.safe(answer.description.as_deref().unwrap_or_default());
        Err(match status {
            401 | 404 => NotifyError::Final(format!(
                "Telegram rejected the bot's token ({status}, \"{said}\"); check TELEGRAM_BOT_TOKEN"
            )),
            // Another process polls, perhaps one that is about to end.
            408 | 409 | 421 | 425 | 429 | 500..=599 => {
                let after = answer.parameters.and_then(|parameters| parameters.retry_after);
                NotifyError::Retryable {
                    reason: format!("Telegram: {status}, \"{said}\""),
                    after: after.map(Duration::from_secs),
                }
            }
            _ => NotifyError::Final(format!("Telegram: {status}, \"{said}\"")),
        })
    }
}
