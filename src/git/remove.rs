//! Removing a session's worktree without losing anything of it. The branch stays.

use std::path::Path;
use std::time::Duration;

use super::command::{git_command, run};
use super::confirm::confirm;
use super::programs::Barred;
use super::{Error, changed_files};

/// Longest wait for git: it deletes every file.
const LIMIT: Duration = Duration::from_secs(300);

/// What became of a worktree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// It was removed.
    Removed,
    /// There was none.
    Absent,
    /// It stays: this many files are not committed.
    Uncommitted(usize),
    /// It stays: this many commits are on no branch.
    Loose(usize),
}

/// Removes the worktree at `root` of the repository `repo`, if it holds nothing that is not on a
/// branch. Files that git ignores go with it.
///
/// # Errors
/// git's, also for a worktree that is locked or has submodules.
pub async fn remove_worktree(repo: &Path, root: &Path) -> Result<Removal, Error> {
    let shown = root.display();
    if std::fs::symlink_metadata(root).is_err() {
        // What git still knows of it is in the way of another at the same place.
        let doing = format!("forget the missing worktree {shown}");
        let mut command = git_command(repo);
        command.args(["worktree", "prune"]);
        run(command, &doing, LIMIT).await?.checked(doing)?;
        return Ok(Removal::Absent);
    }
    // What git says there has to be about this folder.
    confirm(root, repo, None).await?;
    match changed_files(root).await? {
        0 => {}
        files => return Ok(Removal::Uncommitted(files)),
    }
    match loose_commits(root).await? {
        0 => {}
        commits => return Ok(Removal::Loose(commits)),
    }
    let doing = format!("remove the worktree {shown}");
    let mut command = git_command(repo);
    // Not by force: git looks once more, and leaves what has changed meanwhile.
    command.args(Barred::all_filters(root).await?.without_filters());
    command.args(["worktree", "remove", "--"]).arg(root);
    run(command, &doing, LIMIT).await?.checked(doing)?;
    Ok(Removal::Removed)
}

/// How many commits only the HEAD of the worktree holds.
async fn loose_commits(root: &Path) -> Result<usize, Error> {
    let mut command = git_command(root);
    command.args(["rev-parse", "--verify", "--quiet", "HEAD"]);
    let doing = format!("look for commits in {}", root.display());
    if !run(command, &doing, LIMIT).await?.status.success() {
        return Ok(0);
    }
    let mut command = git_command(root);
    command.args(["rev-list", "--count", "HEAD", "--not"]);
    // References of the worktree's own go with it.
    command.args(["worktree", "bisect", "rewritten"].map(|own| format!("--exclude=refs/{own}/*")));
    command.arg("--glob=refs/*");
    let line = run(command, &doing, LIMIT).await?.line(doing.clone())?;
    line.trim().parse().map_err(|_| Error::Git { doing, said: line })
}
