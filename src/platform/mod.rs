//! What differs between operating systems, one folder each behind the same names: [`cgroup`],
//! [`strays`], [`awake`], [`machine`] and [`parent`]. Nothing here knows of sessions.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub use linux::{awake, cgroup, machine, parent, strays};

#[cfg(target_os = "macos")]
mod macos;
#[cfg(target_os = "macos")]
pub use macos::{awake, cgroup, machine, parent, strays};

/// What the processes of a run have used, and what was left of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// CPU time of all its processes.
    pub cpu: Option<std::time::Duration>,
    /// Peak memory in bytes.
    pub peak_memory: Option<u64>,
    /// Processes the kernel killed for want of memory.
    pub oom_kills: u64,
    /// Processes alive at the end, which were killed.
    pub leftovers: u32,
}

/// The space that this user may still fill where `path` is or will be, in bytes.
#[must_use]
pub fn free_space(path: &std::path::Path) -> Option<u64> {
    let fs = path.ancestors().find_map(|path| rustix::fs::statvfs(path).ok())?;
    Some(fs.f_bavail * fs.f_frsize)
}
