//! Opens files step by step without following symbolic links, on every Unix.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{Mode, OFlags, openat};

/// Opens `below`, a path relative to the folder `root`, if no part of it is a symbolic link or
/// leads out of `root`.
///
/// # Errors
/// The system's; `ELOOP` or `ENOTDIR` if a part of the path is a link.
pub(super) fn open(
    root: BorrowedFd<'_>,
    below: &Path,
    flags: OFlags,
    mode: Mode,
) -> io::Result<OwnedFd> {
    let outside =
        || io::Error::new(io::ErrorKind::InvalidInput, "the path leads out of its folder");
    let mut names = Vec::new();
    for part in below.components() {
        let Component::Normal(name) = part else { return Err(outside()) };
        names.push(name);
    }
    let Some((last, folders)) = names.split_last() else { return Err(outside()) };
    let strict = OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut folder: Option<OwnedFd> = None;
    for name in folders {
        let at = folder.as_ref().map_or(root, std::os::fd::AsFd::as_fd);
        let next = openat(at, *name, OFlags::RDONLY | OFlags::DIRECTORY | strict, Mode::empty())?;
        folder = Some(next);
    }
    let at = folder.as_ref().map_or(root, std::os::fd::AsFd::as_fd);
    Ok(openat(at, *last, flags | strict, mode)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::beneath;
    use std::fs::{self, File};
    use std::io::Read as _;
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::symlink;

    type Open = fn(BorrowedFd<'_>, &Path, OFlags, Mode) -> io::Result<OwnedFd>;

    #[test]
    fn nothing_is_opened_through_a_link_or_outside_of_the_folder() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("root");
        fs::create_dir_all(root.join("sub")).unwrap();
        fs::write(place.path().join("secret"), "s").unwrap();
        fs::write(root.join("sub/file"), "inside").unwrap();
        symlink(place.path(), root.join("up")).unwrap();
        symlink("sub", root.join("down")).unwrap();
        symlink("file", root.join("sub/link")).unwrap();
        let folder = File::open(&root).unwrap();
        for open in [open as Open, beneath::open as Open] {
            let open =
                |below: &str| open(folder.as_fd(), Path::new(below), OFlags::RDONLY, Mode::empty());
            let mut text = String::new();
            File::from(open("sub/file").unwrap()).read_to_string(&mut text).unwrap();
            assert_eq!(text, "inside");
            for below in ["up/secret", "down/file", "sub/link", "../secret", "/etc/passwd", "up"] {
                assert!(open(below).is_err(), "{below}");
            }
            assert_eq!(open("none").unwrap_err().kind(), io::ErrorKind::NotFound);
        }
    }
}
