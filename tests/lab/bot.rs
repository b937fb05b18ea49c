//! A Telegram of the tests' own: it takes messages and keeps them.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex};

use axum::Json;
use axum::Router;
use axum::extract::State;
use serde_json::{Value, json};

use super::user::LabUser;

type Messages = Arc<Mutex<Vec<String>>>;

/// A running server of the Bot API, for the life of the test process.
pub(crate) struct Bot {
    url: String,
    messages: Messages,
}

impl Bot {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let messages = Messages::default();
        let app = Router::new().fallback(take).with_state(Arc::clone(&messages));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                listener.set_nonblocking(true).expect("a listener");
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                let _ = axum::serve(listener, app).await;
            });
        });
        Self { url, messages }
    }

    /// The messages sent so far, in order.
    pub(crate) fn messages(&self) -> Vec<String> {
        self.messages.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }

    /// How many messages hold `text`.
    pub(crate) fn count_of(&self, text: &str) -> usize {
        self.messages().iter().filter(|message| message.contains(text)).count()
    }
}

async fn take(State(messages): State<Messages>, Json(body): Json<Value>) -> Json<Value> {
    let text = body["text"].as_str().unwrap_or_default().to_owned();
    messages.lock().unwrap_or_else(|e| e.into_inner()).push(text);
    Json(json!({"ok": true, "result": {"message_id": 1}}))
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
