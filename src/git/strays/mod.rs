//! Finds what changed in a repository beside a session's own branch while its agent ran: commits on
//! other branches and in other checkouts, deleted branches, stashes. Commits that would be lost get a ref
//! of their own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::Error;
use super::command::{git_command, run};
use super::create::SHORT_LIMIT;
use super::elsewhere::keep;
use super::leftovers::{branch_in, registered_in};
use crate::session::Stray;
use crate::session::store::Folder;

pub use loose::left_behind;
use loose::{TICK, new_objects};
pub use watch::{Refs, Watch};

mod loose;
mod stamp;
mod watch;

/// The most changes that are named.
const MOST: usize = 8;
/// The most refs that git is asked about.
const EXAMINED: usize = 100;
/// The refs whose commits somebody has; the agent may have put its own under others.
const HELD: [&str; 3] = ["refs/heads/*", "refs/tags/*", "refs/remotes/*"];
/// The folder of tags.
const TAGS: &str = "refs/tags/";
/// The folder of notes, which belong to no branch.
const NOTES: &str = "refs/notes/";
/// The most commits that are counted.
const COUNTED: &str = "--max-count=1000";

/// The branches that others start from, even if no checkout is on them.
const TRUNKS: [&str; 3] = ["refs/heads/main", "refs/heads/master", "refs/heads/trunk"];

/// Compares the refs `before` a run that began at `since` with those `after` it. `known` are the changes
/// that earlier runs left, of which those are returned too that still hold.
///
/// # Errors
/// git's, if it cannot read the repository or write the refs that keep commits.
pub async fn strays(
    worktree: &Path,
    branch: &str,
    watch: &Watch,
    since: SystemTime,
    (before, after): (&Refs, &Refs),
    known: &[Stray],
) -> Result<Vec<Stray>, Error> {
    let mut moved = after.moved(before);
    moved.remove(&format!("refs/heads/{branch}"));
    if !moved.is_empty() {
        for others in branches_of_sessions(watch, &moved) {
            moved.remove(&others);
        }
    }
    let registered = before.worktrees != after.worktrees;
    let commits = left_behind(worktree, after, since);
    let is_same = moved.is_empty() && before.stash == after.stash && !registered;
    if is_same && commits.is_empty() && known.is_empty() {
        return Ok(Vec::new());
    }
    let lasting = known.iter().filter(|stray| lasts(stray, after));
    let compared = Compared { worktree, branch, before, after, since };
    let mut found = Vec::new();
    for stray in lasting {
        match stray {
            Stray::Gained { name, .. } if !moved.contains(name) => {
                let only = BTreeSet::from([name.clone()]);
                found.extend(compared.still_gained(name, &only).await);
            }
            Stray::Gained { .. } => {}
            Stray::Loose { kept, .. } if compared.has(kept).await => {}
            _ => found.push(stray.clone()),
        }
    }
    for name in moved.iter().take(EXAMINED) {
        if found.len() >= MOST {
            break;
        }
        let was_known =
            known.iter().any(|stray| matches!(stray, Stray::Gained { name: known, fresh: true, .. } if known == name));
        let fresh = was_known || before.get(name).is_none();
        if name.starts_with(NOTES) {
            found.extend(after.get(name).map(|_| Stray::Noted { name: name.clone() }));
            continue;
        }
        found.extend(compared.gained(name, &moved, fresh).await);
        found.extend(compared.lost(name).await?);
        found.extend(compared.deleted(name, watch));
    }
    found.extend(compared.stashes().await?);
    found.extend(compared.loose(commits.clone(), &["--all"]).await?);
    found.extend(compared.pushed(commits).await?);
    if registered {
        let new = new_objects(&watch.common.join("objects"), since);
        found.extend(compared.loose(new, &["--all", "--reflog"]).await?);
    }
    let surplus = found.len().saturating_sub(MOST);
    found.drain(..surplus);
    Ok(found)
}

/// Whether a change that an earlier run left may still hold. What happened to branches that others work
/// on is reported once.
fn lasts(stray: &Stray, after: &Refs) -> bool {
    match stray {
        Stray::Gained { name, fresh, .. } => *fresh && after.get(name).is_some(),
        Stray::Stashed { commit, .. } => after.stash.iter().any(|(known, _)| known == commit),
        Stray::Deleted { name, .. } => after.get(name).is_none(),
        Stray::Lost { .. } | Stray::Loose { .. } => true,
        Stray::Dropped { .. } | Stray::Noted { .. } => false,
    }
}

impl Watch {
    /// Whether a folder is in the worktree of a session, which has its name.
    fn is_of_session(&self, folder: &Path) -> bool {
        let below = folder.strip_prefix(&self.place).ok();
        let Some(name) = below.and_then(|below| below.iter().next()) else { return false };
        if self.sessions.join(name).is_dir() {
            return true;
        }
        let all = std::fs::read_dir(&self.sessions).into_iter().flatten().flatten();
        let mut below = all.flat_map(|entry| Folder::new(entry.path()).descendants());
        below.any(|folder| folder.path().file_name() == Some(name))
    }
}

/// The branches among these that the worktrees of sessions are on, whose own workers watch over them.
fn branches_of_sessions(watch: &Watch, moved: &BTreeSet<String>) -> Vec<String> {
    let all = std::fs::read_dir(watch.common.join("worktrees")).into_iter().flatten().flatten();
    let is_session =
        |admin: &Path| registered_in(admin).is_some_and(|known| watch.is_of_session(&known.folder));
    all.map(|entry| entry.path())
        .filter_map(|admin| Some((branch_in(&admin.join("HEAD"))?, admin)))
        .filter(|(branch, admin)| moved.contains(branch) && is_session(admin))
        .map(|(branch, _)| branch)
        .collect()
}

/// The checkout whose HEAD names a branch.
fn checkout_on(common: &Path, branch: &str) -> Option<PathBuf> {
    let is_on = |head: &Path| branch_in(head).as_deref() == Some(branch);
    if is_on(&common.join("HEAD")) {
        let folder = if common.ends_with(".git") { common.parent() } else { Some(common) };
        return folder.map(Path::to_owned);
    }
    let all = std::fs::read_dir(common.join("worktrees")).into_iter().flatten().flatten();
    let admin = all.map(|entry| entry.path()).find(|admin| is_on(&admin.join("HEAD")))?;
    Some(registered_in(&admin)?.folder)
}

/// The option by which git leaves out commits from before a moment.
fn youngest(since: SystemTime) -> String {
    let since = since.checked_sub(TICK).unwrap_or(since);
    let seconds = since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    format!("--max-age={seconds}")
}

struct Compared<'a> {
    worktree: &'a Path,
    branch: &'a str,
    before: &'a Refs,
    after: &'a Refs,
    since: SystemTime,
}

impl Compared<'_> {
    /// The commits that a ref got and nothing else has that did not move as well. Tags of others come with
    /// each fetch: only commits as young as the run count there.
    async fn gained(&self, name: &str, moved: &BTreeSet<String>, fresh: bool) -> Option<Stray> {
        let young = name.starts_with(TAGS).then(|| youngest(self.since));
        self.gained_of(name, moved, fresh, young).await
    }

    /// Those that a ref had got in an earlier run and still has.
    async fn still_gained(&self, name: &str, only: &BTreeSet<String>) -> Option<Stray> {
        self.gained_of(name, only, true, None).await
    }

    async fn gained_of(
        &self,
        name: &str,
        moved: &BTreeSet<String>,
        fresh: bool,
        young: Option<String>,
    ) -> Option<Stray> {
        let tip = self.after.get(name)?;
        let mut args = vec!["--no-merges".to_owned(), "--format=%h %s".to_owned(), tip.to_owned()];
        args.extend(young);
        args.push("--not".to_owned());
        if !fresh {
            args.extend(self.before.get(name).map(str::to_owned));
        }
        for folder in HELD {
            // git forgets what to exclude after each of these.
            args.extend(moved.iter().map(|name| format!("--exclude={name}")));
            args.push(format!("--glob={folder}"));
        }
        // A ref to something that is no commit, or to one that is gone, has none to bring over.
        let listed = self.rev_list(&args).await.ok()?;
        let mut lines = listed.lines().filter(|line| !line.starts_with("commit "));
        let (tip, subject) = lines.next()?.split_once(' ').unwrap_or_default();
        Some(Stray::Gained {
            name: name.to_owned(),
            commits: 1 + lines.count(),
            tip: tip.to_owned(),
            subject: subject.to_owned(),
            fresh,
        })
    }

    /// The commits that a ref had and nothing has now, if it was deleted or moved back. One that was
    /// rewritten has a reflog, as after every rebase of those who work on it.
    async fn lost(&self, name: &str) -> Result<Option<Stray>, Error> {
        let Some(old) = self.before.get(name) else { return Ok(None) };
        if let Some(new) = self.after.get(name)
            && !self.rev_list(&[new.into(), format!("^{old}")]).await?.is_empty()
            && !name.starts_with(TAGS)
        {
            return Ok(None);
        }
        let Ok(listed) = self.rev_list(&[old.into(), "--not".into(), "--all".into()]).await else {
            return Ok(None);
        };
        let commits = listed.lines().count();
        if commits == 0 {
            return Ok(None);
        }
        let kept = self.keep(old).await?;
        Ok(Some(Stray::Lost { name: name.to_owned(), commits, kept }))
    }

    /// A branch that was deleted although a checkout is on it, or others usually start from it.
    fn deleted(&self, name: &str, watch: &Watch) -> Option<Stray> {
        let commit = self.before.get(name).filter(|_| self.after.get(name).is_none())?;
        let checkout = name.starts_with("refs/heads/").then(|| checkout_on(&watch.common, name))?;
        if checkout.is_none() && !TRUNKS.contains(&name) {
            return None;
        }
        Some(Stray::Deleted {
            name: name.to_owned(),
            commit: commit.to_owned(),
            checkout: checkout.map(|folder| folder.display().to_string()),
        })
    }

    /// Whether the session's branch has the commit of a ref, or the ref is gone.
    async fn has(&self, name: &str) -> bool {
        let missing = [name.to_owned(), format!("^refs/heads/{}", self.branch)];
        self.rev_list(&missing).await.map_or(true, |listed| listed.is_empty())
    }

    /// What was stashed on the session's branch and is still there, and what others had stashed.
    async fn stashes(&self) -> Result<Vec<Stray>, Error> {
        let (before, after) = (&self.before.stash, &self.after.stash);
        let mut found = Vec::new();
        for (commit, message) in after.iter().filter(|entry| !before.contains(entry)) {
            if self.is_own(message) {
                let (commit, message) = (commit.clone(), message.clone());
                found.push(Stray::Stashed { commit, message });
            }
        }
        for (commit, message) in before.iter().filter(|entry| !after.contains(entry)).take(MOST) {
            if !self.is_own(message) {
                let kept = self.keep(commit).await?;
                found.push(Stray::Dropped { message: message.clone(), kept });
            }
        }
        Ok(found)
    }

    /// Whether git's own words say that a stash was made on the session's branch.
    fn is_own(&self, message: &str) -> bool {
        let on = message.strip_prefix("WIP on ").or_else(|| message.strip_prefix("On "));
        on.and_then(|rest| rest.strip_prefix(self.branch)).is_some_and(|rest| rest.starts_with(':'))
    }

    async fn keep(&self, commit: &str) -> Result<String, Error> {
        keep(self.worktree, self.branch, commit).await
    }

    async fn rev_list(&self, args: &[String]) -> Result<String, Error> {
        let doing = format!("look for commits beside branch {}", self.branch);
        let mut command = git_command(self.worktree);
        // One broken ref of the repository must not hide what became of the others.
        let broken = "--ignore-missing";
        command.env("GIT_NO_LAZY_FETCH", "1").args(["rev-list", COUNTED, broken]).args(args);
        let finished = run(command, &doing, SHORT_LIMIT).await?.checked(doing)?;
        Ok(String::from_utf8_lossy(&finished.stdout).into_owned())
    }
}
