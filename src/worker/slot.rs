//! The limit on sessions that run at once, `SAMOCODE_MAX_RUNNING`: one file per slot, locked by a
//! running session. The kernel frees a slot however its holder dies.
//!
//! ```text
//! $XDG_STATE_HOME/samocode/slots/1.lock … N.lock
//! ```

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use crate::session::store::{self, StoreError};

/// Memory in bytes that an agent with its builds typically needs; determines the default limit.
const A_SESSION: u64 = 1 << 30;

/// A slot held by a running session, until it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    _file: File,
}

impl Slot {
    /// Takes one of `cap` slots; `None` if all are taken.
    ///
    /// # Errors
    /// If the folder or its files cannot be created.
    pub(super) fn take(state_dir: &Path, cap: u32) -> Result<Option<Self>, StoreError> {
        let folder = state_dir.join("slots");
        store::make_folder(&folder)?;
        for number in 1..=cap {
            let path = folder.join(format!("{number}.lock"));
            let open = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
            // If the file system does not support locks, let sessions run anyway.
            let held = open.map(|file| match file.try_lock() {
                Ok(()) | Err(TryLockError::Error(_)) => Some(file),
                Err(TryLockError::WouldBlock) => None,
            });
            match held {
                Ok(Some(file)) => return Ok(Some(Self { _file: file })),
                Ok(None) => {}
                Err(source) => return Err(StoreError { action: "open the slot", path, source }),
            }
        }
        Ok(None)
    }
}

/// The default number of sessions that may run at once, given the machine's memory in bytes.
#[must_use]
pub(super) fn cap_by_memory(total: u64) -> u32 {
    u32::try_from(total / A_SESSION).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_get_a_slot_and_the_next_when_one_ends() {
        let folder = tempfile::tempdir().unwrap();
        let take = || Slot::take(folder.path(), 2).unwrap();
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
}
