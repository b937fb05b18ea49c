//! The bot against a fake Bot API on loopback.

use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::*;
use crate::config::{Env, Secret};
use crate::notify::Proxies;
use crate::service::Scope;

/// What the server was asked, as (method, body), and the updates that it still has.
#[derive(Default)]
struct Telegram {
    asked: Vec<(String, Value)>,
    updates: Vec<Value>,
}

type Shared = Arc<Mutex<Telegram>>;

async fn reply(State(shared): State<Shared>, request: axum::extract::Request) -> Json<Value> {
    let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let result = {
        let mut telegram = shared.lock().unwrap();
        telegram.asked.push((method.clone(), body.clone()));
        if method == "getUpdates" {
            let offset = body["offset"].as_i64().unwrap();
            telegram.updates.retain(|update| update["update_id"].as_i64().unwrap() >= offset);
            json!(telegram.updates)
        } else {
            json!({"id": 99, "username": "my_bot", "message_id": 1000})
        }
    };
    // Telegram waits for an update before it says that there is none.
    if result == json!([]) && body["timeout"] != 0 {
        std::future::pending::<()>().await;
    }
    Json(json!({"ok": true, "result": result}))
}

struct Stage {
    shared: Shared,
    url: String,
    home: tempfile::TempDir,
}

impl Stage {
    async fn new(updates: Vec<Value>) -> Self {
        let shared = Shared::default();
        shared.lock().unwrap().updates = updates;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(reply).with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { shared, url, home: tempfile::tempdir().unwrap() }
    }

    fn folder(&self) -> PathBuf {
        self.home.path().join("bot")
    }

    /// Runs the bot until it has asked for the update with this number.
    async fn run_until(&self, next: i64) {
        let account = BotAccount {
            token: Secret::new("1:a"),
            chat: "-7".to_owned(),
            users: vec![5],
            api_url: reqwest::Url::parse(&self.url).unwrap(),
            proxies: Proxies::default(),
        };
        let caller = Caller {
            env: Env::from_iter([("HOME", self.home.path().to_str().unwrap())]),
            cwd: Path::new("/").to_owned(),
            config: None,
            scope: Scope::User,
            origin: Origin::Run,
            binary: "/bin/samocode".into(),
        };
        let has_asked = || {
            let asked = &self.shared.lock().unwrap().asked;
            asked.iter().any(|(method, body)| method == "getUpdates" && body["offset"] == next)
        };
        let asked = async {
            while !has_asked() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            end = run(account, caller, self.folder()) => panic!("{end:?}"),
            () = asked => {}
            () = tokio::time::sleep(Duration::from_secs(30)) => panic!("it did not get to {next}"),
        }
    }

    /// What was said, as (method, text).
    fn said(&self) -> Vec<(String, String)> {
        let asked = std::mem::take(&mut self.shared.lock().unwrap().asked);
        let is_said = |(method, _): &(String, Value)| method != "getUpdates" && method != "getMe";
        let text = |(method, body): (String, Value)| {
            (method, body["text"].as_str().unwrap_or_default().to_owned())
        };
        asked.into_iter().filter(is_said).map(text).collect()
    }
}

fn message(id: i64, from: i64, chat: i64, text: &str) -> Value {
    json!({"update_id": id, "message": {"message_id": id, "from": {"id": from, "first_name": "<b>"},
        "chat": {"id": chat}, "text": text}})
}

#[tokio::test]
async fn only_configured_people_in_the_configured_chat_are_heard_and_each_update_once() {
    let stage = Stage::new(vec![
        message(11, 5, 5, "/help"),
        message(12, 6, -7, "/help"),
        message(13, 5, -7, "/help"),
        json!({"update_id": 14, "poll": {}}),
    ])
    .await;
    stage.run_until(15).await;
    let said = stage.said();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].1.contains("/stop NAME"), "{said:?}");

    // Telegram repeats what it was not told of.
    stage.shared.lock().unwrap().updates =
        vec![message(13, 5, -7, "/help"), message(15, 5, -7, "/help")];
    stage.run_until(16).await;
    assert_eq!(stage.said().len(), 1);
}

#[tokio::test]
async fn a_press_on_what_is_no_longer_asked_says_so_and_takes_the_button_away() {
    let data = "a:0123456789abcdef:A";
    let keyboard = json!({"inline_keyboard": [[{"text": "Q1 A", "callback_data": data}]]});
    let stage = Stage::new(vec![json!({"update_id": 3, "callback_query": {"id": "q",
        "from": {"id": 5}, "data": data,
        "message": {"message_id": 2, "chat": {"id": -7}, "reply_markup": keyboard}}})])
    .await;
    stage.run_until(4).await;
    let asked = stage.shared.lock().unwrap().asked.clone();
    let of = |method: &str| asked.iter().find(|(name, _)| name == method).unwrap().1.clone();
    let answer = of("answerCallbackQuery");
    assert_eq!((&answer["callback_query_id"], &answer["show_alert"]), (&json!("q"), &json!(true)));
    assert!(answer["text"].as_str().unwrap().contains("settled already"), "{answer}");
    assert_eq!(of("editMessageReplyMarkup")["reply_markup"]["inline_keyboard"], json!([]));
}

#[tokio::test]
async fn what_was_interrupted_and_may_have_had_its_effect_is_not_done_twice() {
    let stage = Stage::new(vec![message(8, 5, -7, "/send jwt use the other key")]).await;
    std::fs::create_dir_all(stage.folder()).unwrap();
    std::fs::write(stage.folder().join("progress.json"), r#"{"next":8,"doing":8}"#).unwrap();
    stage.run_until(9).await;
    let said = stage.said();
    assert!(said[0].1.contains("was interrupted while it did this"), "{said:?}");

    let fresh = Stage::new(vec![message(8, 5, -7, "/send jwt use the other key")]).await;
    fresh.run_until(9).await;
    let said = fresh.said();
    assert!(!said[0].1.contains("interrupted"), "{said:?}");
}

#[tokio::test]
async fn whoever_sends_the_code_is_paired_and_nobody_else() {
    let stage = Stage::new(vec![message(3, 6, 6, "/start 00000000")]).await;
    let token = Secret::new("1:a");
    let proxies = Proxies::default;
    assert!(pairing::Pairing::begin(&Secret::new("no token"), None, proxies()).await.is_err());
    let pairing = pairing::Pairing::begin(&token, Some(&stage.url), proxies()).await.unwrap();
    assert!(pairing.link().starts_with("https://t.me/my_bot?start="), "{}", pairing.link());
    let code = pairing.message();
    stage.shared.lock().unwrap().updates.push(message(4, 5, -7, &code));
    let paired =
        tokio::time::timeout(Duration::from_secs(30), pairing.wait(&crate::service::quiet)).await;
    assert_eq!(paired.unwrap().unwrap(), pairing::Paired { chat: -7, user: 5 });
    let asked = stage.shared.lock().unwrap().asked.clone();
    let (method, last) = asked.last().unwrap();
    assert_eq!((method.as_str(), &last["offset"]), ("getUpdates", &json!(5)), "it is forgotten");
}
