//! Waiting while something outside is in the way, and seeing when that is gone before its time.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use crate::project::Dirs;
use crate::session::journal::Event;
use crate::session::state::Standing;

use super::{Trouble, Worker, tick, told};

impl Worker<'_> {
    /// Waits while something outside is in the way, feeding the watchdog: where no run lives, the
    /// worker always pings. Ends early for mail, for what is asked by signal, and when what was in
    /// the way is gone.
    pub(super) async fn sleep_until(&mut self, until: Timestamp) -> Result<(), Trouble> {
        self.desk.settle()?;
        self.desk.write_hook()?;
        self.tell_human();
        let mut seen = None;
        loop {
            self.notify.status(&told::status_line(self.desk.state(), None, None));
            self.notify.watchdog();
            let left = until.duration_since(Timestamp::now());
            let left = Duration::try_from(left).unwrap_or_default();
            if left.is_zero() || self.desk.folder.has_unread() {
                return Ok(());
            }
            if self.account_is_free(&mut seen) {
                return Ok(self.desk.record(Event::Continued)?);
            }
            tokio::select! {
                _ = self.asks.next() => return Ok(()),
                // By the wall clock: a host that slept wakes up late, not early.
                () = tokio::time::sleep(left.min(tick(self.notify))) => {}
            }
            self.note_deliveries()?;
        }
    }

    /// Whether the account that a session waits for has become free: a human logged in again or
    /// mended the file of credentials, or another session's run went well. `seen` is the age of
    /// that file when it was last read: it is read when it has changed.
    fn account_is_free(&mut self, seen: &mut Option<Option<SystemTime>>) -> bool {
        let now = Timestamp::now();
        let waits_for_account = match &self.desk.state().standing {
            Standing::Paused { cause, .. } => cause == "credentials",
            // After the limit's end the session only keeps its distance to the others.
            Standing::Limited { until } => *until > now,
            _ => false,
        };
        if !waits_for_account {
            return false;
        }
        let age = self.env_file_path().and_then(|path| path.metadata().ok()?.modified().ok());
        if *seen != Some(age) {
            *seen = Some(age);
            self.read_env_file();
        }
        self.account().is_some_and(|account| account.is_free(now))
    }

    /// Where the user's file of credentials is.
    pub(super) fn env_file_path(&self) -> Option<PathBuf> {
        Dirs::user(&self.setup.env).ok().map(|dirs| dirs.env_file())
    }
}
