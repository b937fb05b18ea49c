//! Code that runs in the new process between fork and exec: the only unsafe code of this crate.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::platform::cage::Cage;

/// The error code for any failure to enter the cgroup; exec and its preparations never return it.
pub(super) const NO_CGROUP: i32 = libc::EXDEV;

/// The error code for any failure to lock the process into its cage, likewise.
pub(super) const NO_CAGE: i32 = libc::ENOTRECOVERABLE;

/// The signals whose handling may have been changed for us or by us.
const SIGNALS: [libc::c_int; 8] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGPIPE,
    libc::SIGALRM,
    libc::SIGUSR1,
    libc::SIGUSR2,
];

/// Makes the command's process enter the cgroup, leave our terminal, close all but its standard files at exec,
/// reset its signal handling, and last lock itself into the cage, since that forbids the rest.
pub(super) fn prepare(command: &mut Command, cgroup: Option<File>, cage: Option<Cage>) {
    let in_child = move || {
        if let Some(procs) = &cgroup {
            // SAFETY: write(2) is async-signal-safe, the buffer is a literal of that length, and
            // the closure owns the file, so the descriptor is open.
            if unsafe { libc::write(procs.as_raw_fd(), b"0".as_ptr().cast(), 1) } != 1 {
                return Err(io::Error::from_raw_os_error(NO_CGROUP));
            }
        }
        // Its own session has no controlling terminal, into whose input it could put words
        // (TIOCSTI). It leads its process group too.
        rustix::process::setsid()?;
        close_at_exec();
        default_signals();
        match &cage {
            Some(cage) => cage.enter().map_err(|_| io::Error::from_raw_os_error(NO_CAGE)),
            None => Ok(()),
        }
    };
    // SAFETY: the closure runs in the forked child, where only async-signal-safe functions may
    // be called: it calls write, setsid, fcntl, close_range, signal and sigprocmask, and the cage's `enter`, and neither
    // allocates nor takes a lock (`from_raw_os_error` holds the number in place).
    unsafe { command.pre_exec(in_child) };
}

/// Marks all files from 3 up to be closed, including those inherited from whoever started us: a
/// lock that the worker keeps across its own exec must not survive in an agent.
fn close_at_exec() {
    #[cfg(target_os = "linux")]
    {
        // CLOSE_RANGE_CLOEXEC, Linux 5.11; by number, since not every libc has the function.
        // SAFETY: a system call on numbers, which touches no memory.
        let done = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 4) };
        if done == 0 {
            return;
        }
    }
    for fd in 3..1024 {
        // SAFETY: fcntl is async-signal-safe; for an unused number it just fails.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}

/// Ignored and blocked signals are inherited through exec: one that the worker ignores or blocks
/// would never reach the agent and its tools.
fn default_signals() {
    for signal in SIGNALS {
        // SAFETY: signal(2) and the calls below are async-signal-safe; SIG_DFL runs no code of ours.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    let mut none = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset initialises the set before sigprocmask reads it.
    unsafe {
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut());
    }
}

/// Runs `body` with SIGHUP blocked and SIGUSR2 ignored on this thread, as a worker may have them.
#[cfg(test)]
pub(super) fn with_blocked_hangup<T>(body: impl FnOnce() -> T) -> T {
    let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    let mut old = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the sets are initialised before they are read; the test has no handler for either.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGHUP);
        libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), old.as_mut_ptr());
        libc::signal(libc::SIGUSR2, libc::SIG_IGN);
    }
    let value = body();
    // SAFETY: as above.
    unsafe {
        libc::signal(libc::SIGUSR2, libc::SIG_DFL);
        libc::pthread_sigmask(libc::SIG_SETMASK, old.as_ptr(), std::ptr::null_mut());
    }
    value
}
