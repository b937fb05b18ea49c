//! `samocode top`: a dashboard in the terminal.
//!
//! It is a shell around `control`, as every front end: it shows what [`Host::watch`] and [`Host::log`]
//! report, and turns keys into calls. It watches and does not poll.
//!
//! ```text
//! terminal ──▶ Msg ─┐                        ┌─▶ Effect ─▶ call, log stream, editor ──▶ Msg
//! watch    ──▶ Msg ─┼─▶ Model::update (pure) ─┤
//! log      ──▶ Msg ─┘                        └─▶ draw(&Model) ─▶ screen
//! ```
//!
//! [`model::Model`] holds all there is to show and decides what a message changes; it does no I/O, so
//! its tests need no terminal. [`draw`] paints it. [`effects`] does what the model asks for.

mod basic;
mod dialog;
mod draw;
mod effects;
mod keys;
mod load;
mod log;
mod messages;
mod model;
mod page;
mod sessions;
mod terminal;
mod tree;

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::control::watch::Watch;
use crate::control::{Class, Error, Host, Result};
use crate::session::clock;

use effects::Effects;
use messages::{Effect, Msg};
use model::Model;
use terminal::Screen;

/// How the dashboard looks, and what it shows.
#[derive(Debug, Clone)]
pub struct Options {
    /// Sessions of all projects, not only of the one here.
    pub everywhere: bool,
    /// Whether colours may be used; without them, bold, dim and reversed text must do.
    pub color: bool,
    /// What may be opened in a session's worktree.
    pub programs: Programs,
}

/// Programs that get the terminal for a while, each with its arguments as a shell would read them.
#[derive(Debug, Clone, Default)]
pub struct Programs {
    /// What EDITOR holds; `vi` if empty.
    pub editor: String,
    /// What SHELL holds; `/bin/sh` if empty.
    pub shell: String,
    /// This program with the options it was given, to which a verb can be added.
    pub samocode: Vec<String>,
}

/// The screen is painted at most this often. A person sees no difference, and an agent that writes
/// thousands of lines a second does not keep a core busy.
const FRAME: Duration = Duration::from_millis(30);

/// Shows the dashboard until the person leaves it or the terminal goes away.
///
/// # Errors
/// If there is no terminal, or the sessions cannot be watched.
pub async fn run(host: Arc<dyn Host>, options: Options) -> Result<()> {
    // Asked for before the screen is taken, so that an error is read on the usual one.
    let watch = Watch { sessions: Vec::new(), everywhere: options.everywhere };
    let mut changes = host.watch(watch).await?;
    let mut screen = Screen::take(options.color).map_err(|error| no_terminal(&error))?;
    let (sender, mut messages) = mpsc::channel(1024);
    let mut effects = Effects::new(host, sender);
    let mut model = Model::new(options.everywhere, clock::shown_zone(), options.programs);
    let mut terminated = ended_from_outside()?;
    let (mut is_drawn, mut last_drawn) = (false, Instant::now() - FRAME);
    let mut watching = true;
    let mut measured = Instant::now() - load::EVERY;
    loop {
        let frame = last_drawn + FRAME;
        let msg = tokio::select! {
            biased;
            () = sleep_until(frame), if !is_drawn => {
                if screen.draw(&mut model).is_err() {
                    // The terminal no longer exists, so no one is watching.
                    return Ok(());
                }
                (is_drawn, last_drawn) = (true, Instant::now());
                continue;
            }
            event = screen.event() => match event {
                Some(event) => Msg::Input(event),
                None => return Ok(()),
            },
            _ = terminated.recv() => return Ok(()),
            change = changes.next(), if watching => match change {
                Some(change) => Msg::Change(change),
                None => { watching = false; Msg::Unwatched }
            },
            Some(msg) = messages.recv() => msg,
            () = sleep_until(measured + load::EVERY), if model.shows_loads() => {
                measured = Instant::now();
                effects.measure();
                continue;
            }
            () = sleep_until(last_drawn + model.until_next_tick()), if is_drawn => Msg::Tick,
        };
        for effect in model.update(msg) {
            match effect {
                Effect::Quit => return Ok(()),
                Effect::Suspend => screen.suspend(),
                Effect::Run(program) => {
                    let end = screen.hand_over(&program).await;
                    let _ = model.update(Msg::Done(end));
                }
                Effect::Open(tab) => effects.open(tab),
                Effect::Close => effects.close(),
                Effect::Call(action) => effects.call(action),
            }
        }
        is_drawn = false;
    }
}

fn no_terminal(error: &std::io::Error) -> Error {
    Error::new(Class::Usage, format!("top needs a terminal: {error}"))
        .hint("for a list that can be piped: samocode status")
}

/// The end of the terminal's session, or a polite request to end.
fn ended_from_outside() -> Result<mpsc::Receiver<()>> {
    let (sender, receiver) = mpsc::channel(1);
    for kind in [SignalKind::hangup(), SignalKind::terminate()] {
        let sender = sender.clone();
        let mut signal = signal(kind).map_err(|error| no_terminal(&error))?;
        tokio::spawn(async move {
            signal.recv().await;
            let _ = sender.send(()).await;
        });
    }
    Ok(receiver)
}
