//! Buttons, against a page on loopback that stands for one on the net.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::http::{StatusCode, Uri};
use serde_json::{Value, json};

use super::*;
use crate::notify::{About, Asked};

/// A server that is both ntfy and a page, or only ntfy. What was posted is kept.
async fn serve(manifest: &'static str) -> (Url, Arc<Mutex<Vec<Value>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let posted: Arc<Mutex<Vec<Value>>> = Arc::default();
    let record = Arc::clone(&posted);
    let app = Router::new().fallback(move |uri: Uri, body: Bytes| {
        let record = Arc::clone(&record);
        async move {
            if uri.path() == "/manifest.webmanifest" {
                let status = if manifest.is_empty() { 404 } else { 200 };
                return (StatusCode::from_u16(status).unwrap(), manifest);
            }
            record.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
            (StatusCode::OK, "ok")
        }
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, posted)
}

fn ntfy(url: &Url, state: &std::path::Path) -> Ntfy {
    let page = Page::at("phone", url.clone(), Presses::of(state), Proxies::default());
    let topic = url.join("/topic").unwrap();
    Ntfy::new("phone", topic, None, Proxies::default()).unwrap().with_page(Some(page))
}

fn asks(options: usize, questions: usize) -> Notice {
    let about = About { id: "1".into(), session: "jwt".into(), ..About::default() };
    let asked = Asked {
        id: "Q1".to_owned(),
        text: "Where?".to_owned(),
        options: ('A'..).take(options).map(|letter| (letter, "In a\ncookie".to_owned())).collect(),
        suggested: Some('B'),
    };
    Notice::waiting(&about, None, None, None, "").asking(vec![asked; questions])
}

#[tokio::test]
async fn buttons_carry_a_secret_that_is_known_and_nothing_else_does() {
    let state = tempfile::tempdir().unwrap();
    let (url, posted) = serve("{\"short_name\": \"samocode\"}").await;
    let ntfy = ntfy(&url, state.path());
    ntfy.check().await.unwrap();
    let plan = Notice { questions: Vec::new(), ..asks(0, 0) }.about_plan(Some("# Plan"));
    ntfy.send(&plan).await.unwrap();
    assert_eq!(ntfy.remark(), None);
    let actions = posted.lock().unwrap().pop().unwrap()["actions"].clone();
    let labels: Vec<&str> =
        actions.as_array().unwrap().iter().map(|one| one["label"].as_str().unwrap()).collect();
    assert_eq!(labels, ["Approve", "Reject", "Read it"]);
    assert_eq!(
        actions[2],
        json!({"action": "view", "label": "Read it", "clear": false,
        "url": format!("{url}s/jwt")})
    );
    let reject = actions[1]["url"].as_str().unwrap();
    assert_eq!((&actions[1]["action"], &actions[1]["method"]), (&json!("http"), &json!("POST")));
    let (secret, at) = reject.rsplit_once("/press/").unwrap().1.split_once('/').unwrap();
    let presses = Presses::of(state.path());
    let found = presses.find(secret, at.parse().unwrap(), Timestamp::now()).unwrap();
    assert_eq!(found, Some(Press::Reject(plan.plan.clone().unwrap()).data()));

    let labels = |options, questions| {
        let (buttons, view) = buttons(&asks(options, questions));
        let labels: Vec<String> = buttons.into_iter().map(|(label, _)| label).collect();
        (labels, view)
    };
    let two = ["A In a cookie", "B ★ In a cookie"].map(str::to_owned).to_vec();
    assert_eq!(labels(2, 1), (two, Some("Answer")));
    assert_eq!(labels(4, 1), (vec![], Some("Answer")), "ntfy shows three");
    assert_eq!(labels(2, 2), (vec![], Some("Answer")), "the page has room for both");
    assert_eq!(labels(0, 0), (vec![], None));
    ntfy.send(&asks(3, 1)).await.unwrap();
    assert_eq!(posted.lock().unwrap().pop().unwrap()["actions"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_page_that_does_not_answer_costs_the_buttons_and_not_the_message() {
    let state = tempfile::tempdir().unwrap();
    for manifest in ["", "{\"short_name\": \"another\"}"] {
        let (url, posted) = serve(manifest).await;
        let ntfy = ntfy(&url, state.path());
        ntfy.send(&asks(2, 1)).await.unwrap();
        assert_eq!(posted.lock().unwrap().pop().unwrap().get("actions"), None);
        let remark = ntfy.remark().unwrap();
        assert!(remark.contains("went without buttons: 127.0.0.1 answers with"), "{remark}");
        let said = ntfy.check().await.unwrap_err().to_string();
        assert!(said.contains("samocode web --behind-proxy 127.0.0.1"), "{said}");
    }
}

#[test]
fn a_page_that_a_phone_cannot_reach_is_refused() {
    let state = tempfile::tempdir().unwrap();
    let new = |text: &str| {
        let url = Url::parse(text).unwrap();
        Page::new("phone", url, Presses::of(state.path()), Proxies::default()).err()
    };
    for here in ["https://127.0.0.1:7266", "https://[::1]", "https://localhost", "http://0.0.0.0"] {
        assert!(new(here).unwrap().contains("which a phone cannot reach"), "{here}");
    }
    for unfit in ["http://samo.example.org", "https://samo.example.org/samocode"] {
        assert!(new(unfit).unwrap().contains("not an address like"), "{unfit}");
    }
    assert_eq!(new("https://samo.example.org"), None);
    assert_eq!(new("https://192.0.2.7:8443/"), None);
}
