//! Works out what to do for a session's branch: reads only, without the network.

use std::path::{Path, PathBuf};

use super::Error;
use super::leftovers::{Found, Registration, branch_in, look, meant, registered_as};
use super::plain;
use super::reader::{Reader, open, tidy};

/// The result of [`plan`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// No worktree: the session works in the project's folder itself.
    Plain {
        /// The project's folder, `MAIN_REPO`, in which all sessions work.
        folder: PathBuf,
        /// The reason, worded for a human.
        why: String,
    },
    /// A worktree with its own branch.
    Worktree(WorktreePlan),
}

/// A worktree to make or complete, or one that already exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorktreePlan {
    /// The repository's root folder, or a bare repository itself.
    pub repo: PathBuf,
    /// What all worktrees of the repository share (`.git`).
    pub common: PathBuf,
    /// The project's folder relative to the repository; empty at its root. The agent works in this
    /// folder of the worktree.
    pub subfolder: PathBuf,
    /// The session's branch, prefix included.
    pub branch: String,
    /// Where the worktree belongs.
    pub path: PathBuf,
    /// The commit the branch starts from.
    pub start: Start,
    /// The remote to fetch from first, if there is one.
    pub remote: Option<String>,
    /// Whether we may write the registration ourselves, without git.
    pub(super) is_plain: bool,
}

/// Where a session's branch starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// The branch exists, at this commit, and is checked out.
    Attach(Base),
    /// The branch is created from this commit.
    New(Base),
    /// The repository has no commit yet, so the branch has none either.
    Orphan,
}

/// A commit with the name it was found under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// `main`, `origin/main`, or `HEAD` if that is detached.
    pub name: String,
    /// The full commit id in hex.
    pub commit: String,
    /// The commit id as git abbreviates it.
    pub short: String,
}

impl Base {
    pub(super) fn new(refname: &str, commit: String, short: String) -> Self {
        Self { name: short_name(refname).to_owned(), commit, short }
    }
}

fn short_name(refname: &str) -> &str {
    refname
        .strip_prefix("refs/heads/")
        .or_else(|| refname.strip_prefix("refs/remotes/"))
        .unwrap_or(refname)
}

/// Works out what [`super::create`] would do for `branch` of the repository that contains `folder`,
/// with the worktree at `path`.
///
/// A folder outside any repository, or of which its repository tracks nothing (a project below a
/// home folder kept in git), is [`Plan::Plain`]. Fails for an invalid name, a branch in its way, a
/// branch checked out elsewhere, something else at `path`, or a git error.
pub(super) fn plan(folder: &Path, branch: &str, path: &Path) -> Result<Plan, Error> {
    let folder = folder.canonicalize().map_err(|source| Error::Io {
        doing: "find the project's folder",
        path: folder.to_owned(),
        source,
    })?;
    if branch.starts_with('-')
        || branch == "HEAD"
        || !git2::Reference::is_valid_name(&format!("refs/heads/{branch}"))
    {
        return Err(Error::BadBranch(branch.to_owned()));
    }
    let plain = |why: String| Ok(Plan::Plain { folder: folder.clone(), why });
    let Some(reader) = open(&folder)? else {
        return plain("it is not in a git repository".to_owned());
    };
    let place = reader.place().clone();
    let leads_back = !keeps_files_elsewhere(&folder, &place.top);
    let subfolder = folder.strip_prefix(&place.top).ok().filter(|_| leads_back);
    let subfolder = subfolder.unwrap_or(Path::new("")).to_owned();
    let remote = remote_of(reader.remotes()?);
    let base = base(&*reader, remote.as_deref())?;
    let base_branch = base.as_ref().map(|base| branch_of(base, remote.as_deref()));
    let start = match reader.commit(&format!("refs/heads/{branch}"))? {
        Some(tip) => Start::Attach(tip),
        None => {
            refuse_blocked(&place.common, branch)?;
            refuse_collision(&*reader, branch)?;
            base.map_or(Start::Orphan, Start::New)
        }
    };
    if !subfolder.as_os_str().is_empty()
        && start != Start::Orphan
        && !reader.tracks_below(&subfolder)?
    {
        return plain(format!(
            "the repository around it, {}, tracks no files in it",
            place.top.display()
        ));
    }
    let plan = WorktreePlan {
        // A working tree elsewhere (core.worktree) may not lead back to its repository.
        repo: if leads_back && folder.starts_with(&place.top) {
            place.top
        } else {
            place.common.clone()
        },
        common: place.common,
        subfolder,
        branch: branch.to_owned(),
        path: tidy(path),
        start,
        remote,
        is_plain: reader.has_plain_worktrees(),
    };
    let found = look(&plan.path)?;
    refuse_base(&*reader, &plan, base_branch)?;
    refuse_elsewhere(&*reader, &plan, &found)?;
    refuse_occupied(&plan, found)?;
    Ok(Plan::Worktree(plan))
}

/// `origin`, or the only remote.
fn remote_of(mut remotes: Vec<String>) -> Option<String> {
    match remotes.iter().position(|name| name == "origin") {
        Some(at) => Some(remotes.swap_remove(at)),
        None if remotes.len() == 1 => remotes.pop(),
        None => None,
    }
}

/// The commit new branches start from; `None` if the repository has none.
fn base(reader: &dyn Reader, remote: Option<&str>) -> Result<Option<Base>, Error> {
    let local_head = reader.symbolic("HEAD")?;
    let head_branch = local_head.as_deref().and_then(|name| name.strip_prefix("refs/heads/"));
    let configured = reader.config("init.defaultBranch");
    let usual: Vec<&str> =
        configured.as_deref().into_iter().chain(["main", "master"]).chain(head_branch).collect();
    if let Some(remote) = remote {
        let folder = format!("refs/remotes/{remote}");
        let head = reader.symbolic(&format!("{folder}/HEAD"))?;
        // Try main and master before the user's own default for new repositories.
        let guessed =
            ["main", "master"].iter().chain(&usual).map(|name| format!("{folder}/{name}"));
        for name in head.into_iter().chain(guessed) {
            if let Some(found) = reader.commit(&name)? {
                return Ok(Some(found));
            }
        }
    }
    for name in usual {
        if let Some(found) = reader.commit(&format!("refs/heads/{name}"))? {
            return Ok(Some(found));
        }
    }
    reader.commit("HEAD")
}

/// git keeps branches as files in folders (and other ref stores follow suit): `a` and `a/b` exclude
/// each other.
fn refuse_collision(reader: &dyn Reader, branch: &str) -> Result<(), Error> {
    let below = reader.any_below(&format!("refs/heads/{branch}"))?;
    let mut existing = below.map(|name| short_name(&name).to_owned());
    for (at, _) in branch.match_indices('/') {
        if reader.commit(&format!("refs/heads/{}", &branch[..at]))?.is_some() {
            existing = Some(branch[..at].to_owned());
        }
    }
    match existing {
        Some(existing) => Err(Error::BranchCollides { branch: branch.to_owned(), existing }),
        None => Ok(()),
    }
}

/// What git would keep as the branch's file, or as a folder on the way to it, may be taken by files that
/// are no branches, such as what a tool left there.
fn refuse_blocked(common: &Path, branch: &str) -> Result<(), Error> {
    let heads = common.join("refs/heads");
    let mut above = branch.match_indices('/').map(|(at, _)| heads.join(&branch[..at]));
    let above = above.find(|path| path.is_file() && !is_branch(path));
    match above.or_else(|| any_file(&heads.join(branch))) {
        Some(file) => Err(Error::BranchBlocked { branch: branch.to_owned(), file }),
        None => Ok(()),
    }
}

/// Whether a file is a branch: it has a commit's ID, or names another branch.
fn is_branch(file: &Path) -> bool {
    let text = plain::text(file).unwrap_or_default();
    let text = text.trim();
    text.starts_with("ref:") || (text.len() >= 40 && text.bytes().all(|c| c.is_ascii_hexdigit()))
}

/// A file in a folder or below that is no branch.
fn any_file(folder: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let mut paths = entries.map(|entry| (entry.path(), entry.file_type()));
    paths.find_map(|(path, kind)| match kind {
        Ok(kind) if kind.is_dir() => any_file(&path),
        _ => Some(path).filter(|path| !is_branch(path)),
    })
}

/// git checks out a branch in one worktree at most: if this one has it, no other does. A branch
/// that does not exist yet can only be the main worktree's, whose HEAD may name a missing ref; in a
/// repository without commits all branches are like that.
fn refuse_elsewhere(reader: &dyn Reader, plan: &WorktreePlan, found: &Found) -> Result<(), Error> {
    let name = format!("refs/heads/{}", plan.branch);
    // A worktree that was moved here stays registered at its old place until it is repaired.
    let known = match found {
        Found::Worktree(admin) => meant(&plan.common, admin, &plan.path),
        _ => None,
    };
    let is_here = |folder: &Path| {
        let is_known = |known: &Registration| known.folder == folder && !folder.exists();
        folder == plan.path || known.as_ref().is_some_and(is_known)
    };
    let elsewhere = |at: PathBuf| {
        let is_main = at == plan.repo && at.join(".git").is_dir();
        let (branch, place) = (plan.branch.clone(), plan.path.clone());
        Err(Error::BranchElsewhere { branch, at, place, is_main })
    };
    if let Some(at) = reader.main_on(&name)?.filter(|at| !is_here(at)) {
        return elsewhere(at);
    }
    let has_it = |known: &Registration| {
        known.folder == plan.path && branch_in(&known.admin.join("HEAD")).as_ref() == Some(&name)
    };
    if matches!(plan.start, Start::New(_)) || known.as_ref().is_some_and(has_it) {
        return Ok(());
    }
    reader.worktree_on(&name, &is_here)?.map_or(Ok(()), elsewhere)
}

/// A bare repository or a detached HEAD leaves everyone's branch free to be checked out. A worktree
/// that already has it may continue.
fn refuse_base(
    reader: &dyn Reader,
    plan: &WorktreePlan,
    base: Option<String>,
) -> Result<(), Error> {
    let base = match base {
        Some(name) => Some(name),
        None => reader.symbolic("HEAD")?.map(|name| short_name(&name).to_owned()),
    };
    if base.as_ref() != Some(&plan.branch) {
        return Ok(());
    }
    let name = format!("refs/heads/{}", plan.branch);
    match reader.worktree_on(&name, &|folder| folder != plan.path)? {
        Some(_) => Ok(()),
        None => Err(Error::BaseBranch(plan.branch.clone())),
    }
}

fn refuse_occupied(plan: &WorktreePlan, found: Found) -> Result<(), Error> {
    let what = match found {
        Found::Nothing => return Ok(()),
        Found::Folder if registered_as(&plan.common, &plan.path).is_some() => return Ok(()),
        Found::Worktree(admin) if meant(&plan.common, &admin, &plan.path).is_some() => {
            return Ok(());
        }
        Found::Worktree(admin) if admin.parent() == Some(&plan.common.join("worktrees")) => {
            if admin.exists() {
                return Ok(());
            }
            format!(
                "{} no longer has this worktree registered (git worktree prune)",
                plan.repo.display()
            )
        }
        Found::Worktree(admin) => {
            format!("it is a worktree of another repository, registered in {}", admin.display())
        }
        Found::Folder => "the folder is not empty and not a worktree".to_owned(),
        Found::Else(what) => what.to_owned(),
    };
    Err(Error::Occupied { path: plan.path.clone(), what })
}

/// Whether a repository lies in this folder and its working tree is another one, even one around it,
/// as people have who keep the settings of their home folder in git.
fn keeps_files_elsewhere(folder: &Path, top: &Path) -> bool {
    let is_other = |folder: PathBuf| folder != top;
    folder.join(".git").symlink_metadata().is_ok() && folder.canonicalize().is_ok_and(is_other)
}

/// The root of the working tree that contains a folder, or of a bare repository the repository
/// itself; the folder itself if its repository's working tree is another one, which may not lead back.
/// `None` outside a repository.
pub fn root(folder: &Path) -> Result<Option<PathBuf>, Error> {
    Ok(open(folder)?.map(|reader| match &reader.place().top {
        top if keeps_files_elsewhere(folder, top) => folder.to_owned(),
        top => top.clone(),
    }))
}

/// The branch new work starts from, as the remote or the local repository calls it: `main`. `None`
/// outside a repository, or before the first commit.
pub fn default_branch(folder: &Path) -> Result<Option<String>, Error> {
    let Some(reader) = open(folder)? else {
        return Ok(None);
    };
    let remote = remote_of(reader.remotes()?);
    Ok(base(&*reader, remote.as_deref())?.map(|base| branch_of(&base, remote.as_deref())))
}

/// The name of a base without its remote's prefix.
fn branch_of(base: &Base, remote: Option<&str>) -> String {
    let of_remote = remote.and_then(|remote| base.name.strip_prefix(&format!("{remote}/")));
    of_remote.unwrap_or(&base.name).to_owned()
}

/// `folder/subfolder`, without the trailing slash that joining an empty path adds.
pub(super) fn below(folder: &Path, subfolder: &Path) -> PathBuf {
    if subfolder.as_os_str().is_empty() { folder.to_owned() } else { folder.join(subfolder) }
}
