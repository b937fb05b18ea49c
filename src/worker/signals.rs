//! What the worker is asked to do by signals: to end, or to execute the unit's binary anew.

use std::io;

use futures_util::FutureExt as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// A request that came by signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    /// SIGTERM or SIGINT: end the run, go on at the next start.
    End,
    /// SIGHUP: at the iteration's end, execute the unit's binary anew.
    Reload,
}

/// The signals a worker listens to.
#[derive(Debug)]
pub(super) struct Signals {
    term: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// Whether the worker was asked to end.
    pub(super) end: bool,
    /// Whether it was asked to reload.
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

    /// Takes notice of what was asked while nobody waited for it.
    pub(super) async fn look(&mut self) {
        // A turn of the runtime, in which signals that came meanwhile are handed over.
        tokio::task::yield_now().await;
        while self.next().now_or_never().is_some() {}
    }

    /// Waits until the worker is asked to end.
    pub(super) async fn end(&mut self) {
        while !self.end {
            self.next().await;
        }
    }

    /// Waits for the next request and remembers it. May be dropped while it waits.
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
