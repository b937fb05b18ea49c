//! Everything samocode does with git.
//!
//! A session works in a git worktree of its own, on a branch of its own. [`plan`] reads what would be done, [`create`] does it, and is also what a
//! start calls after a crash: it looks at what is there, and completes it. What git itself leaves behind when it is killed decides how:
//!
//! ```text
//! REPO/.git/worktrees/ID/locked           1. our reason in it, until create() is through: nobody has worked here yet
//! REPO/.git/worktrees/ID/gitdir, HEAD     2. the registration
//! WORKTREE/.git                           3. points back to ID
//! WORKTREE/…                              4. the checkout, under ID/index.lock
//! REPO/.git/worktrees/ID/index            5. only when the last file is written
//! REPO/.git/refs/heads/BRANCH             6. the branch
//!                                         7. the post-checkout hook
//! ```
//!
//! 1 to 3 are ours where git's documents say all of it, the rest is one `git checkout`, whether the worktree is new or to be completed. Where there is more to
//! a worktree (a branch that exists, another store of refs, settings of its own), `git worktree add` makes it, with the branch first.
//!
//! libgit2 reads (no process to start); the `git` program checks out, so that smudge filters (LFS) and hooks run. The program also reads where libgit2
//! cannot: SHA-256, reftable, newer extensions. Git never asks anybody anything: see [`git_command`].

mod checks;
mod command;
mod create;
mod durable;
mod fetch;
mod leftovers;
mod plan;
mod reader;
mod register;
mod settings;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

pub use checks::{Finding, Severity, check, commits_work};
pub use command::{MINIMUM_VERSION, Version, git_command, version};
pub use create::{Created, Did, create, outlast_maker};
pub use durable::{Damage, Window, find_damage, lost_data, settle_changes};
pub use leftovers::is_whole;
pub use plan::{Base, Plan, Start, WorktreePlan, default_branch, plan, root};
pub use reader::{Head, changed_files, commits_since, head};

/// Longest wait for the network when a worktree is made. Being offline must not hold up work.
pub const FETCH_LIMIT: Duration = Duration::from_secs(30);

/// Longest time for one checkout, filters and hooks included. LFS may have to bring gigabytes; a hook that hangs must end some day.
pub const CHECKOUT_LIMIT: Duration = Duration::from_secs(30 * 60);

/// What can go wrong between samocode and git.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no git program.
    #[error("cannot run git: {0}. Install git (apt install git) or put its folder on PATH")]
    NoGit(std::io::Error),
    /// The repository belongs to another user and git refuses to touch it.
    #[error("git refuses {repo}: it belongs to another user. Run: git config --global --add safe.directory {remedy}", repo = repo.display(), remedy = quoted(repo))]
    DubiousOwnership {
        /// The refused repository.
        repo: PathBuf,
    },
    /// Not a possible name of a branch.
    #[error(
        "'{0}' cannot be the name of a git branch. Use letters, digits, '-', '_' and single '/'; see GIT_BRANCH_PREFIX too"
    )]
    BadBranch(String),
    /// The branch is checked out in another worktree; git allows one.
    #[error("branch '{branch}' is checked out in {at}. Switch that one to another branch (git -C {quoted} switch …), or {or}", at = at.display(), quoted = quoted(at), or = if *is_main { "name the session otherwise".to_owned() } else { format!("remove it (git worktree remove {})", quoted(at)) })]
    BranchElsewhere {
        /// The session's branch.
        branch: String,
        /// The worktree that has it.
        at: PathBuf,
        /// Whether that is the repository's main working tree, which git does not remove.
        is_main: bool,
    },
    /// The branch that new work begins from: agents are kept off it.
    #[error(
        "branch '{0}' is what sessions begin from, and none works on it itself. Name the session otherwise, or set GIT_BRANCH_PREFIX"
    )]
    BaseBranch(String),
    /// `a` and `a/b` cannot both be branches.
    #[error(
        "branch '{branch}' cannot be made: branch '{existing}' exists, and git keeps branches as folders. Rename one of them, or change GIT_BRANCH_PREFIX"
    )]
    BranchCollides {
        /// The session's branch.
        branch: String,
        /// The one in its way.
        existing: String,
    },
    /// Something that is not this session's worktree is where it should be.
    #[error("cannot make the worktree {path}: {what}. Move it away, then start again", path = path.display())]
    Occupied {
        /// Where the worktree should be.
        path: PathBuf,
        /// What is there.
        what: String,
    },
    /// The worktree is locked by somebody, for a reason of theirs.
    #[error("the worktree {path} is missing and locked ({reason}). If it will not come back: git worktree unlock {quoted}", path = path.display(), quoted = quoted(path))]
    Locked {
        /// The worktree.
        path: PathBuf,
        /// The reason in the lock.
        reason: String,
    },
    /// A git process is still at work where the worktree is to be made or completed.
    #[error("git (process {pid}) is still at work in {path}. Wait for it to end, then start again", path = path.display())]
    Busy {
        /// The worktree.
        path: PathBuf,
        /// The process.
        pid: i32,
    },
    /// A repository without a commit, and a git that cannot make a worktree of it.
    #[error("{repo} has no commit yet and this git is older than 2.42. Run: git -C {quoted} commit --allow-empty -m start", repo = repo.display(), quoted = quoted(repo))]
    NoCommit {
        /// The repository.
        repo: PathBuf,
    },
    /// There is a `.git` in which git finds no repository.
    #[error("{folder} has a .git, but git reads no repository there. Look at its owner, its permissions and what this says: git -C {quoted} status. Or move it away", folder = folder.display(), quoted = quoted(folder))]
    NoRepository {
        /// The folder that has it.
        folder: PathBuf,
    },
    /// A ref leads to a commit that cannot be read.
    #[error("{repo} is damaged: {name} leads to no commit ({said}). Look what is missing: git -C {quoted} fsck", repo = repo.display(), quoted = quoted(repo))]
    Damaged {
        /// The repository.
        repo: PathBuf,
        /// The full name of the ref.
        name: String,
        /// What git says of it.
        said: String,
    },
    /// git failed; its own last words.
    #[error("cannot {doing}: git says: {said}")]
    Git {
        /// What was attempted, on what.
        doing: String,
        /// The telling line of git's stderr, credentials removed.
        said: String,
    },
    /// git took too long and was ended.
    #[error(
        "cannot {doing}: git was ended after {seconds} s. Look what it waits for (a hook, a filter, the network), then start again"
    )]
    TimedOut {
        /// What was attempted, on what.
        doing: String,
        /// How long it was given.
        seconds: u64,
    },
    /// A file operation of ours failed.
    #[error("cannot {doing} {path}: {source}", path = path.display())]
    Io {
        /// The verb.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Error {
    /// Whether another name for the session is the remedy.
    #[must_use]
    pub const fn is_about_name(&self) -> bool {
        matches!(
            self,
            Self::BadBranch(_)
                | Self::BaseBranch(_)
                | Self::BranchElsewhere { .. }
                | Self::BranchCollides { .. }
        )
    }
}

/// A path as it can be pasted into a shell.
fn quoted(path: &std::path::Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+,:@%=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
