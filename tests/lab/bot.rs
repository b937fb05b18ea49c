//! A Telegram of the tests' own: it takes messages and keeps them, and people press its buttons.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use serde_json::{Value, json};

use super::user::LabUser;

/// What the server has got, and what it has for the bot.
#[derive(Default)]
struct Chat {
    messages: Vec<String>,
    /// The texts that replaced those of messages.
    edits: Vec<String>,
    /// The buttons of all messages: label and data.
    buttons: Vec<(String, String)>,
    /// What was shown to those who pressed a button.
    toasts: Vec<String>,
    updates: Vec<Value>,
    count: i64,
    is_polled: bool,
    /// Whether its network is down.
    is_cut_off: bool,
    /// The requests that came meanwhile.
    failed: usize,
}

/// A token that the server does not know.
pub(crate) const WRONG_TOKEN: &str = "1:wrong";

type Shared = Arc<Mutex<Chat>>;

/// A running server of the Bot API, for the life of the test process.
pub(crate) struct Bot {
    url: String,
    chat: Shared,
}

impl Bot {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let chat = Shared::default();
        let app = Router::new().fallback(take).with_state(Arc::clone(&chat));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                listener.set_nonblocking(true).expect("a listener");
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                let _ = axum::serve(listener, app).await;
            });
        });
        Self { url, chat }
    }

    /// The address of the server.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    fn chat(&self) -> MutexGuard<'_, Chat> {
        locked(&self.chat)
    }

    /// The messages sent so far, in order.
    pub(crate) fn messages(&self) -> Vec<String> {
        self.chat().messages.clone()
    }

    /// How many messages hold `text`.
    pub(crate) fn count_of(&self, text: &str) -> usize {
        self.messages().iter().filter(|message| message.contains(text)).count()
    }

    /// The texts that replaced those of messages, in order.
    pub(crate) fn edits(&self) -> Vec<String> {
        self.chat().edits.clone()
    }

    /// Anna replies to what the bot asked with a text that ends in this line.
    pub(crate) fn reply_to(&self, own: &str, text: &str) {
        self.update(json!({"message": {"message_id": 3, "chat": {"id": 1}, "text": text,
            "from": {"id": 1, "first_name": "Anna"},
            "reply_to_message": {"message_id": 1, "chat": {"id": 1}, "from": {"id": 99},
                "text": own}}}));
    }

    /// Whether somebody asks for updates.
    pub(crate) fn is_polled(&self) -> bool {
        self.chat().is_polled
    }

    /// Takes its network away, or gives it back.
    pub(crate) fn cut_off(&self, is_cut_off: bool) {
        self.chat().is_cut_off = is_cut_off;
    }

    /// How many requests failed for want of a network.
    pub(crate) fn failed(&self) -> usize {
        self.chat().failed
    }

    /// What was shown to those who pressed a button.
    pub(crate) fn toasts(&self) -> Vec<String> {
        self.chat().toasts.clone()
    }

    /// What the newest button with this label carries.
    pub(crate) fn button(&self, label: &str) -> Option<String> {
        let chat = self.chat();
        chat.buttons.iter().rev().find(|(text, _)| text == label).map(|(_, data)| data.clone())
    }

    /// Anna presses a button.
    pub(crate) fn press(&self, data: &str) {
        self.update(json!({"callback_query": {"id": "q", "data": data,
            "from": {"id": 1, "first_name": "Anna"},
            "message": {"message_id": 1, "chat": {"id": 1},
                "reply_markup": {"inline_keyboard": []}}}}));
    }

    /// Anna writes something, perhaps in reply to a message about a session.
    pub(crate) fn write(&self, text: &str, about: Option<&str>) {
        let mut message = json!({"message_id": 2, "chat": {"id": 1}, "text": text,
            "from": {"id": 1, "first_name": "Anna"}});
        if let Some(session) = about {
            message["reply_to_message"] = json!({"message_id": 1, "chat": {"id": 1},
                "from": {"id": 99}, "text": format!("{session} is blocked"),
                "entities": [{"type": "bold", "offset": 0, "length": session.len()}]});
        }
        self.update(json!({"message": message}));
    }

    fn update(&self, mut update: Value) {
        let mut chat = self.chat();
        chat.count += 1;
        update["update_id"] = json!(chat.count);
        chat.updates.push(update);
    }
}

fn locked(chat: &Mutex<Chat>) -> MutexGuard<'_, Chat> {
    chat.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn take(
    State(chat): State<Shared>,
    uri: Uri,
    Json(body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    if uri.path().contains(WRONG_TOKEN) {
        let refused = json!({"ok": false, "error_code": 401, "description": "Unauthorized"});
        return (StatusCode::UNAUTHORIZED, Json(refused));
    }
    if locked(&chat).is_cut_off {
        return no_network(&chat);
    }
    let text = body["text"].as_str().unwrap_or_default().to_owned();
    let result = match uri.path().rsplit('/').next().unwrap_or_default() {
        "getMe" => json!({"id": 99, "username": "shop_bot"}),
        "getUpdates" => match updates(&chat, body["offset"].as_i64().unwrap_or_default()).await {
            Some(updates) => updates,
            None => return no_network(&chat),
        },
        "answerCallbackQuery" => {
            locked(&chat).toasts.push(text);
            json!(true)
        }
        "editMessageReplyMarkup" => json!(true),
        "editMessageText" => {
            locked(&chat).edits.push(text);
            json!(true)
        }
        _ => {
            let rows = body["reply_markup"]["inline_keyboard"].as_array().cloned();
            let buttons = rows.unwrap_or_default().into_iter();
            let buttons = buttons.flat_map(|row| row.as_array().cloned().unwrap_or_default());
            let word =
                |button: &Value, key: &str| button[key].as_str().unwrap_or_default().to_owned();
            let mut chat = locked(&chat);
            chat.buttons.extend(
                buttons.map(|button| (word(&button, "text"), word(&button, "callback_data"))),
            );
            chat.messages.push(text);
            json!({"message_id": 1})
        }
    };
    (StatusCode::OK, Json(json!({"ok": true, "result": result})))
}

/// What is between the bot and its server says that it cannot reach it.
fn no_network(chat: &Shared) -> (StatusCode, Json<Value>) {
    locked(chat).failed += 1;
    (StatusCode::BAD_GATEWAY, Json(json!("no network")))
}

/// Waits for updates, as Telegram does; `None` if the network is lost meanwhile.
async fn updates(chat: &Shared, offset: i64) -> Option<Value> {
    loop {
        {
            let mut chat = locked(chat);
            if chat.is_cut_off {
                return None;
            }
            chat.is_polled = true;
            chat.updates.retain(|update| update["update_id"].as_i64() >= Some(offset));
            if !chat.updates.is_empty() {
                return Some(Value::Array(chat.updates.clone()));
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

impl LabUser {
    /// Makes the user's sessions send notices through `bot`; replaces `~/.config/samocode/env`.
    #[track_caller]
    pub(crate) fn gets_messages_from(&self, bot: &Bot) {
        let keys = [
            ("TELEGRAM_BOT_TOKEN", "12345678:AAabcdefghijklmnopqrstuvwxyz0123456"),
            ("TELEGRAM_CHAT_ID", "1"),
            ("TELEGRAM_API_URL", &bot.url),
        ];
        let lines: String = keys.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
        self.write_env_file(lines);
    }
}
