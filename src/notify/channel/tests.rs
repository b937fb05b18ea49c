//! Channels against fake servers on loopback, and a fake `sendmail`.

use std::sync::Mutex;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::IntoResponse as _;
use serde_json::{Value, json};

use super::*;
use crate::notify::{About, Asked, Channels, Files, from_settings};

/// A request as the server received it.
#[derive(Clone)]
struct Seen {
    path: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Seen {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// A server that answers from a script, then with 200.
struct Server {
    url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    async fn new(script: Vec<(u16, &'static str)>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let record = Arc::clone(&seen);
        let script = Arc::new(Mutex::new(script.into_iter()));
        let app = Router::new().fallback(move |request: Request<Body>| {
            let (record, script) = (Arc::clone(&record), Arc::clone(&script));
            async move {
                let (parts, body) = request.into_parts();
                let body = axum::body::to_bytes(body, 1 << 20).await.unwrap().to_vec();
                let path = parts.uri.path().to_owned();
                record.lock().unwrap().push(Seen { path, headers: parts.headers, body });
                let (status, text) = script.lock().unwrap().next().unwrap_or((200, "ok"));
                let headers = [("retry-after", "7"), ("location", "/elsewhere")];
                (StatusCode::from_u16(status).unwrap(), headers, text).into_response()
            }
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, seen }
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

/// The channels of a file with this text.
fn channels(folder: &tempfile::TempDir, text: &str) -> Channels {
    let path = folder.path().join("notify.toml");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let files = Files { user: Some(path), home: folder.path().to_owned(), ..Files::default() };
    let channels = from_settings(&Settings { files, ..Settings::default() }, &|_| None);
    let mistakes: Vec<_> = channels.left_out.iter().filter(|one| one.mistaken).collect();
    assert!(mistakes.is_empty(), "{mistakes:?}");
    channels
}

fn notice() -> Notice {
    let about = About {
        id: "jwt-7".to_owned(),
        session: "jwt".to_owned(),
        project: "shop".to_owned(),
        phase: None,
    };
    let asked = Asked {
        id: "Q1".to_owned(),
        text: "Where?".to_owned(),
        options: vec![('A', "Here".to_owned()), ('B', "There".to_owned())],
        suggested: Some('B'),
    };
    Notice::waiting(&about, None, None, Some("@everyone <!channel>"), "samocode answer jwt")
        .asking(vec![asked])
}

async fn send(channels: &Channels) -> Result<(), NotifyError> {
    assert_eq!(channels.notifiers.len(), 1, "{channels:?}");
    channels.notifiers[0].send(&notice()).await
}

#[tokio::test]
async fn each_service_gets_what_its_documentation_asks_for() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::new(vec![]).await;
    let url = &server.url;
    let table = |kind: &str, rest: &str| format!("[channel.x]\ntype = \"{kind}\"\n{rest}\n");
    let ntfy = table("ntfy", &format!("url = \"{url}/sub/topic\"\ntoken = \"tk_1\""));
    send(&channels(&home, &ntfy)).await.unwrap();
    let slack = table("slack", &format!("url = \"{url}/services/T/B/x\""));
    send(&channels(&home, &slack)).await.unwrap();
    let discord = table("discord", &format!("url = \"{url}/api/webhooks/1/x\""));
    send(&channels(&home, &discord)).await.unwrap();
    let hook =
        table("webhook", &format!("url = \"{url}/hook?a=b\"\nsecret = \"Jefe of RFC 4231\""));
    send(&channels(&home, &hook)).await.unwrap();

    let seen = server.seen();
    let paths: Vec<_> = seen.iter().map(|seen| seen.path.as_str()).collect();
    assert_eq!(paths, ["/sub/", "/services/T/B/x", "/api/webhooks/1/x", "/hook"]);
    assert_eq!(seen[0].headers["authorization"], "Bearer tk_1");
    assert_eq!(
        seen[0].json(),
        json!({
            "topic": "topic",
            "title": "jwt is waiting for you",
            "message": "shop\n\n@everyone <!channel>\n\nQ1: Where?\nA) Here\nB) There (suggested)\n\n\
                        samocode answer jwt",
            "priority": 4,
            "tags": ["question"],
        })
    );
    assert_eq!(seen[1].json()["text"], "jwt is waiting for you");
    assert_eq!(seen[2].json()["allowed_mentions"], json!({"parse": []}));
    let body = seen[3].json();
    assert_eq!((&body["id"], &body["event"]), (&json!("jwt-7"), &json!("waiting")));
    assert_eq!(body["questions"][0]["options"][1], json!(["B", "There"]));
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"Jefe of RFC 4231");
    let signature = seen[3].headers["x-samocode-signature-256"].to_str().unwrap();
    let digits = signature.strip_prefix("sha256=").unwrap();
    let tag: Vec<u8> = (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect();
    ring::hmac::verify(&key, &seen[3].body, &tag).unwrap();
    assert_eq!(seen[3].headers["x-samocode-delivery"], "jwt-7");
}

#[tokio::test]
async fn an_answer_says_whether_a_retry_helps_and_never_shows_the_address() {
    let home = tempfile::tempdir().unwrap();
    for (status, text, expected) in [
        (429, "", "Some(7s)"),
        (429, "{\"retry_after\": 9.5}", "Some(9.5s)"),
        (503, "", "internal problem"),
        (404, "no_service", "refused the message (404, \\\"no_service\\\"); check the url"),
        (302, "", "refused the message (302)"),
        (400, "see /services/T/B/secret", "see [hidden]"),
    ] {
        let server = Server::new(vec![(status, text)]).await;
        let table = format!("[channel.slack]\nurl = \"{}/services/T/B/secret\"\n", server.url);
        let error = send(&channels(&home, &table)).await.unwrap_err();
        let shown = format!("{error:?}");
        assert!(shown.contains(expected), "{status}: {shown}");
        assert!(!shown.contains("secret"), "{shown}");
        assert_eq!(error.is_retryable(), matches!(status, 429 | 503), "{status}");
        assert_eq!(server.seen().len(), 1, "a redirect is not followed");
    }
}

#[tokio::test]
async fn mail_goes_through_sendmail_and_a_command_gets_json() {
    let home = tempfile::tempdir().unwrap();
    let script = home.path().join("sendmail");
    let out = home.path().display();
    let text = format!("#!/bin/sh\nprintf '%s\\n' \"$@\" >{out}/arguments\ncat >{out}/input\n");
    crate::write_program(&script, text);
    let read = |name: &str| std::fs::read_to_string(home.path().join(name)).unwrap();

    let table = "[channel.mail]\nto = [\"a@example.org\", \"root\"]\nfrom = \"s@example.org\"\n\
                 sendmail = \"~/sendmail\"\n";
    send(&channels(&home, table)).await.unwrap();
    assert_eq!(read("arguments"), "-i\n-f\ns@example.org\n--\na@example.org\nroot\n");
    let mail = read("input");
    assert!(mail.contains("\nSubject: jwt is waiting for you\n"), "{mail}");

    let table = "[channel.command]\ncommand = [\"./sendmail\", \"a b\"]\n";
    send(&channels(&home, table)).await.unwrap();
    assert_eq!(read("arguments"), "a b\n");
    let body: Value = serde_json::from_str(&read("input")).unwrap();
    assert_eq!(body["title"], "jwt is waiting for you");
    assert_eq!(body["detail"], "@everyone <!channel>");
}
