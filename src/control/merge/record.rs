//! The record of a merge on disk, from which one that was killed resumes.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::control::error::{Attempt as _, Error, Result};
use crate::session::names::project_slug;
use crate::session::store;

use super::series::Series;

/// The folder in SESSIONS and in WORKTREES for merges.
pub(super) const FOLDER: &str = "_merge";

/// A member of a merge: a session, and its branch as it was when the merge began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Member {
    pub(super) session: String,
    pub(super) instance: String,
    pub(super) branch: String,
    pub(super) commit: String,
    /// How many commits it has that the target lacks.
    pub(super) commits: usize,
    /// The members, by index, whose branches it is built on.
    pub(super) built_on: Vec<usize>,
}

/// The move of a branch that completes a merge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Landing {
    /// The branch that moves.
    pub(super) branch: String,
    /// Where it was; `None` if it did not exist.
    pub(super) from: Option<String>,
    /// The commit that the branch moves to.
    pub(super) to: String,
}

/// What is being merged, and how far that has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) into: String,
    pub(super) test: Option<String>,
    pub(super) members: Vec<Member>,
    pub(super) series: Series,
    /// Written before the branch moves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) landing: Option<Landing>,
}

impl Record {
    /// Whether this is the same merge, from the same commits: its results still hold.
    pub(super) fn continues(&self, other: &Self) -> bool {
        self.into == other.into
            && self.test == other.test
            && self.members == other.members
            && self.series.base == other.series.base
    }
}

/// The files of merges into one branch. There is one such merge at a time: it holds the lock.
#[derive(Debug)]
pub(super) struct Files {
    record: PathBuf,
    pub(super) log: PathBuf,
    pub(super) worktree: PathBuf,
    /// Marks the processes of such merges, so that those of a killed one can be ended.
    pub(super) run: String,
    _lock: File,
}

impl Files {
    /// Takes the lock of merges into a branch.
    ///
    /// # Errors
    /// If another merge into it is under way, and those of the disk.
    pub(super) fn of(sessions: &Path, checkouts: &Path, into: &str) -> Result<Self> {
        let folder = sessions.join(FOLDER);
        store::make_folder(&folder)?;
        // `a/b` and `a-b` are two branches and would share a file.
        let slug = project_slug(into);
        let name = if slug == into { slug } else { format!("{slug}-{:08x}", checksum(into)) };
        let path = folder.join(format!("{name}.lock"));
        let mut options = OpenOptions::new();
        let lock = options.write(true).create(true).truncate(false).open(&path);
        let lock = lock.attempt(|| format!("open {}", path.display()))?;
        match locked(&lock) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::refused(format!("another merge into {into} is in progress"))
                    .hint("wait until it ends, then run this command again"));
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).attempt(|| format!("lock {}", path.display()));
            }
        }
        Ok(Self {
            run: format!("merge:{}", path.display()),
            record: folder.join(format!("{name}.json")),
            log: folder.join(format!("{name}.log")),
            worktree: checkouts.join(FOLDER).join(name),
            _lock: lock,
        })
    }

    /// The record of a merge that did not end; `None` also for one that cannot be read, as from
    /// another version: it is begun again.
    pub(super) fn read(&self) -> Result<Option<Record>> {
        let bytes = store::read(&self.record)?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    pub(super) fn write(&self, record: &Record) -> Result<()> {
        Ok(store::replace(&self.record, &serde_json::to_vec(record)?)?)
    }

    pub(super) fn discard(&self) -> Result<()> {
        Ok(store::remove(&self.record)?)
    }
}

/// Takes a lock. A process that this one is just starting holds it too, until it executes its program
/// (fork(2)), so one that is held is tried again for a moment.
fn locked(file: &File) -> std::result::Result<(), TryLockError> {
    const TRIES: u32 = 10;
    for _ in 0..TRIES {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(20)),
            other => return other,
        }
    }
    file.try_lock()
}

/// FNV-1a: tells names apart, nothing more.
fn checksum(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_merge_into_a_branch_at_a_time_and_each_branch_has_files_of_its_own() {
        let root = tempfile::tempdir().unwrap();
        let files = |into| Files::of(root.path(), &root.path().join("trees"), into);
        let main = files("main").unwrap();
        assert_eq!(main.worktree, root.path().join("trees/_merge/main"));
        let error = files("main").unwrap_err();
        assert!(error.message.contains("another merge into main is in progress"), "{error}");
        let (one, other) = (files("a/b").unwrap(), files("a-b").unwrap());
        assert_ne!(one.record, other.record);
        drop(main);
        assert_eq!(files("main").unwrap().read().unwrap(), None);
    }
}
