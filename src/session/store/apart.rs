//! Moves a session's record out of the folder that its agent writes, and back.
//!
//! The record is apart once its folder exists. So that folder is made under another name, with the
//! journal and the other files copied into it, and renamed: before that everything is as it was,
//! after that the copies count. What is left to do then, removing the originals and moving mail and
//! logs, may be done at any later time, and `_moving` in the record says that it is to be done. Back
//! it is the same: what was copied counts once the record's folder has another name.
//!
//! The holder of the lock does it, and gets the lock of the other place.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, OFlags, renameat, symlinkat, unlinkat};

use super::aside::{free_name, take_from_other_names};
use super::crash::{crash_at, crash_point};
use super::error::{Attempt, Result};
use super::files::{
    make_folder, make_unsynced, open, open_regular, remove, remove_unsynced, replace, sync_folder,
};
use super::folder::{DAMAGED, Folder, JOURNAL, LOCK, MOVING};
use super::lock::{Lock, LockError};
use super::place::{ASIDE, open_folder, open_session};
use super::record::{RECORD_FILES, RECORD_FOLDERS, beside, names_record};

/// What follows the name of a record that is not complete yet.
const NEW: &str = ".new";
/// What follows the name of a record whose files are in the session's folder again.
const OLD: &str = ".old";

impl Folder {
    /// Moves the record to a folder of its own, out of the agent's reach, unless it is there; and
    /// finishes what an earlier process left of that.
    ///
    /// # Errors
    /// Those of the disk: the session is then as it was, or the next call finishes it.
    pub fn set_apart(&self, lock: Lock) -> Result<Lock, LockError> {
        let Some(apart) = self.apart() else { return Ok(lock) };
        if self.record().is_some() {
            self.settle_record()?;
            return Ok(lock);
        }
        if let Some(error) = self.missing_record() {
            Err::<(), _>(error).attempt("find the record of", self.path())?;
        }
        let place = apart.place();
        let home = make_home(&apart.sessions, &place)?;
        let new = beside(&place, NEW);
        discard(&beside(&place, OLD));
        // All of it was copied.
        match fs::remove_dir_all(&new) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed.attempt("remove the folder", &new)?,
        }
        crash_point("a record is to be set apart");
        fs::create_dir(&new).attempt("create the folder", &new)?;
        let apart_lock = Lock::take_file(&new.join(LOCK))?;
        replace(&new.join(MOVING), b"")?;
        take_from_other_names(&self.path().join(JOURNAL))?;
        for name in RECORD_FILES {
            copy(&self.path().join(name), &new.join(name), name == JOURNAL)?;
        }
        sync_folder(&new)?;
        crash_point("the record is copied");
        fs::rename(&new, &place).attempt("rename", &new)?;
        crash_point("the record is apart");
        sync_folder(home)?;
        self.settle_record()?;
        drop(lock);
        Ok(apart_lock)
    }

    /// Makes the record of a session that is to be begun below another one, whose record is apart. Its
    /// folder need not exist yet.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn make_record(&self) -> Result<()> {
        if !self.lacks_record() {
            return Ok(());
        }
        let Some(apart) = self.apart() else { return Ok(()) };
        let place = apart.place();
        let home = make_home(&apart.sessions, &place)?;
        fs::create_dir(&place).attempt("create the folder", &place)?;
        sync_folder(home)
    }

    /// Finishes the move of a record that is apart, and replaces links that are missing in the
    /// session's folder.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn settle_record(&self) -> Result<()> {
        let Some(record) = self.record() else { return Ok(()) };
        let is_moving = fs::symlink_metadata(record.join(MOVING)).is_ok();
        if is_moving {
            for name in RECORD_FOLDERS {
                move_entries(&self.path().join(name), &record.join(name))?;
            }
        }
        let folder = open_session(self.path()).attempt("open the folder", self.path())?;
        for (name, target) in self.links_to(&record) {
            let link = self.path().join(name);
            let found = fs::symlink_metadata(&link);
            let may_lay = match &found {
                Ok(meta) => (is_moving && meta.is_file()) || is_of_before(&link, &target),
                Err(error) => error.kind() == io::ErrorKind::NotFound,
            };
            let has_use = name != DAMAGED || record.join(name).is_dir();
            if may_lay && has_use {
                lay(&folder, name, &target).attempt("create the link", &link)?;
                crash_at("is a link", &link);
            }
        }
        if is_moving {
            for name in RECORD_FILES {
                let path = self.path().join(name);
                if fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_file()) {
                    remove_unsynced(&path)?;
                }
            }
            folder.sync_all().attempt("sync the folder", self.path())?;
            remove(&record.join(MOVING))?;
        }
        Ok(())
    }

    /// Moves a record that is apart back into the session's folder, for one whose agents are at an
    /// end.
    ///
    /// # Errors
    /// Those of the disk: the record is then still apart, and the next call finishes it.
    pub fn put_together(&self, lock: Lock) -> Result<Lock, LockError> {
        let Some(record) = self.record() else { return Ok(lock) };
        self.settle_record()?;
        self.unfit().iter().try_for_each(|unfit| self.set_aside(unfit))?;
        let old = beside(&record, OLD);
        discard(&old);
        replace(&record.join(MOVING), b"")?;
        crash_point("a record is to be put back");
        for name in RECORD_FILES {
            let (from, to) = (record.join(name), self.path().join(name));
            let aside = self.path().join(format!("{ASIDE}{name}"));
            remove_unsynced(&aside)?;
            if copy(&from, &aside, true)? {
                fs::rename(&aside, &to).attempt("rename", &aside)?;
            } else {
                remove_unsynced(&to)?;
            }
            crash_at("is back", &to);
        }
        for name in RECORD_FOLDERS {
            let (from, to) = (record.join(name), self.path().join(name));
            if fs::symlink_metadata(&to).is_ok_and(|meta| meta.is_symlink()) {
                remove_unsynced(&to)?;
            }
            if from.is_dir() {
                make_unsynced(&to)?;
                move_entries(&from, &to)?;
            }
        }
        remove_unsynced(&self.path().join(LOCK))?;
        let own_lock = Lock::take_file(&self.path().join(LOCK))?;
        sync_folder(self.path())?;
        crash_point("the record is back");
        fs::rename(&record, &old).attempt("rename", &record)?;
        sync_folder(old.parent().unwrap_or(Path::new("/")))?;
        crash_point("the record counts in the session's folder");
        // A message may have come meanwhile.
        for name in RECORD_FOLDERS {
            move_entries(&old.join(name), &self.path().join(name))?;
        }
        discard(&old);
        drop(lock);
        Ok(own_lock)
    }

    /// Sets aside the record of an earlier session of this name whose folder somebody removed, and
    /// returns where it is now.
    ///
    /// # Errors
    /// If a worker has it, and those of the disk.
    pub fn set_lost_record_aside(&self) -> Result<Option<PathBuf>, LockError> {
        let is_lost = fs::symlink_metadata(self.path())
            .is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        let Some(record) = self.record().filter(|_| is_lost) else { return Ok(None) };
        let _lock = Lock::take_file(&record.join(LOCK))?;
        let to = free_name(&record);
        fs::rename(&record, &to).attempt("set aside", &record)?;
        sync_folder(record.parent().unwrap_or(Path::new("/")))?;
        Ok(Some(to))
    }
}

/// Makes the folder that a record is to be in, durably.
fn make_home<'a>(sessions: &'a Path, place: &'a Path) -> Result<&'a Path> {
    let home = place.parent().unwrap_or(sessions);
    make_folder(home)?;
    for folder in home.ancestors().skip(1).take_while(|above| above.starts_with(sessions)) {
        sync_folder(folder)?;
    }
    Ok(home)
}

/// Whether a link leads to a record, but not to this one: its session was renamed.
fn is_of_before(link: &Path, target: &Path) -> bool {
    fs::read_link(link).is_ok_and(|found| found != target && names_record(&found))
}

/// Copies a file durably and reads the copy back; false if there is nothing to copy. What is not a
/// regular file is left where it is, unless it `must` be one.
fn copy(from: &Path, to: &Path, must: bool) -> Result<bool> {
    let mut source = match open_regular(from) {
        Ok(source) => source,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) if must => Err(error).attempt("read", from)?,
        Err(_) => return Ok(false),
    };
    let mut write = || {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
        let mut file = open(to, flags)?;
        let mode = source.metadata()?.permissions().mode() & 0o777;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        io::copy(&mut source, &mut file)?;
        file.sync_all()
    };
    write().attempt("write", to)?;
    crash_at("is copied", from);
    let is_same = || is_same(&open_regular(from)?, &open_regular(to)?);
    if is_same().attempt("read", to)? {
        return Ok(true);
    }
    Err(io::Error::other(format!("it differs from {}", from.display()))).attempt("copy to", to)
}

/// Whether two files have the same contents.
fn is_same(one: &File, other: &File) -> io::Result<bool> {
    let block = |mut file: &File| {
        let mut block = Vec::new();
        file.by_ref().take(1 << 16).read_to_end(&mut block).map(|_| block)
    };
    loop {
        let (ours, theirs) = (block(one)?, block(other)?);
        if ours.is_empty() || ours != theirs {
            return Ok(ours == theirs);
        }
    }
}

/// How often a folder is looked through again because something was put into it meanwhile.
const LOOKS: usize = 8;

/// Moves everything in a folder into another one, and removes the folder. Without following links:
/// what is no folder is left where it is.
fn move_entries(from: &Path, to: &Path) -> Result<()> {
    if !fs::symlink_metadata(from).is_ok_and(|meta| meta.is_dir()) {
        return Ok(());
    }
    make_unsynced(to)?;
    let (source, target) =
        (open_folder(from).attempt("open", from)?, open_folder(to).attempt("open", to)?);
    for _ in 0..LOOKS {
        for entry in Dir::read_from(&source).map_err(io::Error::from).attempt("read", from)? {
            let entry = entry.map_err(io::Error::from).attempt("read", from)?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            let new = if to.join(name).symlink_metadata().is_ok() {
                free_name(&to.join(name)).file_name().unwrap_or_default().to_owned()
            } else {
                name.to_owned()
            };
            match renameat(&source, name, &target, &new) {
                Err(rustix::io::Errno::NOENT) => {}
                moved => moved.map_err(io::Error::from).attempt("move", &from.join(name))?,
            }
            crash_at("is moved", &from.join(name));
        }
        target.sync_all().attempt("sync the folder", to)?;
        source.sync_all().attempt("sync the folder", from)?;
        match fs::remove_dir(from) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            removed => {
                crash_at("is empty and removed", from);
                return removed.attempt("remove the folder", from);
            }
        }
    }
    Err(io::Error::from(io::ErrorKind::DirectoryNotEmpty)).attempt("remove the folder", from)
}

/// Makes a link in a folder, in the place of whatever file has its name.
fn lay(folder: &File, name: &str, target: &Path) -> io::Result<()> {
    let aside = format!("{ASIDE}{}", uuid::Uuid::new_v4().simple());
    symlinkat(target, folder, &aside)?;
    let laid = renameat(folder, &aside, folder, name);
    if laid.is_err() {
        let _ = unlinkat(folder.as_fd(), &aside, AtFlags::empty());
    }
    Ok(laid?)
}

/// Removes the temporary files of a folder that nobody writes to.
fn sweep_all(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().as_bytes().starts_with(ASIDE.as_bytes()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Removes a record that does not count, as far as it is one. What else is in it stays.
fn discard(folder: &Path) {
    sweep_all(folder);
    for name in RECORD_FILES.into_iter().chain([LOCK, MOVING]) {
        let _ = fs::remove_file(folder.join(name));
    }
    for name in RECORD_FOLDERS {
        let _ = fs::remove_dir(folder.join(name));
    }
    crash_at("is emptied", folder);
    match fs::remove_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::info!("{} stays behind: {error}", folder.display());
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
