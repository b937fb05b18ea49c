//! Finds out whether HEAD of a session's worktree is still on the session's branch, and keeps
//! commits that are on none.

use std::path::Path;

use super::command::{git_command, run};
use super::create::SHORT_LIMIT;
use super::leftovers::{Found, branch_in, look};
use super::reader::open_worktree;
use super::{Base, Error};
use crate::session::Elsewhere;

/// Where git keeps commits for us that no branch has.
const KEPT: &str = "refs/samocode/kept";

/// Compares HEAD with the session's branch. `None` if that is where it is, which costs no more than
/// reading two small files. Commits of a detached HEAD that the branch lacks get a ref of their
/// own, or git would delete them some day.
///
/// # Errors
/// git's, if it cannot read the repository or write that ref.
pub async fn elsewhere(worktree: &Path, branch: &str) -> Result<Option<Elsewhere>, Error> {
    let name = format!("refs/heads/{branch}");
    if let Ok(Found::Worktree(admin)) = look(worktree)
        && branch_in(&admin.join("HEAD")).as_ref() == Some(&name)
    {
        return Ok(None);
    }
    let Some((mut found, tip)) = compare(worktree, branch, &name)? else { return Ok(None) };
    if found.on.is_none()
        && found.has_work()
        && let Some(tip) = tip
    {
        let kept = format!("{KEPT}/{branch}/{}", tip.short);
        keep(worktree, &kept, &tip.commit).await?;
        found.kept = Some(kept);
    }
    Ok(Some(found))
}

fn compare(
    worktree: &Path,
    branch: &str,
    name: &str,
) -> Result<Option<(Elsewhere, Option<Base>)>, Error> {
    let reader = open_worktree(worktree)?;
    let on = reader.symbolic("HEAD")?;
    if on.as_deref() == Some(name) {
        return Ok(None);
    }
    let tip = reader.commit("HEAD")?;
    let (lacking, unrelated) = match (&tip, reader.commit(name)?) {
        (None, _) => (Some(0), false),
        (Some(_), Some(_)) => {
            (Some(reader.ahead("HEAD", name)?), !reader.are_related("HEAD", name)?)
        }
        (Some(_), None) => (None, false),
    };
    let found = Elsewhere {
        branch: branch.to_owned(),
        on: on.map(|name| name.trim_start_matches("refs/heads/").to_owned()),
        commit: tip.as_ref().map(|tip| tip.short.clone()),
        lacking,
        unrelated,
        kept: None,
    };
    Ok(Some((found, tip)))
}

async fn keep(worktree: &Path, name: &str, commit: &str) -> Result<(), Error> {
    let doing = format!("keep commit {commit} of {}", worktree.display());
    let mut command = git_command(worktree);
    command.args(["update-ref", name, commit]);
    run(command, &doing, SHORT_LIMIT).await?.checked(doing).map(drop)
}
