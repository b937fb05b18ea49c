//! Flushes to disk what git and agents leave to the kernel.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use git2::Repository;

use crate::git::leftovers::{Found, branch_in, look, pointed_to};
use crate::git::plain;
use crate::git::reader::tidy;
use crate::platform::{disk, threads};

/// Up to this many files and folders are flushed one by one. Each costs a flush of the disk, and so
/// does a whole file system with little else to write: on ext4, 4 files took 24 ms where `syncfs`
/// took 4.
const ONE_BY_ONE: usize = 2;
/// Up to this many are still flushed one by one if `syncfs` would have to write much data of other
/// programs.
const AT_MOST: usize = 256;
/// In bytes. With this much dirty memory, `syncfs` takes about a second on a disk that writes 200
/// MB/s.
const MUCH_DIRTY: u64 = 256 << 20;
/// How much is searched: entries of a worktree, and bytes of its index, at some 100 per file. More
/// would take longer than `syncfs` does on a quiet disk: 300 files take 0.9 ms, 3,000 take 12 ms
/// (measured without optimization).
const QUICKLY_SEARCHED: (usize, u64) = (2_000, 256 << 10);
/// The same limits if `syncfs` would have much to write.
const SEARCHED: (usize, u64) = (20_000, 4 << 20);

/// Flushes everything that the worktree's file system still has in memory. git flushes only its own
/// files, and a power cut would leave a worktree of empty ones.
pub(in crate::git) async fn settle(worktree: &Path) {
    let folder = worktree.to_owned();
    // A failing disk shows up elsewhere.
    let _ = threads::apart_or_here(move || disk::sync_all_of(&folder)).await;
}

/// Flushes what was written in a worktree since a moment: its files (ignored ones left out), their
/// folders, and the reflogs of HEAD and its branch. git itself flushes objects, refs and the index
/// (`core.fsync`).
///
/// # Errors
/// If the disk reports a failed write.
pub async fn settle_changes(worktree: &Path, since: SystemTime) -> std::io::Result<()> {
    // A run that touched nothing needs neither the disk nor a thread that waits for it.
    let quickly = touched(worktree, since, QUICKLY_SEARCHED);
    if quickly.as_ref().is_some_and(Vec::is_empty) {
        return Ok(());
    }
    let worktree = worktree.to_owned();
    threads::apart_or_here(move || settle_found(&worktree, since, quickly)).await?
}

/// Flushes what the quick search found, or all of the file system if that is less work.
fn settle_found(
    worktree: &Path,
    since: SystemTime,
    quickly: Option<Vec<PathBuf>>,
) -> std::io::Result<()> {
    if let Some(paths) = quickly.as_ref().filter(|paths| paths.len() <= ONE_BY_ONE) {
        return sync_each(paths);
    }
    if disk::unwritten().unwrap_or(0) > MUCH_DIRTY
        && let Some(paths) = quickly.or_else(|| touched(worktree, since, SEARCHED))
        && paths.len() <= AT_MOST
    {
        return sync_each(&paths);
    }
    disk::sync_all_of(worktree)
}

fn sync_each(paths: &[PathBuf]) -> std::io::Result<()> {
    for path in paths {
        // An agent may have left a FIFO there.
        let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
        match OpenOptions::new().read(true).custom_flags(nonblocking).open(path) {
            Ok(file) => file.sync_all()?,
            // Removed since it was found, or unreadable for its owner: syncfs needs no permission.
            Err(_) => return disk::sync_all_of(path.parent().unwrap_or(path)),
        }
    }
    Ok(())
}

/// Files and folders changed since a moment; `None` if finding out is too much work.
fn touched(
    worktree: &Path,
    since: SystemTime,
    (entries, index): (usize, u64),
) -> Option<Vec<PathBuf>> {
    let Ok(Found::Worktree(admin)) = look(worktree) else { return None };
    if fs::metadata(admin.join("index")).ok()?.len() > index {
        return None;
    }
    let mut search = Search { worktree, rules: None, since, left: entries, found: Vec::new() };
    search.folder(worktree, Path::new(""))?;
    let common = plain::line(&admin.join("commondir")).ok()?;
    let common = pointed_to(&common, &admin)?;
    let branch = branch_in(&admin.join("HEAD"));
    let reflogs = branch.map(|branch| common.join("logs").join(branch));
    for reflog in reflogs.into_iter().chain([admin.join("logs/HEAD")]) {
        if fs::metadata(&reflog).is_ok_and(|meta| search.is_new(&meta)) {
            search.found.push(tidy(&reflog));
        }
    }
    Some(search.found)
}

/// The folders with tracked files in them or below them.
fn tracked_folders(repo: &Repository) -> Option<HashSet<PathBuf>> {
    let mut folders = HashSet::new();
    for entry in repo.index().ok()?.iter() {
        let path = Path::new(OsStr::from_bytes(&entry.path));
        for folder in path.ancestors().skip(1) {
            if !folders.insert(folder.to_owned()) {
                break;
            }
        }
    }
    Some(folders)
}

/// What says whether a folder is searched.
struct Rules {
    repo: Repository,
    tracked: HashSet<PathBuf>,
}

struct Search<'a> {
    worktree: &'a Path,
    /// Read when the first folder is met: a worktree without any needs none.
    rules: Option<Rules>,
    since: SystemTime,
    left: usize,
    found: Vec<PathBuf>,
}

impl Search<'_> {
    /// Goes by the time of the last change of any kind, which no program can set.
    fn is_new(&self, meta: &fs::Metadata) -> bool {
        changed(meta) >= self.since
    }

    fn folder(&mut self, path: &Path, relative: &Path) -> Option<()> {
        for entry in fs::read_dir(path).ok()?.flatten() {
            self.left = self.left.checked_sub(1)?;
            let name = entry.file_name();
            if name == ".git" {
                continue;
            }
            // Deleted since: its folder has changed.
            let Ok(meta) = entry.metadata() else { continue };
            let below = relative.join(name);
            if meta.is_dir() {
                if self.rules()?.covers(&below) {
                    self.folder(&entry.path(), &below)?;
                }
            } else if meta.is_file() && self.is_new(&meta) {
                self.found.push(entry.path());
            }
        }
        if self.is_new(&fs::metadata(path).ok()?) {
            self.found.push(path.to_owned());
        }
        Some(())
    }

    fn rules(&mut self) -> Option<&Rules> {
        if self.rules.is_none() {
            let repo = Repository::open(self.worktree).ok()?;
            self.rules = Some(Rules { tracked: tracked_folders(&repo)?, repo });
        }
        self.rules.as_ref()
    }
}

impl Rules {
    /// Whether a folder may hold work: it has tracked files, or is not ignored.
    fn covers(&self, folder: &Path) -> bool {
        self.tracked.contains(folder) || !self.repo.is_path_ignored(folder).unwrap_or(false)
    }
}

/// The ctime: when the file's content or metadata last changed.
pub(super) fn changed(meta: &fs::Metadata) -> SystemTime {
    let seconds = Duration::from_secs(u64::try_from(meta.ctime()).unwrap_or(0));
    let rest = Duration::from_nanos(u64::try_from(meta.ctime_nsec()).unwrap_or(0));
    UNIX_EPOCH + seconds + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::tests::{Lab, git};

    #[tokio::test]
    async fn what_a_run_touched_is_found_and_nothing_else() {
        let lab = Lab::new();
        lab.commit(".gitignore", "build/\n");
        std::fs::create_dir(lab.repo.join("src")).unwrap();
        for file in ["src/old", "src/staged", "src/edited", "src/replaced"] {
            lab.commit(file, "before\n");
        }
        lab.create("a").await.unwrap();
        let path = lab.path("a");
        let since = lab.next_tick();
        assert_eq!(touched(&path, since, SEARCHED).unwrap(), Vec::<PathBuf>::new());

        fs::write(path.join("src/edited"), "after\n").unwrap();
        fs::write(path.join("src/staged"), "after\n").unwrap();
        fs::write(path.join("src/.new"), "after\n").unwrap();
        fs::rename(path.join("src/.new"), path.join("src/replaced")).unwrap();
        for file in ["build/out", "made/deep/untracked"] {
            fs::create_dir_all(path.join(file).parent().unwrap()).unwrap();
            fs::write(path.join(file), "new\n").unwrap();
        }
        git(&path, &["add", "src/staged"]);
        git(&path, &["commit", "--quiet", "-m", "x"]);

        let mut found = touched(&path, since, SEARCHED).unwrap();
        found.sort();
        let admin = lab.repo.join(".git/worktrees/a/logs/HEAD");
        let mut expected: Vec<PathBuf> = [
            "",
            "made",
            "made/deep",
            "made/deep/untracked",
            "src",
            "src/edited",
            "src/replaced",
            "src/staged",
        ]
        .iter()
        .map(|name| if name.is_empty() { path.clone() } else { path.join(name) })
        .chain([admin, lab.repo.join(".git/logs/refs/heads/a")])
        .collect();
        expected.sort();
        assert_eq!(found, expected);
        assert_eq!(touched(&path, since, (5, 1 << 20)), None, "too many entries");
        assert_eq!(touched(&path, since, (100, 10)), None, "too large an index");
        settle_changes(&path, since).await.unwrap();
    }

    #[tokio::test]
    async fn a_folder_without_a_worktree_is_settled_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(touched(folder.path(), UNIX_EPOCH, SEARCHED), None);
        settle_changes(folder.path(), UNIX_EPOCH).await.unwrap();
    }
}
