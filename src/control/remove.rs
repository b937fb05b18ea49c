//! Removing a session that is no longer needed: its unit and worktree are deleted, its branch and
//! files are kept.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::git::{self, Checkout, Nested, Removal};
use crate::service::{self, quoted, retire};
use crate::session::state::StateName;
use crate::session::store::{Folder, Lock, LockError, crash_point, make_folder};

use super::context::Context;
use super::error::{Attempt as _, Error, Result};
use super::merge;
use super::operation::{Operation, Perform};
use super::own_repository;
use super::privilege::Raised;
use super::queue;
use super::request;
use super::session::Session;
use super::target::Target;
use super::teardown::tear_down;
use super::timer;

/// Removes a session's unit and worktree, and moves its folder to the archive. Uncommitted files and
/// commits that are on no branch are saved first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remove {
    /// A name, a dated folder name or an instance, as typed.
    pub session: String,
    /// Remove the session even if it is not done.
    #[serde(default)]
    pub unfinished: bool,
}

/// A session that was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// The session's name, without date and project.
    pub session: String,
    /// The instance of its unit, which every verb takes as a name.
    pub instance: String,
    /// The new path of its folder, in the archive.
    pub folder: PathBuf,
    /// The worktree that was removed; `None` if it had none.
    pub worktree: Option<PathBuf>,
    /// Its branch, which is kept.
    pub branch: Option<String>,
    /// What was in the worktree and on no branch, and is saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rescued: Option<Rescue>,
}

/// Work that was in a worktree and on no branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rescue {
    /// The git reference that keeps it.
    pub reference: String,
    /// How many files were not committed.
    pub files: usize,
    /// How many commits were on no branch.
    pub commits: usize,
    /// The command that makes a branch of it.
    pub command: String,
}

impl Rescue {
    /// What was saved, in a few words.
    #[must_use]
    pub fn describe(&self) -> String {
        let files = plural(self.files, "uncommitted file", "uncommitted files");
        let commits = plural(self.commits, "commit on no branch", "commits on no branch");
        match (self.files, self.commits) {
            (0, 0) => "what was staged".to_owned(),
            (_, 0) => files,
            (0, _) => commits,
            _ => format!("{files} and {commits}"),
        }
    }
}

/// The folder in SESSIONS for the folders of removed sessions.
pub(super) const ARCHIVE: &str = "_archive";

#[async_trait]
impl Perform for Remove {
    async fn perform(self, on: &Operation<'_>) -> Result<Removed> {
        if on.caller.session().is_some() {
            return Err(Error::refused("sessions are removed by humans, not by agents"));
        }
        let target = on.resolve(&self.session)?;
        self.check(&target.session)?;
        on.step(1, 1, format!("removing {}", target.session.name));
        put_away(on, target).await
    }
}

/// Removes a session that no worker has open: worktree, unit, then folder.
pub(super) async fn put_away(on: &Operation<'_>, target: Target) -> Result<Removed> {
    let Target { context, session } = target;
    check_none_below(&session)?;
    let hook = session.hook()?;
    check_archive(&session)?;
    // The worktree first: only its removal may be refused, and then nothing has been changed.
    let (worktree, rescued) = remove_worktree(&context, &session).await?;
    crash_point("the worktree is removed");
    timer::cancel(&context, &session).await?;
    merge::forget(&context.project, &session)?;
    retire(on, &context, &session).await?;
    crash_point("the unit is removed");
    // The folder last: while it exists, the command can be repeated.
    let folder = archive(&session)?;
    Ok(Removed {
        session: session.name,
        instance: session.instance,
        folder,
        worktree,
        branch: hook.branch,
        rescued,
    })
}

impl Remove {
    fn check(&self, session: &Session) -> Result<()> {
        let (name, instance) = (&session.name, &session.instance);
        check_at_rest(session)?;
        let state = session.hook()?.state;
        if state != StateName::Done && !self.unfinished {
            return Err(Error::refused(format!("{name} is {state}, not done"))
                .hint(format!("remove it anyway: samocode remove {instance} --unfinished")));
        }
        Ok(())
    }
}

/// Refuses a session that runs.
pub(super) fn check_at_rest(session: &Session) -> Result<()> {
    if session.is_worked_on() {
        return Err(Error::refused(format!("{} is running", session.name))
            .hint(format!("stop it first: samocode stop --now {}", session.instance)));
    }
    Ok(())
}

/// Refuses a session with others below it: their folders would move with its own.
fn check_none_below(session: &Session) -> Result<()> {
    let below: Vec<String> = session.folder.below().iter().map(Folder::name).collect();
    if below.is_empty() {
        return Ok(());
    }
    let (name, all) = (&session.name, below.join(" "));
    let count = plural(below.len(), "session is", "sessions are");
    Err(Error::refused(format!("cannot remove {name}: {count} below it: {}", below.join(", ")))
        .hint(format!("archive those first: samocode archive {all}")))
}

async fn remove_worktree(
    context: &Context,
    session: &Session,
) -> Result<(Option<PathBuf>, Option<Rescue>)> {
    let project = &context.project;
    let checkout = Checkout::of_session(project, &session.folder.name());
    let root = checkout.root().to_owned();
    let Some(repo) = git::root(&project.main_repo)? else { return Ok((None, None)) };
    let name = &session.name;
    // Says where the work is, if its branch cannot have it.
    own_repository::take_over(context, session).await;
    if root.is_dir() {
        tear_down(context, session, &root).await?;
    }
    match checkout.remove(name).await? {
        Removal::Removed(saved) => {
            let rescued = saved.map(|saved| Rescue {
                command: saved.command(&repo, name),
                reference: saved.reference,
                files: saved.files,
                commits: saved.commits,
            });
            Ok((Some(root), rescued))
        }
        Removal::Absent => Ok((None, None)),
        Removal::Nested(Nested { path, files, commits }) => {
            let at = quoted(&path);
            let look =
                if files > 0 { "status" } else { "log --oneline HEAD --branches --not --remotes" };
            let files = plural(files, "uncommitted file", "uncommitted files");
            let commits = plural(commits, "commit on no remote", "commits on no remote");
            let has = [files, commits].into_iter().filter(|what| !what.starts_with("0 "));
            let has = has.collect::<Vec<_>>().join(" and ");
            let message =
                format!("cannot remove {name}: the repository {at} inside its worktree has {has}");
            Err(Error::refused(message).hint(format!(
                "see what it has with: git -C {at} {look}; push it or move it away, then run this again"
            )))
        }
    }
}

pub(super) fn plural(n: usize, one: &str, several: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { several })
}

/// Removes the unit, if there is one.
async fn retire(on: &Operation<'_>, context: &Context, session: &Session) -> Result<()> {
    if service::recorded(context.scope(), &session.instance)?.is_none() {
        return Ok(());
    }
    let manager = context.manager().await?;
    // So that a start in between has no effect.
    request::stop(session)?;
    let root = Raised::up()?;
    retire::retire(manager.as_ref(), &session.instance, on.progress).await?;
    drop(root);
    queue::pass_on(context);
    Ok(())
}

/// The folder that the session's is moved to.
fn archive_of(folder: &Path) -> PathBuf {
    folder.parent().unwrap_or(folder).join(ARCHIVE)
}

/// Refuses a session whose folder could not be moved once its worktree is gone.
fn check_archive(session: &Session) -> Result<()> {
    let folder = session.folder.path();
    let archive = archive_of(folder);
    make_folder(&archive)?;
    for place in [Some(archive.as_path()), folder.parent()].into_iter().flatten() {
        let action = || format!("move {} to {}", folder.display(), archive.display());
        tempfile::tempfile_in(place).attempt(action)?;
    }
    Ok(())
}

/// Moves the session's folder to the archive and returns its new path.
fn archive(session: &Session) -> Result<PathBuf> {
    let folder = session.folder.path();
    let lock = match Lock::take(&session.folder) {
        Ok(lock) => lock,
        Err(LockError::Held(holder)) => {
            return Err(Error::refused(format!(
                "cannot remove {}: it has just been started ({holder})",
                session.name
            ))
            .hint(format!("stop it first: samocode stop --now {}", session.instance)));
        }
        Err(error) => return Err(error.into()),
    };
    let caches = session.folder.own_caches();
    match fs::remove_dir_all(&caches) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            session.warnings.add(format!("{} stays in the archive: {error}", caches.display()));
        }
        _ => {}
    }
    // What is archived is one folder: no agent works in it.
    let _lock = session.folder.put_together(lock)?;
    let archive = archive_of(folder);
    make_folder(&archive)?;
    let to = free_name(&archive, &session.folder.name());
    let action = || format!("move {} to {}", folder.display(), to.display());
    fs::rename(folder, &to).attempt(action)?;
    for place in [Some(archive.as_path()), folder.parent()].into_iter().flatten() {
        fs::File::open(place).and_then(|place| place.sync_all()).attempt(action)?;
    }
    Ok(to)
}

/// The first free path of NAME, NAME-2, …
fn free_name(archive: &Path, name: &str) -> PathBuf {
    let mut path = archive.join(name);
    let mut number = 2;
    while fs::symlink_metadata(&path).is_ok() {
        path = archive.join(format!("{name}-{number}"));
        number += 1;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::host::tests::caller;
    use crate::control::{Call, Class, Host as _, Local};

    async fn remove(root: &Path, unfinished: bool) -> Result<Removed> {
        let host = Local::new(caller(root));
        let call = Remove { session: "jwt".to_owned(), unfinished };
        let answer = host.request(call.into(), &service::quiet).await;
        answer.result.map(|reply| Remove::reply(reply).unwrap())
    }

    fn session(root: &Path, phase: &str) -> PathBuf {
        let folder = root.join("sessions/26-11-20-jwt");
        fs::create_dir_all(&folder).unwrap();
        let text = format!("# Session: jwt\n## Status\nPhase: {phase}\n");
        fs::write(Folder::new(&folder).overview(), text).unwrap();
        folder
    }

    #[tokio::test]
    async fn a_finished_sessions_folder_is_archived_and_its_name_may_come_again() {
        let root = tempfile::tempdir().unwrap();
        let archive = root.path().join("sessions/_archive");
        for place in ["26-11-20-jwt", "26-11-20-jwt-2"] {
            let folder = session(root.path(), "done");
            let removed = remove(root.path(), false).await.unwrap();
            assert_eq!(removed.folder, archive.join(place));
            assert!(!folder.exists() && Folder::new(&removed.folder).is_begun());
        }
        assert_eq!(remove(root.path(), false).await.unwrap_err().class, Class::NotFound);
    }

    #[tokio::test]
    async fn an_unfinished_session_stays_unless_that_is_meant() {
        let root = tempfile::tempdir().unwrap();
        let folder = session(root.path(), "planning");
        let error = remove(root.path(), false).await.unwrap_err();
        assert_eq!(error.class, Class::Refused);
        let hint = error.hint.unwrap();
        assert!(hint.contains("samocode remove") && hint.ends_with("jwt --unfinished"), "{hint}");
        assert!(folder.exists());

        let lock = Lock::take(&Folder::new(&folder)).unwrap();
        let error = remove(root.path(), true).await.unwrap_err();
        assert!(error.message.contains("jwt is running"), "{error}");
        drop(lock);
        assert!(remove(root.path(), true).await.is_ok());
    }
}
