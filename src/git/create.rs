//! Makes a session's worktree, or completes one whose creation was interrupted. Never discards
//! anything that a human or an agent did in it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::command::{git_command, run, run_and_tell};
use super::confirm::{confirm_by_git, confirm_unfinished};
use super::durable::settle;
use super::fetch::freshened;
use super::leftovers::{
    Found, OUR_LOCK, OUR_MARK, Registration, clear_stale_locks, holds_only_gitfile, look, maker,
    outlast,
};
use super::plan::{Plan, Start, WorktreePlan, below, plan};
use super::programs::{Barred, Programs};
use super::progress::Told;
use super::register::{register, registration, remove_unregistered};
use super::submodules::NO_SUBMODULES;
use super::{CHECKOUT_LIMIT, Error, head};

/// Time limit for commands that touch only a few of git's small files.
pub(super) const SHORT_LIMIT: Duration = Duration::from_secs(60);
/// How long to wait for a git that an earlier process of ours started before it counts as in the
/// way. Killed or nearly done, it needs a moment to exit.
const PATIENCE: Duration = Duration::from_secs(2);
/// git's exit status for an unknown option.
const USAGE: i32 = 129;

/// What [`create`] had to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Did {
    /// The worktree was already complete, or none is needed.
    Nothing,
    /// A new worktree was made.
    Made,
    /// An interrupted creation was completed.
    Completed,
}

/// Where a session works, once it is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// The worktree's root, or without a worktree the project's folder.
    pub folder: PathBuf,
    /// Where the agent works: the project's folder in the worktree.
    pub working_dir: PathBuf,
    /// The branch; `None` without a worktree.
    pub branch: Option<String>,
    /// The commit the branch started from when the worktree was made or checked; `None` without a
    /// worktree.
    pub start: Option<Start>,
    /// Whether the worktree is new, completed or untouched.
    pub did: Did,
    /// Things worth showing to a human: offline, commits that are not included, a hook that failed.
    pub notes: Vec<String>,
}

impl Created {
    /// The commit that the branch began with; `None` without a worktree, and in a repository
    /// without a commit.
    #[must_use]
    pub fn base(&self) -> Option<&str> {
        match self.start.as_ref()? {
            Start::Attach(base) | Start::New(base) => Some(&base.commit),
            Start::Orphan => None,
        }
    }
}

/// Waits briefly for a git that an earlier process of ours started to make the worktree at `path`,
/// and that outlived it. While it works or cleans up, the folder is neither empty nor a worktree.
pub(super) async fn outlast_maker(path: &Path) {
    let patience = Instant::now() + PATIENCE;
    while let Some(pid) = maker(path)
        && Instant::now() < patience
    {
        outlast(pid).await;
    }
}

/// Carries out a plan. Safe to call any number of times, after a crash at any point; a complete
/// worktree is left as it is. `told` hears how far the checkout is.
///
/// Call it only while no agent of the session runs, since it removes lock files left by a killed
/// git. An unreachable remote is a note, not an error. Takes as long as the checkout, at most
/// [`CHECKOUT_LIMIT`], plus [`FETCH_LIMIT`] for the network.
pub(super) async fn create(
    planned: &Plan,
    programs: &Programs,
    told: Told<'_>,
) -> Result<Created, Error> {
    let planned = match planned {
        Plan::Plain { folder, why } => return Ok(plain(folder, why)),
        Plan::Worktree(planned) => planned,
    };
    let patience = Instant::now() + PATIENCE;
    let mut plan = Plan::Worktree(planned.clone());
    loop {
        let done = carry_out(&plan, programs, told).await;
        if Instant::now() > patience {
            return done;
        }
        match done {
            // A git that was killed may leave behind a child it had just forked, so there may be
            // another to wait for.
            Err(Error::Busy { pid, .. }) => {
                outlast(pid).await;
                plan = again(planned)?;
            }
            // Or it made the branch after we looked for it. Or the plan is stale.
            Err(error @ Error::Git { .. }) => {
                let fresh = again(planned)?;
                if fresh == plan {
                    return Err(error);
                }
                plan = fresh;
            }
            done => return done,
        }
    }
}

async fn carry_out(planned: &Plan, programs: &Programs, told: Told<'_>) -> Result<Created, Error> {
    let mut plan = match planned {
        Plan::Plain { folder, why } => return Ok(plain(folder, why)),
        Plan::Worktree(plan) => plan.clone(),
    };
    let barred = programs.barred(&plan.repo).await?;
    let mut known = registration(&plan);
    let was_registered = known.is_some();
    // Where we write registrations ourselves, we only ever start git with one in place.
    let may_be_making = known.as_ref().map_or(!plan.is_plain, Registration::unfinished);
    if may_be_making && let Some(pid) = maker(&plan.path) {
        return Err(Error::Busy { path: plan.path, pid });
    }
    let admin = known.as_ref().map(|known| known.admin.as_path());
    let mut notes = clear_stale_locks(&plan.common, &plan.branch, &plan.path, admin)?;
    remove_unregistered(&plan);
    if let Some(unfinished) =
        known.take_if(|known| known.unfinished() && holds_only_gitfile(&plan.path))
    {
        // Cut off before the first file: parts of the registration may be missing, and making it
        // again loses nothing.
        discard(&unfinished, &plan.path)?;
    }

    let mut found = look(&plan.path)?;
    let astray = matches!(&found, Found::Worktree(admin) if !admin.exists()
        || known.as_ref().is_none_or(|known| known.folder != plan.path));
    if found == Found::Folder || astray {
        repair(&plan).await?;
        known = registration(&plan);
        found = look(&plan.path)?;
    }
    let did = match (found, known) {
        (Found::Worktree(_), Some(known)) => {
            complete(&plan, &known, &barred, &mut notes, told).await?
        }
        (_, known) => {
            let (fresh, said) = freshened(plan, &barred).await?;
            plan = fresh;
            notes.extend(said);
            add(&plan, known.as_ref(), &barred, &mut notes, told).await?;
            if was_registered { Did::Completed } else { Did::Made }
        }
    };
    if did != Did::Nothing {
        programs.keep(&barred)?;
        notes.extend(barred.note());
    }
    if did != Did::Nothing && plan.path.join(".gitmodules").exists() {
        notes.push(NO_SUBMODULES.to_owned());
    }
    let (working_dir, branch) = (below(&plan.path, &plan.subfolder), Some(plan.branch));
    Ok(Created { folder: plan.path, working_dir, branch, start: Some(plan.start), did, notes })
}

fn plain(folder: &Path, why: &str) -> Created {
    let notes = vec![format!("no worktree for {}: {why}", folder.display())];
    Created {
        folder: folder.to_owned(),
        working_dir: folder.to_owned(),
        branch: None,
        start: None,
        did: Did::Nothing,
        notes,
    }
}

pub(super) fn again(planned: &WorktreePlan) -> Result<Plan, Error> {
    plan(&below(&planned.repo, &planned.subfolder), &planned.branch, &planned.path)
}

/// Removes a registration and the `.git` that points to it. The pointer goes first: without it git
/// can create the registration again.
fn discard(unfinished: &Registration, worktree: &Path) -> Result<(), Error> {
    let gone = |path: &Path, result: std::io::Result<()>| match result {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::Io { doing: "remove", path: path.to_owned(), source })
        }
        _ => Ok(()),
    };
    let gitfile = worktree.join(".git");
    gone(&gitfile, std::fs::remove_file(&gitfile))?;
    gone(&unfinished.admin, std::fs::remove_dir_all(&unfinished.admin))
}

/// Links a worktree and its registration again after one of them was lost or moved.
async fn repair(plan: &WorktreePlan) -> Result<(), Error> {
    let doing = format!("repair the worktree {}", plan.path.display());
    let mut command = git_command(&plan.repo);
    command.args(["worktree", "repair"]);
    // With a path git looks for the lost registration, without one for the lost `.git`.
    if matches!(look(&plan.path)?, Found::Worktree(_)) {
        command.arg(&plan.path);
    }
    run(command, &doing, SHORT_LIMIT).await?.checked(doing)?;
    Ok(())
}

/// Finishes an interrupted creation.
async fn complete(
    plan: &WorktreePlan,
    known: &Registration,
    barred: &Barred,
    notes: &mut Vec<String>,
    told: Told<'_>,
) -> Result<Did, Error> {
    let doing = format!("complete the worktree {}", plan.path.display());
    if !known.unfinished() {
        if known.has_index() || plan.start == Start::Orphan || !holds_only_gitfile(&plan.path) {
            notes.extend(off_branch(plan)?);
            return Ok(Did::Nothing);
        }
    } else if plan.start == Start::Orphan {
        unlock(known)?;
        return Ok(Did::Completed);
    }
    confirm_unfinished(&plan.path, &plan.common).await?;
    let mut command = barred.git_for_checkout(&plan.path, &plan.start);
    command.args(["-c", OUR_MARK, "checkout", "--quiet", "--progress", "--no-recurse-submodules"]);
    // Without an index, the checkout was interrupted and the files there are git's own partial
    // work. With one, it finished and only the hook may be missing.
    if !known.has_index() {
        command.arg("--force");
    }
    match &plan.start {
        Start::New(base) => command.args(["-b", &plan.branch, &base.commit]),
        _ => command.arg(&plan.branch),
    };
    command.arg("--");
    let finished = run_and_tell(command, &doing, CHECKOUT_LIMIT, told).await?;
    if !finished.status.success() {
        if !(known.has_index() && is_on_branch(plan)?) {
            finished.checked(doing)?;
            return Ok(Did::Nothing);
        }
        notes.push(format!("the post-checkout hook failed: {}", finished.said));
    }
    settle_and_confirm(plan).await?;
    unlock(known)?;
    Ok(Did::Completed)
}

/// Whether HEAD is on the plan's branch, and that exists.
fn is_on_branch(plan: &WorktreePlan) -> Result<bool, Error> {
    let head = head(&plan.path)?;
    let exists = head.commit.is_some() || plan.start == Start::Orphan;
    Ok(exists && head.branch.as_ref() == Some(&plan.branch))
}

/// Flushes a worktree that was just checked out, and asks git meanwhile whether it works in it.
async fn settle_and_confirm(plan: &WorktreePlan) -> Result<(), Error> {
    let confirmed = confirm_by_git(&plan.path, &plan.common, &plan.branch);
    tokio::join!(settle(&plan.path), confirmed).1
}

/// An agent may have left its worktree in a rebase or on another branch: that is its work, and
/// stays.
fn off_branch(plan: &WorktreePlan) -> Result<Option<String>, Error> {
    let head = head(&plan.path)?;
    if head.branch.as_ref() == Some(&plan.branch) {
        return Ok(None);
    }
    let on = head
        .branch
        .map_or_else(|| "no branch (in a rebase?)".to_owned(), |name| format!("branch '{name}'"));
    Ok(Some(format!("the worktree {} is on {on}, not on '{}'", plan.path.display(), plan.branch)))
}

/// `git worktree add`, locked by us until its hooks have finished.
async fn add(
    plan: &WorktreePlan,
    known: Option<&Registration>,
    barred: &Barred,
    notes: &mut Vec<String>,
    told: Told<'_>,
) -> Result<(), Error> {
    if let Some(known) = known
        && let Some(reason) = &known.lock
        && !known.unfinished()
    {
        return Err(Error::Locked { path: plan.path.clone(), reason: reason.clone() });
    }
    if let Some(parent) = plan.path.parent() {
        let io = |source| Error::Io { doing: "create the folder", path: parent.to_owned(), source };
        std::fs::create_dir_all(parent).map_err(io)?;
    }
    if known.is_none()
        && plan.is_plain
        && matches!(plan.start, Start::New(_))
        && let Some(made) = register(plan)?
    {
        return complete(plan, &made, barred, notes, told).await.map(drop);
    }
    let doing = format!("make the worktree {} of {}", plan.path.display(), plan.repo.display());
    let add = |reason| add_command(plan, known, barred, reason);
    let mut finished = run_and_tell(add(true), &doing, CHECKOUT_LIMIT, told).await?;
    if finished.status.code() == Some(USAGE) {
        // Before 2.33 a lock has no reason. Without ours the hook does not run again after a crash
        // in it, but the checkout is still completed.
        finished = run_and_tell(add(false), &doing, CHECKOUT_LIMIT, told).await?;
        if finished.status.code() == Some(USAGE) && plan.start == Start::Orphan {
            return Err(Error::NoCommit { repo: plan.repo.clone() });
        }
    }
    let made = registration(plan);
    if !finished.status.success() {
        // git exits with the hook's status once everything else is done.
        if !made.as_ref().is_some_and(Registration::has_index) || !is_on_branch(plan)? {
            return finished.checked(doing).map(drop);
        }
        notes.push(format!("the post-checkout hook failed: {}", finished.said));
    }
    settle_and_confirm(plan).await?;
    if let Some(made) = made {
        unlock(&made)?;
    }
    Ok(())
}

fn add_command(
    plan: &WorktreePlan,
    known: Option<&Registration>,
    barred: &Barred,
    reason: bool,
) -> tokio::process::Command {
    let mut command = barred.git_for_checkout(&plan.repo, &plan.start);
    command.args(["worktree", "add"]);
    if reason {
        command.args(["--lock", "--reason", OUR_LOCK]);
    }
    // Registered but missing: `--force` takes over that registration, given twice if it is locked.
    if let Some(known) = known {
        command.arg("--force").args(known.lock.is_some().then_some("--force"));
    }
    // From a commit id, so that no upstream is set: a `git push` must not go to the default branch.
    match &plan.start {
        Start::Attach(_) => command.arg(&plan.path).arg(&plan.branch),
        Start::New(base) => command.args(["-b", &plan.branch]).arg(&plan.path).arg(&base.commit),
        Start::Orphan => command.args(["--orphan", "-b", &plan.branch]).arg(&plan.path),
    };
    command
}

/// Removes the mark of an unfinished creation; the last step.
fn unlock(known: &Registration) -> Result<(), Error> {
    let lock = known.admin.join("locked");
    match std::fs::remove_file(&lock) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::Io { doing: "remove", path: lock, source: error })
        }
        _ => Ok(()),
    }
}
