//! What a person or a script asks of a run in the foreground.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Signals from a person or a script.
pub(super) struct Asked {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
    /// Which of the standard streams were terminals at the start.
    terminals: [bool; 3],
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
            terminals: terminals(),
        })
    }

    pub(super) async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => Wish::Stop,
            _ = self.interrupt.recv() => Wish::Stop,
            _ = self.hangup.recv() => {
                // A closed terminal sends the same signal as `kill -HUP`.
                if is_closed(self.terminals, terminals()) { Wish::Stop } else { Wish::Reload }
            }
        }
    }
}

/// Which of the standard streams are terminals: a closed one no longer is.
fn terminals() -> [bool; 3] {
    use rustix::termios::isatty;
    [isatty(io::stdin()), isatty(io::stdout()), isatty(io::stderr())]
}

/// Whether a terminal was closed. Some streams may never have been one, as with `</dev/null`.
fn is_closed(before: [bool; 3], now: [bool; 3]) -> bool {
    before.iter().zip(now).any(|(before, now)| *before && !now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_closed_whichever_streams_were_on_it() {
        assert!(is_closed([true; 3], [false; 3]));
        assert!(is_closed([false, true, true], [false; 3]), "standard input was /dev/null");
        assert!(is_closed([true, false, false], [false; 3]), "its output went to a file");
        assert!(!is_closed([true; 3], [true; 3]));
        assert!(!is_closed([false; 3], [false; 3]), "a script");
    }
}
