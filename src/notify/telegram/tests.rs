use super::*;
use crate::notify::http::MAX_ANSWER;
use crate::notify::outbox::{Due, Retry};
use crate::notify::{About, Delivery, Outbox, Shelf};
use crate::session::Phase;
use crate::session::WaitsFor;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode, Uri};
use axum::response::IntoResponse;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Instant;

mod compose;
mod tls;

const TOKEN: &str = "123456:AAH-secret_TOKEN";

/// A request as the server received it.
#[derive(Debug, Clone)]
struct Seen {
    method: String,
    uri: Uri,
    content_type: String,
    body: Value,
}

/// A fake Bot API: a real server on a real socket that answers from a script, then with `ok`.
struct Server {
    url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    async fn new(answers: Vec<(u16, String)>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&seen);
        let script = Arc::new(Mutex::new(answers.into_iter()));
        let app = Router::new().fallback(move |request: Request<Body>| {
            let (record, script) = (Arc::clone(&record), Arc::clone(&script));
            async move {
                let (parts, body) = request.into_parts();
                let body: Bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
                record.lock().unwrap().push(Seen {
                    method: parts.method.to_string(),
                    uri: parts.uri,
                    content_type: parts.headers["content-type"].to_str().unwrap().to_owned(),
                    body: serde_json::from_slice(&body).unwrap(),
                });
                let fine = || (200, json!({"ok": true, "result": {}}).to_string());
                let (status, text) = script.lock().unwrap().next().unwrap_or_else(fine);
                let location = [("location", "/elsewhere")];
                (StatusCode::from_u16(status).unwrap(), location, text).into_response()
            }
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, seen }
    }

    async fn answering(status: u16, body: Value) -> Self {
        Self::new(vec![(status, body.to_string())]).await
    }

    fn telegram(&self) -> Telegram {
        Telegram::new(Secret::new(TOKEN), " -100200 ", Some(&self.url), Proxies::default()).unwrap()
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

fn notice(detail: &str) -> Notice {
    let about = About {
        id: "jwt-login/7".to_owned(),
        session: "jwt-login".to_owned(),
        project: "shop".to_owned(),
        phase: Some(Phase::Requirements),
    };
    let command = "samocode answer jwt-login";
    Notice::waiting(&about, Some(&WaitsFor::QaAnswers), Some(3), Some(detail), command)
}

/// Sends once and returns the error, after checking that it does not contain the token.
async fn error_of(telegram: &Telegram) -> NotifyError {
    let error = telegram.send(&notice("")).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    assert!(!error.to_string().contains('\n'), "{error}");
    error
}

#[tokio::test]
async fn the_request_is_the_bot_apis_send_message() {
    let server = Server::new(vec![]).await;
    server.telegram().send(&notice("Cookies <b>or</b> headers & why?")).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].method, "POST");
    assert_eq!(seen[0].uri, *format!("/bot{TOKEN}/sendMessage"));
    assert_eq!(seen[0].content_type, "application/json");
    assert_eq!(
        seen[0].body,
        json!({
            "chat_id": "-100200",
            "text": "<b>jwt-login</b> is waiting for your answers to 3 questions\n\
                     shop · requirements\n\n\
                     Cookies &lt;b&gt;or&lt;/b&gt; headers &amp; why?\n\n\
                     <code>samocode answer jwt-login</code>",
            "parse_mode": "HTML",
            "disable_web_page_preview": true,
        })
    );
}

#[tokio::test]
async fn an_address_with_a_path_is_kept() {
    let server = Server::new(vec![]).await;
    let url = format!("{}/api/", server.url);
    Telegram::new(Secret::new(TOKEN), "5", Some(&url), Proxies::default())
        .unwrap()
        .send(&notice(""))
        .await
        .unwrap();
    assert_eq!(server.seen()[0].uri, *format!("/api/bot{TOKEN}/sendMessage"));
}

#[tokio::test]
async fn too_many_requests_is_retryable_after_the_time_the_server_asks_for() {
    let body = json!({"ok": false, "error_code": 429,
        "description": "Too Many Requests: retry after 17", "parameters": {"retry_after": 17}});
    let error = error_of(&Server::answering(429, body).await.telegram()).await;
    let NotifyError::Retryable { after, .. } = error else { panic!("{error:?}") };
    assert_eq!(after, Some(Duration::from_secs(17)));
}

#[tokio::test]
async fn the_outbox_sends_again_after_a_server_error() {
    let server = Server::new(vec![(502, "<html>bad gateway</html>".to_owned())]).await;
    let retry = Retry { pause: Duration::from_millis(1), ..Retry::default() };
    let outbox = Outbox::with_retry(vec![Arc::new(server.telegram())], retry);
    outbox.post(notice(""));
    let got: Vec<Delivery> = outbox.drain(Duration::from_secs(60)).await;
    assert_eq!((got[0].tries, &got[0].result), (2, &Ok(())));
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn errors_that_need_a_human_are_final_and_name_the_remedy() {
    let said = |text: &str| json!({"ok": false, "description": text});
    for (status, body, advice) in [
        (401, said("Unauthorized"), "check TELEGRAM_BOT_TOKEN"),
        (404, said("Not Found"), "check TELEGRAM_BOT_TOKEN"),
        (404, json!("nothing here"), "check TELEGRAM_API_URL"),
        (400, said("Bad Request: chat not found"), "check TELEGRAM_CHAT_ID"),
        (403, said("Forbidden: bot was blocked by the user"), "unblock it"),
        (302, json!({}), "check TELEGRAM_API_URL"),
        (200, said("no"), "check TELEGRAM_API_URL"),
        (200, json!("<html>log in to this network</html>"), "check TELEGRAM_API_URL"),
    ] {
        let server = Server::answering(status, body).await;
        let error = error_of(&server.telegram()).await;
        assert!(matches!(error, NotifyError::Final(_)), "{status}: {error:?}");
        assert!(error.to_string().contains(advice), "{status}: {error}");
        assert_eq!(server.seen().len(), 1, "a redirect must not be followed");
    }
}

#[test]
fn an_answer_is_read_field_by_field() {
    let parameters = json!({"retry_after": 7.0, "migrate_to_chat_id": "-100987"});
    let answer = json!({"ok": "false", "description": 3, "parameters": parameters});
    let answer = Answer::of(answer.to_string().as_bytes()).unwrap();
    assert_eq!((answer.ok, answer.description), (false, None));
    assert_eq!((answer.retry_after, answer.migrate_to_chat_id), (Some(7), Some(-100_987)));
    for other in ["{}", "<html>", "[true]", r#"{"ok":"maybe"}"#] {
        assert!(Answer::of(other.as_bytes()).is_none(), "{other}");
    }
}

#[tokio::test]
async fn a_group_that_moved_gets_its_messages_under_its_new_number_and_says_so() {
    let moved = json!({"ok": false, "description": "Bad Request: group chat was upgraded",
        "parameters": {"migrate_to_chat_id": -100_987}});
    let server = Server::answering(400, moved.clone()).await;
    let telegram = server.telegram();
    assert_eq!(telegram.remark(), None);
    telegram.send(&notice("Why?")).await.unwrap();
    telegram.send(&notice("Why?")).await.unwrap();
    let remark = telegram.remark().unwrap();
    assert!(remark.contains("set TELEGRAM_CHAT_ID=-100987 in place of -100200"), "{remark}");
    let seen = server.seen();
    let chats: Vec<_> = seen.iter().map(|seen| seen.body["chat_id"].as_str().unwrap()).collect();
    assert_eq!(chats, ["-100200", "-100987", "-100987"]);
    let text = seen[1].body["text"].as_str().unwrap();
    assert!(text.contains("Why?\n\nthe Telegram group has a new number"), "{text}");

    let server = Server::new(vec![(400, moved.to_string()), (400, moved.to_string())]).await;
    let error = error_of(&server.telegram()).await;
    assert!(matches!(error, NotifyError::Final(_)), "{error:?}");
    assert_eq!(server.seen().len(), 2, "it is followed once");
}

#[tokio::test]
async fn a_server_that_is_away_for_a_few_seconds_gets_the_message_all_the_same() {
    let away = || (503, String::new());
    let server = Server::new(vec![away(), away(), away()]).await;
    let retry = Retry { pause: Duration::from_millis(1), ..Retry::default() };
    let outbox = Outbox::with_retry(vec![Arc::new(server.telegram())], retry);
    outbox.post(notice(""));
    let got = outbox.drain(Duration::from_secs(60)).await;
    assert_eq!((got[0].tries, &got[0].result), (4, &Ok(())));
}

#[tokio::test]
async fn what_a_server_puts_off_is_kept_and_sent_by_whoever_runs_next() {
    let state = tempfile::tempdir().unwrap();
    let shelf = || Shelf::new(state.path(), std::path::Path::new("/p/.samocode"));
    let put_off = json!({"ok": false, "description": "Too Many Requests",
        "parameters": {"retry_after": 3600}});
    let server = Server::answering(429, put_off).await;
    let outbox = |shelf| Outbox::new(vec![Arc::new(server.telegram()) as _]).with_shelf(shelf);
    let first = outbox(shelf());
    first.post(notice(""));
    let got = first.drain(Duration::from_secs(60)).await;
    assert_eq!((got[0].tries, got[0].result.is_err()), (1, true));
    let unsent = shelf().unsent();
    assert_eq!(unsent.len(), 1, "{unsent:?}");
    assert!(unsent[0].describe().contains("too many messages"), "{}", unsent[0].describe());

    // Another project's channels may be others, and the server has asked for time.
    let other = Shelf::new(state.path(), std::path::Path::new("/q/.samocode"));
    let next = outbox(other);
    next.resend(Due::Now, |_| true);
    let next = outbox(shelf());
    next.resend(Due::AsAsked, |_| true);
    assert!(next.drain(Duration::from_secs(60)).await.is_empty());
    assert_eq!(server.seen().len(), 1);

    let next = outbox(shelf());
    next.resend(Due::Now, |_| true);
    let got = next.drain(Duration::from_secs(60)).await;
    assert_eq!((got[0].session.as_str(), &got[0].result), ("jwt-login", &Ok(())));
    assert_eq!(server.seen().len(), 2);
    assert!(shelf().unsent().is_empty());
}

#[tokio::test]
async fn a_server_that_echoes_the_token_does_not_get_it_into_an_error() {
    let body = json!({"ok": false, "description": format!("no bot\n{TOKEN}\u{202e} here")});
    let error = error_of(&Server::answering(401, body).await.telegram()).await;
    assert!(error.to_string().contains("no bot [hidden] here"), "{error}");
}

#[tokio::test]
async fn a_server_that_hangs_is_abandoned_at_the_time_limit() {
    // The kernel accepts the connection, but nobody answers.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let telegram = Telegram::new(Secret::new(TOKEN), "5", Some(&url), Proxies::default())
        .unwrap()
        .with_timeout(Duration::from_millis(200));
    let start = Instant::now();
    let error = error_of(&telegram).await;
    assert!(start.elapsed() < Duration::from_secs(60));
    assert!(error.is_retryable());
    assert!(error.to_string().contains("did not answer within 0.2 s"), "{error}");
}

#[tokio::test]
async fn an_unreachable_server_is_worth_a_retry() {
    // Bound, so that no other test gets the port, and not listening.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    let telegram = Telegram::new(Secret::new(TOKEN), "5", Some(&url), Proxies::default()).unwrap();
    let error = error_of(&telegram).await;
    assert!(error.is_retryable());
    assert!(error.to_string().contains("cannot reach 127.0.0.1"), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn an_endless_answer_is_read_only_in_part() {
    let endless = format!("{{\"ok\": true, \"result\": \"{}\"}}", "x".repeat(10 * MAX_ANSWER));
    let server = Server::new(vec![(200, endless)]).await;
    let error = error_of(&server.telegram()).await;
    assert!(matches!(error, NotifyError::Final(_)), "{error:?}");
}

#[tokio::test]
async fn a_proxy_is_used_except_for_the_hosts_it_is_not_for() {
    let proxy = Server::new(vec![]).await;
    let variables = |name: &str| match name {
        "HTTP_PROXY" => Some(proxy.url.clone()),
        "NO_PROXY" => Some("direct.invalid".to_owned()),
        _ => None,
    };
    let proxies = Proxies::from_variables(variables);
    let to = |url| Telegram::new(Secret::new(TOKEN), "5", Some(url), proxies.clone()).unwrap();
    // The name cannot be resolved here, so only the proxy can have taken it.
    to("http://telegram.invalid").send(&notice("")).await.unwrap();
    assert_eq!(proxy.seen()[0].uri.host(), Some("telegram.invalid"));
    assert!(error_of(&to("http://direct.invalid")).await.is_retryable());
    assert_eq!(proxy.seen().len(), 1);
}

#[tokio::test]
async fn a_proxy_that_cannot_be_used_is_named_by_its_key_only() {
    let variables =
        |name: &str| (name == "all_proxy").then(|| "socks5://me:secret@127.0.0.1:1080".to_owned());
    let proxies = Proxies::from_variables(variables);
    assert!(!format!("{proxies:?}").contains("secret"));
    let telegram = Telegram::new(Secret::new(TOKEN), "5", None, proxies).unwrap();
    let error = error_of(&telegram).await;
    assert!(matches!(error, NotifyError::Final(_)));
    assert!(
        error.to_string().contains("HTTPS_PROXY or ALL_PROXY is not a usable proxy"),
        "{error}"
    );
}

#[test]
fn invalid_values_are_refused_before_anything_is_sent() {
    let new = |token, chat, url| {
        Telegram::new(Secret::new(token), chat, url, Proxies::default())
            .map(drop)
            .unwrap_err()
            .to_string()
    };
    assert!(new("1:a/../b", "5", None).contains("TELEGRAM_BOT_TOKEN"));
    assert!(new("", "5", None).contains("TELEGRAM_BOT_TOKEN"));
    assert!(new("1:a", "5 6", None).contains("TELEGRAM_CHAT_ID"));
    assert!(new("1:a", "5", Some("ftp://x")).contains("TELEGRAM_API_URL"));
    assert!(new("1:a", "5", Some("api.telegram.org")).contains("TELEGRAM_API_URL"));
}
