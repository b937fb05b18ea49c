//! What a child process does between fork and exec.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::cage::Cage;

/// Makes the command's process lead a session of its own, without a controlling terminal: it cannot
/// prompt there, nor put text into the input of the person at it (TIOCSTI). It leads its process
/// group too.
pub fn own_session(command: &mut Command) {
    let in_child = || rustix::process::setsid().map(drop).map_err(io::Error::from);
    // SAFETY: the closure runs in the forked child, where only async-signal-safe functions may be
    // called: it makes one system call, and neither allocates nor takes a lock.
    unsafe { command.pre_exec(in_child) };
}

/// Makes the command's process get SIGTERM when this one ends, even by SIGKILL. macOS has no such
/// request.
pub fn end_with_us(command: &mut Command) {
    #[cfg(target_os = "linux")]
    {
        let us = rustix::process::getpid().as_raw_nonzero().get();
        let in_child = move || super::parent::end_with(us);
        // SAFETY: as above; `end_with` makes two system calls.
        unsafe { command.pre_exec(in_child) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = command;
}

/// Makes the command's process enter the cgroup with this `cgroup.procs`, before its program starts.
pub fn join(command: &mut Command, procs: File) {
    let in_child = move || match rustix::io::write(&procs, b"0") {
        Ok(1) => Ok(()),
        Ok(_) => Err(io::ErrorKind::WriteZero.into()),
        Err(error) => Err(io::Error::from(error)),
    };
    // SAFETY: as above; the closure owns the file, so the descriptor is open.
    unsafe { command.pre_exec(in_child) };
}

/// Makes the command's process lock itself into its cage before its program starts. Call it last: the
/// cage forbids the rest.
pub fn confine(command: &mut Command, cage: Cage) {
    let in_child = move || cage.enter();
    // SAFETY: as above; the cage's `enter` makes system calls, and neither allocates nor takes a lock.
    unsafe { command.pre_exec(in_child) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_leads_its_session_and_has_no_terminal() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo $$; ps -o sid= -o tty= -p $$; : </dev/tty"]);
        own_session(&mut command);
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let words: Vec<&str> = text.split_whitespace().collect();
        assert_eq!((words[0], words[2]), (words[1], "?"), "{text}");
        assert!(!output.status.success(), "it could open /dev/tty");
    }
}
