//! What outlasts a loss of power, and what is done about what did not.
//!
//! git flushes its objects, refs and index (`core.fsync`), but no file of a worktree and no reflog. [`settle_changes`] does that at the end of a run. What a
//! run had not reached by then may be damaged after the boot: pieces of a file are older than the rest, or NUL bytes, though its size and times may be
//! those that the index has, so that `git status` calls it clean and the next commit takes the damage into history. [`find_damage`] compares by content.

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
pub use repair::{Damage, find_damage};
pub(super) use settle::settle;
pub use settle::settle_changes;

/// When what was written may not have reached the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// What is older was on the disk.
    pub since: SystemTime,
    /// When the machine was started again; none where its clock cannot be trusted. What was written later is not damaged.
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
