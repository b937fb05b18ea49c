//! Facts about the machine, from sysctl(3).

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::time::{Duration, SystemTime};

/// Reads a plain value by its sysctl name; `None` if there is none of this size.
#[expect(unsafe_code, reason = "sysctlbyname(3) has no safe wrapper")]
fn sysctl<const SIZE: usize>(name: &CStr) -> Option<[u8; SIZE]> {
    let mut value = [0; SIZE];
    let mut size = SIZE;
    // SAFETY: the buffer is of `size` bytes, the name ends with a NUL, and nothing is set.
    let done = unsafe {
        libc::sysctlbyname(
            name.as_ptr(),
            value.as_mut_ptr().cast(),
            &raw mut size,
            std::ptr::null_mut(),
            0,
        )
    };
    (done == 0 && size == SIZE).then_some(value)
}

/// An id of this boot. Where it is unknown, a reboot looks like a crash.
#[must_use]
pub fn boot_id() -> String {
    // A UUID as text of 36 bytes and a NUL.
    sysctl::<37>(c"kern.bootsessionuuid")
        .and_then(|id| String::from_utf8(id[..36].to_vec()).ok())
        .unwrap_or_else(|| "unknown".to_owned())
}

/// How long the machine has been running, without sleep, in milliseconds.
#[must_use]
#[expect(unsafe_code, reason = "the clock is not among those of a safe wrapper")]
pub fn uptime_ms() -> Option<u64> {
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: the kernel fills the structure if it returns 0, and it is read only then.
    let time = unsafe {
        (libc::clock_gettime(libc::CLOCK_UPTIME_RAW, time.as_mut_ptr()) == 0)
            .then(|| time.assume_init())?
    };
    let ms = time.tv_sec.checked_mul(1000)?.checked_add(time.tv_nsec / 1_000_000)?;
    u64::try_from(ms).ok()
}

/// When the machine started. The kernel adjusts this when the clock is set.
#[must_use]
pub fn booted() -> Option<SystemTime> {
    // A timeval: seconds in eight bytes, microseconds in four, and four of padding.
    let time = sysctl::<16>(c"kern.boottime")?;
    let seconds = i64::from_ne_bytes(*time.first_chunk()?);
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).ok()?))
}

/// The machine's memory, in bytes; 0 if it is unknown.
#[must_use]
pub fn memory() -> u64 {
    sysctl::<8>(c"hw.memsize").map_or(0, u64::from_ne_bytes)
}

/// Whether the system runs programs for another processor: Rosetta does.
#[must_use]
pub const fn runs_foreign_programs() -> bool {
    true
}
