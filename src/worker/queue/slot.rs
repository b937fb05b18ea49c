//! The slots: one locked file for each session that runs.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::session::store::StoreError;

use super::{failed, opened};

/// A slot held by a running session, until it is dropped.
#[derive(Debug)]
pub(in crate::worker) struct Slot {
    _lock: File,
    /// Open for writing, unlike the lock: closing it is what others hear. Closed after the lock.
    bell: Option<File>,
}

impl Slot {
    /// Takes over the lock of a slot and notes who has it.
    fn held(lock: File, path: &Path, instance: &str) -> Self {
        let mut bell = OpenOptions::new().write(true).truncate(true).open(path).ok();
        if let Some(bell) = &mut bell {
            // Only a worker that is restarted after it was killed looks at the name.
            let _ = bell.write_all(instance.as_bytes());
        }
        Self { _lock: lock, bell }
    }

    /// Leaves it as the kernel does when its holder is killed.
    #[cfg(test)]
    pub(super) fn kill(mut self) {
        self.bell = None;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(bell) = &self.bell {
            let _ = bell.set_len(0);
        }
    }
}

/// A slot that nobody holds. It is locked while it is looked at.
#[derive(Debug)]
struct Free {
    number: u32,
    path: PathBuf,
    lock: File,
    /// The session that held it when its worker was killed; otherwise empty.
    left_by: String,
}

/// The slots that exist, and which of them are free.
#[derive(Debug)]
pub(super) struct Slots {
    folder: PathBuf,
    numbers: Vec<u32>,
    free: Vec<Free>,
}

impl Slots {
    /// Looks at all slots. Only one process may do that at a time.
    ///
    /// # Errors
    /// If the folder or one of its files cannot be read.
    pub(super) fn of(folder: &Path) -> Result<Self, StoreError> {
        let entries = fs::read_dir(folder).map_err(|source| failed("read", folder, source))?;
        let number = |name: String| name.strip_suffix(".lock")?.parse::<u32>().ok();
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut numbers: Vec<u32> = names.filter_map(number).collect();
        numbers.sort_unstable();
        let mut free = Vec::new();
        for &number in &numbers {
            let path = path_of(folder, number);
            let lock = opened(&path).map_err(|source| failed("open the slot", &path, source))?;
            // If the file system does not support locks, let sessions run anyway.
            if matches!(lock.try_lock(), Err(TryLockError::WouldBlock)) {
                continue;
            }
            let left_by = fs::read_to_string(&path).unwrap_or_default();
            free.push(Free { number, path, lock, left_by });
        }
        Ok(Self { folder: folder.to_owned(), numbers, free })
    }

    /// The highest number of a slot.
    pub(super) fn highest(&self) -> u32 {
        self.numbers.last().copied().unwrap_or(0)
    }

    /// How many of the first `cap` slots are free, those included that were never used.
    pub(super) fn room(&self, cap: u32) -> usize {
        let used = self.numbers.iter().filter(|number| **number <= cap).count();
        let unused = usize::try_from(cap).unwrap_or(usize::MAX).saturating_sub(used);
        unused + self.free.iter().filter(|slot| slot.number <= cap).count()
    }

    /// Whether the session's last worker was killed while it held one of the first `cap`.
    pub(super) fn has_left(&self, instance: &str, cap: u32) -> bool {
        self.free.iter().any(|slot| slot.number <= cap && slot.left_by == instance)
    }

    /// Takes one of the first `cap` slots: its own, or rather one that no killed worker left.
    ///
    /// # Errors
    /// If the slot's file cannot be created.
    pub(super) fn hold(self, instance: &str, cap: u32) -> Result<Option<Slot>, StoreError> {
        let Self { folder, numbers, free } = self;
        let unused = (1..=cap).find(|number| !numbers.contains(number));
        let rank = |slot: &Free| match slot.left_by.as_str() {
            own if own == instance => 0,
            "" => 1,
            _ => 3,
        };
        let best = free.into_iter().filter(|slot| slot.number <= cap).min_by_key(rank);
        Ok(match (best, unused) {
            (Some(slot), None) => Some(Slot::held(slot.lock, &slot.path, instance)),
            (Some(slot), Some(_)) if rank(&slot) < 3 => {
                Some(Slot::held(slot.lock, &slot.path, instance))
            }
            (_, Some(number)) => {
                let path = path_of(&folder, number);
                let lock = opened(&path).map_err(|source| failed("open", &path, source))?;
                let _ = lock.try_lock();
                Some(Slot::held(lock, &path, instance))
            }
            (None, None) => None,
        })
    }

    /// Makes what this session's worker left when it was killed as free as the others.
    pub(super) fn give_up(self, instance: &str) {
        for slot in self.free.into_iter().filter(|slot| slot.left_by == instance) {
            drop(Slot::held(slot.lock, &slot.path, ""));
        }
    }
}

fn path_of(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("{number}.lock"))
}
