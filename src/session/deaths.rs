//! How often a worker dies quickly, and how long the next one waits.

use jiff::{SignedDuration, Timestamp};

/// How often the worker has died lately.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Deaths {
    /// Quick deaths in a row, without a stable iteration between them.
    pub count: u32,
    started: Option<(Timestamp, String)>,
}

/// A worker that lived longer than this was not a quick death.
const QUICK: SignedDuration = SignedDuration::from_secs(60);

/// How many quick deaths in a row make a crash loop.
pub const CRASH_LOOP: u32 = 10;

impl Deaths {
    /// How long the worker waits before it goes on: nothing for the first two quick deaths, then
    /// half a second, doubling to 30 s.
    #[must_use]
    pub fn delay(&self) -> std::time::Duration {
        let millis = match self.count {
            0..=2 => 0,
            n => (500_u64 << (n - 3).min(16)).min(30_000),
        };
        std::time::Duration::from_millis(millis)
    }

    pub(super) fn worker_started(&mut self, at: Timestamp, boot: &str) {
        let quick = self.started.take().is_some_and(|(since, last_boot)| {
            let window = QUICK + SignedDuration::try_from(self.delay()).unwrap_or_default();
            last_boot == boot && at.duration_since(since) < window
        });
        self.count = if quick { self.count + 1 } else { 0 };
        self.started = Some((at, boot.to_owned()));
    }

    pub(super) fn worker_ended(&mut self) {
        self.started = None;
    }

    pub(super) fn stable(&mut self) {
        self.count = 0;
    }
}
