//! What is known of an account, shared by all its sessions: a usage limit, refused credentials.
//! One session finds out; the others read it here before they start a run, so that they neither
//! stampede nor each find out alone.
//!
//! ```text
//! $XDG_STATE_HOME/samocode/accounts/HASH.json   and   HASH.lock
//! ```

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::session::journal::Event;
use crate::session::store::{self, StoreError};
use crate::session::{Cause, clock};

use super::file_stamp::FileStamp;

/// How often refused credentials are tried again, by one session for all.
pub(super) const AUTH_RETRY: SignedDuration = SignedDuration::from_mins(10);

/// Sessions of one account start again spread over this time.
const SPREAD_S: u64 = 30;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Known {
    /// When the usage limit ends.
    limited_until: Option<Timestamp>,
    /// Which limit it is.
    limit: Option<String>,
    /// What was said when the credentials were refused.
    refused: Option<String>,
    /// When they may be tried again.
    next_try: Option<Timestamp>,
    /// When that was found out.
    found: Option<Timestamp>,
    /// The files that the refused credentials came from.
    sources: Stamps,
}

impl Known {
    /// What of it holds. Times that were found out in the future were so by a clock that was wrong
    /// then or is now: they have to be found out anew.
    fn true_at(self, now: Timestamp) -> Self {
        if self.found.is_some_and(|found| clock::was_set_back(found, now)) {
            return Self { refused: self.refused, sources: self.sources, ..Self::default() };
        }
        Self { limited_until: self.limited_until.filter(|until| *until > now), ..self }
    }
}

/// The files that credentials come from. A human who changes one of them has fixed the credentials,
/// as far as can be known without a try.
#[derive(Debug, Clone, Default)]
pub(super) struct Sources {
    /// The user's file of credentials.
    pub(super) env_file: Option<PathBuf>,
    /// What that was like when it was read for the agent.
    pub(super) env_file_read: Option<FileStamp>,
    /// Where the agent keeps its logins. The agent may write there itself.
    pub(super) logins: Vec<PathBuf>,
}

/// What such files were like, by their paths.
type Stamps = BTreeMap<String, Option<FileStamp>>;

impl Sources {
    /// As the agent used them that now ended. What was changed in the file of credentials since it
    /// was read is yet to be tried.
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

/// An account's file.
#[derive(Debug)]
pub(super) struct Account {
    file: PathBuf,
    lock: PathBuf,
    sources: Sources,
}

impl Account {
    /// The account `hash` in `folder`. A refusal is void once one of its `sources` has changed.
    pub(super) fn new(folder: &Path, hash: &str, sources: Sources) -> Self {
        Self {
            file: folder.join(format!("{hash}.json")),
            lock: folder.join(format!("{hash}.lock")),
            sources,
        }
    }

    /// What is in the way of a run now, as an event of the session `instance`. Where refused
    /// credentials are due to be tried again, the first to ask gets the turn.
    pub(super) fn obstacle(
        &self,
        instance: &str,
        now: Timestamp,
    ) -> Result<Option<Event>, StoreError> {
        // Most accounts never had trouble: nothing is locked or written for them.
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

    /// The usage limit was reached. Of two that hold, as that of a week and that of five hours, the
    /// one that ends later counts.
    pub(super) fn limited(
        &self,
        until: Timestamp,
        what: Option<String>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let _lock = self.hold()?;
        let known = self.read()?.true_at(now);
        if known.limited_until.is_some_and(|known| known > until) {
            return Ok(());
        }
        self.write(&Known { limited_until: Some(until), limit: what, found: Some(now), ..known })
    }

    /// The credentials were refused. True for the first session that found out, which tells the
    /// human for all of them.
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

    /// A run that began at `since` went well: nothing is in the way any more, but for what another
    /// session found out meanwhile.
    pub(super) fn went_well(&self, since: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        if !self.file.exists() {
            return Ok(());
        }
        let _lock = self.hold()?;
        let found = self.read()?.true_at(now).found;
        if found.is_some_and(|at| at > since) { Ok(()) } else { store::remove(&self.file) }
    }

    /// Whether nothing is in the way any more, for a session that waits: not locked and nothing
    /// claimed, as it is looked at every few seconds.
    pub(super) fn is_free(&self, now: Timestamp) -> bool {
        let Ok(known) = self.read() else { return false };
        let known = known.true_at(now);
        known.limited_until.is_none() && (known.refused.is_none() || self.is_fixed(&known))
    }

    /// Whether the credentials that were refused are others by now. Of a file that they did not come
    /// from nothing is known: two sessions of different surroundings must not take each other's
    /// refusal for void.
    fn is_fixed(&self, known: &Known) -> bool {
        let changed = |(path, stamp)| known.sources.get(&path).is_some_and(|then| *then != stamp);
        self.sources.now().into_iter().any(changed)
    }

    fn hold(&self) -> Result<File, StoreError> {
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
        // What cannot be read is found out anew.
        let bytes = store::read(&self.file)?.unwrap_or_default();
        Ok(serde_json::from_slice(&bytes).unwrap_or_default())
    }

    fn write(&self, known: &Known) -> Result<(), StoreError> {
        store::replace(&self.file, &serde_json::to_vec(known).unwrap_or_default())
    }
}

/// What to do about refused credentials, the same for the session that found out and for those that
/// wait for it.
pub(super) fn log_in_again(refused: &str) -> String {
    format!("{refused}: log in again, or mend ~/.config/samocode/env")
}

/// What is in the way, and whether this session takes the turn to try refused credentials.
fn judge(known: &Known, instance: &str, now: Timestamp) -> (Option<Event>, bool) {
    if let Some(until) = known.limited_until {
        return (Some(Event::Limited { until, what: known.limit.clone() }), false);
    }
    let Some(refused) = &known.refused else { return (None, false) };
    match known.next_try.filter(|at| *at > now) {
        Some(at) => (
            Some(Event::Paused {
                cause: Cause::Credentials,
                detail: log_in_again(refused),
                until: at.checked_add(spread(instance)).ok(),
                quiet: true,
            }),
            false,
        ),
        None => (None, true),
    }
}

/// The part of [`SPREAD_S`] by which a session starts later than the first.
pub(super) fn spread(instance: &str) -> SignedDuration {
    let mut hasher = DefaultHasher::new();
    instance.hash(&mut hasher);
    SignedDuration::from_millis((hasher.finish() % (SPREAD_S * 1000)).cast_signed())
}

#[cfg(test)]
mod tests;
