//! Looks for damage from a power cut, keeps a copy of it, and restores files from git.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tempfile::TempDir;

use super::index::{Blind, Entry, comparable, entries, git_with, io};
use super::judge::{Age, Verdict, judge, says_nothing_new};
use super::reflog::{self, Reflog};
use super::settle::{changed, settle};
use super::{Window, history, lost, lost_data};
use crate::git::Error;
use crate::git::leftovers::{Found, look};
use crate::git::plain;
use crate::git::programs::{Barred, Programs};

/// Prefix of the folders that hold files about to be put in place.
const STAGING: &str = ".samocode-restore-";
/// Larger files, in bytes, are reported but not compared with the index. git hashes some 400 MB/s.
const COMPARED: u64 = 1 << 30;
/// Larger files, in bytes, are judged by their times alone if they differ, since both contents are
/// held in memory.
const HELD: u64 = 64 << 20;
/// Older versions are compared for files of up to this size, in bytes.
const WITH_HISTORY: usize = 2 << 20;

/// The damage that a power cut did to a worktree.
#[derive(Debug)]
pub struct Damage {
    worktree: PathBuf,
    staging: Option<TempDir>,
    restorable: Vec<PathBuf>,
    lost: Vec<PathBuf>,
    /// Files whose size and times git must not trust.
    doubted: Vec<PathBuf>,
    reflogs: Vec<Reflog>,
    barred: Barred,
}

/// Looks for damage in a worktree after the machine was started again, by content: size and times
/// of a damaged file may match the index. Looks only at files that were written in the `window`.
/// Changes nothing, except an index that is behind its commit.
///
/// A file is damaged if it differs from the index but was not changed since it was staged. One that
/// was changed later is left as the agent's edit, unless it visibly lost data: it is empty, or a
/// text with NUL bytes (which are cut out if all staged content remains without them), or it
/// contains nothing that git does not have from the index or an older version.
///
/// Call it only before an agent works there.
///
/// # Errors
/// If git cannot look at the worktree, or the disk cannot be read.
pub(in crate::git) async fn find_damage(
    worktree: &Path,
    window: &Window,
    programs: &Programs,
) -> Result<Damage, Error> {
    let barred = programs.barred(worktree).await?;
    remove_leftovers(worktree);
    history::catch_up(worktree, window).await?;
    let mut damage = Damage {
        worktree: worktree.to_owned(),
        staging: None,
        restorable: Vec::new(),
        lost: lost::untracked(worktree, window).await?,
        doubted: Vec::new(),
        reflogs: reflog::damaged(worktree),
        barred,
    };
    let entries = entries(worktree).await?;
    let touched: Vec<&Entry> =
        entries.iter().filter(|entry| is_touched(worktree, entry, window)).collect();
    let (touched, large): (Vec<&Entry>, Vec<&Entry>) =
        touched.into_iter().partition(|entry| size(&worktree.join(&entry.path)) <= COMPARED);
    damage.lost.extend(large.iter().map(|entry| entry.path.clone()));
    damage.doubted.extend(large.iter().map(|entry| entry.path.clone()));
    let (touched, filtered) = comparable(worktree, touched, &damage.barred).await?;
    let filtered = filtered.into_iter().map(|entry| &entry.path);
    damage.lost.extend(filtered.filter(|path| lost_data(&worktree.join(path), window)).cloned());
    if touched.is_empty() {
        return Ok(damage);
    }
    let blind = Blind::of(worktree, &touched).await?;
    let differing = blind.differing(worktree, &damage.barred).await?;
    let differs: HashSet<&PathBuf> = differing.iter().collect();
    if differing.is_empty() {
        return Ok(damage);
    }
    let staging = tempfile::Builder::new()
        .prefix(STAGING)
        .tempdir_in(worktree)
        .map_err(|source| io("create a folder in", worktree, source))?;
    blind.check_out(worktree, &differing, staging.path(), &damage.barred).await?;
    let index_written = index_written(worktree);
    for entry in touched.iter().filter(|entry| differs.contains(&entry.path)) {
        damage.sort(entry, &staging.path().join(&entry.path), index_written).await?;
    }
    damage.staging = Some(staging);
    Ok(damage)
}

impl Damage {
    /// Whether there is nothing to restore, repair or report.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.restorable.is_empty() && self.lost.is_empty() && self.reflogs.is_empty()
    }

    /// The files that [`Damage::restore`] restores from git, relative to the worktree.
    #[must_use]
    pub fn restorable(&self) -> &[PathBuf] {
        &self.restorable
    }

    /// Other files that may have lost data, relative to the worktree: git has no copy, or cannot
    /// tell.
    #[must_use]
    pub fn lost(&self) -> &[PathBuf] {
        &self.lost
    }

    /// Copies what [`Damage::restore`] will replace into a folder that it creates. Returns false,
    /// and creates no folder, if there is nothing to keep.
    ///
    /// # Errors
    /// If a copy cannot be written.
    pub async fn keep(&self, folder: &Path) -> Result<bool, Error> {
        let there = |path: &&PathBuf| self.worktree.join(path).is_file();
        let files = self.restorable.iter().filter(there);
        let mut copies: Vec<_> =
            files.map(|path| (self.worktree.join(path), folder.join(path))).collect();
        for (number, reflog) in self.reflogs.iter().enumerate() {
            copies.push((reflog.path.clone(), folder.join(format!(".git-reflog-{number}"))));
        }
        for (from, to) in &copies {
            to.parent()
                .map_or(Ok(()), fs::create_dir_all)
                .and_then(|()| fs::copy(from, to))
                .map_err(|source| io("keep a copy of", from, source))?;
        }
        if !copies.is_empty() {
            settle(folder).await;
        }
        Ok(!copies.is_empty())
    }

    /// Restores files from git, repairs reflogs, and makes git compare doubtful files again. Each
    /// file is replaced as a whole.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub async fn restore(self) -> Result<(), Error> {
        for reflog in &self.reflogs {
            reflog.repair()?;
        }
        for path in &self.doubted {
            distrust(&self.worktree.join(path));
        }
        if let Some(staging) = &self.staging
            && !self.restorable.is_empty()
        {
            // Their data must reach the disk before their names do.
            settle(&self.worktree).await;
            for path in &self.restorable {
                let place = self.worktree.join(path);
                place
                    .parent()
                    .map_or(Ok(()), fs::create_dir_all)
                    .and_then(|()| fs::rename(staging.path().join(path), &place))
                    .map_err(|source| io("restore", &place, source))?;
            }
            settle(&self.worktree).await;
            let refresh = ["update-index", "-q", "--refresh"].map(OsStr::new);
            git_with(&self.barred, &self.worktree, None, &refresh, &[]).await?;
        }
        Ok(())
    }

    /// Decides what to do about a file that differs from its entry; `staged` has the entry's
    /// content.
    async fn sort(
        &mut self,
        entry: &Entry,
        staged: &Path,
        index_written: SystemTime,
    ) -> Result<(), Error> {
        let place = self.worktree.join(&entry.path);
        if !staged.exists() {
            // git has lost its own copy.
            self.lost.push(entry.path.clone());
            return Ok(());
        }
        let Ok(meta) = fs::symlink_metadata(&place) else {
            // If it was deleted after it was staged, its folder was changed since.
            let folder = place.ancestors().skip(1).find_map(|folder| fs::metadata(folder).ok());
            let deleted = folder.is_some_and(|folder| changed(&folder) > index_written);
            if deleted { &mut self.lost } else { &mut self.restorable }.push(entry.path.clone());
            return Ok(());
        };
        if !meta.is_file() {
            return Ok(());
        }
        let age = age(entry, &meta, index_written);
        let verdict = if meta.len().max(size(staged)) > HELD {
            if age == Age::AsStaged || meta.len() == 0 { Verdict::Damaged } else { Verdict::Edited }
        } else {
            self.compare(&entry.path, staged, age).await?
        };
        match verdict {
            Verdict::Damaged => self.restorable.push(entry.path.clone()),
            Verdict::Holed(rest) => {
                fs::write(staged, rest).map_err(|source| io("write", staged, source))?;
                self.restorable.push(entry.path.clone());
            }
            // Its times differ from those in the index, so git reads it anyway.
            Verdict::Whole | Verdict::Edited => {}
        }
        Ok(())
    }

    async fn compare(&self, path: &Path, staged: &Path, age: Age) -> Result<Verdict, Error> {
        let place = self.worktree.join(path);
        let there = plain::read(&place).map_err(|source| io("read", &place, source))?;
        let staged = fs::read(staged).map_err(|source| io("read", staged, source))?;
        let verdict = judge(&there, &staged, age);
        if verdict != Verdict::Edited || there.len() > WITH_HISTORY {
            return Ok(verdict);
        }
        let versions = history::versions(&self.worktree, path, &self.barred).await;
        // If it is merely the start of the staged content, its end was deleted.
        let is_old = !staged.starts_with(&there) && {
            let all: Vec<&[u8]> =
                versions.iter().map(Vec::as_slice).chain([staged.as_slice()]).collect();
            says_nothing_new(&there, &all)
        };
        Ok(if is_old { Verdict::Damaged } else { verdict })
    }
}

/// Whether the index or the file was written in the window. Links and folders in place of a file,
/// and links in place of its folders, are someone's work.
fn is_touched(worktree: &Path, entry: &Entry, window: &Window) -> bool {
    let mut folders = entry.path.ancestors().skip(1).filter(|below| !below.as_os_str().is_empty());
    let is_elsewhere =
        |below: &Path| fs::symlink_metadata(worktree.join(below)).is_ok_and(|meta| !meta.is_dir());
    let staged_late =
        entry.changed.max(entry.modified).is_some_and(|staged| staged >= window.since);
    let is_late = match fs::symlink_metadata(worktree.join(&entry.path)) {
        Ok(meta) => {
            let written = changed(&meta);
            meta.is_file()
                && !window.is_later(written)
                && (staged_late || written.max(modified(&meta)) >= window.since)
        }
        Err(_) => staged_late,
    };
    is_late && !folders.any(is_elsewhere)
}

fn age(entry: &Entry, meta: &fs::Metadata, index_written: SystemTime) -> Age {
    let later = |now: SystemTime, staged: Option<SystemTime>| {
        staged.is_none_or(|staged| in_units_of(staged, now) > staged)
    };
    // Changed in the same tick as the index, it may have been changed after it ("racy git").
    let is_racy = entry.modified.is_none_or(|staged| staged >= in_units_of(staged, index_written));
    let newer = later(changed(meta), entry.changed) || later(modified(meta), entry.modified);
    if newer || is_racy { Age::Newer } else { Age::AsStaged }
}

/// A time truncated to the precision of another: some gits record whole seconds in the index.
fn in_units_of(known: SystemTime, time: SystemTime) -> SystemTime {
    let part = |time: SystemTime| {
        time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().subsec_nanos()
    };
    if part(known) == 0 { time - std::time::Duration::from_nanos(part(time).into()) } else { time }
}

fn modified(meta: &fs::Metadata) -> SystemTime {
    meta.modified().unwrap_or(SystemTime::UNIX_EPOCH)
}

fn index_written(worktree: &Path) -> SystemTime {
    let admin = match look(worktree) {
        Ok(Found::Worktree(admin)) => admin,
        _ => worktree.join(".git"),
    };
    fs::metadata(admin.join("index")).map_or(SystemTime::UNIX_EPOCH, |meta| modified(&meta))
}

fn size(path: &Path) -> u64 {
    fs::symlink_metadata(path).map_or(0, |meta| meta.len())
}

/// Changes a file's time so that git reads it again. If that fails, git trusts its own stat data.
fn distrust(path: &Path) {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
    let nanoseconds = |tv_nsec| Timespec { tv_sec: 0, tv_nsec };
    let times = Timestamps {
        last_access: nanoseconds(UTIME_OMIT),
        last_modification: nanoseconds(UTIME_NOW),
    };
    let _ = rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW);
}

/// Removes what a killed restore left behind.
fn remove_leftovers(worktree: &Path) {
    for entry in fs::read_dir(worktree).into_iter().flatten().flatten() {
        if entry.file_name().as_bytes().starts_with(STAGING.as_bytes()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
