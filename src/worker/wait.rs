//! Waiting while something outside is in the way, and seeing when that is gone before its time.

use std::path::PathBuf;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::config::Dirs;
use crate::session::Cause;
use crate::session::clock;
use crate::session::journal::Event;
use crate::session::state::Standing;
use crate::session::store::StoreError;

use super::file_stamp::FileStamp;
use super::slot::{self, Slot};
use super::{Trouble, Worker, notices, tick};

impl Worker<'_> {
    /// Something is in the way of the next run. It is written down when it begins; a pause that
    /// lasts is not written down again each time it is looked at, or a weekend would fill the
    /// journal.
    pub(super) async fn hold_back(&mut self, obstacle: Event) -> Result<(), Trouble> {
        if let (
            Event::Paused { cause, until: Some(until), .. },
            Standing::Paused { cause: known, .. },
        ) = (&obstacle, &self.writer.state().standing)
            && cause == known
        {
            return self.sleep_until(*until).await;
        }
        Ok(self.writer.record(obstacle)?)
    }

    /// Waits while something outside is in the way, feeding the watchdog: where no run lives, the
    /// worker always pings. Ends early for mail, for what is asked by signal, and when what was in
    /// the way is gone.
    pub(super) async fn sleep_until(&mut self, until: Timestamp) -> Result<(), Trouble> {
        self.slot = None;
        self.end_outage()?;
        self.writer.settle()?;
        self.writer.write_hook()?;
        self.tell_human();
        // The end of the wait was written down by the time of the last entry.
        let began = self.writer.state().at.max(Timestamp::now());
        let begun = tokio::time::Instant::now();
        loop {
            self.notify.status(&notices::status_line(self.writer.state(), None, None));
            self.notify.watchdog();
            let now = Timestamp::now();
            if is_now_earlier(began, begun.elapsed(), now) {
                tracing::warn!("the clock was set back: what is waited for is looked at again");
                return Ok(self.writer.record(Event::Continued)?);
            }
            let left = until.duration_since(now);
            let left = Duration::try_from(left).unwrap_or_default();
            if left.is_zero() || self.writer.folder.has_unread() {
                return Ok(());
            }
            if self.account_is_free() {
                return Ok(self.writer.record(Event::Continued)?);
            }
            tokio::select! {
                _ = self.signals.next() => return Ok(()),
                // By the wall clock: a host that slept wakes up late, not early.
                () = tokio::time::sleep(left.min(tick(self.notify))) => {}
            }
            self.note_deliveries()?;
        }
    }

    /// Whether the session is among those that may run: it keeps its slot until it rests or is
    /// held up.
    pub(super) fn has_slot(&mut self) -> Result<bool, StoreError> {
        if self.slot.is_none() {
            let cap = self.cap();
            self.slot = Slot::take(&self.setup.state_dir, cap)?;
        }
        Ok(self.slot.is_some())
    }

    fn cap(&self) -> u32 {
        self.setup
            .settings
            .max_running
            .unwrap_or_else(|| slot::cap_by_memory(crate::platform::machine::memory()))
    }

    /// Waits a moment for a slot. Which of several that wait gets it is left to chance.
    pub(super) async fn queue(&mut self) -> Result<(), Trouble> {
        self.end_outage()?;
        if self.writer.state().standing != Standing::Queued {
            let cap = self.cap();
            self.writer.record(Event::Queued { cap })?;
            self.writer.settle()?;
            self.writer.write_hook()?;
        }
        self.notify.status(&notices::status_line(self.writer.state(), None, None));
        self.pause(tick(self.notify)).await;
        Ok(())
    }

    /// Whether the account that a session waits for has become free: a human logged in again or
    /// fixed the file of credentials, which is read when it has changed, or another session's run
    /// went well.
    fn account_is_free(&mut self) -> bool {
        let now = Timestamp::now();
        let waits_for_account = match &self.writer.state().standing {
            Standing::Paused { cause, .. } => *cause == Cause::Credentials,
            // After the limit's end the session only keeps its distance to the others.
            Standing::Limited { until } => *until > now,
            _ => false,
        };
        if !waits_for_account {
            return false;
        }
        if self.env_file_path().as_deref().and_then(FileStamp::of) != self.env_file_read {
            self.read_env_file();
        }
        self.account().is_some_and(|account| account.is_free(now))
    }

    /// Where the user's file of credentials is.
    pub(super) fn env_file_path(&self) -> Option<PathBuf> {
        Dirs::user(&self.setup.env).ok().map(|dirs| dirs.env_file())
    }
}

/// Whether the clock was set back since a wait `began`. How long the wait took meanwhile is known by
/// a clock that cannot be set, and stands still while the host sleeps.
fn is_now_earlier(began: Timestamp, took: Duration, now: Timestamp) -> bool {
    SignedDuration::try_from(took)
        .ok()
        .and_then(|took| began.checked_add(took).ok())
        .is_some_and(|expected| clock::was_set_back(expected, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_is_seen_and_a_sleep_of_the_host_is_none() {
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
        let seconds = Duration::from_secs;
        assert!(!is_now_earlier(at(0), seconds(0), at(0)));
        assert!(!is_now_earlier(at(0), seconds(300), at(299)));
        // It slept, or the clock was set forward.
        assert!(!is_now_earlier(at(0), seconds(5), at(100_000)));
        assert!(is_now_earlier(at(0), seconds(5), at(-3600)));
        assert!(is_now_earlier(at(0), seconds(3600), at(10)));
    }
}
