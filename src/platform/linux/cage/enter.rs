//! The system calls that lock a process in.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use seccompiler::BpfProgram;

/// Locks this process in: first the rules for files, then the filters, which would forbid nothing
/// that the former needs. Async-signal-safe: it neither allocates nor takes a lock.
pub(super) fn enter(ruleset: &OwnedFd, filters: &[BpfProgram]) -> io::Result<()> {
    rustix::thread::set_no_new_privs(true)?;
    // SAFETY: a system call on numbers, which touches no memory; the descriptor is open.
    let done = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0) };
    if done != 0 {
        return Err(io::Error::last_os_error());
    }
    for filter in filters {
        // An error would allocate only to be shown; the code stands for all of them.
        seccompiler::apply_filter(filter).map_err(|_| io::Error::from_raw_os_error(libc::EPERM))?;
    }
    Ok(())
}

/// The kernel's version of Landlock; 0 where there is none, or it is off.
pub(super) fn landlock_version() -> u32 {
    // LANDLOCK_CREATE_RULESET_VERSION.
    const VERSION: libc::c_uint = 1;
    let none: *const libc::c_void = std::ptr::null();
    // SAFETY: with this flag the call reads no memory and returns a number.
    let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, none, 0, VERSION) };
    u32::try_from(version).unwrap_or(0)
}
