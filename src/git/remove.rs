//! Removing a session's worktree without losing anything of it. The branch stays.
//!
//! Never by force. What only the worktree has is saved first. Then its folder is renamed, git
//! forgets it, and the renamed folder is deleted. A removal that fails before that puts the folder
//! back; one that was killed is finished by the next.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::command::{git_command, run};
use super::confirm::confirm;
use super::rescue::{Found, Nested, Rescued, rescue};
use super::{Error, quoted};

/// Longest wait for git.
const LIMIT: Duration = Duration::from_secs(300);

/// What became of a worktree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// It was removed, and what only it had was saved.
    Removed(Option<Rescued>),
    /// There was no worktree, and git knows of none.
    Absent,
    /// It stays: a repository inside it has work that is in no other place.
    Nested(Nested),
}

/// Removes the worktree at `root` of the repository `repo`, after saving what is on no branch for
/// `session`. Files that git ignores go with it.
///
/// # Errors
/// git's, also for a worktree that is locked. Nothing has been removed then.
pub async fn remove_worktree(repo: &Path, root: &Path, session: &str) -> Result<Removal, Error> {
    remove_worktree_of(repo, root, session, Reflog::Stays).await
}

/// What becomes of the branch's reflog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reflog {
    /// It stays in the repository, which is the project's.
    Stays,
    /// It goes with the repository, which is the session's own.
    Goes,
}

/// The same where the branch's reflog may go, too.
pub(super) async fn remove_worktree_of(
    repo: &Path,
    root: &Path,
    session: &str,
    reflog: Reflog,
) -> Result<Removal, Error> {
    let shown = root.display();
    let aside = aside(root);
    if fs::symlink_metadata(root).is_err() {
        // What git still knows of it would prevent another at the same place.
        let doing = format!("forget the missing worktree {shown}");
        let mut command = git_command(repo);
        command.args(["worktree", "prune"]);
        run(command, &doing, LIMIT).await?.checked(doing)?;
        // A removal that was killed had saved everything by then.
        delete(&aside)?;
        return Ok(Removal::Absent);
    }
    // What git says there has to be about this folder.
    confirm(root, repo, None).await?;
    let saved = match rescue(root, session, reflog).await? {
        Found::Nothing => None,
        Found::Saved(rescued) => Some(rescued),
        Found::Nested(nested) => return Ok(Removal::Nested(nested)),
    };
    let device = fs::symlink_metadata(root).map_err(io("read", root))?.dev();
    make_deletable(root, device)?;
    delete(&aside)?;
    fs::rename(root, &aside).map_err(io("move away", root))?;
    let doing = format!("remove the worktree {shown}");
    let mut command = git_command(repo);
    // Without its folder, so that git has no files to check and to delete.
    command.args(["worktree", "remove", "--"]).arg(root);
    if let Err(error) = run(command, &doing, LIMIT).await.and_then(|done| done.checked(doing)) {
        fs::rename(&aside, root).map_err(io("put back", root))?;
        return Err(error);
    }
    delete(&aside)?;
    Ok(Removal::Removed(saved))
}

/// The name of a worktree's folder while it is deleted.
fn aside(root: &Path) -> PathBuf {
    let name = root.file_name().unwrap_or_default().to_string_lossy();
    root.with_file_name(format!(".{name}.removed-by-samocode"))
}

/// Checks that everything below a folder can be deleted, before anything is: folders of another
/// user, such as a container's, and mounted ones cannot. Makes our own folders writable, which
/// package caches are not.
fn make_deletable(folder: &Path, device: u64) -> Result<(), Error> {
    let stays = |what: &str, remedy: String| Error::Undeletable {
        path: folder.to_owned(),
        what: what.to_owned(),
        remedy,
    };
    let meta = fs::symlink_metadata(folder).map_err(io("read", folder))?;
    let at = quoted(folder);
    if meta.dev() != device {
        return Err(stays("another file system is mounted there", format!("umount {at}")));
    }
    let mode = meta.permissions().mode();
    let (me, is_mine) =
        (rustix::process::geteuid(), meta.uid() == rustix::process::geteuid().as_raw());
    if is_mine && mode & 0o700 != 0o700 {
        let mode = fs::Permissions::from_mode(mode | 0o700);
        fs::set_permissions(folder, mode).map_err(io("make writable", folder))?;
    }
    let is_closed = !is_mine && !me.is_root() && {
        use rustix::fs::{Access, AtFlags, CWD, accessat};
        let access = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
        accessat(CWD, folder, access, AtFlags::EACCESS).is_err()
    };
    if is_closed {
        return Err(stays("it belongs to another user", format!("sudo rm -r {at}")));
    }
    for entry in fs::read_dir(folder).map_err(io("read", folder))? {
        let entry = entry.map_err(io("read", folder))?;
        if entry.file_type().map_err(io("read", folder))?.is_dir() {
            make_deletable(&entry.path(), device)?;
        }
    }
    Ok(())
}

/// Deletes a folder with everything below it, through no links.
fn delete(folder: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        done => done.map_err(io("delete", folder)),
    }
}

fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { doing, path, source }
}
