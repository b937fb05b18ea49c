//! The channel against a push service on loopback, with browsers that decrypt.

use std::sync::Mutex;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use serde_json::Value;

use super::encrypt::tests::Browser;
use super::subscriptions::tests::subscription;
use super::*;
use crate::notify::{About, Channels, Files, Settings, Shelf, from_settings};

/// A message as the push service got it: the path, the headers, the body.
type Seen = (String, HeaderMap, Vec<u8>);

/// A push service whose paths say what it answers: `/201/…`, `/410/…`.
struct Service {
    url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Service {
    async fn new() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let record = Arc::clone(&seen);
        let app = Router::new().fallback(move |request: Request<Body>| {
            let record = Arc::clone(&record);
            async move {
                let (parts, body) = request.into_parts();
                let body = axum::body::to_bytes(body, 1 << 20).await.unwrap().to_vec();
                let path = parts.uri.path().to_owned();
                let status = path.split('/').nth(1).unwrap().parse().unwrap();
                record.lock().unwrap().push((path, parts.headers, body));
                StatusCode::from_u16(status).unwrap()
            }
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, seen }
    }

    fn paths(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|(path, ..)| path.clone()).collect()
    }
}

fn add(state: &Path, service: &Service, path: &str, key: &[u8]) -> Subscription {
    let browser = Subscription {
        device: format!("Chrome at {path}"),
        ..subscription(&format!("{}{path}", service.url), key)
    };
    Subscriptions::of(state).add(&browser).unwrap();
    browser
}

fn channels(state: &Path, text: &str) -> Channels {
    let path = state.join("notify.toml");
    std::fs::write(&path, text).unwrap();
    let files = Files { user: Some(path), state: Some(state.to_owned()), ..Files::default() };
    from_settings(&Settings { files, ..Settings::default() }, &|_| None)
}

fn notice(id: &str, session: &str) -> Notice {
    let about = About { id: id.to_owned(), session: session.to_owned(), ..About::default() };
    Notice::blocked(&about, Some("no <database>"), None, "samocode why jwt")
}

#[tokio::test]
async fn a_browser_gets_what_only_it_can_read() {
    let (state, service) = (tempfile::tempdir().unwrap(), Service::new().await);
    let browser = Browser::new();
    add(state.path(), &service, "/201/a", &browser.public);
    let channels = channels(state.path(), "");
    let [lane] = &channels.notifiers[..] else { panic!("{channels:?}") };
    lane.check().await.unwrap();
    lane.send(&notice("1", "jwt login")).await.unwrap();
    let (path, headers, body) = service.seen.lock().unwrap().pop().unwrap();
    assert_eq!(path, "/201/a");
    let header = |name: &str| headers[name].to_str().unwrap();
    assert_eq!((header("content-encoding"), header("urgency")), ("aes128gcm", "high"));
    assert!(header("ttl").parse::<u32>().unwrap() > 3600 && header("topic").len() <= 32);
    let key = public_key(state.path()).unwrap();
    assert!(header("authorization").ends_with(&format!(", k={key}")), "{headers:?}");
    let message: Value = serde_json::from_slice(&browser.read(&body).unwrap()).unwrap();
    assert_eq!(message["title"], "jwt login is blocked");
    assert_eq!(message["path"], "/s/jwt%20login");
    assert_eq!(message["stays"], true);
    assert!(message["body"].as_str().unwrap().contains("no <database>"), "{message}");
}

#[tokio::test]
async fn a_browser_that_is_gone_is_dropped_and_named_and_delays_no_other() {
    let (state, service) = (tempfile::tempdir().unwrap(), Service::new().await);
    let key = Browser::new().public;
    add(state.path(), &service, "/410/gone", &key);
    add(state.path(), &service, "/503/ill", &key);
    let well = add(state.path(), &service, "/201/well", &key);
    let made = channels(state.path(), "");
    let shelf = Shelf::new(state.path(), Path::new("/p/.samocode"));
    let outbox = made.outbox().with_shelf(shelf.clone());
    outbox.post(notice("1", "jwt"));
    let bound = tokio::time::Instant::now() + Duration::from_secs(60);
    let arrived = |path: &str| service.paths().iter().filter(|seen| *seen == path).count();
    while arrived("/410/gone") == 0 || arrived("/503/ill") == 0 || arrived("/201/well") == 0 {
        assert!(tokio::time::Instant::now() < bound, "{:?}", service.paths());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // One that subscribes while the outbox is in use gets what comes then.
    add(state.path(), &service, "/200/late", &key);
    outbox.post(notice("2", "search"));
    while arrived("/200/late") == 0 || arrived("/201/well") < 2 {
        assert!(tokio::time::Instant::now() < bound, "{:?}", service.paths());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let _ = outbox.drain(Duration::from_millis(100)).await;
    assert_eq!(arrived("/410/gone"), 1, "it is not asked again");
    let kept: Vec<String> = shelf.unsent().into_iter().map(|unsent| unsent.by).collect();
    assert!(!kept.is_empty() && kept.iter().all(|by| !by.ends_with(&well.id())), "{kept:?}");

    let ended = channels(state.path(), "").left_out;
    assert!(ended.iter().any(|one| one.mistaken && one.reason.contains("Chrome at /410/gone")));
    // Turned off for good in that file, and for some kinds of events.
    assert!(channels(state.path(), "[channel.webpush]\nenabled = false\n").notifiers.is_empty());
    let some = channels(state.path(), "[channel.me]\ntype = \"webpush\"\nevents = [\"done\"]\n");
    assert_eq!(some.notifiers.len(), 3, "{some:?}");
    for lane in &some.notifiers {
        assert!(lane.name().starts_with("me-"), "{}", lane.name());
        assert!(lane.wants(NoticeKind::Done) && !lane.wants(NoticeKind::Blocked));
    }
}

#[test]
fn without_a_browser_only_who_asked_for_the_channel_is_told_what_to_do() {
    let state = tempfile::tempdir().unwrap();
    let about_push = |text: &str| {
        let left_out = channels(state.path(), text).left_out;
        left_out.into_iter().find(|one| one.notifier == "webpush")
    };
    assert_eq!(about_push(""), None);
    let missing = about_push("[channel.webpush]\n").unwrap();
    assert!(!missing.mistaken && missing.reason.contains("samocode web"), "{missing:?}");
    let unfit = about_push("[channel.webpush]\ncontact = \"me\"\n").unwrap();
    assert!(unfit.mistaken && unfit.reason.contains("write contact ="), "{unfit:?}");
}

#[test]
fn every_text_fits_a_message_and_later_states_replace_earlier_ones() {
    let now = Timestamp::UNIX_EPOCH;
    let long = Notice { detail: Some("\u{1F980}\"\\".repeat(5000)), ..notice("1", "jwt") };
    let named = Notice { session: "\u{1F980}".repeat(5000), ..long.clone() };
    for notice in [&long, &named] {
        assert!(text(notice, now).unwrap().len() <= MOST_BYTES);
    }
    assert_eq!(tag(&long), tag(&notice("2", "jwt")));
    assert_ne!(tag(&long), tag(&notice("2", "search")));
    let mail =
        |id: &str| Notice::mail(&About { id: id.to_owned(), ..About::default() }, "x", None, "");
    assert_ne!(tag(&mail("1")), tag(&mail("2")));
}
