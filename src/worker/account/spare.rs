//! `SAMOCODE_QUOTA_SPARE=yes`: a session that leaves the account's quota to the others. It starts an
//! iteration only while no other session of the account is at work, and yields after each one. A
//! session is at work from the start of its first run until it rests, waits or pauses; between two of
//! its iterations it still is. Sessions that all leave the quota to others take turns.
//!
//! ```text
//! $XDG_STATE_HOME/samocode/accounts/HASH.sessions/INSTANCE   locked while it is at work or waits
//! ```
//!
//! The kernel frees the lock however a worker dies, and a file without a lock counts for nothing. So
//! nobody waits for a session that was killed, and after a reboot all begin equal.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::session::Cause;
use crate::session::event;
use crate::session::journal::Event;
use crate::session::state::{Standing, State};
use crate::session::store::{self, StoreError};

use super::super::{Trouble, Worker};
use super::Account;

/// How long at most until a waiting session says again what it waits for.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_mins(10);

/// The human hears of a session that has waited so long, and each time it has waited as long again.
const LONG: SignedDuration = SignedDuration::from_hours(24);

/// How many sessions are named at most.
const MOST_NAMES: usize = 4;

/// What a session's file says, as long as it is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    /// Since when it waits for the others; absent while it is at work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    waits_since: Option<Timestamp>,
}

/// A session's place among those of its account, until it is dropped.
#[derive(Debug)]
pub(in crate::worker) struct Share {
    file: File,
    path: PathBuf,
    mark: Mark,
}

impl Share {
    /// Whether the session is at work, and others wait for it.
    pub(in crate::worker) const fn is_at_work(&self) -> bool {
        self.mark.waits_since.is_none()
    }

    fn say(&mut self, mark: Mark) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(&mark).unwrap_or_default();
        let written = self.file.rewind().and_then(|()| self.file.set_len(0));
        written
            .and_then(|()| self.file.write_all(&bytes))
            .map_err(|source| failed("write", &self.path, source))?;
        self.mark = mark;
        Ok(())
    }
}

impl Account {
    /// Marks the session `instance` as at work.
    fn work(&self, instance: &str, held: Option<Share>) -> Result<Share, StoreError> {
        let _lock = self.hold()?;
        let mut share = self.share(instance, held)?;
        share.say(Mark { waits_since: None })?;
        Ok(share)
    }

    /// Marks the session `instance` as at work if no other is and it is its turn; else as one that
    /// waits `since` then, and names those that come before it.
    fn work_if_others_are_idle(
        &self,
        instance: &str,
        since: Timestamp,
        held: Option<Share>,
    ) -> Result<(Share, Vec<String>), StoreError> {
        let _lock = self.hold()?;
        let mut share = self.share(instance, held)?;
        let before = self.before(instance, since)?;
        let waits_since = (!before.is_empty()).then_some(since);
        share.say(Mark { waits_since })?;
        Ok((share, before))
    }

    /// The other sessions of the account that are at work, or have waited for longer than this one.
    fn comes_before(&self, instance: &str, since: Timestamp) -> Result<Vec<String>, StoreError> {
        let _lock = self.hold()?;
        self.before(instance, since)
    }

    /// The caller holds the account's lock.
    fn before(&self, instance: &str, since: Timestamp) -> Result<Vec<String>, StoreError> {
        let folder = self.sessions();
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|source| failed("read", &folder, source))?,
        };
        let mut before = Vec::new();
        for path in entries.flatten().map(|entry| entry.path()) {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if name == instance {
                continue;
            }
            let Ok(mut file) = File::open(&path) else { continue };
            if !matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
                // Its worker is gone.
                let _ = fs::remove_file(&path);
                continue;
            }
            let mut text = String::new();
            let mark = file.read_to_string(&mut text).ok();
            let mark = mark.and_then(|_| serde_json::from_str::<Mark>(&text).ok());
            let waits_since = mark.and_then(|mark| mark.waits_since);
            if waits_since.is_none_or(|other| (other, name) < (since, instance)) {
                before.push(name.to_owned());
            }
        }
        before.sort_unstable();
        Ok(before)
    }

    /// The session's own file, opened and locked. The caller holds the account's lock.
    fn share(&self, instance: &str, held: Option<Share>) -> Result<Share, StoreError> {
        let path = self.sessions().join(instance);
        if let Some(share) = held.filter(|held| held.path == path && path.exists()) {
            return Ok(share);
        }
        store::make_folder(&self.sessions())?;
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .and_then(|file| file.lock().map(|()| file))
            .map_err(|source| failed("lock", &path, source))?;
        Ok(Share { file, path, mark: Mark { waits_since: None } })
    }

    fn sessions(&self) -> PathBuf {
        self.file().with_extension("sessions")
    }
}

impl Worker<'_> {
    /// Takes the session's part of the account's quota. If it leaves that to others and they are at
    /// work, it pauses, and this returns false.
    pub(in crate::worker) async fn takes_part(
        &mut self,
        account: &Account,
    ) -> Result<bool, Trouble> {
        let (instance, held) = (self.setup.instance.as_str(), self.share.take());
        let state = self.writer.state();
        if !self.setup.settings.quota_spare || state.forced {
            self.share = Some(account.work(instance, held)?);
            return Ok(true);
        }
        let since = waits_since(state, held.as_ref());
        let (share, before) = account.work_if_others_are_idle(instance, since, held)?;
        self.share = Some(share);
        if before.is_empty() {
            return Ok(true);
        }
        self.leave_to(&before, since).await?;
        Ok(false)
    }

    /// Yields to the others after an iteration, if the session leaves the quota to them.
    pub(in crate::worker) fn yields(&mut self) {
        if self.setup.settings.quota_spare {
            self.share = None;
        }
    }

    /// Whether the others for which the session pauses are idle now.
    pub(in crate::worker) fn others_are_idle(&mut self) -> bool {
        let Some(account) = self.account() else { return true };
        let since = waits_since(self.writer.state(), self.share.as_ref());
        account.comes_before(&self.setup.instance, since).is_ok_and(|before| before.is_empty())
    }

    /// Pauses until others are idle. Only news is journaled, not every look.
    async fn leave_to(&mut self, others: &[String], since: Timestamp) -> Result<(), Trouble> {
        let now = Timestamp::now();
        let until = now.checked_add(LOOK_AGAIN).unwrap_or(now);
        let detail = reason(others, now.duration_since(since), &self.setup.instance);
        let known = match &self.writer.state().standing {
            Standing::Paused { cause: Cause::Quota, detail, .. } => Some(detail),
            _ => None,
        };
        if known != Some(&detail) {
            let days = |text: &str| text.split_once(": ").map(|(head, _)| head.to_owned());
            let is_long = now.duration_since(since) >= LONG
                && known.is_some_and(|known| days(known) != days(&detail));
            let paused =
                event::Paused { cause: Cause::Quota, detail, until: Some(until), quiet: !is_long };
            let over = is_long.then_some(Event::Continued(event::Continued {}));
            let events = over.into_iter().chain([Event::Paused(paused)]);
            self.writer.record_all(events.collect())?;
        }
        self.sleep_until(until).await
    }
}

/// Since when a session waits for others, across restarts of its worker; from now on if it does not.
fn waits_since(state: &State, held: Option<&Share>) -> Timestamp {
    let journaled = || {
        let waits = matches!(state.standing, Standing::Paused { cause: Cause::Quota, .. });
        waits.then_some(state.since)
    };
    let held = held.and_then(|share| share.mark.waits_since);
    held.or_else(journaled).unwrap_or_else(Timestamp::now)
}

/// What a session waits for that leaves the quota to others.
fn reason(others: &[String], waited: SignedDuration, instance: &str) -> String {
    let mut names = others.iter().take(MOST_NAMES).cloned().collect::<Vec<_>>().join(", ");
    if let more @ 1.. = others.len().saturating_sub(MOST_NAMES) {
        names += &format!(" and {more} more");
    }
    let long = match waited.as_hours() / LONG.as_hours() {
        ..=0 => String::new(),
        1 => " for a day now".to_owned(),
        days => format!(" for {days} days now"),
    };
    format!(
        "waits{long} until the other sessions of its account are idle, as SAMOCODE_QUOTA_SPARE is \
         yes: {names}; to run an iteration now: samocode start {instance}"
    )
}

fn failed(action: &'static str, path: &Path, source: std::io::Error) -> StoreError {
    StoreError { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::super::Sources;
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    /// Those before the session that wants to work, which keeps its place in `held`.
    fn tries(account: &Account, name: &str, second: i64, held: &mut Option<Share>) -> Vec<String> {
        let since = at(second);
        let (share, before) = account.work_if_others_are_idle(name, since, held.take()).unwrap();
        assert_eq!(share.is_at_work(), before.is_empty());
        *held = Some(share);
        before
    }

    #[test]
    fn a_spare_session_waits_for_those_at_work_and_for_those_that_waited_longer() {
        let folder = tempfile::tempdir().unwrap();
        let account = Account::new(folder.path(), "abc", Sources::default(), None);
        let other = Account::new(folder.path(), "def", Sources::default(), None);
        let (mut one, mut two) = (None, None);
        let elsewhere = other.work("elsewhere", None).unwrap();
        let at_work = account.work("a", None).unwrap();
        let at_work = account.work("a", Some(at_work)).unwrap();
        assert_eq!(tries(&account, "two", 2, &mut two), ["a"]);
        assert_eq!(tries(&account, "one", 1, &mut one), ["a"], "two waits, but not for longer");
        assert_eq!(account.comes_before("one", at(1)).unwrap(), ["a"]);
        drop(at_work);
        assert_eq!(tries(&account, "two", 2, &mut two), ["one"]);
        assert_eq!(account.comes_before("one", at(1)).unwrap(), [""; 0]);
        assert!(tries(&account, "one", 1, &mut one).is_empty());
        assert_eq!(tries(&account, "two", 2, &mut two), ["one"]);
        // After its iteration it is behind the one that waits.
        drop(one.take());
        assert_eq!(tries(&account, "one", 9, &mut one), ["two"]);
        assert!(tries(&account, "two", 2, &mut two).is_empty());
        drop(two);
        assert!(tries(&account, "one", 9, &mut one).is_empty());
        drop((elsewhere, one));
        // Files of dead workers count for nothing, whatever is in them.
        fs::write(account.sessions().join("dead"), "torn {").unwrap();
        assert!(tries(&account, "one", 9, &mut None).is_empty());
        assert!(!account.sessions().join("dead").exists());
    }

    #[test]
    fn the_reason_names_the_others_and_how_to_run_it_anyway() {
        let names: Vec<String> = (1..=6).map(|n| format!("s{n}")).collect();
        let hours = SignedDuration::from_hours;
        let said = reason(&names[..2], hours(3), "x");
        assert!(said.starts_with("waits until the other sessions"), "{said}");
        assert!(said.ends_with("yes: s1, s2; to run an iteration now: samocode start x"), "{said}");
        let said = reason(&names, hours(24), "x");
        assert!(said.starts_with("waits for a day now until"), "{said}");
        assert!(said.contains("s4 and 2 more;"), "{said}");
        assert!(reason(&names, hours(71), "x").starts_with("waits for 2 days now until"));
    }
}
