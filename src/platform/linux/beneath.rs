//! Opens files without following symbolic links, in one system call where the kernel has it.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;

use crate::platform::steps;

/// Opens `below`, a path relative to the folder `root`, if no part of it is a symbolic link or
/// leads out of `root`.
///
/// # Errors
/// The system's; `ELOOP` if a part of the path is a link.
pub fn open(root: BorrowedFd<'_>, below: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
    static IS_MISSING: AtomicBool = AtomicBool::new(false);
    if !IS_MISSING.load(Ordering::Relaxed) {
        // openat2 refuses a mode for a file that it does not create.
        let mode = if flags.contains(OFlags::CREATE) { mode } else { Mode::empty() };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        match openat2(root, below, flags | OFlags::CLOEXEC, mode, resolve) {
            // Before Linux 5.6; some sandboxes refuse it.
            Err(Errno::NOSYS | Errno::PERM) => {
                let opened = steps::open(root, below, flags, mode)?;
                IS_MISSING.store(true, Ordering::Relaxed);
                return Ok(opened);
            }
            // A folder above was renamed meanwhile.
            Err(Errno::AGAIN) => {}
            opened => return Ok(opened?),
        }
    }
    steps::open(root, below, flags, mode)
}
