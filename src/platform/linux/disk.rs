//! What the kernel still holds back from the disk.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Puts everything of the file system that `path` is on onto the disk.
///
/// # Errors
/// When the path cannot be opened, or the disk refuses.
pub fn sync_all_of(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(File::open(path)?)?)
}

/// How much is written and not on any disk yet, in bytes; `None` where the kernel does not say.
#[must_use]
pub fn unwritten() -> Option<u64> {
    let meminfo = fs::read_to_string("/proc/meminfo").ok()?;
    let line = meminfo.lines().find_map(|line| line.strip_prefix("Dirty:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib << 10)
}
