//! Re-executing the unit's binary for `samocode reload`. Process, cgroup, the service manager's
//! view and the session's lock stay the same.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::ffi::OsStrExt;

use nix::sys::signal::{SigSet, Signal};
use rustix::io::{FdFlags, fcntl_setfd};

use crate::session::store::{Folder, Lock};

use super::Setup;

/// Environment variable that passes the lock's file descriptor number across the exec.
const LOCK_FD: &str = "SAMOCODE_LOCK_FD";

fn hangup() -> SigSet {
    let mut set = SigSet::empty();
    set.add(Signal::SIGHUP);
    set
}

/// Unblocks SIGHUP, now that a handler is installed.
pub(super) fn unblock() {
    let _ = hangup().thread_unblock();
}

/// The lock passed on by the previous image of this process.
pub(super) fn handed_on_lock(folder: &Folder) -> Option<Lock> {
    let fd: i32 = std::env::var(LOCK_FD).ok()?.parse().ok().filter(|fd| *fd > 2)?;
    // Checking /dev/fd avoids touching a closed descriptor.
    std::fs::metadata(format!("/dev/fd/{fd}")).ok()?;
    // SAFETY: the descriptor is open, the previous image opened it for this purpose alone, and
    // nothing else in this process knows its number.
    #[expect(unsafe_code, reason = "a descriptor passed across exec has no owner yet")]
    let file = unsafe { File::from_raw_fd(fd) };
    fcntl_setfd(&file, FdFlags::CLOEXEC).ok()?;
    Lock::adopt(folder, file)
}

/// Replaces this process with the unit's binary. Returns only on failure, with a message.
pub(super) fn execute(setup: &Setup, lock: &Lock) -> String {
    let failed =
        |why: &dyn std::fmt::Display| format!("cannot switch to {}: {why}", setup.binary.display());
    // A SIGHUP between this image's handler and the next one's would kill the process.
    if let Err(error) = hangup().thread_block() {
        return failed(&error);
    }
    if let Err(error) = fcntl_setfd(lock.file(), FdFlags::empty()) {
        return failed(&error);
    }
    let text = |bytes: &[u8]| CString::new(bytes).ok();
    let handed_on = format!("{LOCK_FD}={}", lock.file().as_raw_fd());
    let env: Vec<CString> = setup
        .env
        .iter()
        .filter(|(name, _)| *name != LOCK_FD)
        .filter_map(|(name, value)| text(&[name.as_bytes(), b"=", value.as_bytes()].concat()))
        .chain(text(handed_on.as_bytes()))
        .collect();
    let words = (text(setup.binary.as_os_str().as_bytes()), text(setup.instance.as_bytes()));
    let (Some(binary), Some(instance)) = words else {
        return failed(&"its path contains a zero byte");
    };
    let args = [binary.clone(), c"worker".to_owned(), instance];
    match nix::unistd::execve(&binary, &args, &env) {
        Ok(never) => match never {},
        Err(error) => failed(&error),
    }
}
