//! Other processes: what they have open, where they are, how they were started; from `/proc`.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// Whether [`using`] sees who has a file open.
pub const SHOWS_OPEN_FILES: bool = true;

/// Finds the first process that `is_it`, by its folder in `/proc`.
fn find(is_it: impl Fn(&Path) -> bool) -> Option<i32> {
    let entries = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.find(|pid| is_it(&PathBuf::from(format!("/proc/{pid}"))))
}

/// A process that has the file open, or runs a program with this name's beginning in a current folder
/// below `folder`. Other users' processes are not seen.
#[must_use]
pub fn using(file: &Path, program: &str, folder: &Path) -> Option<i32> {
    find(|process| {
        let runs_it =
            || fs::read_to_string(process.join("comm")).is_ok_and(|name| name.starts_with(program));
        let is_there =
            || fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(folder));
        let has_open = || {
            let files = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
            files.filter_map(|open| fs::read_link(open.path()).ok()).any(|open| open == file)
        };
        (runs_it() && is_there()) || has_open()
    })
}

/// A process with one of these `marks` among its arguments, and this path.
#[must_use]
pub fn with_arguments(marks: &[&str], path: &Path) -> Option<i32> {
    find(|process| {
        let arguments = fs::read(process.join("cmdline")).unwrap_or_default();
        let has = |wanted: &[u8]| arguments.split(|byte| *byte == 0).any(|known| known == wanted);
        marks.iter().any(|mark| has(mark.as_bytes())) && has(path.as_os_str().as_bytes())
    })
}

/// Waits until a process has ended, at most for `limit`.
pub fn outlast(pid: i32, limit: Duration) {
    let Some(process) = Pid::from_raw(pid) else { return };
    let Ok(process) = pidfd_open(process, PidfdFlags::empty()) else { return };
    let limit = Timespec::try_from(limit).unwrap_or(Timespec { tv_sec: i64::MAX, tv_nsec: 0 });
    // Whether it ended in time is for the caller to see.
    let _ = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&limit));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_process_is_found_by_what_it_has_open_where_it_is_and_how_it_was_started() {
        let folder = tempfile::tempdir().unwrap();
        let (file, nobody) = (folder.path().join("file"), Path::new("/no/such/place"));
        fs::write(&file, "").unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "exec 3<\"$1\"; echo; read x", "a-mark"]).arg(&file);
        command.current_dir(folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = [0];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
        let own = child.id().cast_signed();
        let pid = Some(own);
        assert_eq!(using(&file, "git", nobody), pid);
        assert_eq!(using(nobody, "sh", folder.path()), pid);
        assert_eq!(using(nobody, "git", folder.path()), None);
        assert_eq!(with_arguments(&["other", "a-mark"], &file), pid);
        assert_eq!(with_arguments(&["other"], &file), None);
        drop(child.stdin.take());
        child.wait().unwrap();
        outlast(own, Duration::from_secs(60));
        assert_eq!(using(&file, "sh", folder.path()), None);
    }
}
