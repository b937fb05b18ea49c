//! Forms become calls. What a call did is said on the next page, what went wrong at once.

use std::path::Path as FilePath;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use jiff::Timestamp;
use serde::Deserialize;

use crate::control::answers::{Answer, Answers};
use crate::control::enable::{Enable, Overrides};
use crate::control::inspect::Show;
use crate::control::post::{Approve, Reject, Send};
use crate::control::request::{Became, Work};
use crate::control::stop::{Stop, StopEnd};
use crate::control::unit::Start;
use crate::control::{Error, Result as Done};
use crate::notify::webpush::Subscriptions;
use crate::session::mail::Kind;

use super::app::{App, ask_on};
use super::form::{Fields, Form};
use super::guard::{begin_visit, end_visit};
use super::pages::{Refusal, needs, path_of};

/// What a form on a session's page asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Action {
    Answer,
    Approve,
    Reject,
    Send,
    Start,
    Stop,
}

/// Does what a form on a session's page asks for.
pub(super) async fn act(
    State(app): State<Arc<App>>,
    Path((instance, action)): Path<(String, Action)>,
    Form(fields): Form,
) -> Result<Response, Refusal> {
    let back = path_of(&instance);
    match perform(&app, instance, action, &fields).await {
        Ok(lines) => {
            let note = app.keep_note(lines);
            Ok(Redirect::to(&format!("{back}?said={note}")).into_response())
        }
        Err(error) => Err(Refusal::from(error).of_form(back, typed(&fields))),
    }
}

/// What a visitor wrote in a form.
fn typed(fields: &Fields) -> Vec<String> {
    let single = ["message", "reason", "text", "task", "dive"];
    let single = single.into_iter().map(|name| fields.text(name).to_owned());
    single.chain(fields.all("text-").map(|(_, text)| text.to_owned())).collect()
}

/// Makes the call; says what it did.
async fn perform(app: &App, session: String, action: Action, fields: &Fields) -> Done<Vec<String>> {
    let (done, warnings) = match action {
        Action::Answer => {
            let accept_suggestions = !fields.text("suggestions").is_empty();
            let answers = answers(fields);
            let is_in_file = !fields.text("from-file").is_empty();
            if answers.is_empty() && !accept_suggestions && !is_in_file {
                return Err(Error::usage("no question was answered"));
            }
            let call = Answers { session, answers, accept_suggestions, hold: false };
            let (answered, warnings) = app.ask(call).await?;
            let said = match (&answered.sent, answered.open.len()) {
                (Some(sent), _) => format!("Answered: {} {}", answered.instance, sent.outcome),
                (None, open) => format!("Saved. Still open: {open}"),
            };
            (said, warnings)
        }
        Action::Approve => {
            check_subject(app, &session, fields).await?;
            let message = fields.text("message").to_owned();
            let (posted, warnings) = app.ask(Approve { session, message }).await?;
            (format!("Approved: {} {}", posted.sent.instance, posted.sent.outcome), warnings)
        }
        Action::Reject => {
            check_subject(app, &session, fields).await?;
            let reason = fields.text("reason").to_owned();
            let (posted, warnings) = app.ask(Reject { session, reason }).await?;
            (format!("Rejected: {} {}", posted.sent.instance, posted.sent.outcome), warnings)
        }
        Action::Send => {
            let text = fields.text("text").to_owned();
            let (sent, warnings) = app.ask(Send { session, kind: Kind::Text, text }).await?;
            (format!("Sent: {} {}", sent.instance, sent.outcome), warnings)
        }
        Action::Start => {
            let (started, warnings) = app.ask(Start { session }).await?;
            (format!("Started {}.", started.instance), warnings)
        }
        Action::Stop => {
            let now = !fields.text("now").is_empty();
            let (stopped, warnings) = app.ask(Stop { session, now }).await?;
            let said = match stopped.end {
                StopEnd::Stopped | StopEnd::Gone { .. } => "Stopped",
                StopEnd::WasDone | StopEnd::Done => "Nothing to stop, it is done",
                StopEnd::CalledOff => "It was started again",
            };
            (format!("{said}: {}", stopped.instance), warnings)
        }
    };
    Ok(std::iter::once(done).chain(warnings).collect())
}

/// Refuses a decision on something that is no longer asked: the page was older than the question.
async fn check_subject(app: &App, session: &str, fields: &Fields) -> Done<()> {
    let shown = app.ask(Show { session: session.to_owned() }).await?.0;
    if needs::subject(&shown.view) == fields.text("subject") {
        return Ok(());
    }
    Err(Error::refused(format!("{session} has changed since this page was loaded: nothing done"))
        .hint("Look at it again, and decide then."))
}

/// The answers of a form: own words count before an option.
fn answers(fields: &Fields) -> Vec<Answer> {
    let asked = fields.all("asked-").filter_map(|(id, text)| {
        let of = |kind: &str| fields.optional(&format!("{kind}-{id}"));
        let answer = of("text").or_else(|| of("option"))?;
        Some(Answer { id: id.to_owned(), answer, to: Some(text.to_owned()) })
    });
    asked.collect()
}

/// Begins a session.
pub(super) async fn begin(
    State(app): State<Arc<App>>,
    Form(fields): Form,
) -> Result<Response, Refusal> {
    match enable(&app, &fields).await {
        Ok((instance, lines)) => {
            let note = app.keep_note(lines);
            Ok(Redirect::to(&format!("{}?said={note}", path_of(&instance))).into_response())
        }
        Err(error) => Err(Refusal::from(error).of_form("/new".to_owned(), typed(&fields))),
    }
}

async fn enable(app: &App, fields: &Fields) -> Done<(String, Vec<String>)> {
    let project = fields.text("project");
    if !app.projects().iter().any(|known| known == project) {
        return Err(Error::usage(format!("no session belongs to the project {project}"))
            .hint("begin its first session in its folder: samocode enable NAME --task \"…\""));
    }
    let set = Overrides {
        agent: fields.optional("agent"),
        budget: fields.optional("budget"),
        priority: None,
    };
    let work = Work {
        task: Some(fields.text("task").to_owned()),
        dive: fields.optional("dive"),
        ..Work::default()
    };
    let session = fields.text("name").to_owned();
    let call = Enable { session, work, set, import_env: false, run_as: None };
    let (enabled, warnings) = ask_on(app.host_in(FilePath::new(project)), call).await?;
    let said = match enabled.became {
        Became::Created => "Begun",
        Became::Resumed => "Resumed with a new task",
        Became::Revived => "Resumed",
        Became::Known => "Started",
        Became::Running => "It is running already",
    };
    let lines = std::iter::once(format!("{said}: {}", enabled.instance)).chain(warnings);
    Ok((enabled.instance, lines.collect()))
}

/// Exchanges a link for a cookie.
pub(super) async fn enter(
    State(app): State<Arc<App>>,
    fields: Fields,
) -> Result<Response, Refusal> {
    let spent = app
        .tokens
        .spend(fields.text("token"), Timestamp::now())
        .map_err(|error| Error::unavailable(format!("cannot use the link: {error}")))?;
    let Some(visitor) = spent else {
        return Err(Refusal::new(StatusCode::UNAUTHORIZED, "This link is not valid any more")
            .with("It works once, for 30 minutes. Get another with: samocode web --open"));
    };
    let mut response = Redirect::to("/").into_response();
    begin_visit(&app, &visitor, &mut response);
    Ok(response)
}

/// Ends the visit.
pub(super) async fn leave(
    State(app): State<Arc<App>>,
    axum::Extension(visitor): axum::Extension<super::access::Visitor>,
) -> Result<Response, Refusal> {
    app.tokens
        .forget(&visitor.token)
        .and_then(|()| Subscriptions::of(&app.tokens.state).forget_visit(&visitor.name()))
        .map_err(|error| Error::unavailable(format!("cannot sign out: {error}")))?;
    let mut response = Redirect::to("/").into_response();
    end_visit(&app, &mut response);
    Ok(response)
}
