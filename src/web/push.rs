//! Browsers that get messages also while no page is open. What sends them is the channel `webpush`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use axum::http::header::{CONTENT_TYPE, USER_AGENT};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use crate::control::Error;
use crate::notify::webpush::{Subscription, Subscriptions, public_key};

use super::access::Visitor;
use super::app::App;
use super::form::{Fields, Form};
use super::pages::Refusal;

/// Which browser asks.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    /// The address of its subscription, if it has one.
    #[serde(default)]
    of: String,
}

/// The key to subscribe with, and whether the browser gets messages already.
pub(super) async fn known(
    State(app): State<Arc<App>>,
    Extension(visitor): Extension<Visitor>,
    Query(asked): Query<Asked>,
) -> Result<impl IntoResponse, Refusal> {
    if !visitor.may_act() {
        return Err(Refusal::new(StatusCode::FORBIDDEN, "You can look, and change nothing"));
    }
    if !app.is_of_user() {
        // Messages are sent by the workers, which belong to users and read their browsers.
        return Err(Refusal::new(StatusCode::NOT_FOUND, "The page of the system has no messages")
            .with("Turn notifications on, on the page of the user whose sessions they are."));
    }
    let state = &app.tokens.state;
    let key = public_key(state).map_err(|error| disk("read the key for messages", &error))?;
    let on = Subscriptions::of(state).live().iter().any(|one| one.endpoint == asked.of);
    let answer = json!({ "key": key, "on": on }).to_string();
    Ok(([(CONTENT_TYPE, "application/json")], answer))
}

/// Sends messages to this browser from now on.
pub(super) async fn subscribe(
    State(app): State<Arc<App>>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
    Form(fields): Form,
) -> Result<impl IntoResponse, Refusal> {
    let agent = headers.get(USER_AGENT).and_then(|value| value.to_str().ok());
    let browser = Subscription {
        device: device(agent.unwrap_or_default()),
        page: app.names.origins.first().cloned().unwrap_or_default(),
        visit: visitor.name(),
        since: Timestamp::now(),
        ..of(&fields)
    };
    browser.check().map_err(|why| Error::usage(format!("cannot write to this browser: {why}")))?;
    let added = Subscriptions::of(&app.tokens.state).add(&browser);
    added.map_err(|error| disk("keep this browser", &error))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sends it none any more.
pub(super) async fn unsubscribe(
    State(app): State<Arc<App>>,
    Form(fields): Form,
) -> Result<impl IntoResponse, Refusal> {
    let forgotten = Subscriptions::of(&app.tokens.state).forget(&of(&fields).id());
    forgotten.map_err(|error| disk("forget this browser", &error))?;
    Ok(StatusCode::NO_CONTENT)
}

fn of(fields: &Fields) -> Subscription {
    Subscription {
        endpoint: fields.text("endpoint").to_owned(),
        p256dh: fields.text("p256dh").to_owned(),
        auth: fields.text("auth").to_owned(),
        device: String::new(),
        page: String::new(),
        visit: String::new(),
        since: Timestamp::UNIX_EPOCH,
    }
}

fn disk(what: &str, error: &std::io::Error) -> Error {
    Error::unavailable(format!("cannot {what}: {error}"))
}

/// Browsers and systems by what their `User-Agent` contains; the first that fits.
const BROWSERS: [(&str, &str); 6] = [
    ("Firefox/", "Firefox"),
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
];
const SYSTEMS: [(&str, &str); 6] = [
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Macintosh", "Mac"),
    ("Windows", "Windows"),
    ("Linux", "Linux"),
];

/// A browser in words for a human, such as `Chrome on Android`.
fn device(agent: &str) -> String {
    let find = |table: &[(&str, &'static str)]| {
        table.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, name)| *name)
    };
    match (find(&BROWSERS), find(&SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => "a browser".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_named_so_that_a_person_knows_which_it_is() {
        for (agent, expected) in [
            (
                "Mozilla/5.0 (Linux; Android 15; K) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/150.0.0.0 Mobile Safari/537.36",
                "Chrome on Android",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/150.0.0.0 Safari/537.36 Edg/150.0.0.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 \
                 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1",
                "Safari on iPhone",
            ),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Firefox/150.0", "Firefox on Linux"),
            ("<script>", "a browser"),
        ] {
            assert_eq!(device(agent), expected);
        }
    }
}
