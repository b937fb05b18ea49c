//! Waiting while an outside cause prevents runs, and noticing when it clears early.

use std::path::PathBuf;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::config::Dirs;
use crate::session::Cause;
use crate::session::clock;
use crate::session::event;
use crate::session::journal::Event;
use crate::session::state::Standing;

use super::file_stamp::FileStamp;
use super::{Trouble, Worker, mail, notices, tick};

impl Worker<'_> {
    /// Records an obstacle to the next run. Only its start is journaled, not every check, or a long
    /// pause would fill the journal.
    pub(super) async fn hold_back(&mut self, obstacle: Event) -> Result<(), Trouble> {
        if let (
            Event::Paused(event::Paused { cause, until: Some(until), .. }),
            Standing::Paused { cause: known, .. },
        ) = (&obstacle, &self.writer.state().standing)
            && cause == known
        {
            return self.sleep_until(*until).await;
        }
        Ok(self.writer.record(obstacle)?)
    }

    /// Waits while an outside cause prevents runs. Without a run the worker always feeds the
    /// watchdog. Returns early for mail, for a signal, and when the cause clears.
    pub(super) async fn sleep_until(&mut self, until: Timestamp) -> Result<(), Trouble> {
        self.make_room()?;
        self.end_outage()?;
        self.note_kept(Some(until))?;
        self.writer.settle()?;
        self.writer.write_hook()?;
        self.tell_human();
        // The end of the wait was journaled with the clock of the last entry.
        let began = self.writer.state().at.max(Timestamp::now());
        let started = tokio::time::Instant::now();
        let mut known = 0;
        loop {
            self.notify.status(&notices::status_line(self.writer.state(), None, None));
            self.notify.watchdog();
            let now = Timestamp::now();
            if is_now_earlier(began, started.elapsed(), now) {
                tracing::warn!("the clock was set back: checking the wait again");
                return Ok(self.writer.record(Event::Continued(event::Continued {}))?);
            }
            let left = until.duration_since(now);
            let left = Duration::try_from(left).unwrap_or_default();
            if left.is_zero() || self.has_new_mail(&mut known) {
                return Ok(());
            }
            if self.account_is_free() {
                return Ok(self.writer.record(Event::Continued(event::Continued {}))?);
            }
            tokio::select! {
                _ = self.signals.next() => return Ok(()),
                // Uses the wall clock, so that a host that slept wakes up late, not early.
                () = tokio::time::sleep(left.min(tick(self.notify))) => {}
            }
            self.note_deliveries()?;
        }
    }

    /// Whether there is mail to take, which much mail is read for only when its count has changed.
    fn has_new_mail(&self, known: &mut usize) -> bool {
        let count = self.writer.folder.count_unread();
        let is_known = std::mem::replace(known, count) == count;
        !is_known && mail::has_more(self.writer.state(), &self.writer.folder)
    }

    /// Whether the account that the session is waiting for can be used again: a human logged in or
    /// fixed the env file (read again if it changed), another session's run succeeded, or the others
    /// to which it leaves the quota are idle.
    fn account_is_free(&mut self) -> bool {
        let now = Timestamp::now();
        let waits_for_account = match &self.writer.state().standing {
            Standing::Paused { cause: Cause::Quota, .. } => return self.others_are_idle(),
            Standing::Paused { cause, .. } => *cause == Cause::Credentials,
            // After the reset, the session only waits to keep its distance from the others.
            Standing::Limited { until, .. } => *until > now,
            _ => false,
        };
        if !waits_for_account {
            return false;
        }
        if self.env_file_path().as_deref().and_then(FileStamp::of) != self.env_file_read {
            self.read_env_file();
        }
        self.account().is_some_and(|account| account.is_free(&self.setup.instance, now))
    }

    /// Path of the user's env file.
    pub(super) fn env_file_path(&self) -> Option<PathBuf> {
        Dirs::user(&self.setup.env).ok().map(|dirs| dirs.env_file())
    }
}

/// Whether the clock was set back since a wait `began`. `took` comes from a monotonic clock, which
/// cannot be set and which stops while the host sleeps.
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
        // The host slept, or the clock was set forward.
        assert!(!is_now_earlier(at(0), seconds(5), at(100_000)));
        assert!(is_now_earlier(at(0), seconds(5), at(-3600)));
        assert!(is_now_earlier(at(0), seconds(3600), at(10)));
    }
}
