//! What an agent's process does not get from the worker: open files, ignored signals; and its way into
//! its cgroup. The only unsafe code of this crate beside [`crate::platform::child`].
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

/// The signals that our parent may have set to be ignored. std takes care of SIGPIPE.
const SIGNALS: [libc::c_int; 7] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGALRM,
    libc::SIGUSR1,
    libc::SIGUSR2,
];

/// Makes the command's process enter the cgroup and the cage if there are any: the cage last, since
/// it forbids the rest.
///
/// Without them nothing of ours runs in the child, so that std starts it with `posix_spawn`. That
/// copies no page tables, where a fork costs a worker of a few MiB 0.3 ms.
pub(super) fn prepare(command: &mut Command, cgroup: Option<File>, cage: Option<Cage>) {
    if cgroup.is_none() && cage.is_none() {
        return;
    }
    let in_child = move || {
        if let Some(procs) = &cgroup {
            // SAFETY: write(2) is async-signal-safe, the buffer is a literal of that length, and the
            // closure owns the file, so the descriptor is open.
            if unsafe { libc::write(procs.as_raw_fd(), b"0".as_ptr().cast(), 1) } != 1 {
                return Err(io::Error::from_raw_os_error(NO_CGROUP));
            }
        }
        match &cage {
            Some(cage) => cage.enter().map_err(|_| io::Error::from_raw_os_error(NO_CAGE)),
            None => Ok(()),
        }
    };
    // SAFETY: the closure runs in the forked child, where only async-signal-safe functions may
    // be called: it calls write and the cage's `enter`, and neither allocates nor takes a lock
    // (`from_raw_os_error` holds the number in place).
    unsafe { command.pre_exec(in_child) };
}

/// Gives up what a child would inherit from this process. Call it before starting one.
pub(super) fn keep_from_children() {
    close_at_exec();
    ignore_no_signal();
}

/// Marks all files from 3 up to be closed at exec, including those inherited from the process that
/// started us: a lock that the worker keeps across its own exec must not survive in an agent.
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
        // SAFETY: fcntl on a number; for an unused one it just fails.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}

/// Gives signals that are ignored their default handling. An ignored signal stays ignored through
/// exec and would never reach the agent and its tools; a handled one gets the default there.
fn ignore_no_signal() {
    for signal in SIGNALS {
        let mut known = std::mem::MaybeUninit::<libc::sigaction>::uninit();
        // SAFETY: sigaction only writes to `known`, which is read if it succeeded; SIG_DFL runs no
        // code of ours.
        unsafe {
            if libc::sigaction(signal, std::ptr::null(), known.as_mut_ptr()) == 0
                && known.assume_init().sa_sigaction == libc::SIG_IGN
            {
                libc::signal(signal, libc::SIG_DFL);
            }
        }
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
