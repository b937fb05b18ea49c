//! Finds processes that outlived whoever should have ended them, where no cgroup tracks them. They
//! are identified by `SAMOCODE_RUN` in their environment, or as children that were reparented to us
//! as a subreaper; never by name.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitOptions, getpid, pidfd_open,
    pidfd_send_signal, waitid,
};

/// How often to read the process table again for newly forked processes.
const ROUNDS: usize = 100;

/// A process, held by a pidfd so that its pid cannot be reused.
#[derive(Debug)]
pub struct Stray {
    /// The id of the process.
    pub pid: Pid,
    handle: OwnedFd,
}

/// The ids of all processes in `/proc`.
fn all() -> io::Result<impl Iterator<Item = Pid>> {
    let number = |name: &OsStr| name.to_str()?.parse().ok().and_then(Pid::from_raw);
    Ok(fs::read_dir("/proc")?.filter_map(move |entry| number(&entry.ok()?.file_name())))
}

/// Whether an environment, in the format of `/proc/PID/environ`, has exactly this assignment.
fn has(environ: &[u8], assignment: &[u8]) -> bool {
    environ.split(|byte| *byte == 0).any(|entry| entry == assignment)
}

/// Finds this user's processes that were started with `SAMOCODE_RUN=run`, except this one.
///
/// # Errors
/// If `/proc` cannot be read. A process that cannot be inspected is not ours.
pub fn find(run: &str) -> io::Result<Vec<Stray>> {
    find_with("SAMOCODE_RUN", OsStr::new(run))
}

/// Finds this user's processes that were started with `variable=value`, except this one.
fn find_with(variable: &str, value: &OsStr) -> io::Result<Vec<Stray>> {
    let assignment = [variable.as_bytes(), b"=", value.as_bytes()].concat();
    let own = rustix::process::geteuid().as_raw();
    let mut found = Vec::new();
    let mut environ = Vec::new();
    for pid in all()?.filter(|pid| *pid != getpid()) {
        let dir = format!("/proc/{}", pid.as_raw_nonzero());
        let mut is_ours = || {
            environ.clear();
            let read = File::open(format!("{dir}/environ"))
                .and_then(|mut file| file.read_to_end(&mut environ));
            read.is_ok() && has(&environ, &assignment)
        };
        // A quick first look, since nearly all belong to others.
        if !is_ours() {
            continue;
        }
        // Anything read while holding the pidfd belongs to this process, or to none.
        let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
        let is_own = fs::metadata(&dir).is_ok_and(|found| found.uid() == own);
        if is_own && is_ours() && !is_gone(&handle, Duration::ZERO) {
            found.push(Stray { pid, handle });
        }
    }
    Ok(found)
}

/// Whether the process ends within `bound`.
fn is_gone(handle: &OwnedFd, bound: Duration) -> bool {
    let deadline = Instant::now() + bound;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: left.as_secs().cast_signed(),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        match poll(&mut [PollFd::new(handle, PollFlags::IN)], Some(&timeout)) {
            Ok(count) => return count > 0,
            Err(rustix::io::Errno::INTR) if !left.is_zero() => {}
            Err(_) => return false,
        }
    }
}

/// Kills processes and waits for all of them, at most `bound` in total. Returns how many ended.
#[must_use]
pub fn kill(strays: &[Stray], bound: Duration) -> usize {
    let deadline = Instant::now() + bound;
    for stray in strays {
        // It may have exited on its own.
        let _ = pidfd_send_signal(&stray.handle, Signal::KILL);
    }
    let left = || deadline.saturating_duration_since(Instant::now());
    strays.iter().filter(|stray| is_gone(&stray.handle, left())).count()
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

/// Makes this process adopt whatever a run leaves behind, so that [`end_left_behind`] finds it.
/// Does nothing if the kernel does not support it.
pub fn gather() {
    let _ = rustix::process::set_child_subreaper(Some(getpid()));
}

/// Kills whatever a run left behind. For a process that has called [`gather`] and has no other
/// children. Returns how many there were. Blocks for up to `bound`.
///
/// # Errors
/// As [`end_run`].
pub fn end_left_behind(run: &str, bound: Duration) -> io::Result<usize> {
    if has_none() {
        return Ok(0);
    }
    let ended = end_run(run, bound)?;
    // Reaps them and those that had exited, and kills any that hide their origin.
    end_children(&[], bound)?;
    Ok(ended)
}

/// The CPU time of a run's processes, including children they have waited for.
///
/// # Errors
/// As [`find`].
pub fn cpu(run: &str) -> io::Result<Duration> {
    let hertz = rustix::param::clock_ticks_per_second().max(1);
    let ticks = |stray: &Stray| {
        let stat = fs::read_to_string(format!("/proc/{}/stat", stray.pid.as_raw_nonzero())).ok()?;
        // utime, stime, cutime and cstime: fields 14 to 17 of proc_pid_stat(5).
        let (_, rest) = stat.rsplit_once(')')?;
        let fields = rest.split_whitespace().skip(11).take(4);
        Some(fields.filter_map(|field| field.parse::<u64>().ok()).sum::<u64>())
    };
    let ticks: u64 = find(run)?.iter().filter_map(ticks).sum();
    Ok(Duration::from_millis(ticks * 1000 / hertz))
}

/// The parent in `/proc/PID/stat`. The second field may contain anything, but ends with the last
/// `)`.
fn parent(stat: &str) -> Option<Pid> {
    let (_, rest) = stat.rsplit_once(')')?;
    Pid::from_raw(rest.split_whitespace().nth(1)?.parse().ok()?)
}

/// Whether this process has no children, not even zombies. The kernel answers this without reading
/// `/proc`.
fn has_none() -> bool {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    matches!(waitid(WaitId::All, look), Err(rustix::io::Errno::CHILD))
}

/// This process's children, zombies included.
///
/// # Errors
/// If `/proc` cannot be read.
pub fn children() -> io::Result<Vec<Pid>> {
    if has_none() {
        return Ok(Vec::new());
    }
    let own = getpid();
    let is_child = |pid: &Pid| {
        let stat = fs::read(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
        parent(&String::from_utf8_lossy(&stat)) == Some(own)
    };
    Ok(all()?.filter(is_child).collect())
}

/// Kills and reaps every child except those in `spared`, and any that become children by that.
/// Returns how many there were. Blocks for up to `bound`.
///
/// # Errors
/// If `/proc` cannot be read; [`io::ErrorKind::TimedOut`] if some are left.
pub fn end_children(spared: &[Pid], bound: Duration) -> io::Result<usize> {
    let deadline = Instant::now() + bound;
    let mut ended = 0;
    for _ in 0..ROUNDS {
        let mut strays = Vec::new();
        for pid in children()?.into_iter().filter(|pid| !spared.contains(pid)) {
            // Our own child keeps its pid until we reap it.
            strays.push(Stray { pid, handle: pidfd_open(pid, PidfdFlags::empty())? });
        }
        if strays.is_empty() {
            return Ok(ended);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let gone = kill(&strays, left);
        for stray in &strays {
            if let Ok(Some(_)) = rustix::process::waitpid(Some(stray.pid), WaitOptions::NOHANG) {
                ended += 1;
            }
        }
        if gone < strays.len() {
            break;
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_run_is_known_by_its_whole_assignment() {
        let environ = b"A=1\0SAMOCODE_RUN=r1\0B=SAMOCODE_RUN=r2\0";
        assert!(has(environ, b"SAMOCODE_RUN=r1"));
        assert!(!has(environ, b"SAMOCODE_RUN=r"));
        assert!(!has(environ, b"SAMOCODE_RUN=r2"));
    }

    #[test]
    fn a_command_name_cannot_fake_its_parent() {
        assert_eq!(parent("7 (a) S 1 (b)) S 42 7 7 0"), Pid::from_raw(42));
        assert_eq!(parent("nonsense"), None);
    }

    #[test]
    fn a_run_is_found_and_ended_and_its_neighbour_is_not() {
        let id = format!("test-{}", getpid().as_raw_nonzero());
        let start = |run: &str| {
            Command::new("sleep")
                .arg("1000")
                .env("SAMOCODE_RUN", run)
                .stdin(Stdio::null())
                .spawn()
                .unwrap()
        };
        let (mut ours, mut other) = (start(&id), start(&format!("{id}-other")));
        // The kernel lets the parent continue a moment before it sets the new program's
        // environment.
        let deadline = Instant::now() + Duration::from_secs(5);
        while find(&id).unwrap().is_empty() && Instant::now() < deadline {
            std::thread::yield_now();
        }
        assert_eq!(find(&id).unwrap().len(), 1);
        assert_eq!(end_run(&id, Duration::from_secs(5)).unwrap(), 1);
        assert!(!ours.wait().unwrap().success());
        assert_eq!(end_run(&id, Duration::from_secs(5)).unwrap(), 0);
        assert!(other.try_wait().unwrap().is_none());
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
