//! The limit on sessions that run at once, `SAMOCODE_MAX_RUNNING`: one file per slot, locked by a
//! running session. The kernel frees a slot however its holder dies.
//!
//! Sessions that wait for one have a file in `waiting/`, named after their turn, and locked too. A
//! session takes a free slot only if no more sessions are before it than slots are free. So exactly
//! the first ones start, whoever looks first. Nobody passes a slot on: all who wait hear the
//! holder's file being closed, by itself or by the kernel.
//!
//! ```text
//! $XDG_STATE_HOME/samocode/slots/1.lock … N.lock
//! $XDG_STATE_HOME/samocode/slots/turn            locked while one looks and takes
//! $XDG_STATE_HOME/samocode/slots/waiting/TURN
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ::notify::event::{AccessKind, AccessMode, EventKind};
use ::notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use jiff::Timestamp;
use tokio::sync::mpsc::{Receiver, channel};

use crate::platform::watch;
use crate::session::store::{self, StoreError};

/// Memory in bytes that an agent with its builds typically needs; determines the default limit.
const A_SESSION: u64 = 1 << 30;

/// How long those before a session keep their turn while they have no worker: after a reboot, or
/// when theirs was killed, it is about to be started.
const GRACE: Duration = Duration::from_secs(10);

/// The highest priority, which is one digit.
const HIGHEST: u32 = 9;

/// A session's turn: higher priority first, then who has waited longer. Ordered as it is written.
#[must_use]
pub(super) fn turn(priority: u32, since: Timestamp, instance: &str) -> String {
    let rank = HIGHEST - priority.min(HIGHEST);
    format!("{rank}-{:020}-{instance}", since.as_microsecond().max(0))
}

/// A slot held by a running session, until it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    _lock: File,
    /// Open for writing, unlike the lock: closing it is what others hear. Closed after the lock.
    _bell: Option<File>,
}

/// A session's place among those that wait, until it is dropped.
pub(super) struct Waiting {
    turn: String,
    path: PathBuf,
    folder: PathBuf,
    began: Instant,
    keeps_turn: bool,
    _lock: File,
    /// `None` where nothing can be watched: then it looks from time to time.
    watcher: Option<RecommendedWatcher>,
    heard: Receiver<()>,
}

impl Slot {
    /// Takes one of `cap` slots, unless those before `turn` need all that are free.
    ///
    /// # Errors
    /// If the folder or its files cannot be created.
    pub(super) fn take(
        state_dir: &Path,
        cap: u32,
        turn: &str,
        waiting: Option<&Waiting>,
    ) -> Result<Option<Self>, StoreError> {
        let folder = state_dir.join("slots");
        store::make_folder(&folder.join("waiting"))?;
        let _one_at_a_time = one_at_a_time(&folder)?;
        let is_patient = waiting.is_none_or(|waiting| waiting.began.elapsed() < GRACE);
        let mut before = before(&folder, turn, is_patient)?;
        for number in 1..=cap {
            let path = folder.join(format!("{number}.lock"));
            let lock = opened(&path).map_err(|source| failed("open the slot", &path, source))?;
            // If the file system does not support locks, let sessions run anyway.
            if matches!(lock.try_lock(), Err(TryLockError::WouldBlock)) {
                continue;
            }
            if before == 0 {
                let bell = OpenOptions::new().write(true).open(&path).ok();
                return Ok(Some(Self { _lock: lock, _bell: bell }));
            }
            before -= 1;
        }
        Ok(None)
    }
}

impl Waiting {
    /// Begins to wait, at this turn.
    ///
    /// # Errors
    /// If the file cannot be created.
    pub(super) fn begin(state_dir: &Path, turn: String) -> Result<Self, StoreError> {
        let folder = state_dir.join("slots");
        let path = folder.join("waiting").join(&turn);
        store::make_folder(&folder.join("waiting"))?;
        let _one_at_a_time = one_at_a_time(&folder)?;
        let lock = opened(&path).map_err(|source| failed("wait in", &path, source))?;
        let _ = lock.try_lock();
        let (sender, heard) = channel(1);
        let watcher = watch::watcher(move |event: ::notify::Result<::notify::Event>| {
            const CLOSED: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));
            if event.is_ok_and(|event| event.kind == CLOSED) {
                // One pending event stands for all.
                let _ = sender.try_send(());
            }
        });
        let watcher = watcher.ok().and_then(|mut watcher| {
            watcher.watch(&folder, RecursiveMode::NonRecursive).ok()?;
            Some(watcher)
        });
        let began = Instant::now();
        Ok(Self { turn, path, folder, began, keeps_turn: false, _lock: lock, watcher, heard })
    }

    /// The turn at which it waits.
    pub(super) fn turn(&self) -> &str {
        &self.turn
    }

    /// Ends the wait for now, as when the machine goes down: its next worker comes back for the turn.
    pub(super) fn interrupt(mut self) {
        self.keeps_turn = true;
    }

    /// Waits until a slot may have become free, or `at_most` that long. Cancel-safe.
    pub(super) async fn changed(&mut self, at_most: Duration) {
        // The time that others are given ends, too.
        let left = GRACE.saturating_sub(self.began.elapsed());
        let at_most = if left.is_zero() { at_most } else { at_most.min(left) };
        if self.watcher.is_none() {
            return tokio::time::sleep(at_most).await;
        }
        let _ = tokio::time::timeout(at_most, self.heard.recv()).await;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.keeps_turn {
            let _ = fs::remove_file(&self.path);
        }
        // Whoever is behind may be first now.
        let _ = OpenOptions::new().write(true).open(self.folder.join("turn"));
    }
}

/// How many wait before this turn. Forgets those that nobody waits for any more.
fn before(folder: &Path, turn: &str, is_patient: bool) -> Result<usize, StoreError> {
    let folder = folder.join("waiting");
    let entries = fs::read_dir(&folder).map_err(|source| failed("read", &folder, source))?;
    let mut count = 0;
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().as_ref() >= turn {
            continue;
        }
        let is_waiting = File::open(entry.path())
            .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)));
        if is_waiting || is_patient {
            count += 1;
        } else {
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(count)
}

fn one_at_a_time(folder: &Path) -> Result<File, StoreError> {
    let path = folder.join("turn");
    let turn = opened(&path).map_err(|source| failed("open", &path, source))?;
    // If the file system does not support locks, go without.
    let _ = turn.lock();
    Ok(turn)
}

/// Opens a file for reading, so that closing it is not heard, and creates it if it is missing.
fn opened(path: &Path) -> io::Result<File> {
    match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
            File::open(path)
        }
        opened => opened,
    }
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> StoreError {
    StoreError { action, path: path.to_owned(), source }
}

/// The default number of sessions that may run at once, given the machine's memory in bytes.
#[must_use]
pub(super) fn cap_by_memory(total: u64) -> u32 {
    u32::try_from(total / A_SESSION).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64, priority: u32, instance: &str) -> String {
        turn(priority, Timestamp::from_second(second).unwrap(), instance)
    }

    #[test]
    fn so_many_get_a_slot_and_the_next_when_one_ends() {
        let folder = tempfile::tempdir().unwrap();
        let take = || Slot::take(folder.path(), 2, &at(1, 5, "x"), None).unwrap();
        let (first, second) = (take(), take());
        assert!(first.is_some() && second.is_some());
        assert!(take().is_none());
        drop(first);
        assert!(take().is_some());
    }

    #[test]
    fn the_cap_is_a_session_for_each_gibibyte_and_at_least_one() {
        assert_eq!(cap_by_memory(512 << 20), 1);
        assert_eq!(cap_by_memory(24 << 30), 24);
    }

    #[test]
    fn priority_comes_before_age_and_age_before_the_name() {
        let mut turns =
            [at(30, 5, "a"), at(10, 5, "c"), at(10, 5, "b"), at(90, 9, "d"), at(1, 0, "e")];
        turns.sort_unstable();
        let names: String = turns.iter().filter_map(|turn| turn.chars().last()).collect();
        assert_eq!(names, "dbcae");
    }

    #[test]
    fn a_free_slot_is_for_the_first_of_those_who_wait_whoever_looks_first() {
        let folder = tempfile::tempdir().unwrap();
        let wait = |turn: String| Waiting::begin(folder.path(), turn).unwrap();
        let take = |waiting: &Waiting| {
            Slot::take(folder.path(), 2, waiting.turn(), Some(waiting)).unwrap()
        };
        let (late, first, second) =
            (wait(at(30, 5, "late")), wait(at(10, 5, "first")), wait(at(20, 5, "second")));
        assert!(take(&late).is_none(), "both slots are for others");
        let held = take(&second);
        assert!(held.is_some());
        drop(second);
        assert!(take(&late).is_none(), "the other slot is for the first");
        let other = take(&first);
        drop(first);
        assert!(other.is_some() && take(&late).is_none(), "none is free");
        // One that never waited has to, while someone does.
        drop(held);
        let new = at(40, 5, "new");
        assert!(Slot::take(folder.path(), 2, &new, None).unwrap().is_none());
        assert!(take(&late).is_some());
    }

    #[test]
    fn one_whose_worker_is_gone_keeps_its_turn_for_a_while_only() {
        let folder = tempfile::tempdir().unwrap();
        let mut waiting = Waiting::begin(folder.path(), at(20, 5, "here")).unwrap();
        let first = Waiting::begin(folder.path(), at(10, 5, "gone")).unwrap();
        let gone = first.path.clone();
        first.interrupt();
        let take = |waiting: &Waiting| {
            Slot::take(folder.path(), 1, waiting.turn(), Some(waiting)).unwrap()
        };
        assert!(take(&waiting).is_none());
        waiting.began = Instant::now().checked_sub(GRACE).unwrap();
        assert!(take(&waiting).is_some());
        assert!(!gone.exists());
    }

    #[tokio::test]
    async fn a_slot_that_becomes_free_is_heard_and_looking_for_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let take = |turn: &str| Slot::take(folder.path(), 1, turn, None).unwrap();
        let held = take("0").unwrap();
        let mut waiting = Waiting::begin(folder.path(), at(1, 5, "x")).unwrap();
        assert!(waiting.watcher.is_some());
        let mut is_heard =
            async |bound| tokio::time::timeout(bound, waiting.heard.recv()).await.is_ok();
        // The files that were created to begin with.
        while is_heard(Duration::from_millis(200)).await {}
        assert!(take("0").is_none());
        assert!(!is_heard(Duration::from_millis(200)).await, "looking wakes nobody");
        drop(held);
        assert!(is_heard(Duration::from_secs(5)).await);
    }
}
