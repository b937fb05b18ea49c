//! The limits of a machine that a program can run into. The operating system's own words name none
//! of them: "Too many open files" may mean any of three.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit};
use tokio::signal::unix::{SignalKind, signal};

/// A resource that is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Open files of this process.
    Files,
    /// Open files of the whole machine.
    FilesOfMachine,
    /// Processes and threads of the user or the unit.
    Processes,
    /// Memory of the machine or of the cgroup (`ENOMEM`).
    Memory,
    /// Space on the disk.
    Disk,
    /// Files on the disk, of which each needs an inode.
    Inodes,
    /// Space that the user may fill.
    Quota,
    /// The size of a file that this process writes.
    FileSize,
    /// Writing at all: the file system is mounted read-only.
    ReadOnly,
    /// Files that the user may watch at once.
    Watches,
    /// Programs of the user that may watch files at once.
    Watchers,
}

impl Limit {
    /// The limit that an error of a file operation tells of.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<Self> {
        Some(match Errno::from_raw_os_error(error.raw_os_error()?) {
            Errno::MFILE => Self::Files,
            Errno::NFILE => Self::FilesOfMachine,
            Errno::NOMEM => Self::Memory,
            Errno::NOSPC => Self::Disk,
            Errno::DQUOT => Self::Quota,
            Errno::FBIG => Self::FileSize,
            Errno::ROFS => Self::ReadOnly,
            _ => return None,
        })
    }

    /// The same where the file is known: a disk with space left has no room for more files.
    #[must_use]
    pub fn at(error: &io::Error, path: &Path) -> Option<Self> {
        let limit = Self::of(error)?;
        let there = path.ancestors().find_map(|folder| rustix::fs::statvfs(folder).ok());
        let is_by_count =
            |disk: rustix::fs::StatVfs| disk.f_files > 0 && disk.f_favail == 0 && disk.f_bavail > 0;
        let by_count = limit == Self::Disk && there.is_some_and(is_by_count);
        Some(if by_count { Self::Inodes } else { limit })
    }

    /// The same for an error of starting a process.
    #[must_use]
    pub fn of_start(error: &io::Error) -> Option<Self> {
        let is_again = error.raw_os_error() == Some(Errno::AGAIN.raw_os_error());
        match is_again {
            // A thread without memory for its stack is told by the same error.
            true if low_on_memory().is_some() => Some(Self::Memory),
            true => Some(Self::Processes),
            false => Self::of(error),
        }
    }

    /// The same for an error of watching files.
    #[must_use]
    pub fn of_watching(error: &io::Error) -> Option<Self> {
        match Self::of_start(error)? {
            // The same error for two limits: if this process may open files, it is the other.
            Self::Files if fs::File::open("/dev/null").is_ok() => Some(Self::Watchers),
            Self::Disk => Some(Self::Watches),
            other => Some(other),
        }
    }

    /// The name of the limit with its present value, and how to raise it: one line.
    #[must_use]
    pub fn remedy(self) -> String {
        match self {
            Self::Files => {
                let limit = rustix::process::getrlimit(Resource::Nofile).current;
                let limit = limit.map_or_else(String::new, |limit| format!(" ({limit})"));
                format!(
                    "this process has reached its limit on open files{limit}: raise it with ulimit -n, for a unit with LimitNOFILE="
                )
            }
            Self::FilesOfMachine => {
                raise("the machine has reached its limit on open files", "fs.file-max", 1 << 20)
            }
            Self::Processes => {
                let limit = rustix::process::getrlimit(Resource::Nproc).current;
                let limit = limit.map_or_else(String::new, |limit| format!(" ({limit})"));
                format!(
                    "the limit on processes is reached: end some, or raise SAMOCODE_TASKS_MAX, which is TasksMax= of the unit, or ulimit -u{limit}"
                )
            }
            Self::Memory => match low_on_memory() {
                Some((option, bytes)) => format!(
                    "this process has reached its limit on memory ({} KiB): raise it with ulimit {option}",
                    bytes >> 10
                ),
                None => {
                    "the machine is out of memory: end some programs, or lower SAMOCODE_MAX_RUNNING"
                        .to_owned()
                }
            },
            Self::Disk => "the disk is full: free some space".to_owned(),
            Self::Inodes => {
                "the disk can hold no more files (see df -i): delete some, small ones too"
                    .to_owned()
            }
            Self::Quota => {
                "your disk quota is used up: free some space, or ask for a larger one".to_owned()
            }
            Self::FileSize => {
                let limit = rustix::process::getrlimit(Resource::Fsize).current;
                let limit =
                    limit.map_or_else(String::new, |bytes| format!(" ({} KiB)", bytes >> 10));
                format!(
                    "this process has reached its limit on the size of files{limit}: raise it with ulimit -f, for a unit with LimitFSIZE="
                )
            }
            Self::ReadOnly => {
                "the file system is read-only, as Linux makes it after an error of the disk: \
                find out with sudo dmesg, then: sudo mount -o remount,rw MOUNTPOINT"
                    .to_owned()
            }
            Self::Watches => raise(
                "the limit on watched files is reached",
                "fs.inotify.max_user_watches",
                524_288,
            ),
            Self::Watchers => raise(
                "the limit on programs that watch files is reached",
                "fs.inotify.max_user_instances",
                512,
            ),
        }
    }
}

/// How many files this process should be able to open, for its runtime and the connections and files
/// that it has open at once.
const FILES: usize = 32;

/// The least that the first thread needs of the stack, in bytes.
const STACK: u64 = 1 << 20;
/// What it gets where the limit is lower: threads of a process are not bound by it.
const OWN_STACK: usize = 8 << 20;

/// Does the work of the program, in a thread with a stack of its own if `ulimit -s` leaves too little
/// for the first one. Programs that it starts have the low limit all the same.
pub fn with_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let limit = rustix::process::getrlimit(Resource::Stack).current;
    if limit.is_none_or(|limit| limit >= STACK) {
        return work();
    }
    let work = Arc::new(Mutex::new(Some(work)));
    let theirs = Arc::clone(&work);
    let take = |slot: &Mutex<Option<_>>| slot.lock().unwrap_or_else(PoisonError::into_inner).take();
    let inner = move || take(&theirs).map(|work| work());
    let thread = std::thread::Builder::new().stack_size(OWN_STACK).spawn(inner);
    match thread.map(std::thread::JoinHandle::join) {
        Ok(Ok(Some(done))) => done,
        Ok(Err(panic)) => std::panic::resume_unwind(panic),
        // No thread could be started: it is tried here.
        Ok(Ok(None)) | Err(_) => match take(&work) {
            Some(work) => work(),
            None => std::process::abort(),
        },
    }
}

/// Lets this process and those it starts read and write what they make: a umask may take even that from
/// their own user. What it says of others stays.
pub fn keep_own_permissions() {
    const OWNER: Mode = Mode::RWXU;
    let umask = rustix::process::umask(Mode::RWXG.union(Mode::RWXO));
    rustix::process::umask(umask.difference(OWNER));
}

/// Takes an empty TMPDIR as none at all, as most programs do.
pub fn have_temporary_folder() {
    if std::env::var_os("TMPDIR").is_some_and(|folder| folder.is_empty()) {
        // It was set before, which is as good.
        let _ = tempfile::env::override_temp_dir(Path::new("/tmp"));
    }
}

/// Makes sure that this process can open some files: a runtime that cannot panics. If it may raise
/// its own limit, it does.
///
/// # Errors
/// If it cannot open enough.
pub fn make_room_for_files() -> io::Result<()> {
    let Err(error) = try_files() else { return Ok(()) };
    let all = rustix::process::getrlimit(Resource::Nofile);
    if rustix::process::setrlimit(Resource::Nofile, Rlimit { current: all.maximum, ..all }).is_err()
    {
        return Err(error);
    }
    try_files()
}

/// Keeps this process, and all that it starts, from leaving their memory in files when they crash: their
/// keys are in it. A program that wants to may raise the limit again.
pub fn leave_no_cores() {
    let all = rustix::process::getrlimit(Resource::Core);
    let none = Rlimit { current: Some(0), ..all };
    if let Err(error) = rustix::process::setrlimit(Resource::Core, none) {
        tracing::warn!("programs that crash may leave their memory in files: {error}");
    }
}

/// Whether this process can open some files now.
///
/// # Errors
/// That of opening one.
pub fn try_files() -> io::Result<()> {
    let file = fs::File::open("/dev/null")?;
    (1..FILES).map(|_| file.try_clone()).collect::<io::Result<Vec<_>>>().map(drop)
}

/// Makes a write beyond the limit on the size of files fail, where the system would end this process.
/// Programs that it starts are ended as ever. Needs a runtime.
///
/// # Errors
/// If the signal cannot be handled.
pub fn survive_large_files() -> io::Result<()> {
    const SIGXFSZ: i32 = nix::sys::signal::Signal::SIGXFSZ as i32;
    signal(SignalKind::from_raw(SIGXFSZ)).map(drop)
}

/// Makes sure that ended children can be waited for. Whoever started this process may have left SIGCHLD
/// ignored, and then the system keeps no exit status. Needs a runtime.
///
/// # Errors
/// If the signal cannot be handled.
pub fn keep_exit_statuses() -> io::Result<()> {
    signal(SignalKind::child()).map(drop)
}

/// The lowest limit on the memory of this process, with the option of `ulimit` that raises it; `None` if
/// there is none that it could reach.
fn low_on_memory() -> Option<(&'static str, u64)> {
    const AMPLE: u64 = 1 << 32;
    let limits = [("-v", Resource::As), ("-d", Resource::Data)];
    let set = limits
        .into_iter()
        .filter_map(|(option, kind)| Some((option, rustix::process::getrlimit(kind).current?)));
    set.filter(|(_, bytes)| *bytes < AMPLE).min_by_key(|(_, bytes)| *bytes)
}

/// A limit that sysctl sets: its value now, and the command that raises it.
fn raise(what: &str, key: &str, least: u64) -> String {
    let path = Path::new("/proc/sys").join(key.replace('.', "/"));
    let now = fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<u64>().ok());
    let more = now.map_or(least, |now| now.saturating_mul(4).max(least));
    let now = now.map_or_else(String::new, |now| format!(" = {now}"));
    format!("{what} ({key}{now}): raise it with: sudo sysctl {key}={more}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_that_tells_of_a_limit_names_it_and_others_name_none() {
        let error = |errno: Errno| io::Error::from_raw_os_error(errno.raw_os_error());
        for (errno, named) in [
            (Errno::MFILE, "ulimit -n"),
            (Errno::NFILE, "sudo sysctl fs.file-max="),
            (Errno::NOMEM, "SAMOCODE_MAX_RUNNING"),
            (Errno::NOSPC, "free some space"),
            (Errno::DQUOT, "quota"),
            (Errno::FBIG, "ulimit -f"),
            (Errno::ROFS, "remount,rw"),
        ] {
            let remedy = Limit::of(&error(errno)).map(Limit::remedy).unwrap_or_default();
            assert!(remedy.contains(named) && !remedy.contains('\n'), "{errno}: {remedy}");
        }
        assert_eq!(Limit::of(&error(Errno::NOENT)), None);
        assert_eq!(Limit::of(&error(Errno::AGAIN)), None, "it may be anything");
        assert_eq!(Limit::of_start(&error(Errno::AGAIN)), Some(Limit::Processes));
        assert!(Limit::Processes.remedy().contains("SAMOCODE_TASKS_MAX"));
        assert_eq!(Limit::of_watching(&error(Errno::MFILE)), Some(Limit::Watchers));
        assert_eq!(Limit::of_watching(&error(Errno::NOSPC)), Some(Limit::Watches));
        assert_eq!(Limit::of_watching(&error(Errno::AGAIN)), Some(Limit::Processes));
        let remedy = Limit::Watchers.remedy();
        assert!(remedy.contains("sudo sysctl fs.inotify.max_user_instances="), "{remedy}");
    }

    /// A Mac's shell cannot set them.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_limit_on_memory_is_told_from_one_on_processes() {
        const INNER: &str = "SAMOCODE_TEST_LIMIT";
        if let Ok(option) = std::env::var(INNER) {
            let again = io::Error::from_raw_os_error(Errno::AGAIN.raw_os_error());
            let remedy = Limit::of_start(&again).map(Limit::remedy).unwrap_or_default();
            assert!(remedy.ends_with(&format!("raise it with ulimit {option}")), "{remedy}");
            return;
        }
        let test = "platform::limits::tests::a_limit_on_memory_is_told_from_one_on_processes";
        for option in ["-d", "-v"] {
            let script =
                format!("ulimit {option} 4000000 && {INNER}={option} exec \"$0\" --exact {test}");
            let done = std::process::Command::new("sh")
                .args(["-c", &script])
                .arg(std::env::current_exe().unwrap())
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&done.stdout);
            assert!(done.status.success() && said.contains("1 passed"), "{option}: {said}");
        }
    }
}
