//! What is known of an account, shared by all its sessions: a usage limit, refused credentials.
//! One session finds out; the others read it here before they start a run, so that they neither
//! stampede nor each find out alone.
//!
//! ```text
//! $XDG_STATE_HOME/samocode/accounts/HASH.json   and   HASH.lock
//! ```

use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::session::journal::Event;
use crate::session::store::{self, StoreError};
use crate::session::{Cause, clock};

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
}

impl Known {
    /// What of it holds. Times that were found out in the future were so by a clock that was wrong
    /// then or is now: they have to be found out anew.
    fn true_at(self, now: Timestamp) -> Self {
        if self.found.is_some_and(|found| clock::was_set_back(found, now)) {
            return Self { refused: self.refused, ..Self::default() };
        }
        Self { limited_until: self.limited_until.filter(|until| *until > now), ..self }
    }
}

/// An account's file.
#[derive(Debug)]
pub(super) struct Account {
    file: PathBuf,
    lock: PathBuf,
    mended_by: Vec<PathBuf>,
}

impl Account {
    /// The account `hash` in `folder`. A refusal is void once one of the files that it is `mended_by`,
    /// as the agent's login, is newer.
    pub(super) fn new(folder: &std::path::Path, hash: &str, mended_by: Vec<PathBuf>) -> Self {
        Self {
            file: folder.join(format!("{hash}.json")),
            lock: folder.join(format!("{hash}.lock")),
            mended_by,
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
        if known.refused.is_some() && self.is_mended() {
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
        self.write(&known)?;
        Ok(first)
    }

    /// A run that began at `since` went well: nothing is in the way any more, but for what another
    /// session found out meanwhile.
    pub(super) fn went_well(&self, since: Timestamp) -> Result<(), StoreError> {
        if !self.file.exists() {
            return Ok(());
        }
        let _lock = self.hold()?;
        let found = fs::metadata(&self.file).and_then(|meta| meta.modified());
        let found = found.ok().and_then(|at| Timestamp::try_from(at).ok());
        if found.is_some_and(|at| at > since) { Ok(()) } else { store::remove(&self.file) }
    }

    /// Whether nothing is in the way any more, for a session that waits: not locked and nothing
    /// claimed, as it is looked at every few seconds.
    pub(super) fn is_free(&self, now: Timestamp) -> bool {
        let Ok(known) = self.read() else { return false };
        let known = known.true_at(now);
        known.limited_until.is_none() && (known.refused.is_none() || self.is_mended())
    }

    fn is_mended(&self) -> bool {
        let modified = |path: &PathBuf| fs::metadata(path).and_then(|meta| meta.modified()).ok();
        let refusal = modified(&self.file);
        self.mended_by.iter().any(|path| modified(path).is_some_and(|at| Some(at) > refusal))
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
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn account(folder: &tempfile::TempDir) -> Account {
        Account::new(folder.path(), "abc", Vec::new())
    }

    #[test]
    fn a_limit_found_by_one_session_holds_all_of_them_back_until_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        account(&folder).limited(at(600), Some("five_hour".into()), at(0)).unwrap();
        let Some(Event::Limited { until, .. }) = account(&folder).obstacle("b", at(0)).unwrap()
        else {
            panic!()
        };
        assert_eq!(until, at(600));
        assert_eq!(account(&folder).obstacle("b", at(600)).unwrap(), None);
    }

    #[test]
    fn of_two_limits_the_one_that_ends_later_counts() {
        let folder = tempfile::tempdir().unwrap();
        account(&folder).limited(at(9000), Some("seven_day".into()), at(0)).unwrap();
        account(&folder).limited(at(600), Some("five_hour".into()), at(0)).unwrap();
        let limited = Event::Limited { until: at(9000), what: Some("seven_day".into()) };
        assert_eq!(account(&folder).obstacle("b", at(0)).unwrap(), Some(limited));
    }

    #[test]
    fn sessions_are_spread_each_always_by_the_same() {
        let names: Vec<String> = (0..200).map(|n| format!("session-{n}")).collect();
        let spread_s: Vec<i64> = names.iter().map(|name| spread(name).as_secs()).collect();
        assert!(spread_s.iter().all(|s| (0..30).contains(s)));
        for third in [0..10, 10..20, 20..30] {
            let in_it = spread_s.iter().filter(|s| third.contains(*s)).count();
            assert!(in_it > 40, "{in_it} of 200 in {third:?}");
        }
        assert_eq!(spread("jwt"), spread("jwt"));
    }

    #[test]
    fn refused_credentials_are_told_once_and_tried_again_by_one() {
        let folder = tempfile::tempdir().unwrap();
        assert!(account(&folder).refused("401", at(0)).unwrap());
        assert!(!account(&folder).refused("401", at(1)).unwrap());
        let Some(Event::Paused { quiet, .. }) = account(&folder).obstacle("b", at(2)).unwrap()
        else {
            panic!()
        };
        assert!(quiet);
        assert_eq!(account(&folder).obstacle("a", at(700)).unwrap(), None, "a's turn to try");
        assert!(account(&folder).obstacle("b", at(701)).unwrap().is_some(), "b waits for a");
        let later = Timestamp::now() + SignedDuration::from_secs(60);
        account(&folder).went_well(later).unwrap();
        assert_eq!(account(&folder).obstacle("b", at(702)).unwrap(), None);
    }

    #[test]
    fn a_run_that_began_before_a_limit_was_found_does_not_lift_it() {
        let folder = tempfile::tempdir().unwrap();
        let began = Timestamp::now() - SignedDuration::from_secs(60);
        account(&folder).limited(at(600), None, at(0)).unwrap();
        account(&folder).went_well(began).unwrap();
        assert!(account(&folder).obstacle("b", at(0)).unwrap().is_some());
    }

    #[test]
    fn a_new_login_makes_a_refusal_void() {
        let folder = tempfile::tempdir().unwrap();
        let login = folder.path().join(".credentials.json");
        let account = Account::new(folder.path(), "abc", vec![login.clone()]);
        account.refused("401", at(0)).unwrap();
        assert!(account.obstacle("b", at(1)).unwrap().is_some());
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
        assert!(!account.is_free(at(2)));
        File::create(&login).unwrap().set_modified(later).unwrap();
        assert!(account.is_free(at(2)));
        assert_eq!(account.obstacle("b", at(2)).unwrap(), None);
    }

    #[test]
    fn an_account_is_free_when_its_limit_is_over_or_was_lifted() {
        let folder = tempfile::tempdir().unwrap();
        account(&folder).limited(at(600), None, at(0)).unwrap();
        assert!(!account(&folder).is_free(at(599)));
        assert!(account(&folder).is_free(at(600)));
        let later = Timestamp::now() + SignedDuration::from_secs(60);
        account(&folder).went_well(later).unwrap();
        assert!(account(&folder).is_free(at(0)));
    }

    #[test]
    fn what_a_wrong_clock_made_of_the_future_is_found_out_anew() {
        let folder = tempfile::tempdir().unwrap();
        let year = 365 * 24 * 3600;
        account(&folder).limited(at(year + 600), None, at(year)).unwrap();
        account(&folder).refused("401", at(year)).unwrap();
        assert!(account(&folder).obstacle("b", at(year)).unwrap().is_some());
        assert_eq!(account(&folder).obstacle("b", at(0)).unwrap(), None, "b's turn to try");
        assert!(account(&folder).obstacle("c", at(1)).unwrap().is_some(), "c waits for b");
        account(&folder).limited(at(700), None, at(2)).unwrap();
        let limited = Event::Limited { until: at(700), what: None };
        assert_eq!(account(&folder).obstacle("c", at(3)).unwrap(), Some(limited));
    }

    #[test]
    fn a_damaged_file_is_found_out_anew() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("abc.json"), "{torn").unwrap();
        assert_eq!(account(&folder).obstacle("b", at(0)).unwrap(), None);
    }
}
