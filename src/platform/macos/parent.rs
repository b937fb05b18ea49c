//! A process that must not outlive its parent.

use std::io;

use rustix::process::{Pid, Signal, getpid, getppid, kill_process};

use super::process::Exit;

/// Sends this process SIGTERM when its parent, the process `parent`, ends. A thread waits for that:
/// there is no such request to the kernel as on Linux.
///
/// # Errors
/// The system's; [`io::ErrorKind::NotConnected`] when the parent has ended already.
pub fn end_with(parent: i32) -> io::Result<()> {
    let gone = || io::Error::from(io::ErrorKind::NotConnected);
    let pid = Pid::from_raw(parent).ok_or_else(gone)?;
    let exit = Exit::of(pid)?;
    // Only now: one that ended before there was a watch has left us to another parent.
    if getppid() != Some(pid) {
        return Err(gone());
    }
    std::thread::Builder::new().name("parent".to_owned()).spawn(move || {
        if exit.wait(None) {
            let _ = kill_process(getpid(), Signal::TERM);
        }
    })?;
    Ok(())
}
