//! Removing build output of sessions that do not run.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::control::context::Context;
use crate::control::error::{Attempt as _, Error, Result};
use crate::control::operation::{Operation, Perform};
use crate::control::registry;
use crate::control::session::Session;
use crate::control::target::Target;
use crate::git;
use crate::session::store::{Lock, LockError, crash_point};

use super::walk::extent;
use super::{in_a_thread, root_of};

/// Removes what can be made again of sessions that do not run: folders of their worktrees that git
/// ignores, of the names in `SAMOCODE_CACHE_FOLDERS`, and their own package caches. Where something
/// of a worktree was removed, the setup command runs again before the next agent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClearCaches {
    /// The sessions, as typed; if empty, all of the project that do not run.
    pub sessions: Vec<String>,
}

/// What was removed from a session's worktree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cleared {
    /// The session's name, without date and project.
    pub session: String,
    /// The folders: those of its worktree as paths below that, its own package caches absolute.
    pub folders: Vec<PathBuf>,
    /// What they took on the disk, in bytes.
    pub bytes: u64,
    /// Folders that stay, since a git repository is in them.
    pub kept: Vec<PathBuf>,
}

/// Beside the worktrees: what is being deleted, also by a command that was killed.
const TRASH: &str = ".samocode-trash";

#[async_trait]
impl Perform for ClearCaches {
    async fn perform(self, on: &Operation<'_>) -> Result<Vec<Cleared>> {
        if on.caller.session().is_some() {
            return Err(Error::refused("build output is removed by humans, not by agents"));
        }
        let (context, mut found) = Target::resolve_all(on.caller, &on.warnings, &self.sessions)?;
        if let Some(running) = found.iter().find(|session| session.is_worked_on()) {
            return Err(runs(running));
        }
        if self.sessions.is_empty() {
            found = registry::all(&context)?;
            found.retain(|session| !session.is_worked_on());
        }
        let mut all = Vec::new();
        let of = found.len();
        for (done, session) in found.into_iter().enumerate() {
            on.step(done + 1, of, format!("removing build output of {}", session.name));
            let (context, of_one) = (context.clone(), session.clone());
            match in_a_thread(move || clear(&context, &of_one)).await {
                Ok(Some(cleared)) => all.push(cleared),
                Ok(None) => {}
                // It has just been started.
                Err(error) if self.sessions.is_empty() && session.is_worked_on() => {
                    on.warnings.add(error.in_one_line());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }
}

fn runs(session: &Session) -> Error {
    let name = &session.name;
    Error::refused(format!("cannot remove the build output of {name}: it is running"))
        .hint(format!("stop it first: samocode stop {}", session.instance))
}

/// `None` if there is nothing to remove.
fn clear(context: &Context, session: &Session) -> Result<Option<Cleared>> {
    let hook = session.hook()?;
    let worktree = hook.worktree.as_deref().map(Path::new);
    let Some(root) = worktree.and_then(|folder| root_of(context, folder)) else { return Ok(None) };
    let trash = git::Checkout::place(&context.project).join(TRASH);
    // What an earlier command did not come to.
    delete(&trash)?;
    let mut cleared =
        Cleared { session: session.name.clone(), folders: vec![], bytes: 0, kept: vec![] };
    {
        // No worker starts meanwhile. That takes no longer than to rename folders.
        let _lock = match Lock::take(&session.folder) {
            Ok(lock) => lock,
            Err(LockError::Held(_)) => return Err(runs(session)),
            Err(error) => return Err(error.into()),
        };
        for path in git::ignored_folders(&root, &context.settings.cache_folders)? {
            let extent = extent(&root.join(&path));
            if extent.has_repository {
                cleared.kept.push(path);
                continue;
            }
            if cleared.folders.is_empty() {
                // The setup command may have made it.
                session.folder.mark_unready()?;
                fs::create_dir_all(&trash).attempt(|| format!("create {}", trash.display()))?;
            }
            crash_point("build output is to be moved away");
            let aside = trash.join(cleared.folders.len().to_string());
            fs::rename(root.join(&path), aside)
                .attempt(|| format!("move {} away", root.join(&path).display()))?;
            cleared.bytes += extent.bytes;
            cleared.folders.push(path);
        }
        let own = session.folder.own_caches();
        if own.symlink_metadata().is_ok() {
            let bytes = extent(&own).bytes;
            fs::create_dir_all(&trash).attempt(|| format!("create {}", trash.display()))?;
            crash_point("package caches are to be moved away");
            move_away(&own, &trash.join("own"))?;
            cleared.bytes += bytes;
            cleared.folders.push(own);
        }
    }
    crash_point("build output is to be deleted");
    delete(&trash)?;
    let is_empty = cleared.folders.is_empty() && cleared.kept.is_empty();
    Ok((!is_empty).then_some(cleared))
}

/// Moves a folder into the trash; deletes it where it is if the trash is on another file system.
fn move_away(folder: &Path, aside: &Path) -> Result<()> {
    match fs::rename(folder, aside) {
        Err(error) if error.kind() == ErrorKind::CrossesDevices => delete(folder),
        moved => moved.attempt(|| format!("move {} away", folder.display())),
    }
}

fn delete(trash: &Path) -> Result<()> {
    match fs::remove_dir_all(trash) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        deleted => deleted.attempt(|| format!("delete {}", trash.display())),
    }
}
