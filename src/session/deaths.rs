//! How often a worker dies quickly, and how long the next one waits.

use jiff::{SignedDuration, Timestamp};

/// How often the worker has died lately.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Deaths {
    /// Quick deaths in a row, without a stable iteration between them.
    pub count: u32,
    last: Option<Birth>,
}

/// When a worker began.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Birth {
    at: Timestamp,
    uptime: Option<SignedDuration>,
    boot: String,
}

impl Birth {
    pub(super) fn new(at: Timestamp, uptime_ms: Option<u64>, boot: &str) -> Self {
        let uptime = uptime_ms.and_then(|ms| i64::try_from(ms).ok());
        Self { at, uptime: uptime.map(SignedDuration::from_millis), boot: boot.to_owned() }
    }

    /// How long the worker that was born `before` this one lived at the most; `None` where the
    /// machine was started anew since.
    fn since(&self, before: &Self) -> Option<SignedDuration> {
        let lived = match (self.uptime, before.uptime) {
            // By what no clock that is set changes.
            (Some(now), Some(then)) => now - then,
            _ => self.at.duration_since(before.at),
        };
        (self.boot == before.boot && !lived.is_negative()).then_some(lived)
    }
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

    pub(super) fn worker_started(&mut self, born: Birth) {
        let window = QUICK + SignedDuration::try_from(self.delay()).unwrap_or_default();
        let lived = self.last.take().and_then(|last| born.since(&last));
        self.count = if lived.is_some_and(|lived| lived < window) { self.count + 1 } else { 0 };
        self.last = Some(born);
    }

    pub(super) fn worker_ended(&mut self) {
        self.last = None;
    }

    pub(super) fn stable(&mut self) {
        self.count = 0;
    }
}
