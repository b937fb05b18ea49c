//! Keeps other programs of the same user out of this process's memory.

/// Nothing has to be done: `task_for_pid` refuses all but root and debuggers of programs that allow
/// it.
pub const fn seal() {}

/// A file that has no name. There is none without a disk here.
///
/// # Errors
/// If the folder for temporary files cannot be written to.
pub fn unnamed_file() -> std::io::Result<std::fs::File> {
    tempfile::tempfile()
}
