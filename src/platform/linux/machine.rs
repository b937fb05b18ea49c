//! Facts about the machine: boot, uptime, memory.

use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};

/// The kernel's id of this boot. Where it is unknown, a reboot looks like a crash.
#[must_use]
pub fn boot_id() -> String {
    super::proc::text("/proc/sys/kernel/random/boot_id")
        .map_or_else(|_| "unknown".to_owned(), |id| id.trim().to_owned())
}

/// How long the machine has been running, without sleep, in milliseconds.
#[must_use]
pub fn uptime_ms() -> Option<u64> {
    let time = clock_gettime(ClockId::Monotonic);
    let ms = time.tv_sec.checked_mul(1000)?.checked_add(time.tv_nsec / 1_000_000)?;
    u64::try_from(ms).ok()
}

/// When the machine started, by the present clock.
#[must_use]
pub fn booted() -> Option<SystemTime> {
    let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
    let seconds = uptime.split_whitespace().next()?.parse().ok()?;
    SystemTime::now().checked_sub(Duration::try_from_secs_f64(seconds).ok()?)
}

/// The machine's memory, in bytes.
#[must_use]
pub fn memory() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram.saturating_mul(u64::from(info.mem_unit))
}

/// Whether the kernel hands programs of some other format to an emulator, as `qemu-user` registers
/// them (binfmt_misc). Of which formats, only starting one shows.
#[must_use]
pub fn runs_foreign_programs() -> bool {
    let handlers = std::fs::read_dir("/proc/sys/fs/binfmt_misc");
    let mut entries = handlers.into_iter().flatten().flatten();
    entries.any(|entry| {
        let name = entry.file_name();
        name != "register" && name != "status"
    })
}
