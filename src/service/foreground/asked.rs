//! What a person or a script asks of a run in the foreground.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Signals from a person or a script.
pub(super) struct Asked {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
    on_terminal: bool,
}

/// The request behind a signal.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Stop,
    Reload,
}

impl Asked {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            on_terminal: rustix::termios::isatty(io::stdin()),
        })
    }

    pub(super) async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => Wish::Stop,
            _ = self.interrupt.recv() => Wish::Stop,
            _ = self.hangup.recv() => {
                // A closed terminal sends the same signal as `kill -HUP`.
                if self.on_terminal && !rustix::termios::isatty(io::stdin()) {
                    Wish::Stop
                } else {
                    Wish::Reload
                }
            }
        }
    }
}
