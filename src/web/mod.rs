//! `samocode web`: the dashboard as pages for a browser, on a desk or a phone.
//!
//! It is a shell around `control`, as every front end: pages show what [`Host::watch`] and the calls
//! report, and forms become calls. It watches and does not poll. Pages and forms work without
//! JavaScript; a small script adds live updates.
//!
//! ```text
//! browser ─▶ server ─▶ guard ─▶ pages ─────▶ call
//!            (TLS)     (Host,   actions ───▶ call
//!                      Origin,  events ◀──── board ◀── watch
//!                      visit)                log
//! ```
//!
//! Whoever may use it could approve plans, so it is closed by default: it listens on the loopback
//! interface or on a socket file, and takes only requests with a cookie that was exchanged for a
//! link of [`tokens`]. What agents wrote is escaped, and the policy of [`guard`] lets nothing run
//! but the one script.

mod access;
mod actions;
mod app;
mod assets;
mod board;
mod events;
mod form;
mod guard;
mod link;
mod loads;
mod pages;
mod place;
mod press;
mod push;
mod rate;
mod routes;
mod served;
mod server;
mod tls;
mod tokens;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::config::Dirs;
use crate::control::{Caller, Error, Result};
use crate::notify::webpush::Subscriptions;
use crate::service::Scope;

pub use access::Access;
pub use link::{link_text, qr_code};
pub use place::{Certificate, Listen, Private, Reach};

use app::App;
use place::Place;
use tokens::Tokens;

/// How the pages are served.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen.
    pub listen: Listen,
    /// End after this long without a connection.
    pub idle: Option<Duration>,
    /// Serve without printing a link: a service manager started it.
    pub quiet: bool,
    /// What the printed link permits.
    pub access: Access,
    /// Whether the link is printed as a QR code too.
    pub with_qr_code: bool,
}

/// Serves the pages until the process is asked to end, or is idle.
///
/// # Errors
/// If the caller is an agent in a run, and for an address that cannot be listened on.
pub async fn serve(caller: Caller, options: Options) -> Result<()> {
    let state = state_folder(&caller)?;
    let folder = folder_of_page(&caller, &state);
    let place = Place::open(as_installed(options.listen, options.quiet, &folder), &folder).await?;
    let tokens = Tokens::of(&folder).with_state(&state);
    if !options.quiet {
        let link = link::new(&tokens, &place.base, options.access)?;
        let note = place.remark(&options.access);
        show(&link, note.as_deref(), options.with_qr_code)?;
    }
    let _known = place.publish(&folder)?;
    let app = Arc::new(App::new(caller, tokens, place.names.clone(), place.cookie()));
    app.follow();
    server::serve(place.listener, place.tls, routes::router(app), options.idle).await;
    Ok(())
}

/// Where the page keeps its links. That of the system's sessions shares none with the user's own.
fn folder_of_page(caller: &Caller, state: &Path) -> PathBuf {
    match caller.scope {
        Scope::User => state.to_owned(),
        Scope::System => state.join("system"),
    }
}

/// What a service manager started is behind the proxy that it was installed for.
fn as_installed(listen: Listen, by_manager: bool, state: &Path) -> Listen {
    let proxy = by_manager.then(|| served::proxy_of_unit(state)).flatten();
    match (listen, proxy) {
        (Listen::Private(private), Some(host)) => {
            Listen::Proxied { at: Reach::Private(private), host }
        }
        (listen, _) => listen,
    }
}

/// Makes a link to the pages that are served already; `None` if none are.
///
/// # Errors
/// If the caller is an agent in a run, and those of the disk.
pub fn link_to_running(caller: &Caller, access: Access) -> Result<Option<String>> {
    let state = folder_of_page(caller, &state_folder(caller)?);
    let Some(base) = served::running(&state) else { return Ok(None) };
    link::new(&Tokens::of(&state), &base, access).map(Some)
}

/// Notes that a unit serves the pages on this port, perhaps behind the proxy of a host, or no longer
/// does, for [`link_to_running`] and for the unit itself.
///
/// # Errors
/// If the caller is an agent in a run, and those of the disk.
pub fn note_unit(caller: &Caller, port: Option<u16>, host: Option<&str>) -> Result<()> {
    served::note_unit(&state_folder(caller)?, port, host)
}

/// Makes every link and every visit invalid.
///
/// # Errors
/// Those of the disk.
pub fn revoke_all(caller: &Caller) -> Result<usize> {
    let state = state_folder(caller)?;
    let count = Tokens::of(&folder_of_page(caller, &state)).forget_all();
    let messages = Subscriptions::of(&state).forget_all();
    count
        .and_then(|count| messages.map(|()| count))
        .map_err(|error| Error::unavailable(format!("cannot sign out: {error}")))
}

/// The folder of the user's state. Agents in a run get no page: gates are for a human to open.
fn state_folder(caller: &Caller) -> Result<PathBuf> {
    if caller.voucher().is_none() {
        return Err(Error::refused("an agent in a run cannot open the web page")
            .hint("write a waiting signal and let a human answer"));
    }
    Ok(Dirs::user(&caller.env)?.state)
}

/// Prints a link for the human at the terminal.
fn show(link: &str, note: Option<&str>, with_qr_code: bool) -> Result<()> {
    let mut text = link_text(link, with_qr_code);
    if let Some(note) = note {
        text.push_str(note);
        text.push('\n');
    }
    let printed = io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush());
    printed.map_err(|error| Error::unavailable(format!("cannot print the link: {error}")))
}

#[cfg(test)]
mod tests;
