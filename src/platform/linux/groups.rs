//! The groups of a process.

use std::ffi::CStr;
use std::io;

use nix::unistd::{Gid, getgrouplist, setgroups};

/// Gives this process the groups of the user `name`, whose own group is `group`. Needs root.
///
/// # Errors
/// The system's.
pub fn take_those_of(name: &CStr, group: Gid) -> io::Result<()> {
    setgroups(&getgrouplist(name, group)?)?;
    Ok(())
}
