//! Writes the registration of a new worktree as git documents it (gitrepository-layout(5)). Then a
//! single `git checkout` does the work of the three processes of `git worktree add`, and the same
//! checkout completes a worktree after a crash.

use std::io;
use std::path::Path;

use super::Error;
use super::leftovers::{OUR_LOCK, Registration};
use super::plan::WorktreePlan;

/// Registers a plan's worktree and links its folder, which may exist if it is empty. `None` if git
/// itself has to find a name for it.
///
/// The order is git's own: whatever a crash leaves is locked by us before it names a worktree, and
/// has no index until the checkout has finished.
pub(super) fn register(plan: &WorktreePlan) -> Result<Option<Registration>, Error> {
    let Some(name) = plan.path.file_name().and_then(|name| name.to_str()) else {
        return Ok(None);
    };
    if !is_plain(name) {
        return Ok(None);
    }
    let all = plan.common.join("worktrees");
    make(&all)?;
    let admin = all.join(name);
    if !make(&admin)? {
        return Ok(None);
    }
    let gitfile = plan.path.join(".git");
    write(&admin.join("locked"), OUR_LOCK.as_bytes())?;
    write(&admin.join("gitdir"), &line("", &gitfile))?;
    write(&admin.join("commondir"), b"../..\n")?;
    // The branch does not exist yet: hooks see the first commit of a new worktree come from
    // nowhere.
    write(&admin.join("HEAD"), format!("ref: refs/heads/{}\n", plan.branch).as_bytes())?;
    make(&plan.path)?;
    write(&gitfile, &line("gitdir: ", &admin))?;
    Ok(Some(Registration { admin, folder: plan.path.clone(), lock: Some(OUR_LOCK.to_owned()) }))
}

/// Whether git would use a name unchanged: it has to be valid in a ref (git-check-ref-format(1)).
fn is_plain(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        && !name.contains("..")
        && !name.ends_with('.')
        && !name.ends_with(".lock")
}

/// Creates the folder; false if it already existed.
fn make(path: &Path) -> Result<bool, Error> {
    match std::fs::create_dir(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(source) => Err(Error::Io { doing: "create the folder", path: path.to_owned(), source }),
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    std::fs::write(path, bytes).map_err(|source| Error::Io {
        doing: "write",
        path: path.to_owned(),
        source,
    })
}

/// A path in the format of git's own files.
fn line(before: &str, path: &Path) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt as _;
    [before.as_bytes(), path.as_os_str().as_bytes(), b"\n"].concat()
}
