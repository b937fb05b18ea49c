//! What outlasts a loss of power, and what is done about what did not.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::command::{git_command, run};
use super::{CHECKOUT_LIMIT, Error};

/// git's name of an empty file, in each of its hashes.
const EMPTY: [&[u8]; 2] = [
    b"e69de29bb2d1d6434b8b29ae775ad8c2e48c5391",
    b"473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813",
];
/// How many files are handed to one git, far below what an argument list may hold.
const AT_ONCE: usize = 256;

/// Gives files that are empty what the index has for them. Their paths in the worktree.
///
/// A file system writes the name of a new file before its data (ext4(5), delayed allocation): cut off in between, it has an empty file, though a
/// commit of it may be on the disk. Only to be called after the machine was started anew, before an agent works there: nobody can tell such a
/// file from one that was emptied on purpose.
///
/// # Errors
/// When git cannot look at the worktree or not write into it.
pub async fn restore_emptied(worktree: &Path) -> Result<Vec<PathBuf>, Error> {
    let doing = format!("look for files that were emptied in {}", worktree.display());
    let mut look = git_command(worktree);
    look.args(["diff-files", "--raw", "-z", "--diff-filter=M"]);
    let changed = run(look, &doing, CHECKOUT_LIMIT).await?.checked(doing)?.stdout;
    let is_empty = |path: &PathBuf| {
        worktree.join(path).symlink_metadata().is_ok_and(|meta| meta.is_file() && meta.len() == 0)
    };
    let emptied: Vec<PathBuf> = not_empty_in_index(&changed).filter(is_empty).collect();
    for some in emptied.chunks(AT_ONCE) {
        let doing = format!("restore files that were emptied in {}", worktree.display());
        let mut restore = git_command(worktree);
        restore.args(["checkout-index", "--force", "--index", "--"]).args(some);
        run(restore, &doing, CHECKOUT_LIMIT).await?.checked(doing)?;
    }
    if !emptied.is_empty() {
        settle(worktree).await;
    }
    Ok(emptied)
}

/// The paths in git's raw output (git-diff-files(1)) of which the index has more than nothing:
/// `:100644 100644 OLD NEW M`, NUL, the path, NUL.
fn not_empty_in_index(raw: &[u8]) -> impl Iterator<Item = PathBuf> {
    let mut fields = raw.split(|byte| *byte == 0);
    std::iter::from_fn(move || Some((fields.next()?, fields.next()?))).filter_map(|(what, path)| {
        let in_index = what.split(|byte| *byte == b' ').nth(2)?;
        (!EMPTY.contains(&in_index)).then(|| PathBuf::from(OsStr::from_bytes(path)))
    })
}

/// Puts what was checked out on the disk: git itself does so with its own files alone, and a loss of power would leave a worktree of empty ones.
#[cfg(target_os = "linux")]
pub(super) async fn settle(worktree: &Path) {
    let folder = worktree.to_owned();
    let sync = move || std::io::Result::Ok(rustix::fs::syncfs(std::fs::File::open(folder)?)?);
    // A disk that fails shows it elsewhere.
    let _ = tokio::task::spawn_blocking(sync).await;
}

/// There is no such call for one file system here.
#[cfg(not(target_os = "linux"))]
pub(super) async fn settle(_worktree: &Path) {}
