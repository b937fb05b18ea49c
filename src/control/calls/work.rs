//! The commits of a confined agent that has a repository of its own. The project's repository gets them
//! when the run ends; but sessions that the agent begins start from them, and what it merges goes on top of
//! them. While it runs, its repository is no place for a git outside of the cage: its settings name
//! programs. So its own git puts them into a bundle, inside, and only that is read outside.

use std::process::Stdio;

use tokio::process::Command;

use crate::agent::confine::calls::{Calls, OwnWork};
use crate::control::context::{Caller, Warnings};
use crate::control::error::{Attempt as _, Error, Result};
use crate::control::host::Request;
use crate::control::many::Action;
use crate::control::merge::{Landed, Merged};
use crate::control::target::Target;
use crate::git::{Checkout, Fetched};

/// Whether a call builds on the agent's own commits.
pub(super) fn builds_on_own(request: &Request) -> bool {
    match request {
        Request::Enable(_) | Request::Merge(_) => true,
        Request::Many(call) => matches!(call.action, Action::Enable { .. }),
        _ => false,
    }
}

/// Puts the commits that the project's repository lacks into a bundle, inside of the cage. Returns its ID;
/// `None` if there are none.
pub(super) async fn bundle(calls: &Calls) -> Result<Option<String>> {
    let Some(OwnWork { worktree, branch, base }) = calls.work() else { return Ok(None) };
    let name = format!("refs/heads/{branch}");
    let git = |args: &[&str]| {
        let mut command = Command::new("git");
        command.arg("-C").arg(&worktree).args(args).stdin(Stdio::null());
        command
    };
    let tip = git(&["rev-parse", "--verify", "--quiet", &name]).output().await;
    let tip = tip.attempt(|| "start git".to_owned())?;
    let tip = String::from_utf8_lossy(&tip.stdout).trim().to_owned();
    if tip.is_empty() || tip == base {
        return Ok(None);
    }
    let (path, id) = calls.new_bundle();
    let path = path.display().to_string();
    let made = git(&["bundle", "create", &path, &name, &format!("^{base}")]);
    said(made, "hand your commits out of the cage").await?;
    Ok(Some(id))
}

/// Takes the commits of a bundle over into the project's repository, outside of the cage.
pub(super) async fn take_over(caller: &Caller, calls: &Calls, id: &str) -> Result<()> {
    let own = caller.session().unwrap_or_default();
    let Target { context, session } = Target::resolve(caller, &Warnings::default(), own)?;
    let doing = || "take over the agent's commits".to_owned();
    let folder = tempfile::tempdir().attempt(doing)?;
    let bundle = folder.path().join("commits.bundle");
    calls.copy_bundle(id, &bundle).attempt(doing)?;
    let checkout = Checkout::of_session(&context.project, &session.folder.name());
    match checkout.take_bundle_over(&bundle).await? {
        Fetched::Up => Ok(()),
        Fetched::Aside { why, remedy } => Err(Error::refused(why).hint(remedy)),
    }
}

/// Shows the agent's repository the branch with the result of a merge. Its objects are there: they are
/// the project's.
pub(super) async fn show(own: &OwnWork, merged: &Merged) -> Result<()> {
    let Landed::Beside { commit, branch, .. } = &merged.landed else { return Ok(()) };
    let mut git = Command::new("git");
    git.arg("-C").arg(&own.worktree).stdin(Stdio::null());
    git.args(["update-ref", &format!("refs/heads/{branch}"), commit]);
    said(git, "show your repository the result of the merge").await
}

async fn said(mut git: Command, doing: &str) -> Result<()> {
    let output = git.output().await.attempt(|| "start git".to_owned())?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    // It explains a lock at length, and last.
    let fatal = said.lines().find_map(|line| line.strip_prefix("fatal: "));
    let said = fatal.or_else(|| said.lines().last()).unwrap_or_default();
    Err(Error::unavailable(format!("cannot {doing}: git says: {said}")))
}
