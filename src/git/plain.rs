//! Reads files of a repository or worktree. An agent can put anything in a file's place: opening a
//! FIFO waits for a writer, and a device may never end.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

/// The most that a file of a line holds, in bytes: a path with a word before it.
const LINE: usize = 8 * 1024;
/// The most that is allocated before anything is read, in bytes: any length can be claimed.
const MOST: usize = 1024 * 1024;

/// The contents of a regular file.
///
/// # Errors
/// If it cannot be read, or is something else.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let (file, length) = open_with_length(path)?;
    // Not by the file itself, which would ask for its length once more, and where it stands.
    let mut bytes =
        Vec::with_capacity(usize::try_from(length).map_or(MOST, |length| MOST.min(length + 1)));
    file.take(u64::MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The same as text.
///
/// # Errors
/// As [`read`], and if it is not UTF-8.
pub(super) fn text(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?).map_err(io::Error::other)
}

/// What a file of a line holds, as git's references do and the files that name a folder, with as few
/// system calls as possible: there may be hundreds. Whatever is in its place is read no further.
///
/// # Errors
/// If it cannot be read, or is longer.
pub(super) fn line(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; LINE];
    let file = open_any(path)?;
    let count = rustix::io::retry_on_intr(|| rustix::io::read(&file, &mut bytes))?;
    if count == LINE {
        return Err(io::Error::other("longer than a line"));
    }
    bytes.truncate(count);
    Ok(bytes)
}

/// The same as text, without white space around it; empty if there is none.
pub(super) fn word(path: &Path) -> String {
    let text = line(path).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    text.map(|text| text.trim().to_owned()).unwrap_or_default()
}

/// Opens a regular file for reading.
///
/// # Errors
/// If it cannot be opened, or is something else.
pub(super) fn open(path: &Path) -> io::Result<File> {
    open_with_length(path).map(|(file, _)| file)
}

fn open_with_length(path: &Path) -> io::Result<(File, u64)> {
    let file = File::from(open_any(path)?);
    let found = file.metadata()?;
    if found.is_file() {
        Ok((file, found.len()))
    } else {
        Err(io::Error::other("not a regular file"))
    }
}

/// Opens whatever is there, without waiting for anybody.
fn open_any(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// Whether something is there that is not a regular file. git and its library would wait for it.
pub(super) fn is_odd(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| !meta.is_file())
}
