//! Processes: the table from libproc, their environment from sysctl(3), their end from kqueue(2).

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

use rustix::process::{Pid, getpid};

/// Calls one of libproc's listing functions, again with a larger buffer until the result fits.
/// `list` gets a buffer and its size in bytes, and returns a count.
fn numbers(list: impl Fn(*mut libc::c_void, libc::c_int) -> libc::c_int) -> io::Result<Vec<Pid>> {
    let mut room = 1024_usize;
    loop {
        let mut pids = vec![0_i32; room];
        let bytes = libc::c_int::try_from(room * size_of::<i32>()).map_err(io::Error::other)?;
        let count = usize::try_from(list(pids.as_mut_ptr().cast(), bytes))
            .map_err(|_| io::Error::last_os_error())?;
        if count < room {
            pids.truncate(count);
            return Ok(pids.into_iter().filter(|pid| *pid > 0).filter_map(Pid::from_raw).collect());
        }
        room *= 2;
    }
}

/// The ids of all processes.
#[expect(unsafe_code, reason = "libproc has no safe wrapper")]
pub(super) fn all() -> io::Result<Vec<Pid>> {
    // SAFETY: the buffer is of the given size.
    numbers(|buffer, bytes| unsafe { libc::proc_listallpids(buffer, bytes) })
}

/// The ids of this process's children, zombies included.
#[expect(unsafe_code, reason = "libproc has no safe wrapper")]
pub(super) fn children() -> io::Result<Vec<Pid>> {
    let own = getpid().as_raw_nonzero().get();
    // SAFETY: the buffer is of the given size.
    numbers(|buffer, bytes| unsafe { libc::proc_listchildpids(own, buffer, bytes) })
}

/// Distinguishes a process from a later one with the same pid: its owner and start time, in seconds
/// and microseconds since 1970. `None` if it has ended or may not be inspected.
#[expect(unsafe_code, reason = "libproc has no safe wrapper")]
pub(super) fn identity(pid: Pid) -> Option<(libc::uid_t, u64, u64)> {
    let mut info = MaybeUninit::<libc::proc_bsdinfo>::zeroed();
    let size = libc::c_int::try_from(size_of::<libc::proc_bsdinfo>()).ok()?;
    // SAFETY: the buffer is of the given size, and all zeroes is a valid value of it.
    let info = unsafe {
        let pid = pid.as_raw_nonzero().get();
        let flavor = libc::PROC_PIDTBSDINFO;
        let written = libc::proc_pidinfo(pid, flavor, 0, info.as_mut_ptr().cast(), size);
        (written == size).then(|| info.assume_init())?
    };
    Some((info.pbi_uid, info.pbi_start_tvsec, info.pbi_start_tvusec))
}

/// The CPU time of a process in user and kernel mode, without that of its children.
#[expect(unsafe_code, reason = "libproc has no safe wrapper")]
pub(super) fn cpu(pid: Pid) -> Option<Duration> {
    let mut info = MaybeUninit::<libc::proc_taskinfo>::zeroed();
    let size = libc::c_int::try_from(size_of::<libc::proc_taskinfo>()).ok()?;
    // SAFETY: the buffer is of the given size, and all zeroes is a valid value of it.
    let info = unsafe {
        let pid = pid.as_raw_nonzero().get();
        let flavor = libc::PROC_PIDTASKINFO;
        let written = libc::proc_pidinfo(pid, flavor, 0, info.as_mut_ptr().cast(), size);
        (written == size).then(|| info.assume_init())?
    };
    let ticks = u128::from(info.pti_total_user) + u128::from(info.pti_total_system);
    let (numerator, denominator) = timebase()?;
    let nanoseconds = ticks * u128::from(numerator) / u128::from(denominator.max(1));
    u64::try_from(nanoseconds).ok().map(Duration::from_nanos)
}

/// Nanoseconds per tick of the processor's clock, as a fraction: 1/1 on Intel, 125/3 on Apple's
/// own.
#[expect(unsafe_code, reason = "mach_timebase_info has no safe wrapper")]
#[expect(deprecated, reason = "libc moves it to another crate, which brings nothing else")]
fn timebase() -> Option<(u32, u32)> {
    let mut base = libc::mach_timebase_info { numer: 0, denom: 0 };
    // SAFETY: the structure is ours.
    let done = unsafe { libc::mach_timebase_info(&raw mut base) };
    (done == 0).then_some((base.numer, base.denom))
}

/// The arguments and environment of a process in the format of `KERN_PROCARGS2`: the number of
/// arguments, the program's path, the arguments and the assignments, separated by NULs. Empty for
/// another user's process. System Integrity Protection hides the environment of Apple's own
/// programs.
#[expect(unsafe_code, reason = "sysctl(3) has no safe wrapper")]
pub(super) fn arguments(pid: Pid) -> Vec<u8> {
    let mut name = [libc::CTL_KERN, libc::KERN_PROCARGS2, pid.as_raw_nonzero().get()];
    let mut size = 0;
    let mut ask = |buffer: *mut libc::c_void, size: &mut usize| {
        // SAFETY: the name has three parts; the buffer is null or of `size` bytes.
        unsafe { libc::sysctl(name.as_mut_ptr(), 3, buffer, size, std::ptr::null_mut(), 0) == 0 }
    };
    if !ask(std::ptr::null_mut(), &mut size) {
        return Vec::new();
    }
    let mut found = vec![0; size];
    if !ask(found.as_mut_ptr().cast(), &mut size) {
        return Vec::new();
    }
    found.truncate(size);
    found
}

/// Watches for the end of a process, which need not be a child.
#[derive(Debug)]
pub(super) struct Exit {
    queue: OwnedFd,
}

impl Exit {
    /// Starts to watch.
    ///
    /// # Errors
    /// The system's; `ESRCH` if the process has already ended.
    #[expect(unsafe_code, reason = "kqueue(2) has no safe wrapper for processes")]
    pub(super) fn of(pid: Pid) -> io::Result<Self> {
        let ident = usize::try_from(pid.as_raw_nonzero().get()).map_err(io::Error::other)?;
        let change = libc::kevent {
            ident,
            filter: libc::EVFILT_PROC,
            flags: libc::EV_ADD | libc::EV_ONESHOT,
            fflags: libc::NOTE_EXIT,
            data: 0,
            udata: std::ptr::null_mut(),
        };
        // SAFETY: the descriptor is new and owned from here on; one change is read, and no event
        // is written.
        unsafe {
            let queue = libc::kqueue();
            if queue < 0 {
                return Err(io::Error::last_os_error());
            }
            let queue = OwnedFd::from_raw_fd(queue);
            let none = std::ptr::null_mut();
            if libc::kevent(queue.as_raw_fd(), &raw const change, 1, none, 0, std::ptr::null()) < 0
            {
                return Err(io::Error::last_os_error());
            }
            Ok(Self { queue })
        }
    }

    /// Waits for the process to end, at most `bound`. Returns whether it has.
    #[expect(unsafe_code, reason = "kqueue(2) has no safe wrapper for processes")]
    pub(super) fn wait(&self, bound: Option<Duration>) -> bool {
        let deadline = bound.map(|bound| Instant::now() + bound);
        loop {
            let left = deadline.map(|end| end.saturating_duration_since(Instant::now()));
            let limit = left.map(|left| libc::timespec {
                tv_sec: left.as_secs().cast_signed(),
                tv_nsec: i64::from(left.subsec_nanos()),
            });
            let limit = limit.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
            let mut event = MaybeUninit::<libc::kevent>::uninit();
            // SAFETY: nothing is read, and there is room for the one event that may be written.
            let count = unsafe {
                let (none, event) = (std::ptr::null(), event.as_mut_ptr());
                libc::kevent(self.queue.as_raw_fd(), none, 0, event, 1, limit)
            };
            let is_interrupted =
                count < 0 && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted;
            if !is_interrupted || left.is_some_and(|left| left.is_zero()) {
                return count > 0;
            }
        }
    }
}
