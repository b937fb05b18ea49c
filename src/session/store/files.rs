//! File operations that survive a power cut: whole-file replacement and flushed appends.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

use rustix::fs::OFlags;

use super::crash::{crash_at, tears};
use super::error::{Attempt, Result};
use super::place::{ASIDE, Place, open_folder, open_session};
use super::record::missing_record;
use super::unsynced::Unsynced;

/// Replaces a whole file durably: after a crash it holds the old contents or the new.
///
/// # Errors
/// If the temporary file beside `path` cannot be written or renamed.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    crash_at("is to be replaced", path);
    let place = write_aside(path, bytes, true)?;
    crash_at("replaced", path);
    place.sync_folder().attempt("sync the folder of", path)?;
    crash_at("replaced and its folder synced", path);
    Ok(())
}

/// Like [`replace`], but does not sync the folder: until its next sync, a crash of the machine may
/// bring back the old contents, whole. For edits that recovery repeats if they are missing.
///
/// # Errors
/// Those of [`replace`].
pub fn replace_again(path: &Path, bytes: &[u8]) -> Result<()> {
    write_aside(path, bytes, true).map(drop)
}

/// Replaces a whole file atomically for readers, but without waiting for the disk. For derived
/// files that can be rebuilt.
///
/// # Errors
/// Those of [`replace`].
pub fn replace_derived(path: &Path, bytes: &[u8]) -> Result<()> {
    write_aside(path, bytes, false).map(drop)
}

/// A temporary file older than this belongs to a writer that was killed.
const ABANDONED: Duration = Duration::from_secs(3600);

/// Removes temporary files that killed writers left in a folder. Errors are ignored, as the
/// leftovers do no harm.
pub fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.filter_map(std::result::Result::ok) {
        let is_old = || {
            let age = entry.metadata().and_then(|meta| meta.modified()).ok()?.elapsed().ok()?;
            Some(age > ABANDONED)
        };
        if entry.file_name().to_string_lossy().starts_with(ASIDE) && is_old() == Some(true) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Changes a file's contents from `old` to `new`. If only digits differ, as in counters, they are
/// overwritten in place without waiting for the disk; after a crash of the machine each digit is
/// old or new. Other edits go through [`replace_again`]. For edits that recovery repeats.
///
/// # Errors
/// Those of [`replace`], or if the file cannot be written.
pub fn amend(path: &Path, old: &[u8], new: &[u8]) -> Result<()> {
    let Some((at, digits)) = changed_digits(old, new) else {
        return replace_again(path, new);
    };
    let file = open(path, OFlags::WRONLY).attempt("open", path)?;
    crash_at("is to be amended", path);
    file.write_all_at(digits, at as u64).attempt("write", path)?;
    crash_at("amended", path);
    Ok(())
}

/// Offset and bytes of the change, if both are equally long and differ only in digits.
fn changed_digits<'a>(old: &[u8], new: &'a [u8]) -> Option<(usize, &'a [u8])> {
    if old.len() != new.len() {
        return None;
    }
    let differs = |at: &usize| old[*at] != new[*at];
    let first = (0..new.len()).find(differs)?;
    let last = (0..new.len()).rfind(differs)?;
    let is_digit = |at: usize| old[at].is_ascii_digit() && new[at].is_ascii_digit();
    (first..=last).filter(differs).all(is_digit).then(|| (first, &new[first..=last]))
}

fn write_aside(path: &Path, bytes: &[u8], durable: bool) -> Result<Place> {
    let place = Place::of(path).attempt("open the folder of", path)?;
    #[cfg(test)]
    super::faults::room().attempt("write", path)?;
    place.replace(path, bytes, durable).attempt("write", path)?;
    Ok(place)
}

/// Appends to a file with a single write and syncs it.
///
/// # Errors
/// If the file cannot be opened or written.
pub fn append(path: &Path, bytes: &[u8]) -> Result<()> {
    append_unsynced(path, bytes)?.sync()
}

/// Appends to a file with a single write; the caller syncs it later.
///
/// # Errors
/// If the file cannot be opened or written.
pub fn append_unsynced(path: &Path, bytes: &[u8]) -> Result<Unsynced> {
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE;
    let file = open(path, flags).attempt("open", path)?;
    write_end(&file, path, bytes).attempt("append to", path)?;
    Ok(Unsynced::new(file, path))
}

/// Appends with a single write, without syncing.
pub(super) fn write_end(mut file: &File, path: &Path, bytes: &[u8]) -> io::Result<()> {
    crash_at("is to be appended to", path);
    #[cfg(test)]
    super::faults::room()?;
    let mut rest = bytes;
    if tears() {
        let (half, other) = bytes.split_at(bytes.len() / 2);
        file.write_all(half)?;
        crash_at("torn", path);
        rest = other;
    }
    file.write_all(rest)?;
    crash_at("appended to", path);
    Ok(())
}

/// Waits until an append is on the disk.
pub(super) fn sync_end(file: &File, path: &Path) -> io::Result<()> {
    file.sync_data()?;
    crash_at("appended to and synced", path);
    Ok(())
}

/// Truncates a file to `length`, where its torn last line starts.
///
/// # Errors
/// If the file cannot be opened or truncated.
pub fn cut_torn(path: &Path, length: u64) -> Result<()> {
    let file = open(path, OFlags::WRONLY).attempt("open", path)?;
    cut(&file, length).attempt("remove the torn last line of", path)
}

pub(super) fn cut(file: &File, length: u64) -> io::Result<()> {
    file.set_len(length).and_then(|()| file.sync_all())
}

/// The length of a file in bytes; 0 if it does not exist.
///
/// # Errors
/// If it exists but cannot be examined.
pub fn length(path: &Path) -> Result<u64> {
    match fs::symlink_metadata(path) {
        Ok(meta) => Ok(meta.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error).attempt("read", path),
    }
}

/// Removes a file durably; a missing file is not an error.
///
/// # Errors
/// If it exists but cannot be removed.
pub fn remove(path: &Path) -> Result<()> {
    if remove_unsynced(path)? { sync_folder(parent(path)) } else { Ok(()) }
}

/// Removes a file without waiting for the disk, and says whether it was there: a crash of the
/// machine may bring it back.
///
/// # Errors
/// If it exists but cannot be removed.
pub(super) fn remove_unsynced(path: &Path) -> Result<bool> {
    crash_at("is to be removed", path);
    match Place::of(path).and_then(|place| place.remove()) {
        Ok(()) => {
            crash_at("removed", path);
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).attempt("remove", path),
    }
}

/// The most that is read of a file that is kept in memory. No such file grows to this size unless an
/// agent went wild.
const MOST_BYTES: u64 = 64 << 20;

/// Reads a whole file; `None` if it does not exist.
///
/// # Errors
/// If it exists but cannot be read, or has more than 64 MiB.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    let read = open_regular(path).and_then(|file| {
        let length = file.metadata()?.len();
        let mut bytes = Vec::new();
        if length <= MOST_BYTES {
            // One read for all of it, and one that finds the end.
            bytes.reserve(usize::try_from(length).map_or(0, |length| length + 1));
            file.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
        }
        if length > MOST_BYTES || bytes.len() as u64 > MOST_BYTES {
            return Err(io::Error::other("it is larger than 64 MiB: shorten it, or move it away"));
        }
        Ok(bytes)
    });
    match read {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).attempt("read", path),
    }
}

/// Opens a regular file for reading, and one of a session's own without following links.
///
/// # Errors
/// If it is missing or something else.
pub fn open_regular(path: &Path) -> io::Result<File> {
    open(path, OFlags::RDONLY)
}

/// Opens a regular file, and one of a session's own without following links.
pub(super) fn open(path: &Path, flags: OFlags) -> io::Result<File> {
    Place::of(path)?.open(flags).map_err(|error| {
        let name = path.file_name().unwrap_or_default();
        missing_record(parent(path), name).unwrap_or(error)
    })
}

/// Reads the last `most` bytes of a file; empty if it does not exist.
///
/// # Errors
/// If it exists but cannot be read.
pub fn read_tail(path: &Path, most: u64) -> Result<Vec<u8>> {
    let mut file = match open_regular(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        file => file.attempt("read", path)?,
    };
    let mut read = || {
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(most)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map(|_| bytes)
    };
    read().attempt("read", path)
}

/// Creates a folder and its parents.
///
/// # Errors
/// If it cannot be created.
pub fn make_folder(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(path).attempt("create the folder", path)?;
    sync_folder(parent(path))
}

/// Creates a folder in one that must exist: a session's folder that was moved away must not be
/// created again. A file with that name is moved aside.
///
/// # Errors
/// If it cannot be created.
pub(super) fn make_subfolder(path: &Path) -> Result<()> {
    if make_unsynced(path)? { sync_folder(parent(path)) } else { Ok(()) }
}

/// Like [`make_subfolder`], but returns true if the parent folder still has to be synced.
pub(super) fn make_unsynced(path: &Path) -> Result<bool> {
    open_session(parent(path)).attempt("open the folder of", path)?;
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => return Ok(false),
        Ok(_) => {
            if let Some(error) = missing_record(parent(path), path.file_name().unwrap_or_default())
            {
                return Err(error).attempt("create the folder", path);
            }
            let mut aside = path.as_os_str().to_owned();
            aside.push(format!(".file-{}", std::process::id()));
            fs::rename(path, aside).attempt("move away", path)?;
        }
        Err(_) => {}
    }
    crash_at("is to be made", path);
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made.attempt("create the folder", path)?,
    }
    Ok(true)
}

/// Moves a file durably between folders of the same file system.
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    crash_at("is to be moved", from);
    let (from_place, to_place) = (Place::of(from)?, Place::of(to)?);
    from_place.rename_to(&to_place)?;
    crash_at("moved", from);
    to_place.sync_folder()?;
    from_place.sync_folder()
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

pub(super) fn sync_folder(folder: &Path) -> Result<()> {
    open_folder(folder).and_then(|folder| folder.sync_all()).attempt("sync the folder", folder)
}

#[cfg(test)]
mod tests;
