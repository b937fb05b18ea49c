//! Ties the life of a process to its parent's.

use std::io;

use rustix::process::{Pid, Signal, getpid, getppid, kill_process};

use super::process::Exit;

/// Sends this process SIGTERM when its parent, the process `parent`, ends. A thread waits for that,
/// since macOS has no such kernel request.
///
/// # Errors
/// The system's; [`io::ErrorKind::NotConnected`] if the parent has already ended.
pub fn end_with(parent: i32) -> io::Result<()> {
    let gone = || io::Error::from(io::ErrorKind::NotConnected);
    let pid = Pid::from_raw(parent).ok_or_else(gone)?;
    let exit = Exit::of(pid)?;
    // Check only now: if the parent ended before the watch began, we already have another.
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
