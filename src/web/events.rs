//! Live updates, as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::{Stream, StreamExt as _, stream};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::control::log::Log;

use super::access::Visitor;
use super::app::App;
use super::board::{Group, Snapshot};
use super::loads::InWords;
use super::pages::{Refusal, list, log, session};

/// A sign of life, for proxies and for a browser that lost its network.
const PULSE: Duration = Duration::from_secs(20);

/// Changes within this time are sent together.
const TOGETHER: Duration = Duration::from_millis(50);

/// How many lines of a log come at once.
const LINES: usize = 256;

/// What a page has seen already.
#[derive(Debug, Deserialize)]
pub(super) struct Seen {
    /// As [`mark`] wrote it.
    #[serde(default)]
    since: String,
    /// What the list is filtered by.
    #[serde(default)]
    words: String,
}

/// Where a page stands: the process's name for itself, and the number of the last change.
pub(super) fn mark(app: &App, last: u64) -> String {
    format!("{}-{last}", app.board.boot)
}

/// The number after which changes are new for a page.
fn seen(app: &App, seen: &Seen, headers: &HeaderMap) -> u64 {
    let header = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let text = header.unwrap_or(&seen.since);
    let number = text.strip_prefix(&app.board.boot).and_then(|rest| rest.strip_prefix('-'));
    // Numbers of an earlier process mean nothing now.
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// What a page hears of.
enum News {
    /// A snapshot, and the number after which things in it are new for the page.
    Changes(Snapshot, u64),
    /// What running sessions use of the machine.
    Loads(InWords),
}

/// What an open stream has sent, and what it waits for.
struct Reader {
    app: Arc<App>,
    changes: watch::Receiver<u64>,
    loads: watch::Receiver<InWords>,
    /// The number of the last change that was sent; `None` before the first event.
    sent: Option<u64>,
    since: u64,
    visitor: Visitor,
    _place: OwnedSemaphorePermit,
}

impl Reader {
    fn open(
        app: &Arc<App>,
        visitor: Visitor,
        since: &Seen,
        headers: &HeaderMap,
    ) -> Result<Self, Refusal> {
        let place = app.stream().ok_or_else(full)?;
        let since = seen(app, since, headers);
        let (changes, mut loads) = (app.board.subscribe(), app.loads.subscribe());
        // What is known already is news for a page.
        if !loads.borrow().is_empty() {
            loads.mark_changed();
        }
        let app = Arc::clone(app);
        Ok(Self { app, changes, loads, sent: None, since, visitor, _place: place })
    }

    /// What is new. The first is what changed while the page was away, and comes at once.
    async fn next(&mut self) -> Option<News> {
        if self.sent.is_some() {
            tokio::select! {
                biased;
                changed = self.changes.changed() => changed.ok()?,
                changed = self.loads.changed() => {
                    changed.ok()?;
                    let loads = Arc::clone(&self.loads.borrow_and_update());
                    return is_welcome(&self.app, &self.visitor).then_some(News::Loads(loads));
                }
            }
            tokio::time::sleep(TOGETHER).await;
        }
        if !is_welcome(&self.app, &self.visitor) {
            return None;
        }
        self.changes.borrow_and_update();
        let snapshot = self.app.board.snapshot();
        let after = self.sent.replace(snapshot.last).unwrap_or(self.since);
        Some(News::Changes(snapshot, after))
    }
}

/// Whether the visit has not ended meanwhile.
fn is_welcome(app: &App, visitor: &Visitor) -> bool {
    app.tokens.visitor(&visitor.token, Timestamp::now()).is_ok_and(|found| found.is_some())
}

fn full() -> Refusal {
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "Too many pages are open")
        .with("This one shows how things were when it was loaded.")
}

/// Changes of all sessions, for the list.
pub(super) async fn sessions(
    State(app): State<Arc<App>>,
    Extension(visitor): Extension<Visitor>,
    Query(since): Query<Seen>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let reader = Reader::open(&app, visitor, &since, &headers)?;
    let state = (reader, since.words);
    Ok(sent(stream::unfold(state, |(mut reader, words)| async move {
        let event = match reader.next().await? {
            News::Loads(loads) => loaded(&json!(*loads)),
            News::Changes(snapshot, after) => {
                let last = snapshot.last;
                let list = list_json(&reader.app, snapshot, &words, after);
                event(&reader.app, "sessions", last, &list)
            }
        };
        Some((event, (reader, words)))
    })))
}

/// What the list shows of the sessions with these words. Its headline is about all.
fn list_json(app: &App, all: Snapshot, words: &str, after: u64) -> Value {
    let (now, zone) = app.now();
    let (need, headline) = (all.need(), list::headline(&all));
    let snapshot = all.with_words(words);
    let new = snapshot.sessions.iter().filter(|session| session.changed > after);
    let cards = new.map(|session| {
        let html = list::card(&session.view, now, zone).into_string();
        json!({ "id": list::card_id(&session.view.instance), "html": html })
    });
    let order = snapshot.sessions.iter().map(|session| {
        json!([Group::of(session.view.state).id(), list::card_id(&session.view.instance)])
    });
    json!({
        "cards": cards.collect::<Vec<_>>(),
        "order": order.collect::<Vec<_>>(),
        "need": need,
        "headline": headline,
        "troubles": list::troubles(&snapshot).into_string(),
    })
}

/// Changes of one session, for its pages.
pub(super) async fn session(
    State(app): State<Arc<App>>,
    Extension(visitor): Extension<Visitor>,
    Path(instance): Path<String>,
    Query(since): Query<Seen>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let reader = Reader::open(&app, visitor, &since, &headers)?;
    let state = (reader, instance, String::new());
    let changes = stream::unfold(state, |(mut reader, instance, mut load)| async move {
        loop {
            let (snapshot, after) = match reader.next().await? {
                News::Changes(snapshot, after) => (snapshot, after),
                News::Loads(loads) => {
                    let now = loads.get(&instance).cloned().unwrap_or_default();
                    if now == load {
                        continue;
                    }
                    load = now;
                    let event = loaded(&json!({ &instance: &load }));
                    return Some((event, (reader, instance, load)));
                }
            };
            let (now, zone) = reader.app.now();
            let value = match reader.app.board.view(&instance) {
                Some(session) if session.changed <= after => continue,
                Some(session) => json!({
                    "html": session::now(&session.view, now, zone).into_string(),
                    "stamp": session::stamp(&session.view),
                }),
                None => json!({ "gone": true }),
            };
            let event = event(&reader.app, "session", snapshot.last, &value);
            return Some((event, (reader, instance, load)));
        }
    });
    Ok(sent(changes))
}

/// A session's log: its end, and what comes after it. A page that connects again begins again.
pub(super) async fn lines(
    State(app): State<Arc<App>>,
    Extension(visitor): Extension<Visitor>,
    Path(instance): Path<String>,
) -> Result<Response, Refusal> {
    let place = app.stream().ok_or_else(full)?;
    let wanted = Log { session: instance, last: Some(log::LINES), follow: true, ..Log::default() };
    let lines = app.host.log(wanted).await?.ready_chunks(LINES);
    let shown = stream::unfold(
        (lines, app, visitor, place),
        |(mut lines, app, visitor, place)| async move {
            let next = lines.next().await.filter(|_| is_welcome(&app, &visitor))?;
            let html = log::lines(&next, &app.zone).into_string();
            Some((html, (lines, app, visitor, place)))
        },
    );
    let shown = shown.filter_map(|html| {
        let event = Event::default().event("lines").data(json!({ "html": html }).to_string());
        std::future::ready((!html.is_empty()).then_some(event))
    });
    Ok(sent(shown))
}

/// An event that a page need not have seen: the next has all of it.
fn loaded(loads: &Value) -> Event {
    Event::default().event("loads").data(loads.to_string())
}

fn event(app: &App, name: &str, last: u64, value: &Value) -> Event {
    Event::default().event(name).id(mark(app, last)).data(value.to_string())
}

fn sent(events: impl Stream<Item = Event> + Send + 'static) -> Response {
    let events = events.map(Ok::<_, Infallible>);
    let mut response =
        Sse::new(events).keep_alive(KeepAlive::new().interval(PULSE)).into_response();
    // A proxy must not collect events.
    let name = axum::http::HeaderName::from_static("x-accel-buffering");
    response.headers_mut().insert(name, axum::http::HeaderValue::from_static("no"));
    response
}
