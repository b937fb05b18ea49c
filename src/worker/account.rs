//! State of an account, shared by all its sessions: usage limit and refused credentials. The first
//! session to hit one records it here; the others check before they start a run, instead of all
//! running into it.
//!
//! ```text
//! $XDG_STATE_HOME/samocode/accounts/HASH.json   and   HASH.lock
//! ```

mod quota;
pub(super) mod spare;

pub(crate) use quota::known;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::session::event;
use crate::session::journal::Event;
use crate::session::store::{self, StoreError};
use crate::session::{Cause, clock};

use super::file_stamp::FileStamp;

pub(super) use quota::ONCE_MORE;

/// Interval at which one session retries refused credentials on behalf of all.
pub(super) const AUTH_RETRY: SignedDuration = SignedDuration::from_mins(10);

/// After a limit resets, the account's sessions resume spread over this many seconds.
const SPREAD_S: u64 = 30;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Known {
    /// When the usage limit resets.
    limited_until: Option<Timestamp>,
    /// Which limit it is, in the agent's words: `five_hour`.
    limit: Option<String>,
    /// The error message of the run that reached it.
    said: Option<String>,
    /// The error with which the credentials were refused.
    refused: Option<String>,
    /// When to try the refused credentials again.
    next_try: Option<Timestamp>,
    /// When the limit or the refusal was recorded.
    found: Option<Timestamp>,
    /// The state of the files that the refused credentials came from.
    sources: Stamps,
}

impl Known {
    /// Discards records from the future: the clock was wrong then or is wrong now, so limit and
    /// refusal must be found out again.
    fn true_at(self, now: Timestamp) -> Self {
        if self.found.is_some_and(|found| clock::was_set_back(found, now)) {
            return Self { refused: self.refused, sources: self.sources, ..Self::default() };
        }
        Self { limited_until: self.limited_until.filter(|until| *until > now), ..self }
    }
}

/// The files that credentials come from. If one of them changes, assume that a human fixed the
/// credentials; only a run can confirm it.
#[derive(Debug, Clone, Default)]
pub(super) struct Sources {
    /// Path of the user's env file, if there is one.
    pub(super) env_file: Option<PathBuf>,
    /// State of the env file when it was read for the agent.
    pub(super) env_file_read: Option<FileStamp>,
    /// The files where the agent keeps its logins; the agent may change them itself.
    pub(super) logins: Vec<PathBuf>,
}

/// States of credential files, by path.
type Stamps = BTreeMap<String, Option<FileStamp>>;

impl Sources {
    /// The state in which the agent that just ended used them. Later changes to the env file have
    /// not been tried yet.
    fn used(&self) -> Stamps {
        let mut stamps = self.now();
        if let Some(env_file) = &self.env_file {
            stamps.insert(key(env_file), self.env_file_read.clone());
        }
        stamps
    }

    fn now(&self) -> Stamps {
        let paths = self.env_file.iter().chain(&self.logins);
        paths.map(|path| (key(path), FileStamp::of(path))).collect()
    }
}

fn key(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Access to the shared file of one account.
#[derive(Debug)]
pub(super) struct Account {
    file: PathBuf,
    lock: PathBuf,
    sources: Sources,
    /// From which percentage of a window on no iteration may start.
    stop_at: Option<u8>,
}

impl Account {
    /// The account `hash` in `folder`. A refusal no longer applies once one of its `sources` has
    /// changed.
    pub(super) fn new(folder: &Path, hash: &str, sources: Sources, stop_at: Option<u8>) -> Self {
        Self {
            file: folder.join(format!("{hash}.json")),
            lock: folder.join(format!("{hash}.lock")),
            sources,
            stop_at,
        }
    }

    /// What currently prevents a run of the session `instance`, as an event. If refused credentials
    /// are due for a retry, the first session to ask does it.
    pub(super) fn obstacle(
        &self,
        instance: &str,
        now: Timestamp,
    ) -> Result<Option<Event>, StoreError> {
        if let Some(limited) = self.over_quota(now) {
            return Ok(Some(Event::Limited(limited)));
        }
        // Most accounts have never had a problem; lock and write nothing for those.
        if !self.file.exists() {
            return Ok(None);
        }
        let _lock = self.hold()?;
        let mut known = self.read()?.true_at(now);
        if known.refused.is_some() && self.is_fixed(&known) {
            store::remove(&self.file)?;
            return Ok(None);
        }
        let (obstacle, claims) = judge(&known, instance, now);
        if claims {
            known.next_try = now.checked_add(AUTH_RETRY).ok();
            known.found = Some(now);
            self.write(&known)?;
        }
        Ok(obstacle)
    }

    /// Records a usage limit. If two apply, such as a weekly and a five-hour limit, the later reset
    /// time wins.
    pub(super) fn limited(&self, by: &event::Limited, now: Timestamp) -> Result<(), StoreError> {
        let _lock = self.hold()?;
        let known = self.read()?.true_at(now);
        if known.limited_until.is_some_and(|known| known > by.until) {
            return Ok(());
        }
        let event::Limited { until, what: limit, said } = by.clone();
        self.write(&Known { limited_until: Some(until), limit, said, found: Some(now), ..known })
    }

    /// Records refused credentials. Returns true to the first session that does; it notifies the
    /// human for all.
    pub(super) fn refused(&self, what: &str, now: Timestamp) -> Result<bool, StoreError> {
        let _lock = self.hold()?;
        let mut known = self.read()?.true_at(now);
        let first = known.refused.replace(what.to_owned()).is_none();
        known.next_try = now.checked_add(AUTH_RETRY).ok();
        known.found = Some(now);
        known.sources = self.sources.used();
        self.write(&known)?;
        Ok(first)
    }

    /// Clears the account after a successful run that started at `since`, except for anything
    /// another session recorded after that.
    pub(super) fn went_well(&self, since: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        self.worked(now)?;
        if !self.file.exists() {
            return Ok(());
        }
        let _lock = self.hold()?;
        let found = self.read()?.true_at(now).found;
        if found.is_some_and(|at| at > since) { Ok(()) } else { store::remove(&self.file) }
    }

    /// Whether a waiting session can resume. Polled every few seconds, so it neither locks the file
    /// nor claims a retry.
    pub(super) fn is_free(&self, instance: &str, now: Timestamp) -> bool {
        if self.waits_to_try(instance, now) {
            return false;
        }
        let Ok(known) = self.read() else { return false };
        let known = known.true_at(now);
        let is_full = self.over_quota(now).is_some();
        !is_full
            && known.limited_until.is_none()
            && (known.refused.is_none() || self.is_fixed(&known))
    }

    /// Whether the refused credentials have changed since. Only files they came from are compared:
    /// sessions with different environments must not clear each other's refusal.
    fn is_fixed(&self, known: &Known) -> bool {
        let changed = |(path, stamp)| known.sources.get(&path).is_some_and(|then| *then != stamp);
        self.sources.now().into_iter().any(changed)
    }

    /// The file with its state.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    pub(super) fn hold(&self) -> Result<File, StoreError> {
        if let Some(folder) = self.lock.parent() {
            store::make_folder(folder)?;
        }
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&self.lock)
            .and_then(|file| file.lock().map(|()| file))
            .map_err(|source| StoreError { action: "lock", path: self.lock.clone(), source })
    }

    fn read(&self) -> Result<Known, StoreError> {
        // An unreadable file is treated as empty; the next run finds out again.
        let bytes = store::read(&self.file)?.unwrap_or_default();
        Ok(serde_json::from_slice(&bytes).unwrap_or_default())
    }

    fn write(&self, known: &Known) -> Result<(), StoreError> {
        store::replace(&self.file, &serde_json::to_vec(known).unwrap_or_default())
    }
}

/// What prevents a run, and whether this session claims the retry of refused credentials.
fn judge(known: &Known, instance: &str, now: Timestamp) -> (Option<Event>, bool) {
    if let Some(until) = known.limited_until {
        let (what, said) = (known.limit.clone(), known.said.clone());
        return (Some(Event::Limited(event::Limited { until, what, said })), false);
    }
    let Some(refused) = &known.refused else { return (None, false) };
    match known.next_try.filter(|at| *at > now) {
        Some(at) => (
            Some(Event::Paused(event::Paused {
                cause: Cause::Credentials,
                detail: refused.clone(),
                until: at.checked_add(spread(instance)).ok(),
                quiet: true,
            })),
            false,
        ),
        None => (None, true),
    }
}

/// This session's delay after a reset, up to [`SPREAD_S`].
pub(super) fn spread(instance: &str) -> SignedDuration {
    let mut hasher = DefaultHasher::new();
    instance.hash(&mut hasher);
    SignedDuration::from_millis((hasher.finish() % (SPREAD_S * 1000)).cast_signed())
}

#[cfg(test)]
mod tests;
