//! Forms that a visitor sent.

use std::sync::Arc;
use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use tokio::time::timeout;

use super::access::Visitor;
use super::app::App;
use super::pages::Refusal;

/// The largest form. A message to a session is smaller.
pub(super) const MOST_BYTES: usize = 256 * 1024;

/// The longest time for a form to arrive.
const PATIENCE: Duration = Duration::from_secs(20);

/// The fields of any form, from anybody.
pub(super) struct Fields(Vec<(String, String)>);

/// The fields of a form that came from one of our pages, filled in by a visitor who may act.
pub(super) struct Form(pub(super) Fields);

impl Fields {
    /// A field's text, without space around it; empty if there is none.
    pub(super) fn text(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value.trim())
    }

    pub(super) fn optional(&self, name: &str) -> Option<String> {
        Some(self.text(name).to_owned()).filter(|text| !text.is_empty())
    }

    /// The fields whose names begin like this, with the rest of their names.
    pub(super) fn all<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0
            .iter()
            .filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, value.trim())))
    }

    async fn read(request: Request) -> Result<Self, Refusal> {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let is_form =
            kind.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        if !is_form {
            return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "This is not a form"));
        }
        let too_large = || {
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "This text is too long").with(format!(
                "At most {} KiB can be sent. Put it in a file of the project, and name it.",
                MOST_BYTES / 1024
            ))
        };
        let bytes = timeout(PATIENCE, to_bytes(request.into_body(), MOST_BYTES)).await;
        let bytes = bytes
            .map_err(|_| Refusal::new(StatusCode::REQUEST_TIMEOUT, "The form did not arrive"))?
            .map_err(|_| too_large())?;
        // A browser ends lines as the standard of forms says, people do not.
        let fields = form_urlencoded::parse(&bytes)
            .map(|(name, value)| (name.into_owned(), value.replace("\r\n", "\n")));
        Ok(Self(fields.collect()))
    }
}

impl FromRequest<Arc<App>> for Fields {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &Arc<App>) -> Result<Self, Refusal> {
        Self::read(request).await
    }
}

impl FromRequest<Arc<App>> for Form {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &Arc<App>) -> Result<Self, Refusal> {
        let visitor = request.extensions().get::<Visitor>().cloned();
        let visitor = visitor.ok_or_else(Refusal::signed_out)?;
        if !visitor.may_act() {
            return Err(Refusal::new(StatusCode::FORBIDDEN, "You can look, and change nothing")
                .with("The link you came by is read-only. For another: samocode web --open"));
        }
        let fields = Fields::read(request).await?;
        if !visitor.owns_form(fields.text(TOKEN)) {
            return Err(Refusal::new(StatusCode::FORBIDDEN, "This form is not from this page")
                .with("Nothing was done. Load the page again, and send it from there."));
        }
        Ok(Self(fields))
    }
}

/// The hidden field of every form.
pub(super) const TOKEN: &str = "form-token";
