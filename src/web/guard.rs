//! What every request passes first: Host, Origin, rate, visit. And what every response has: headers
//! that let nothing run but our own script.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE, HOST, HeaderName, HeaderValue, ORIGIN,
    REFERRER_POLICY, RETRY_AFTER, SET_COOKIE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;

use super::access::Visitor;
use super::app::App;
use super::pages::Refusal;
use super::tokens::VISIT;

/// No script but ours, no style but ours, nothing from elsewhere, and no frame around us.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; worker-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; \
    frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 8] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    // Not `no-referrer`, which would hide the origin of our own forms.
    (REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
    (HeaderName::from_static("x-robots-tag"), "noindex"),
];

const FETCH_SITE: &str = "sec-fetch-site";

/// Lets a request through to its page, or refuses it.
pub(super) async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let mut response = match admit(&app, request) {
        Ok(request) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Pages are as secret as the sessions.
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if response.status() == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
    }
    response
}

fn admit(app: &App, mut request: Request) -> Result<Request, Refusal> {
    let is_change = !matches!(*request.method(), Method::GET | Method::HEAD);
    check_host(app, &request)?;
    // A press is let in by the secret in its address, and brings no cookie that another site could
    // misuse.
    let is_press = request.uri().path().starts_with("/press/");
    if !is_press {
        check_origin(app, request.headers(), is_change)?;
    }
    let visitor = if is_press { None } else { visitor(app, request.headers())? };
    let now = Instant::now();
    let is_taken = match &visitor {
        Some(visitor) => {
            app.visits.take(visitor.token.clone(), now)
                && (!is_change || app.changes.take(visitor.token.clone(), now))
        }
        None => app.strangers.take((), now),
    };
    if !is_taken {
        return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, "Too many requests")
            .with("Wait a few seconds, and try again."));
    }
    match visitor {
        Some(visitor) => drop(request.extensions_mut().insert(visitor)),
        None if is_press || is_open_to_all(request.uri().path()) => {}
        None => return Err(signed_out(&request)),
    }
    Ok(request)
}

/// A browser does not send the cookie when it follows a link from elsewhere, such as a chat. It does
/// when our own page asks again.
fn signed_out(request: &Request) -> Refusal {
    let site = request.headers().get(FETCH_SITE).and_then(|value| value.to_str().ok());
    let path = request.uri().path();
    let is_link = matches!(site, Some("cross-site" | "same-site"));
    if is_link && request.method() == Method::GET && !path.starts_with("//") {
        return Refusal::from_elsewhere(path.to_owned());
    }
    Refusal::signed_out()
}

/// What needs no visit: the way in, and what our pages look like.
fn is_open_to_all(path: &str) -> bool {
    matches!(path, "/enter" | "/manifest.webmanifest" | "/sw.js") || path.starts_with("/assets/")
}

/// Another site's name that leads to this machine (DNS rebinding) is refused.
fn check_host(app: &App, request: &Request) -> Result<(), Refusal> {
    let named = request.headers().get_all(HOST).iter().map(|value| value.to_str().ok());
    let in_uri = request.uri().authority().map(|authority| Some(authority.as_str()));
    let all: Vec<Option<&str>> = named.chain(in_uri).collect();
    let is_ours = |host: &Option<&str>| {
        host.is_some_and(|host| app.names.hosts.iter().any(|own| own.eq_ignore_ascii_case(host)))
    };
    if all.is_empty() || !all.iter().all(is_ours) {
        return Err(Refusal::new(
            StatusCode::MISDIRECTED_REQUEST,
            "This is not the host you meant",
        )
        .with("Use the address that samocode web printed."));
    }
    Ok(())
}

/// Other sites may link to us, and nothing else.
fn check_origin(app: &App, headers: &HeaderMap, is_change: bool) -> Result<(), Refusal> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let is_ours = match (text(ORIGIN.as_str()), text(FETCH_SITE)) {
        (Some(origin), _) => app.names.origins.iter().any(|own| own.eq_ignore_ascii_case(origin)),
        (None, Some(site)) => !is_change || site == "same-origin",
        (None, None) => !is_change,
    };
    if is_ours {
        return Ok(());
    }
    Err(Refusal::new(StatusCode::FORBIDDEN, "This request came from another site")
        .with("Nothing was done."))
}

fn visitor(app: &App, headers: &HeaderMap) -> Result<Option<Visitor>, Refusal> {
    let Some(token) = cookie(headers, &app.cookie.name) else { return Ok(None) };
    app.tokens.visitor(token, Timestamp::now()).map_err(|error| {
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "Cannot check who you are")
            .with(format!("The state folder cannot be read: {error}"))
    })
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|text| text.split(';')).filter_map(|one| one.split_once('='));
    pairs.find(|(own, _)| own.trim() == name).map(|(_, value)| value.trim())
}

/// The cookie of a visit that begins.
pub(super) fn begin_visit(app: &App, visitor: &Visitor, response: &mut Response) {
    set_cookie(app, &visitor.token, VISIT.as_secs(), response);
}

/// Makes the browser forget the cookie.
pub(super) fn end_visit(app: &App, response: &mut Response) {
    set_cookie(app, "", 0, response);
}

fn set_cookie(app: &App, value: &str, seconds: i64, response: &mut Response) {
    let (name, secure) = (&app.cookie.name, if app.cookie.is_secure { "; Secure" } else { "" });
    let text =
        format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().insert(SET_COOKIE, value);
    }
}
