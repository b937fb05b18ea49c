//! Unix signals to the worker: stop, or reload the unit's binary.

use std::io;

use futures_util::FutureExt as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// A request received as a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    /// SIGTERM or SIGINT: interrupt the run and exit; resume at the next start.
    End,
    /// SIGHUP: re-execute the unit's binary when the iteration ends.
    Reload,
}

/// The signals a worker handles.
#[derive(Debug)]
pub(super) struct Signals {
    term: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// Whether the worker was asked to stop (SIGTERM or SIGINT).
    pub(super) end: bool,
    /// Whether it was asked to reload (SIGHUP).
    pub(super) reload: bool,
}

impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            end: false,
            reload: false,
        })
    }

    /// Picks up requests that arrived while nothing waited for one.
    pub(super) async fn look(&mut self) {
        // One turn of the runtime delivers pending signals.
        tokio::task::yield_now().await;
        while self.next().now_or_never().is_some() {}
    }

    /// Waits until the worker is asked to stop.
    pub(super) async fn end(&mut self) {
        while !self.end {
            self.next().await;
        }
    }

    /// Waits for the next request and remembers it. Safe to cancel.
    pub(super) async fn next(&mut self) -> Request {
        let ask = tokio::select! {
            _ = self.term.recv() => Request::End,
            _ = self.interrupt.recv() => Request::End,
            _ = self.hangup.recv() => Request::Reload,
        };
        match ask {
            Request::End => self.end = true,
            Request::Reload => self.reload = true,
        }
        ask
    }
}
