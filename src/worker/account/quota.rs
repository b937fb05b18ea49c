//! What is known of an account while all is well: how full its windows are, and whether its
//! credentials work.
//!
//! ```text
//! $XDG_STATE_HOME/samocode/accounts/HASH.usage.json
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::agent::Window;
use crate::session::event;
use crate::session::order;
use crate::session::store::{self, StoreError};

use super::{Account, Stamps};

/// For how long after a run that succeeded a single refusal is taken for a passing one.
const WORKED_LATELY: SignedDuration = SignedDuration::from_mins(10);

/// What ends its name.
const ENDING: &str = ".usage.json";

/// How long to wait before credentials are tried once more that have just worked.
pub(in crate::worker) const ONCE_MORE: SignedDuration = SignedDuration::from_secs(30);

/// The file's content. Losing it costs nothing but a run, so it need not be durable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Quota {
    /// The windows by name, as the last run that reported them saw them.
    windows: BTreeMap<String, Filled>,
    /// When a run last succeeded.
    worked: Option<Timestamp>,
    /// The last refusal of each session that is to try once more.
    doubts: BTreeMap<String, Doubt>,
}

/// A refusal that may be a passing one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Doubt {
    at: Timestamp,
    /// Whether a run has succeeded since.
    settled: bool,
    /// The state of the files that the refused credentials came from.
    sources: Stamps,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Filled {
    /// How much of it is used, in percent.
    percent: u8,
    /// When it is empty again.
    resets_at: Option<Timestamp>,
}

impl Quota {
    /// The window that leaves no room for another iteration, if from `most` percent on none may
    /// start: of several the one that resets last.
    fn full(&self, most: u8, now: Timestamp) -> Option<event::Limited> {
        let full = |(name, window): (&String, &Filled)| {
            let until = window.resets_at.filter(|at| *at > now && window.percent >= most)?;
            let said = format!(
                "{} % of the account's {} window is used, and SAMOCODE_QUOTA_STOP_AT is {most} %",
                window.percent,
                name.replace('_', "-")
            );
            Some(event::Limited { until, what: Some(name.clone()), said: Some(said) })
        };
        self.windows.iter().filter_map(full).max_by_key(|limited| limited.until)
    }

    fn take(&mut self, windows: &[Window]) {
        for Window { kind, percent, resets_at } in windows {
            let filled = Filled { percent: *percent, resets_at: *resets_at };
            self.windows.insert(kind.clone(), filled);
        }
    }

    /// Whether a refusal of this session may be a passing one, as when another session has just
    /// refreshed the login that both use. The second in a row is not.
    fn may_pass(&mut self, instance: &str, sources: Stamps, now: Timestamp) -> bool {
        let lately = |at: Timestamp| now.duration_since(at).abs() < WORKED_LATELY;
        self.doubts.retain(|_, doubt| lately(doubt.at));
        let again = self.doubts.get(instance).is_some_and(|doubt| !doubt.settled);
        if again || !self.worked.is_some_and(lately) {
            return false;
        }
        self.doubts.insert(instance.to_owned(), Doubt { at: now, settled: false, sources });
        true
    }

    /// Whether this session was refused a moment ago and has yet to wait before it tries once more.
    /// Files that have changed since end the wait: another session has refreshed the login.
    fn waits(&self, instance: &str, sources: &Stamps, now: Timestamp) -> bool {
        self.doubts.get(instance).is_some_and(|doubt| {
            let ends = doubt.at.checked_add(ONCE_MORE).unwrap_or(doubt.at);
            doubt.at <= now && now < ends && doubt.sources == *sources
        })
    }
}

/// What is known of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    /// Its hash.
    pub(crate) name: String,
    /// When it was last seen.
    pub(crate) seen: Option<Timestamp>,
    /// How full its windows were.
    pub(crate) windows: Vec<Window>,
}

/// All accounts of which a run has reported how full they are, in this folder.
pub(crate) fn known(folder: &Path) -> Vec<Known> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let known = entries.filter_map(|entry| {
        let name = entry.file_name().to_str()?.strip_suffix(ENDING)?.to_owned();
        let bytes = store::read(&entry.path()).ok().flatten()?;
        let quota: Quota = serde_json::from_slice(&bytes).ok()?;
        let seen = entry.metadata().ok()?.modified().ok()?;
        let window = |(kind, filled): (String, Filled)| Window {
            kind,
            percent: filled.percent,
            resets_at: filled.resets_at,
        };
        let windows: Vec<Window> = quota.windows.into_iter().map(window).collect();
        (!windows.is_empty()).then(|| Known { name, seen: seen.try_into().ok(), windows })
    });
    let mut known: Vec<Known> = known.collect();
    order::by_key(&mut known, |one| std::cmp::Reverse(one.seen));
    known
}

impl Account {
    /// Records how full a run saw the account's windows.
    pub(in crate::worker) fn saw(&self, windows: &[Window]) -> Result<(), StoreError> {
        if windows.is_empty() {
            return Ok(());
        }
        self.change_quota(|quota| quota.take(windows))
    }

    /// Records that a run succeeded with its credentials.
    pub(super) fn worked(&self, now: Timestamp) -> Result<(), StoreError> {
        self.change_quota(|quota| {
            quota.worked = Some(now);
            quota.doubts.values_mut().for_each(|doubt| doubt.settled = true);
        })
    }

    /// Whether refused credentials are to be tried once more before the account pauses.
    pub(in crate::worker) fn may_pass(
        &self,
        instance: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let sources = self.sources.used();
        self.change_quota(|quota| quota.may_pass(instance, sources, now))
    }

    /// Whether this session waits before it tries credentials once more.
    pub(super) fn waits_to_try(&self, instance: &str, now: Timestamp) -> bool {
        self.quota().waits(instance, &self.sources.now(), now)
    }

    /// The window that is too full for another iteration.
    pub(super) fn over_quota(&self, now: Timestamp) -> Option<event::Limited> {
        self.quota().full(self.stop_at?, now)
    }

    fn quota(&self) -> Quota {
        // An unreadable file is treated as empty; the next run writes it again.
        let bytes = store::read(&self.quota_file()).ok().flatten().unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    fn change_quota<T>(&self, change: impl FnOnce(&mut Quota) -> T) -> Result<T, StoreError> {
        let _lock = self.hold()?;
        let known = self.quota();
        let mut quota = known.clone();
        let result = change(&mut quota);
        if quota != known {
            let bytes = serde_json::to_vec(&quota).unwrap_or_default();
            store::replace_derived(&self.quota_file(), &bytes)?;
        }
        Ok(result)
    }

    fn quota_file(&self) -> PathBuf {
        self.file.with_extension(&ENDING[1..])
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Account, Sources};
    use super::*;

    #[test]
    fn accounts_are_known_by_what_runs_reported() {
        let folder = tempfile::tempdir().unwrap();
        let account = |hash: &str| Account::new(folder.path(), hash, Sources::default(), None);
        account("aa").saw(&[window("five_hour", 42, 60)]).unwrap();
        // One that only worked has reported nothing.
        account("bb").worked(at(0)).unwrap();
        let all = known(folder.path());
        assert_eq!(all.len(), 1, "{all:?}");
        assert_eq!(
            (all[0].name.as_str(), &all[0].windows),
            ("aa", &vec![window("five_hour", 42, 60)])
        );
        assert!(all[0].seen.is_some());
        assert_eq!(known(&folder.path().join("none")), []);
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn window(kind: &str, percent: u8, resets: i64) -> Window {
        Window { kind: kind.to_owned(), percent, resets_at: Some(at(resets)) }
    }

    #[test]
    fn a_window_that_is_too_full_holds_iterations_back_until_it_resets() {
        let folder = tempfile::tempdir().unwrap();
        let account = |stop_at| Account::new(folder.path(), "abc", Sources::default(), stop_at);
        let full = account(Some(90));
        full.saw(&[window("five_hour", 89, 600), window("seven_day", 30, 9000)]).unwrap();
        assert_eq!(full.obstacle("a", at(0)).unwrap(), None);
        full.saw(&[window("five_hour", 91, 600)]).unwrap();
        let limited = full.over_quota(at(0)).unwrap();
        assert_eq!((limited.until, limited.what.as_deref()), (at(600), Some("five_hour")));
        let said = limited.said.unwrap();
        assert!(said.starts_with("91 % of the account's five-hour window is used"), "{said}");
        assert!(full.obstacle("a", at(0)).unwrap().is_some() && !full.is_free("a", at(0)));
        full.saw(&[window("seven_day", 90, 9000)]).unwrap();
        assert_eq!(full.over_quota(at(0)).unwrap().until, at(9000));
        assert!(full.is_free("a", at(9000)));
        assert_eq!(account(None).over_quota(at(0)), None);
    }

    #[test]
    fn a_refusal_while_others_work_is_tried_once_more() {
        let folder = tempfile::tempdir().unwrap();
        let account = Account::new(folder.path(), "abc", Sources::default(), None);
        let may_pass = |instance, second| account.may_pass(instance, at(second)).unwrap();
        assert!(!may_pass("a", 0), "nobody has worked yet");
        account.worked(at(0)).unwrap();
        assert!(may_pass("a", 30) && !may_pass("a", 60));
        assert!(may_pass("b", 61), "another session");
        account.worked(at(70)).unwrap();
        assert!(may_pass("b", 80));
        assert!(!may_pass("c", 2000), "nobody has worked lately");
    }

    #[test]
    fn a_refusal_that_may_pass_is_tried_again_when_its_event_says_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let login = folder.path().join(".credentials.json");
        std::fs::write(&login, "{}").unwrap();
        let sources = Sources { logins: vec![login.clone()], ..Sources::default() };
        let account = Account::new(folder.path(), "abc", sources, None);
        account.worked(at(0)).unwrap();
        assert!(account.may_pass("a", at(1)).unwrap() && account.may_pass("b", at(2)).unwrap());
        for second in [1, 2, 30] {
            assert!(!account.is_free("a", at(second)), "after {second} s");
        }
        // Runs of others succeed all the time.
        account.worked(at(20)).unwrap();
        assert!(!account.is_free("a", at(30)) && !account.is_free("b", at(31)));
        assert!(account.is_free("a", at(31)) && account.is_free("b", at(32)));
        assert!(account.is_free("c", at(3)), "it was not refused");
        assert!(account.is_free("a", at(-5)), "the clock was set back");
        assert!(account.may_pass("a", at(40)).unwrap() && !account.is_free("a", at(41)));
        std::fs::write(&login, "{ }").unwrap();
        assert!(account.is_free("a", at(41)), "another session has refreshed the login");
    }

    #[test]
    fn two_sessions_that_are_refused_in_turns_are_each_tried_once_more() {
        let folder = tempfile::tempdir().unwrap();
        let account = Account::new(folder.path(), "abc", Sources::default(), None);
        account.worked(at(0)).unwrap();
        let may_pass = |instance, second| account.may_pass(instance, at(second)).unwrap();
        assert!(may_pass("a", 1) && may_pass("b", 2));
        assert!(!may_pass("a", 31) && !may_pass("b", 32));
    }
}
