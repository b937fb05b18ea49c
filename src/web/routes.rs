//! Which address leads to what.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Html;
use axum::routing::{get, post};
use axum::{Extension, Router, middleware};
use maud::Markup;
use serde::Deserialize;

use super::access::Visitor;
use super::app::App;
use super::pages::session::Part;
use super::pages::{self, Refusal};
use super::{actions, assets, events, guard, press, push};

type Shared = State<Arc<App>>;
type Shown = Result<Html<String>, Refusal>;

/// Everything there is.
pub(super) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/", get(list))
        .route("/new", get(begin).post(actions::begin))
        .route("/s/{session}", get(overview))
        .route("/s/{session}/{part}", get(part).post(actions::act))
        .route("/events", get(events::sessions))
        .route("/events/s/{session}", get(events::session))
        .route("/lines/s/{session}", get(events::lines))
        .route("/enter", get(enter).post(actions::enter))
        .route("/leave", post(actions::leave))
        .route("/press/{secret}/{button}", post(press::press))
        .route("/push", get(push::known).post(push::subscribe))
        .route("/push/off", post(push::unsubscribe))
        .route("/sw.js", get(assets::service_worker))
        .route("/assets/{name}", get(assets::serve))
        .route("/manifest.webmanifest", get(assets::manifest))
        .fallback(|| async { Refusal::new(StatusCode::NOT_FOUND, "There is no such page") })
        .layer(middleware::from_fn_with_state(Arc::clone(&app), guard::guard))
        .with_state(app)
}

/// What an address may have behind its question mark.
#[derive(Debug, Default, Deserialize)]
struct Asked {
    /// The note that an action left.
    #[serde(default)]
    said: String,
    /// What the list is filtered by.
    #[serde(default)]
    words: String,
    /// The secret of a link.
    #[serde(default)]
    token: String,
}

fn shown(page: Markup) -> Html<String> {
    Html(page.into_string())
}

async fn list(
    State(app): Shared,
    Extension(visitor): Extension<Visitor>,
    Query(asked): Query<Asked>,
) -> Html<String> {
    let notes = app.take_note(&asked.said);
    shown(pages::list::page(&app, &visitor, &asked.words, &notes))
}

async fn begin(State(app): Shared, Extension(visitor): Extension<Visitor>) -> Html<String> {
    shown(pages::begin::page(&app, &visitor))
}

async fn overview(
    State(app): Shared,
    Extension(visitor): Extension<Visitor>,
    Path(session): Path<String>,
    Query(asked): Query<Asked>,
) -> Shown {
    let notes = app.take_note(&asked.said);
    pages::session::page(&app, &visitor, &session, Part::Overview, &notes).await.map(shown)
}

async fn part(
    State(app): Shared,
    Extension(visitor): Extension<Visitor>,
    Path((session, part)): Path<(String, Part)>,
) -> Shown {
    pages::session::page(&app, &visitor, &session, part, &[]).await.map(shown)
}

async fn enter(Query(asked): Query<Asked>) -> Html<String> {
    shown(pages::enter::page(&asked.token))
}
