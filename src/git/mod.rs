//! Everything samocode does with git.
//!
//! A session has its own git worktree and its own branch: its [`Checkout`]. [`Checkout::plan`]
//! reads what has to be done and [`Checkout::make`] does it. `make` also runs at every start, after
//! a crash too: it looks at what exists and completes it, based on what git leaves behind when it
//! is killed:
//!
//! ```text
//! REPO/.git/worktrees/ID/locked           1. with our reason, until make() finishes: nobody has worked here yet
//! REPO/.git/worktrees/ID/gitdir, HEAD     2. the registration
//! WORKTREE/.git                           3. points back to ID
//! WORKTREE/…                              4. the checkout, under ID/index.lock
//! REPO/.git/worktrees/ID/index            5. written after the last file
//! REPO/.git/refs/heads/BRANCH             6. the branch
//!                                         7. the post-checkout hook
//! ```
//!
//! Steps 1 to 3 are ours where git's documents specify them completely; the rest is one `git
//! checkout`, whether the worktree is new or has to be completed. Where more is involved (an
//! existing branch, another ref store, per-worktree settings), `git worktree add` makes the
//! worktree, with the branch first.
//!
//! libgit2 reads (no process to start); the `git` program checks out, so that smudge filters (LFS)
//! and hooks run. The program also reads what libgit2 cannot: SHA-256, reftable, newer extensions.
//! git can never prompt: see [`git_command`].

mod caches;
mod checkout;
mod checks;
mod command;
mod confirm;
mod create;
mod diff;
mod durable;
mod elsewhere;
mod fetch;
mod hint;
mod identity;
mod include;
mod leftovers;
mod log;
pub mod merge;
mod named;
mod outside;
mod own;
mod plain;
mod plan;
mod programs;
mod progress;
mod reader;
mod register;
mod remove;
mod rescue;
mod settings;
mod stores;
mod strays;
mod submodules;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

pub use caches::ignored_folders;
pub use checkout::{Checkout, Repository};
pub use checks::{Finding, Severity, UNSIGNED, check, check_unsigned, commits_work};
pub use command::{MINIMUM_VERSION, Version, git_command, version};
pub use confirm::Confirmed;
pub use create::{Created, Did};
pub use diff::{Diff, changed_paths, diff};
pub use durable::{Damage, Window, lost_data, settle_changes};
pub use elsewhere::elsewhere;
pub use identity::identity;
pub use include::{Included, include};
pub use log::{Commit, commits};
pub use named::named_by_settings;
pub use own::Fetched;
pub use plan::{Base, Plan, Start, WorktreePlan, default_branch, root};
pub use programs::Programs;
pub use reader::{Head, changed_files, changes, commits_of, head};
pub use remove::{Removal, remove_worktree};
pub use rescue::{Nested, Rescued, bring_back, saved_since};
pub use stores::{Stores, merge_command, stores};
pub use strays::{Refs, Watch, left_behind, strays};
pub use submodules::{NO_SUBMODULES, update_submodules};

/// Longest wait for the network when a worktree is made. Being offline must not hold up work.
pub const FETCH_LIMIT: Duration = Duration::from_secs(30);

/// Time limit for one checkout with its filters and hooks. LFS may have to download gigabytes, but
/// a hook that hangs must end some day.
pub const CHECKOUT_LIMIT: Duration = Duration::from_secs(30 * 60);

/// Failures of git commands and of worktrees.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no git program.
    #[error("cannot run git: {0}")]
    NoGit(std::io::Error),
    /// The repository belongs to another user and git refuses to use it.
    #[error("git refuses to use {repo}: it belongs to another user", repo = repo.display())]
    DubiousOwnership {
        /// The repository's root folder.
        repo: PathBuf,
    },
    /// Not a valid branch name.
    #[error("'{0}' is not a valid git branch name")]
    BadBranch(String),
    /// The branch is checked out in another worktree; git allows one.
    #[error("branch '{branch}' is checked out in {at}", at = at.display())]
    BranchElsewhere {
        /// The session's branch, prefix included.
        branch: String,
        /// The worktree that has it.
        at: PathBuf,
        /// Where the session's worktree belongs.
        place: PathBuf,
        /// Whether it is the repository's main working tree, which git does not remove.
        is_main: bool,
    },
    /// The branch that new work starts from; agents are kept off it.
    #[error("sessions start from branch '{0}' and must not work on it")]
    BaseBranch(String),
    /// `a` and `a/b` cannot both be branches.
    #[error(
        "cannot create branch '{branch}': branch '{existing}' exists, and git keeps branches as folders"
    )]
    BranchCollides {
        /// The session's branch, prefix included.
        branch: String,
        /// The branch in its way.
        existing: String,
    },
    /// A file that is no branch is where git would keep the branch.
    #[error(
        "cannot create branch '{branch}': {file} is in its way, and is no branch",
        file = file.display()
    )]
    BranchBlocked {
        /// The session's branch, prefix included.
        branch: String,
        /// The file in its way.
        file: PathBuf,
    },
    /// Something other than this session's worktree is at its path.
    #[error("cannot create the worktree {path}: {what}", path = path.display())]
    Occupied {
        /// Where the worktree belongs.
        path: PathBuf,
        /// Describes the obstacle, as in "it is a file".
        what: String,
    },
    /// The worktree is missing, and someone locked it.
    #[error("the worktree {path} is missing and locked ({reason})", path = path.display())]
    Locked {
        /// Where it is registered.
        path: PathBuf,
        /// The reason from the lock.
        reason: String,
    },
    /// A git process is still running where the worktree is to be made or completed.
    #[error("git (process {pid}) is still working in {path}", path = path.display())]
    Busy {
        /// Where git is working.
        path: PathBuf,
        /// The id of that process.
        pid: i32,
    },
    /// A repository without a commit, and a git that cannot make a worktree from it.
    #[error("{repo} has no commit yet and this git is older than 2.42", repo = repo.display())]
    NoCommit {
        /// The repository's root folder.
        repo: PathBuf,
    },
    /// A `.git` in which git finds no repository.
    #[error("{folder} has a .git, but git finds no repository there", folder = folder.display())]
    NoRepository {
        /// The folder that contains the `.git`.
        folder: PathBuf,
    },
    /// A project's repository that is not there.
    #[error("there is no repository in {folder}", folder = folder.display())]
    NoneThere {
        /// Where it should be.
        folder: PathBuf,
    },
    /// git in a worktree would work on another folder than that worktree.
    #[error("git must not be used in {worktree}: {what}", worktree = worktree.display())]
    Astray {
        /// The worktree's root folder.
        worktree: PathBuf,
        /// What is wrong, to follow a colon.
        what: String,
        /// The command that fixes it, with a word of introduction where it needs one.
        remedy: String,
    },
    /// A folder of a worktree that is to be removed cannot be deleted.
    #[error("cannot delete {path}: {what}; nothing was removed", path = path.display())]
    Undeletable {
        /// The folder that git could not delete.
        path: PathBuf,
        /// The reason, in a few words.
        what: String,
        /// The command that makes it possible.
        remedy: String,
    },
    /// A ref points to a commit that cannot be read.
    #[error("{repo} is damaged: {name} does not point to a commit ({said})", repo = repo.display())]
    Damaged {
        /// The repository's root folder.
        repo: PathBuf,
        /// The full name of the ref, as in `refs/heads/main`.
        name: String,
        /// git's own words about it.
        said: String,
    },
    /// git failed, in its own words.
    #[error("cannot {doing}: git says: {said}")]
    Git {
        /// The attempt and its object, as in "fetch from origin".
        doing: String,
        /// The telling line of git's stderr, credentials removed.
        said: String,
    },
    /// git exceeded its time limit and was killed.
    #[error("cannot {doing}: git was killed after {seconds} s")]
    TimedOut {
        /// The attempt and its object.
        doing: String,
        /// The limit it exceeded.
        seconds: u64,
    },
    /// A file operation failed.
    #[error("cannot {doing} {path}: {source}", path = path.display())]
    Io {
        /// The attempt, as in "read" or "create the folder".
        doing: &'static str,
        /// The file or folder it failed on.
        path: PathBuf,
        /// The error as the operating system reports it.
        source: std::io::Error,
    },
}

impl Error {
    /// Whether choosing another name for the session solves it.
    #[must_use]
    pub const fn is_about_name(&self) -> bool {
        matches!(
            self,
            Self::BadBranch(_)
                | Self::BaseBranch(_)
                | Self::BranchElsewhere { .. }
                | Self::BranchCollides { .. }
                | Self::BranchBlocked { .. }
        )
    }
}

/// Quotes a path for pasting into a shell.
#[must_use]
pub fn quoted(path: &std::path::Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+,:@%=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
