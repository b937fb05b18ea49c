//! Writes the registration of a new worktree as git documents it (gitrepository-layout(5)). Then a
//! single `git checkout` does the work of the three processes of `git worktree add`, and the same
//! checkout completes a worktree after a crash.

use std::io;
use std::path::Path;

use super::Error;
use super::leftovers::{Found, OUR_LOCK, Registration, look, meant, registered_as};
use super::plain;
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

/// The registration of the plan's worktree, found from the repository or from the worktree.
pub(super) fn registration(plan: &WorktreePlan) -> Option<Registration> {
    let named = match look(&plan.path) {
        Ok(Found::Worktree(admin)) => meant(&plan.common, &admin, &plan.path),
        _ => None,
    };
    named.or_else(|| registered_as(&plan.common, &plan.path))
}

/// Removes a registration folder whose git was killed before it recorded the worktree's path. It is
/// locked by then, so git would never prune it.
pub(super) fn remove_unregistered(plan: &WorktreePlan) {
    let Some(name) = plan.path.file_name() else {
        return;
    };
    let admin = plan.common.join("worktrees").join(name);
    let reason = plain::text(&admin.join("locked")).unwrap_or_default();
    let says_nothing = match std::fs::metadata(admin.join("gitdir")) {
        Ok(gitdir) => gitdir.len() == 0,
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    };
    if matches!(reason.trim(), "" | OUR_LOCK) && says_nothing {
        // If it stays, git picks another name for the next one.
        let _ = std::fs::remove_dir_all(admin);
    }
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
