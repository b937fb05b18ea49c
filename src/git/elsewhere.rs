//! Finds out whether HEAD of a session's worktree is still on the session's branch, and keeps
//! commits that are on none.

use std::path::Path;

use super::command::{git_command, run};
use super::create::SHORT_LIMIT;
use super::leftovers::{Found, branch_in, look};
use super::plain;
use super::reader::open_worktree;
use super::{Base, Error};
use crate::session::Elsewhere;

/// Where git keeps commits for us that no branch has.
const KEPT: &str = "refs/samocode/kept";

/// The folders that git keeps during a rebase.
const REBASES: [&str; 2] = ["rebase-merge", "rebase-apply"];

/// How many digits of a commit's id are shown.
const SHORT: usize = 10;

/// Compares HEAD with the session's branch. `None` if that is where it is, which costs no more than
/// reading a few small files. Commits that neither the branch nor another one has get a ref of their
/// own, or git would delete them some day: those of a detached HEAD, and those of a branch that was
/// deleted under HEAD.
///
/// # Errors
/// git's, if it cannot read the repository or write that ref.
pub async fn elsewhere(worktree: &Path, branch: &str) -> Result<Option<Elsewhere>, Error> {
    let name = format!("refs/heads/{branch}");
    let admin = match look(worktree) {
        Ok(Found::Worktree(admin)) => Some(admin),
        _ => None,
    };
    if let Some(admin) = &admin
        && branch_in(&admin.join("HEAD")).as_ref() == Some(&name)
        && has_loose(admin, &name)
    {
        return Ok(None);
    }
    let Some((mut found, tip)) = compare(worktree, branch, &name, admin.as_deref())? else {
        return Ok(None);
    };
    if found.on.as_deref().is_none_or(|on| on == branch)
        && found.has_work()
        && let Some(tip) = tip
    {
        let kept = format!("{KEPT}/{branch}/{}", tip.short);
        keep_as(worktree, &kept, &tip.commit).await?;
        found.kept = Some(kept);
    }
    Ok(Some(found))
}

/// Whether a ref has a file of its own, as one has that a commit was made on. One that only names
/// another ref has no commits: they are on that other one.
fn has_loose(admin: &Path, name: &str) -> bool {
    let common = plain::word(&admin.join("commondir"));
    let value = || plain::word(&admin.join(&common).join(name));
    !common.is_empty() && value().starts_with(|first: char| first.is_ascii_hexdigit())
}

fn compare(
    worktree: &Path,
    branch: &str,
    name: &str,
    admin: Option<&Path>,
) -> Result<Option<(Elsewhere, Option<Base>)>, Error> {
    let reader = open_worktree(worktree)?;
    let on = reader.symbolic("HEAD")?;
    let of_branch = match reader.symbolic(name)? {
        Some(_) => None,
        None => reader.commit(name)?,
    };
    let tip = if on.as_deref() != Some(name) {
        reader.commit("HEAD")?
    } else if of_branch.is_some() {
        return Ok(None);
    } else {
        admin.and_then(last_in_reflog).map(|commit| {
            let short = commit[..commit.len().min(SHORT)].to_owned();
            Base::new("HEAD", commit, short)
        })
    };
    let is_on_none = on.as_deref() == Some(name);
    // It has no commit yet, and never had one.
    if is_on_none && tip.is_none() && reader.symbolic(name)?.is_none() {
        return Ok(None);
    }
    let lacking = match (&tip, of_branch) {
        _ if is_on_none => None,
        (None, _) => Some(0),
        (Some(_), Some(_)) => Some(reader.ahead("HEAD", name)?),
        (Some(_), None) => None,
    };
    let unrelated = lacking.is_some_and(|count| count > 0) && !reader.are_related("HEAD", name)?;
    let is_rebasing = |admin: &Path| REBASES.iter().any(|folder| admin.join(folder).is_dir());
    let found = Elsewhere {
        branch: branch.to_owned(),
        rebasing: on.is_none() && admin.is_some_and(is_rebasing),
        on: on.map(|name| name.trim_start_matches("refs/heads/").to_owned()),
        commit: tip.as_ref().map(|tip| tip.short.clone()),
        lacking,
        unrelated,
        kept: None,
    };
    Ok(Some((found, tip)))
}

/// The commit that HEAD was at last, from its reflog. A branch that was deleted leaves nothing else.
fn last_in_reflog(admin: &Path) -> Option<String> {
    let bytes = plain::read(&admin.join("logs/HEAD")).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let is_commit = |id: &&str| {
        id.len() >= 40 && id.bytes().all(|c| c.is_ascii_hexdigit()) && id.bytes().any(|c| c != b'0')
    };
    // OLD NEW NAME <MAIL> TIME ZONE\tWHAT
    let newest_first = |line: &'_ str| {
        let mut ids = line.splitn(3, ' ');
        let (old, new) = (ids.next(), ids.next());
        new.filter(is_commit).or(old.filter(is_commit)).map(str::to_owned)
    };
    text.lines().rev().find_map(newest_first)
}

/// Keeps a commit for a session's branch, and returns the name of the ref that does.
pub(super) async fn keep(worktree: &Path, branch: &str, commit: &str) -> Result<String, Error> {
    let name = format!("{KEPT}/{branch}/{}", &commit[..commit.len().min(SHORT)]);
    keep_as(worktree, &name, commit).await?;
    Ok(name)
}

async fn keep_as(worktree: &Path, name: &str, commit: &str) -> Result<(), Error> {
    let doing = format!("keep commit {commit} of {}", worktree.display());
    let mut command = git_command(worktree);
    command.args(["update-ref", name, commit]);
    run(command, &doing, SHORT_LIMIT).await?.checked(doing).map(drop)
}
