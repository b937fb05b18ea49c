//! What recent commits contain: older versions of a file, and files an index has not caught up
//! with.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use super::Window;
use super::index::{git, git_with};
use crate::git::Error;
use crate::git::leftovers::{Found, look};
use crate::git::programs::Barred;

/// How many older versions of a file are read.
const VERSIONS: &str = "-n16";

/// One record of git's raw output: `:MODE MODE OLD NEW STATUS`, NUL, path, NUL.
struct Change {
    mode: String,
    old: String,
    new: String,
    path: PathBuf,
}

fn changes(raw: &[u8]) -> Vec<Change> {
    let mut fields = raw.split(|byte| *byte == 0);
    let mut changes = Vec::new();
    while let Some(field) = fields.next() {
        // There may be line ends between commits.
        let text = String::from_utf8_lossy(field);
        let words: Vec<&str> = text.trim_start().split(' ').collect();
        if let [first, mode, old, new, _] = words[..]
            && first.starts_with(':')
            && let Some(path) = fields.next()
        {
            let path = PathBuf::from(OsStr::from_bytes(path));
            let [mode, old, new] = [mode, old, new].map(str::to_owned);
            changes.push(Change { mode, old, new, path });
        }
    }
    changes
}

/// The last committed versions of a file, as they would be checked out. Leaves out any that git
/// cannot read, as in a shallow or partial clone.
pub(super) async fn versions(worktree: &Path, path: &Path, barred: &Barred) -> Vec<Vec<u8>> {
    let log =
        ["--literal-pathspecs", "log", "--first-parent", VERSIONS, "--format=", "--raw", "-z"]
            .map(OsStr::new);
    let more = ["--no-abbrev", "--no-renames", "HEAD", "--"].map(OsStr::new);
    let args: Vec<&OsStr> = log.into_iter().chain(more).chain([path.as_os_str()]).collect();
    let listed = git(worktree, None, &args, &[]).await.unwrap_or_default();
    let mut of_path = std::ffi::OsString::from("--path=");
    of_path.push(path);
    let mut versions = Vec::new();
    for change in changes(&listed) {
        for blob in [&change.new, &change.old] {
            if blob.bytes().all(|byte| byte == b'0') {
                continue;
            }
            let args: [&OsStr; 4] =
                ["cat-file".as_ref(), "--filters".as_ref(), &of_path, blob.as_ref()];
            if let Ok(read) = git_with(barred, worktree, None, &args, &[]).await {
                versions.push(read);
            }
        }
    }
    versions
}

/// Updates an index that is behind the last commit. `git commit --all` moves the branch first and
/// then replaces the index: if a power cut comes in between, the old index would revert the commit
/// with the next one.
///
/// The index is behind if it was written before HEAD's commit, and has every file changed in that
/// commit as the parent had it.
pub(super) async fn catch_up(worktree: &Path, window: &Window) -> Result<(), Error> {
    let Ok(Found::Worktree(admin)) = look(worktree) else { return Ok(()) };
    let Some(written) = fs::metadata(admin.join("index")).and_then(|meta| meta.modified()).ok()
    else {
        return Ok(());
    };
    let show = ["log", "-1", "--format=%ct", "HEAD"].map(OsStr::new);
    // Before the first commit there is no HEAD.
    let Ok(shown) = git(worktree, None, &show, &[]).await else { return Ok(()) };
    let seconds = String::from_utf8_lossy(&shown).trim().parse().unwrap_or(0);
    let committed = UNIX_EPOCH + Duration::from_secs(seconds);
    // Commit times are truncated to seconds.
    if committed + Duration::from_secs(1) < window.since
        || written >= committed + Duration::from_secs(1)
    {
        return Ok(());
    }
    let of_commit = ["diff-tree", "-r", "--raw", "-z", "--no-renames", "--root", "--no-commit-id"]
        .map(OsStr::new);
    let of_commit: Vec<&OsStr> =
        of_commit.into_iter().chain(["-m", "--first-parent", "HEAD"].map(OsStr::new)).collect();
    let committed = changes(&git(worktree, None, &of_commit, &[]).await?);
    let of_index =
        ["diff-index", "--cached", "--raw", "-z", "--no-renames", "HEAD"].map(OsStr::new);
    let staged: HashMap<PathBuf, String> = changes(&git(worktree, None, &of_index, &[]).await?)
        .into_iter()
        .map(|change| (change.path, change.new))
        .collect();
    let is_behind = !committed.is_empty()
        && committed.iter().all(|change| staged.get(&change.path) == Some(&change.old));
    if !is_behind {
        return Ok(());
    }
    let mut list = Vec::new();
    for Change { mode, new, path, .. } in &committed {
        // Mode 0 removes an entry.
        let mode = if mode.bytes().all(|byte| byte == b'0') { "0" } else { mode };
        list.extend_from_slice(format!("{mode} {new} 0\t").as_bytes());
        list.extend_from_slice(path.as_os_str().as_bytes());
        list.push(0);
    }
    let update = ["update-index", "-z", "--index-info"].map(OsStr::new);
    git(worktree, None, &update, &list).await?;
    Ok(())
}
