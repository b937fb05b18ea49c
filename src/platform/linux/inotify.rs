//! inotify instances, of which each user has few.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// How many instances this user's processes have, as far as we may inspect them, and how many they
/// may have. `None` if the system does not say.
#[must_use]
pub fn instances() -> Option<(usize, usize)> {
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_user_instances").ok()?;
    let uid = rustix::process::geteuid().as_raw();
    let entries = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten();
    let used = entries(Path::new("/proc"))
        .filter(|process| process.metadata().is_ok_and(|found| found.uid() == uid))
        .flat_map(|process| entries(&process.path().join("fd")).collect::<Vec<_>>())
        .filter_map(|file| fs::read_link(file.path()).ok())
        .filter(|target| target.as_os_str() == "anon_inode:inotify")
        .count();
    Some((used, limit.trim().parse().ok()?))
}
