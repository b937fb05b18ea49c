//! The branch of a member that starts after others: it begins with their work.

use crate::control::context::Context;
use crate::control::error::{Error, Result};
use crate::control::session::Session;
use crate::git::merge::{Integration, Merged, Tips, move_branch};
use crate::git::{self, Checkout};
use crate::session::store::{Folder, crash_point};

use super::plan::Plan;

/// Makes the member's branch from the branches of those before it. One that exists is kept.
///
/// # Errors
/// If those cannot be merged, and git's.
pub(super) async fn make(
    context: &Context,
    plan: &Plan,
    name: &str,
    sessions: &[(String, Option<Session>)],
) -> Result<()> {
    let Some(repo) = git::root(&context.project.main_repo)? else { return Ok(()) };
    let branch = context.settings.branch_of(name);
    if Tips(&repo).of(&branch)?.is_some() {
        return Ok(());
    }
    let mut tips = Vec::new();
    for other in plan.before(name) {
        let session = sessions.iter().find(|(known, _)| known == other);
        let hook = session.and_then(|(_, session)| session.as_ref()).map(Session::hook);
        let branch = match hook.transpose()? {
            Some(hook) => hook.branch,
            // It was archived; its branch is kept.
            None => Some(context.settings.branch_of(other)),
        };
        tips.extend(branch.map(|branch| Tips(&repo).of(&branch)).transpose()?.flatten());
    }
    if tips.is_empty() {
        let own = sessions.iter().find(|(known, _)| known == name);
        let above = own.and_then(|(_, session)| session.as_ref()?.folder.above());
        return below(context, name, above.as_ref()).await;
    }
    let Some((first, others)) = tips.split_first() else { return Ok(()) };
    let mut start = first.commit.clone();
    if !others.is_empty() {
        let place = Checkout::place(&context.project).join("_merge").join(format!("start-{name}"));
        let programs = git::Programs::of(&context.dirs.state);
        let run = format!("convoy:{}:{name}", plan.id);
        let tree = Integration::new(&repo, &place, &run, programs);
        let merged = async {
            tree.put_at(&first.commit).await?;
            for other in others {
                let message = format!("Merge branch '{}' into {branch}", other.branch);
                match tree.merge(&other.commit, &message).await? {
                    Merged::Commit(_) => {}
                    Merged::Refused(said) => return Err(refusal(name, &other.branch, &said)),
                    Merged::Conflicts(files) => {
                        let paths: Vec<&str> =
                            files.iter().map(|file| file.path.as_str()).collect();
                        let what = format!("it conflicts with the others in {}", paths.join(", "));
                        return Err(refusal(name, &other.branch, &what));
                    }
                }
            }
            Ok(tree.head()?)
        };
        let merged = merged.await;
        tree.remove()?;
        start = merged?;
    }
    crash_point("the start of a member is merged");
    let why = format!("samocode convoy {}: start of {name}", plan.id);
    move_branch(&repo, &branch, None, &start, &why).await?;
    Ok(())
}

/// Makes the branch of a session from that of the session above it, which may have prepared something
/// for it. One that exists is kept.
///
/// # Errors
/// git's.
pub(in crate::control) async fn below(
    context: &Context,
    name: &str,
    above: Option<&Folder>,
) -> Result<()> {
    let Some(hook) = above.and_then(Folder::read_hook) else { return Ok(()) };
    let (Some(from), Some(repo)) = (hook.branch, git::root(&context.project.main_repo)?) else {
        return Ok(());
    };
    let branch = context.settings.branch_of(name);
    if Tips(&repo).of(&branch)?.is_some() {
        return Ok(());
    }
    if let Some(tip) = Tips(&repo).of(&from)? {
        let why = format!("samocode: {name} starts from {from}");
        move_branch(&repo, &branch, None, &tip.commit, &why).await?;
    }
    Ok(())
}

fn refusal(name: &str, branch: &str, what: &str) -> Error {
    Error::refused(format!("cannot start {name}: branch {branch} cannot be merged: {what}"))
        .hint("merge the branches before it yourself and make its branch from the result")
}
