//! Merging the branches of several sessions into one, in a worktree of its own.
//!
//! [`Simulation`] merges in memory through libgit2: nothing is written, not even an object, so it
//! can predict conflicts at any time. [`Integration`] is the worktree in which the git program then
//! merges for real, so that filters and hooks run. Its HEAD is detached: no branch moves before the
//! result is complete, and then [`move_branch`] moves one only from the commit it was seen at.

mod conflict;
mod integration;
mod refs;
mod simulation;

pub use conflict::{Conflict, ConflictKind};
pub use integration::{Integration, Merged, remove};
pub use refs::{
    BranchAt, Tips, branch_names, checked_out_at, commits_beyond, contained, contains,
    is_unrelated, move_branch, tracked_changes, under_way,
};
pub use simulation::{Foreseen, Simulation};

#[cfg(test)]
mod tests;
