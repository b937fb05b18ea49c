//! What a visitor reads when something was not done.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use crate::control::{Class, Error};

use super::layout::Page;
use super::plain;

/// A request that was refused, or failed.
#[derive(Debug)]
pub(in super::super) struct Refusal {
    status: StatusCode,
    title: String,
    /// What to do about it.
    hint: Option<String>,
    /// What the visitor had typed, so that it is not lost.
    typed: Vec<String>,
    next: Next,
}

/// Where a visitor goes from here.
#[derive(Debug)]
enum Next {
    /// Back to this page, by a link.
    Back(String),
    /// To this page at once.
    Again(String),
}

impl Refusal {
    pub(in super::super) fn new(status: StatusCode, title: impl Into<String>) -> Self {
        let (title, next) = (title.into(), Next::Back("/".to_owned()));
        Self { status, title, hint: None, typed: Vec::new(), next }
    }

    pub(in super::super) fn with(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Somebody without a valid cookie.
    pub(in super::super) fn signed_out() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "You are not signed in")
            .with("In a terminal of this machine, get a link with: samocode web --open")
    }

    /// A browser that followed a link of another site, and so did not send the cookie it may have.
    pub(in super::super) fn from_elsewhere(path: String) -> Self {
        Self { next: Next::Again(path), ..Self::signed_out() }
    }

    /// Keeps what was typed, and says where to go back to.
    pub(in super::super) fn of_form(self, back: String, typed: Vec<String>) -> Self {
        let next = Next::Back(back);
        Self { next, typed: typed.into_iter().filter(|text| !text.is_empty()).collect(), ..self }
    }

    fn page(&self) -> Markup {
        let (back, again) = match &self.next {
            Next::Back(path) if self.status != StatusCode::UNAUTHORIZED => (Some(path), None),
            Next::Back(_) => (None, None),
            Next::Again(path) => (None, Some(path.as_str())),
        };
        let body = html! {
            div.notice role="alert" {
                h1 { (plain(&self.title)) }
                @if let Some(hint) = &self.hint { p { (plain(hint)) } }
            }
            @for (at, text) in self.typed.iter().enumerate() {
                div.field {
                    label for={ "typed-" (at) } { "What you wrote" }
                    textarea id={ "typed-" (at) } rows="6" readonly { "\n" (plain(text)) }
                }
            }
            @if let Some(back) = back { p { a href=(back) { "Back" } } }
        };
        Page { title: &self.title, visitor: None, live: None, notes: &[], again, body }.render()
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let status = match error.class {
            Class::Usage => StatusCode::BAD_REQUEST,
            Class::Configuration => StatusCode::UNPROCESSABLE_ENTITY,
            Class::NotFound => StatusCode::NOT_FOUND,
            Class::Refused => StatusCode::CONFLICT,
            Class::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Class::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let mut chars = error.message.chars();
        let first = chars.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
        Self { hint: error.hint, ..Self::new(status, first + chars.as_str()) }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let html = axum::response::Html(self.page().into_string());
        (self.status, html).into_response()
    }
}
