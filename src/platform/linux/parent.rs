//! Ties the life of a process to its parent's.

use std::io;

use rustix::process::{Signal, getppid, set_parent_process_death_signal};

/// Makes the kernel send this process SIGTERM when its parent, the process `parent`, ends.
///
/// # Errors
/// The system's; [`io::ErrorKind::NotConnected`] if the parent has already ended.
pub fn end_with(parent: i32) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::TERM))?;
    if getppid().is_some_and(|pid| pid.as_raw_nonzero().get() == parent) {
        Ok(())
    } else {
        Err(io::ErrorKind::NotConnected.into())
    }
}
