//! Finds processes that outlived whoever should have ended them, by `SAMOCODE_RUN` in their
//! environment, never by name. There is no subreaper: an orphan becomes launchd's child. Apple's
//! own programs, whose environment is hidden, are killed only if they are in the run's process
//! group.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, waitpid};

use super::process::{self, Exit};

/// How often to read the process table again for newly forked processes.
const ROUNDS: usize = 100;

/// A process, with its identity to notice when its pid is reused.
#[derive(Debug)]
pub struct Stray {
    /// The id of the process.
    pub pid: Pid,
    identity: (libc::uid_t, u64, u64),
    exit: Exit,
}

impl Stray {
    fn of(pid: Pid) -> Option<Self> {
        let exit = Exit::of(pid).ok()?;
        let identity = process::identity(pid)?;
        Some(Self { pid, identity, exit })
    }

    fn is_same(&self) -> bool {
        process::identity(self.pid) == Some(self.identity)
    }
}

/// Finds this user's processes that were started with `SAMOCODE_RUN=run`, except this one.
///
/// # Errors
/// If the process table cannot be read. A process that cannot be inspected is not ours.
pub fn find(run: &str) -> io::Result<Vec<Stray>> {
    find_with("SAMOCODE_RUN", OsStr::new(run))
}

/// Finds this user's processes that were started with `variable=value`, except this one.
fn find_with(variable: &str, value: &OsStr) -> io::Result<Vec<Stray>> {
    let assignment = [variable.as_bytes(), b"=", value.as_bytes()].concat();
    let own = rustix::process::geteuid().as_raw();
    let is_ours =
        |pid: Pid| process::arguments(pid).split(|byte| *byte == 0).any(|it| it == assignment);
    let candidates = process::all()?.into_iter().filter(|pid| *pid != getpid() && is_ours(*pid));
    // Anything read while watching it belongs to this process, or to none.
    Ok(candidates
        .filter_map(Stray::of)
        .filter(|stray| stray.identity.0 == own && is_ours(stray.pid) && stray.is_same())
        .collect())
}

/// Kills processes and waits for all of them, at most `bound` in total. Returns how many ended.
#[must_use]
pub fn kill(strays: &[Stray], bound: Duration) -> usize {
    let deadline = Instant::now() + bound;
    for stray in strays.iter().filter(|stray| stray.is_same()) {
        // It may have exited on its own.
        let _ = kill_process(stray.pid, Signal::KILL);
    }
    let left = || deadline.saturating_duration_since(Instant::now());
    strays.iter().filter(|stray| !stray.is_same() || stray.exit.wait(Some(left()))).count()
}

/// Kills all processes of a run, and any they fork in the process. Returns how many there were.
/// Blocks for up to `bound`.
///
/// # Errors
/// As [`find`]; [`io::ErrorKind::TimedOut`] if some are left after `bound`.
pub fn end_run(run: &str, bound: Duration) -> io::Result<usize> {
    end_with("SAMOCODE_RUN", OsStr::new(run), bound)
}

/// Kills all processes that were started with `variable=value`, and any they fork in the process.
/// Returns how many there were. Blocks for up to `bound`.
///
/// # Errors
/// As [`end_run`].
pub fn end_with(variable: &str, value: &OsStr, bound: Duration) -> io::Result<usize> {
    let deadline = Instant::now() + bound;
    let mut ended = 0;
    loop {
        let strays = find_with(variable, value)?;
        if strays.is_empty() {
            return Ok(ended);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        ended += kill(&strays, left);
    }
}

/// Does nothing: macOS cannot make this process adopt what a run leaves behind.
pub const fn gather() {}

/// Kills whatever a run left behind. Returns how many there were. Blocks for up to `bound`.
///
/// # Errors
/// As [`end_run`].
pub fn end_left_behind(run: &str, bound: Duration) -> io::Result<usize> {
    let ended = end_run(run, bound)?;
    // Reaps those that were our own.
    end_children(&[], bound)?;
    Ok(ended)
}

/// The CPU time of a run's processes.
///
/// # Errors
/// As [`find`].
pub fn cpu(run: &str) -> io::Result<Duration> {
    Ok(find(run)?.iter().filter_map(|stray| process::cpu(stray.pid)).sum())
}

/// This process's children, zombies included.
///
/// # Errors
/// If the process table cannot be read.
pub fn children() -> io::Result<Vec<Pid>> {
    process::children()
}

/// Kills and reaps every child except those in `spared`. Returns how many there were. Blocks for up
/// to `bound`.
///
/// # Errors
/// If the process table cannot be read; [`io::ErrorKind::TimedOut`] if some are left.
pub fn end_children(spared: &[Pid], bound: Duration) -> io::Result<usize> {
    let deadline = Instant::now() + bound;
    let mut ended = 0;
    for _ in 0..ROUNDS {
        let ours = children()?.into_iter().filter(|pid| !spared.contains(pid));
        let mut is_any_left = false;
        for pid in ours {
            is_any_left = true;
            // Our own child keeps its pid until we reap it.
            let exit = Exit::of(pid);
            let _ = kill_process(pid, Signal::KILL);
            if let Ok(exit) = exit {
                exit.wait(Some(deadline.saturating_duration_since(Instant::now())));
            }
            if let Ok(Some(_)) = waitpid(Some(pid), WaitOptions::NOHANG) {
                ended += 1;
            }
        }
        if !is_any_left {
            return Ok(ended);
        }
        if Instant::now() >= deadline {
            break;
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}
