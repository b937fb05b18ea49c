//! Where a file of ours is, so that nothing an agent puts in its way leads elsewhere.
//!
//! An agent can replace any file in its session's folder by a link: what is appended there would
//! then go to a file of the agent's choice, as `~/.profile`. So each of the session's own files and
//! folders, whose names begin with `_`, is opened beneath the session's folder without following
//! links, and must be a regular file without another name. The session's folder itself must not be a
//! link either.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, renameat, unlinkat};

use super::crash::crash_at;
use super::folder;
use crate::platform::beneath;

/// Prefix of temporary files, written beside the file they will replace.
pub(super) const ASIDE: &str = ".samocode-";

/// A file's folder, open, and its name there.
#[derive(Debug)]
pub(super) struct Place {
    folder: File,
    name: OsString,
    /// Whether it is one of a session's own files.
    is_own: bool,
}

impl Place {
    /// Finds the place of a file, which need not exist.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let name = path.file_name().unwrap_or_default().to_owned();
        let is_own = name.as_encoded_bytes().starts_with(b"_") || is_own_folder(folder);
        let is_in_session = folder::FILES.iter().any(|own| name == OsStr::new(own));
        let opened = if is_in_session { open_session(folder) } else { open_folder(folder) };
        Ok(Self { folder: opened?, name, is_own })
    }

    /// Opens the file. An agent can put anything there: opening a FIFO without a writer would hang,
    /// and a device might never end.
    pub(super) fn open(&self, flags: OFlags) -> io::Result<File> {
        let flags = flags | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let mode = Mode::from_raw_mode(0o666);
        let name = Path::new(&self.name);
        let file = if self.is_own {
            beneath::open(self.folder.as_fd(), name, flags, mode).map_err(in_words)?
        } else {
            rustix::fs::openat(&self.folder, name, flags, mode)?
        };
        let file = File::from(file);
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(io::Error::other("not a regular file: move it away"));
        }
        if self.is_own && meta.nlink() > 1 {
            return Err(io::Error::other("it has another name (a hard link): move it away"));
        }
        Ok(file)
    }

    /// Replaces the file, or whatever is there, by one with these contents. `durable` waits until
    /// they are on the disk; the folder is not synced.
    pub(super) fn replace(&self, path: &Path, bytes: &[u8], durable: bool) -> io::Result<()> {
        let aside = OsString::from(format!("{ASIDE}{}", uuid::Uuid::new_v4().simple()));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        // An existing file keeps its mode; a new one gets 0666 less the umask.
        let mode = Mode::from_raw_mode(self.mode().unwrap_or(0o666));
        let opened = rustix::fs::openat(&self.folder, &aside, flags | OFlags::CLOEXEC, mode)?;
        let mut file = File::from(opened);
        let written = file.write_all(bytes).and_then(|()| {
            if durable {
                file.sync_all()?;
            }
            crash_at("written aside", path);
            Ok(renameat(&self.folder, &aside, &self.folder, &self.name)?)
        });
        if written.is_err() {
            let _ = unlinkat(&self.folder, &aside, AtFlags::empty());
        }
        written
    }

    fn mode(&self) -> Option<rustix::fs::RawMode> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.folder, &self.name, flags, Mode::empty()).ok()?;
        let meta = File::from(file).metadata().ok().filter(std::fs::Metadata::is_file)?;
        rustix::fs::RawMode::try_from(meta.permissions().mode() & 0o777).ok()
    }

    pub(super) fn remove(&self) -> io::Result<()> {
        Ok(unlinkat(&self.folder, &self.name, AtFlags::empty())?)
    }

    pub(super) fn rename_to(&self, to: &Self) -> io::Result<()> {
        Ok(renameat(&self.folder, &self.name, &to.folder, &to.name)?)
    }

    /// Waits until what was created, renamed or removed in the folder is on the disk.
    pub(super) fn sync_folder(&self) -> io::Result<()> {
        self.folder.sync_all()
    }
}

/// Opens a folder; one of a session's own must be a real one.
pub(super) fn open_folder(folder: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    if let (true, Some(name), Some(above)) =
        (is_own_folder(folder), folder.file_name(), folder.parent())
    {
        let above = open_session(above)?;
        let opened = beneath::open(above.as_fd(), Path::new(name), flags, Mode::empty());
        return Ok(opened.map_err(in_words)?.into());
    }
    open_plain(folder, flags)
}

/// Opens a session's folder, which must be a real one.
pub(super) fn open_session(folder: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    match rustix::fs::open(folder, flags, Mode::empty()) {
        Ok(opened) => Ok(opened.into()),
        Err(_) if folder.is_symlink() => {
            Err(io::Error::other("the session's folder is a symbolic link: move it away"))
        }
        Err(error) => Err(error.into()),
    }
}

fn open_plain(folder: &Path, flags: OFlags) -> io::Result<File> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    Ok(rustix::fs::open(folder, flags, Mode::empty())?.into())
}

fn is_own_folder(folder: &Path) -> bool {
    folder
        .file_name()
        .is_some_and(|name| folder::SUBFOLDERS.iter().any(|own| name == OsStr::new(own)))
}

/// The system's words for a link, "too many levels of symbolic links", mislead.
fn in_words(error: io::Error) -> io::Error {
    if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
        io::Error::other("a symbolic link is in the way: move it away")
    } else {
        error
    }
}
