//! What survives a power cut, and how damage is repaired.
//!
//! git flushes its objects, refs and index (`core.fsync`), but neither the files of a worktree nor
//! reflogs. [`settle_changes`] does that at the end of a run. Anything later may be damaged after
//! the boot: pieces of a file may be older than the rest, or NUL bytes, while its size and times
//! match the index. Then `git status` calls it clean and the next commit writes the damage into
//! history. [`find_damage`] compares by content.

mod history;
mod index;
mod judge;
mod lost;
mod reflog;
mod repair;
mod settle;
#[cfg(test)]
mod tests;

use std::time::SystemTime;

pub use lost::lost_data;
pub use repair::Damage;
pub(super) use repair::find_damage;
pub(super) use settle::settle;
pub use settle::settle_changes;

/// The period whose writes may not have reached the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Anything older was on the disk.
    pub since: SystemTime,
    /// When the machine booted; `None` if its clock cannot be trusted. Later writes are not
    /// damaged.
    pub booted: Option<SystemTime>,
}

impl Window {
    pub(super) fn covers(&self, changed: SystemTime) -> bool {
        changed >= self.since && !self.is_later(changed)
    }

    fn is_later(&self, changed: SystemTime) -> bool {
        self.booted.is_some_and(|booted| changed > booted)
    }
}
