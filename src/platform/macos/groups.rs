//! The groups of a process.

use std::ffi::CStr;
use std::io;

use nix::unistd::Gid;

/// Gives this process the groups of the user `name`, whose own group is `group`. Needs root.
///
/// By initgroups(3), not setgroups(2): a process that has called the latter loses the groups that
/// the directory service knows of.
///
/// # Errors
/// The system's.
#[expect(unsafe_code, reason = "initgroups(3) has no safe wrapper here")]
pub fn take_those_of(name: &CStr, group: Gid) -> io::Result<()> {
    let group = libc::c_int::try_from(group.as_raw()).map_err(io::Error::other)?;
    // SAFETY: the name ends with a NUL.
    if unsafe { libc::initgroups(name.as_ptr(), group) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
