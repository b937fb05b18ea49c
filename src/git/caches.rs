//! Folders of build output in a worktree.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::Error;
use super::command::{git_for_reading, read};

/// The folders of these names in the worktree at `root` that git ignores and has no file of, as paths
/// below it. None that is in another of them.
///
/// # Errors
/// git's.
pub fn ignored_folders(root: &Path, names: &[String]) -> Result<Vec<PathBuf>, Error> {
    let doing = format!("list what git ignores in {}", root.display());
    let mut command = git_for_reading(root);
    command.args(["ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory"]);
    let listed = read(&mut command)?.checked(doing)?;
    // A folder ends in a slash.
    let folders = listed.stdout.split(|byte| *byte == 0).filter_map(|path| path.strip_suffix(b"/"));
    let is_wanted = |path: &PathBuf| {
        path.file_name().is_some_and(|name| names.iter().any(|wanted| *name == **wanted))
    };
    let paths = folders.map(|path| PathBuf::from(OsStr::from_bytes(path)));
    Ok(paths.filter(is_wanted).collect())
}
