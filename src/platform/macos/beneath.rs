//! Opens files without following symbolic links.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use crate::platform::steps;

/// Opens `below`, a path relative to the folder `root`, if no part of it is a symbolic link or
/// leads out of `root`.
///
/// # Errors
/// The system's; `ELOOP` or `ENOTDIR` if a part of the path is a link.
pub fn open(root: BorrowedFd<'_>, below: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
    steps::open(root, below, flags, mode)
}
