//! A process that must not outlive its parent.

use std::io;

use rustix::process::{Signal, getppid, set_parent_process_death_signal};

/// Has the kernel send this process SIGTERM when its parent, the process `parent`, ends.
///
/// # Errors
/// The system's; [`io::ErrorKind::NotConnected`] when the parent has ended already.
pub fn end_with(parent: i32) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::TERM))?;
    if getppid().is_some_and(|pid| pid.as_raw_nonzero().get() == parent) {
        Ok(())
    } else {
        Err(io::ErrorKind::NotConnected.into())
    }
}
