//! Everything that differs between operating systems. Each has a folder, behind the same names:
//! [`cage`], [`cgroup`], [`strays`], [`awake`], [`beneath`], [`machine`], [`memory`], [`origin`],
//! [`disk`], [`groups`], [`load`] and [`parent`]; and [`limits`], [`privilege`], [`confinement`], [`child`],
//! [`handover`], [`shell`], [`threads`] and [`watch`], which all have in common. Nothing here knows about
//! sessions.

pub mod confinement;
pub mod limits;
pub mod privilege;
pub mod seatbelt;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub use linux::{
    awake, beneath, cage, cgroup, disk, groups, inotify, load, machine, memory, origin, parent,
    processes, strays,
};

#[cfg(target_os = "macos")]
mod macos;
#[cfg(target_os = "macos")]
pub use macos::{
    awake, beneath, cage, cgroup, disk, groups, inotify, load, machine, memory, origin, parent,
    processes, strays,
};

pub mod child;
pub mod handover;
pub mod shell;
mod steps;
pub mod threads;
pub mod watch;

/// The resources that a run's processes used, and how many were left at the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// The CPU time of all its processes.
    pub cpu: Option<std::time::Duration>,
    /// The highest memory use, in bytes.
    pub peak_memory: Option<u64>,
    /// Processes the kernel killed because memory ran out.
    pub oom_kills: u64,
    /// Processes still alive at the end, which were killed.
    pub leftovers: u32,
}

/// What the processes of a unit, or of a tree of processes, use together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// The unit's full name, or that of the tree.
    pub unit: String,
    /// Memory now, in bytes.
    pub memory: Option<u64>,
    /// CPU time since it started.
    pub cpu: Option<std::time::Duration>,
}

/// The space this user may still fill, in bytes, on the file system of `path`, which need not
/// exist.
#[must_use]
pub fn free_space(path: &std::path::Path) -> Option<u64> {
    let fs = path.ancestors().find_map(|path| rustix::fs::statvfs(path).ok())?;
    Some(fs.f_bavail * fs.f_frsize)
}

/// Checks that this user can create a file of so many bytes in `folder`, without creating one.
///
/// # Errors
/// That of looking, or the one that creating the file would meet: a folder that may not be written
/// to, or a file system that is full, of bytes or of files.
pub fn try_room(folder: &std::path::Path, bytes: u64) -> std::io::Result<()> {
    use rustix::fs::{Access, access, statvfs};

    access(folder, Access::WRITE_OK | Access::EXEC_OK)?;
    let fs = statvfs(folder)?;
    // Some file systems do not limit the number of files, and say zero of zero.
    let has_no_files = fs.f_files > 0 && fs.f_favail == 0;
    if has_no_files || fs.f_bavail * fs.f_frsize < bytes {
        return Err(rustix::io::Errno::NOSPC.into());
    }
    Ok(())
}
