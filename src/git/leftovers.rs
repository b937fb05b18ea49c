//! The files git keeps about a worktree, and those it leaves behind when it is killed. These are
//! plain files, the same for every kind of repository.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Error;
use super::plain;
use super::reader::tidy;
use crate::platform::{processes, threads};

/// The reason in our lock on a worktree until it is complete.
pub(super) const OUR_LOCK: &str = "samocode is making this worktree";
/// A setting without effect: it marks a git that makes a worktree for us, unlike an agent's.
pub(super) const OUR_MARK: &str = "samocode.makesWorktree=true";
/// The reason git itself writes until its checkout has finished.
const GITS_LOCK: &str = "initializing";

/// A worktree's registration in its repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Registration {
    /// Git's own folder for it: `REPO/.git/worktrees/ID`.
    pub(super) admin: PathBuf,
    /// The worktree, whether or not it exists.
    pub(super) folder: PathBuf,
    /// The reason in its lock, if it is locked.
    pub(super) lock: Option<String>,
}

impl Registration {
    /// Whether its creation started but never finished, so that no one has worked in it yet.
    pub(super) fn unfinished(&self) -> bool {
        matches!(self.lock.as_deref(), Some(OUR_LOCK | GITS_LOCK))
    }

    /// Whether the checkout finished: git writes the index after the last file.
    pub(super) fn has_index(&self) -> bool {
        self.admin.join("index").exists()
    }
}

/// Reads the registration in an admin folder; `None` if it does not name a worktree.
pub(super) fn registered_in(admin: &Path) -> Option<Registration> {
    let gitfile = pointed_to(&plain::line(&admin.join("gitdir")).ok()?, admin)?;
    let lock = plain::text(&admin.join("locked")).ok();
    Some(Registration {
        folder: tidy(gitfile.parent()?),
        admin: tidy(admin),
        lock: lock.map(|reason| reason.trim().to_owned()),
    })
}

/// The registration of the worktree at `path`, which need not exist. Looks under the names git
/// would give it: the folder's own, and that with a number. A repository may have hundreds of
/// worktrees, and none of the others is opened.
pub(super) fn registered_as(common: &Path, path: &Path) -> Option<Registration> {
    let name = path.file_name()?.as_bytes();
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    // git replaces characters that a ref's name may not have, so any name may be the folder's.
    let may_be = |id: &OsStr| match id.as_bytes().strip_prefix(name) {
        Some(number) => number.iter().all(u8::is_ascii_digit),
        None => !name.iter().all(is_plain),
    };
    std::fs::read_dir(common.join("worktrees"))
        .ok()?
        .flatten()
        .filter(|entry| may_be(&entry.file_name()))
        .filter_map(|entry| registered_in(&entry.path()))
        .find(|known| known.folder == path)
}

/// The linked worktree that has a branch (full name) checked out, leaving out any that `is_here`.
/// Opens every registration.
pub(super) fn worktree_on(
    common: &Path,
    branch: &str,
    is_here: impl Fn(&Path) -> bool,
) -> Option<PathBuf> {
    std::fs::read_dir(common.join("worktrees"))
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .filter(|admin| branch_in(&admin.join("HEAD")).as_deref() == Some(branch))
        .filter_map(|admin| registered_in(&admin))
        .map(|known| known.folder)
        .find(|folder| !is_here(folder))
}

/// The branch (full name) in a HEAD file.
pub(super) fn branch_in(head: &Path) -> Option<String> {
    Some(plain::word(head).strip_prefix("ref: ")?.to_owned())
}

/// The registration that belongs to the `.git` of the worktree at `path`: the one it names. If that
/// is missing, as after the repository was moved, the one of the same name whose worktree is here
/// or nowhere.
pub(super) fn meant(common: &Path, admin: &Path, path: &Path) -> Option<Registration> {
    let all = common.join("worktrees");
    if admin.exists() {
        return registered_in(admin).filter(|_| admin.parent() == Some(&all));
    }
    registered_in(&all.join(admin.file_name()?))
        .filter(|known| known.folder == path || !known.folder.exists())
}

/// Reads a path in one of git's files, relative to a folder.
pub(super) fn pointed_to(bytes: &[u8], folder: &Path) -> Option<PathBuf> {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    (!bytes.is_empty()).then(|| folder.join(OsStr::from_bytes(bytes)))
}

/// Whether a worktree was registered but nothing was ever checked out into it.
pub(super) fn holds_only_gitfile(worktree: &Path) -> bool {
    std::fs::read_dir(worktree)
        .is_ok_and(|entries| entries.flatten().all(|entry| entry.file_name() == ".git"))
}

/// What is at a worktree's path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing, or an empty folder.
    Nothing,
    /// A folder whose `.git` names this admin folder, which need not exist.
    Worktree(PathBuf),
    /// A folder with content and without a readable `.git`.
    Folder,
    /// Something that cannot be a worktree, with a description of it.
    Else(&'static str),
}

/// Finds out what is at a worktree's path.
pub(super) fn look(path: &Path) -> Result<Found, Error> {
    let io = |source| Error::Io { doing: "look at", path: path.to_owned(), source };
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let dangling = path.symlink_metadata().is_ok();
            return Ok(if dangling {
                Found::Else("it is a symbolic link to nowhere")
            } else {
                Found::Nothing
            });
        }
        Err(error) => return Err(io(error)),
        Ok(meta) if !meta.is_dir() => return Ok(Found::Else("it is a file")),
        Ok(_) => {}
    }
    let gitfile = path.join(".git");
    if gitfile.is_dir() {
        return Ok(Found::Else("it is a separate repository"));
    }
    let admin = plain::line(&gitfile)
        .ok()
        .and_then(|bytes| pointed_to(bytes.strip_prefix(b"gitdir: ")?, path));
    if let Some(admin) = admin {
        return Ok(Found::Worktree(tidy(&admin)));
    }
    match std::fs::read_dir(path) {
        // Removed since the first look, as by a killed git that cleans up.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Found::Nothing),
        Err(error) => Err(io(error)),
        Ok(mut entries) => {
            Ok(if entries.next().is_none() { Found::Nothing } else { Found::Folder })
        }
    }
}

/// Whether a killed git or worker left nothing behind: a few looks at files, where a repair starts
/// git several times. False when in doubt.
pub(super) fn is_whole(worktree: &Path, branch: Option<&str>) -> bool {
    let Ok(Found::Worktree(admin)) = look(worktree) else {
        return false;
    };
    let common = plain::line(&admin.join("commondir")).ok();
    let Some(common) = common.and_then(|bytes| pointed_to(&bytes, &admin)) else {
        return false;
    };
    let branch = branch.map(|branch| common.join(format!("refs/heads/{branch}.lock")));
    let locks = ["index.lock", "HEAD.lock", "locked"].map(|name| admin.join(name));
    admin.join("index").exists() && !locks.into_iter().chain(branch).any(|lock| lock.exists())
}

/// Removes the lock files that a killed git left and that would block this worktree. Fails if a
/// running git holds one.
///
/// Call it only while no agent of the session runs. Another user's lock is left alone, since their
/// processes cannot be seen.
pub(super) fn clear_stale_locks(
    common: &Path,
    branch: &str,
    worktree: &Path,
    admin: Option<&Path>,
) -> Result<Vec<String>, Error> {
    let mut locks = vec![common.join(format!("refs/heads/{branch}.lock"))];
    if let Some(admin) = admin {
        locks.extend(["index.lock", "HEAD.lock"].map(|name| admin.join(name)));
    }
    let mut notes = Vec::new();
    for lock in locks {
        let Ok(meta) = lock.symlink_metadata() else {
            continue;
        };
        if meta.uid() != rustix::process::geteuid().as_raw() || !processes::SHOWS_OPEN_FILES {
            notes.push(format!("{} exists: if no git is running, remove it", lock.display()));
            continue;
        }
        // git closes a lock's file before it is done with it.
        if let Some(pid) = processes::using(&lock, "git", worktree) {
            return Err(Error::Busy { path: worktree.to_owned(), pid });
        }
        match std::fs::remove_file(&lock) {
            Ok(()) => {
                notes.push(format!("removed {}, left behind by a killed git", lock.display()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => {
                return Err(Error::Io { doing: "remove", path: lock, source });
            }
        }
    }
    Ok(notes)
}

/// A git that an earlier process of ours started to make this worktree, and that outlived it (where
/// no cgroup ended both).
pub(super) fn maker(worktree: &Path) -> Option<i32> {
    processes::with_arguments(&[OUR_LOCK, OUR_MARK], worktree)
}

/// Waits briefly for a process that was killed, or is nearly done, to exit.
pub(super) async fn outlast(pid: i32) {
    let wait = move || processes::outlast(pid, Duration::from_secs(2));
    let _ = threads::apart_or_here(wait).await;
}
