//! A press on a button of a message, such as ntfy's. The address has a secret instead of a cookie: the
//! program that shows the message is no browser that is signed in.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::ACCESS_CONTROL_ALLOW_ORIGIN;
use axum::response::IntoResponse;
use jiff::Timestamp;

use crate::control::Error;
use crate::control::press::Press;
use crate::notify::presses::Presses;

use super::app::App;
use super::pages::Refusal;

/// What stands for the reason that a button cannot ask for.
const REASON: &str = "It was rejected by a button on a phone, without a reason. Ask what should be \
    different before you plan again.";

/// Does what a button says, once.
pub(super) async fn press(
    State(app): State<Arc<App>>,
    Path((secret, button)): Path<(String, usize)>,
) -> Result<impl IntoResponse, Refusal> {
    // Of two presses at once, the second waits and finds it settled.
    let _turn = app.pressing.lock().await;
    let presses = Presses::of(&app.tokens.state);
    let disk = |error: std::io::Error| Error::unavailable(format!("cannot use a button: {error}"));
    let found = presses.find(&secret, button, Timestamp::now()).map_err(disk)?;
    let Some(button) = found else {
        return Err(Refusal::new(StatusCode::GONE, "This button does not work any more")
            .with("It works once, for a week. Answer on the page instead."));
    };
    let pressed =
        app.ask_as_phone(Press { button, reason: REASON.to_owned(), again: false }).await?.0;
    presses.spend(&secret).map_err(disk)?;
    if pressed.instance.is_none() {
        return Err(Refusal::new(StatusCode::GONE, pressed.said));
    }
    // The phone's own web page may show whether it worked.
    Ok(([(ACCESS_CONTROL_ALLOW_ORIGIN, "*")], pressed.said))
}
