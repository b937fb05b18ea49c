//! Other processes. Who has a file open is not known here.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use super::process;

/// Whether [`using`] sees who has a file open.
pub const SHOWS_OPEN_FILES: bool = false;

/// A process that has the file open, or works in the folder: none is seen.
#[must_use]
pub const fn using(_file: &Path, _program: &str, _folder: &Path) -> Option<i32> {
    None
}

/// A process with one of these `marks` among its arguments, and this path.
#[must_use]
pub fn with_arguments(marks: &[&str], path: &Path) -> Option<i32> {
    let is_it = |arguments: &[u8]| {
        let has = |wanted: &[u8]| arguments.split(|byte| *byte == 0).any(|known| known == wanted);
        marks.iter().any(|mark| has(mark.as_bytes())) && has(path.as_os_str().as_bytes())
    };
    let mut all = process::all().ok()?.into_iter();
    all.find(|pid| is_it(&process::arguments(*pid))).map(|pid| pid.as_raw_nonzero().get())
}

/// Waits until a process has ended: not at all, so that the caller asks again.
pub const fn outlast(_pid: i32, _limit: Duration) {}
