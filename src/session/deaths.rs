//! Crash-loop protection: counts quick worker deaths and delays the next worker.

use jiff::{SignedDuration, Timestamp};

/// Recent quick deaths of the session's workers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Deaths {
    /// Consecutive quick deaths; a stable iteration resets the count.
    pub count: u32,
    last: Option<Birth>,
}

/// When a worker started, by the wall clock and by the machine's uptime.
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

    /// The longest the worker started at `before` can have lived; `None` if the machine rebooted
    /// since.
    fn since(&self, before: &Self) -> Option<SignedDuration> {
        let lived = match (self.uptime, before.uptime) {
            // Prefer uptime: setting the clock does not change it.
            (Some(now), Some(then)) => now - then,
            _ => self.at.duration_since(before.at),
        };
        (self.boot == before.boot && !lived.is_negative()).then_some(lived)
    }
}

/// A worker that lived longer than this did not die quickly.
const QUICK: SignedDuration = SignedDuration::from_secs(60);

/// This many quick deaths in a row are a crash loop, and the worker gives up.
pub const CRASH_LOOP: u32 = 10;

impl Deaths {
    /// Delay before the worker starts working: none for the first two quick deaths, then half a
    /// second, doubling up to 30 s.
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
