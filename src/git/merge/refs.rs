//! Branches as a merge sees them: where they are, who works on them, and moving one safely.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::command::{first_line, git_command, git_for_reading, read, run};
use super::super::leftovers::{Registration, registered_in};
use super::super::plain;
use super::super::reader::{Reader, open_worktree};
use super::super::{Error, Programs, quoted};

/// Time limit for commands that read or write a few refs.
const LIMIT: Duration = Duration::from_secs(60);

/// A branch, and the commit it is at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BranchAt {
    /// The branch's short name, without `refs/heads/`.
    pub branch: String,
    /// The full id of its commit.
    pub commit: String,
}

/// Reads where the branches of a repository are.
#[derive(Debug, Clone, Copy)]
pub struct Tips<'r>(pub &'r Path);

impl Tips<'_> {
    /// Where a branch is; `None` if there is none of this name.
    ///
    /// # Errors
    /// git's, and [`Error::BadBranch`].
    pub fn of(self, branch: &str) -> Result<Option<BranchAt>, Error> {
        if branch.starts_with('-') || !git2::Reference::is_valid_name(&full(branch)) {
            return Err(Error::BadBranch(branch.to_owned()));
        }
        let found = open_worktree(self.0)?.commit(&full(branch))?;
        Ok(found.map(|base| BranchAt { branch: branch.to_owned(), commit: base.commit }))
    }
}

fn full(branch: &str) -> String {
    format!("refs/heads/{branch}")
}

/// The names of all local branches.
///
/// # Errors
/// git's.
pub fn branch_names(repo: &Path) -> Result<Vec<String>, Error> {
    let doing = "list the branches";
    let mut command = git_for_reading(repo);
    command.args(["for-each-ref", "--format=%(refname:short)", "refs/heads/"]);
    let listed = read(&mut command)?.checked(doing)?;
    Ok(String::from_utf8_lossy(&listed.stdout).lines().map(str::to_owned).collect())
}

/// For each of these commits, which of the others it contains. Of two that are the same, the later
/// one contains the earlier.
///
/// # Errors
/// git's.
pub fn contained(repo: &Path, commits: &[&str]) -> Result<Vec<Vec<usize>>, Error> {
    let asked = Ancestry::of(repo)?;
    let mut all = Vec::with_capacity(commits.len());
    for (at, commit) in commits.iter().enumerate() {
        let mut inside = Vec::new();
        for (other_at, other) in commits.iter().enumerate() {
            let is_in =
                if other == commit { other_at < at } else { asked.contains(commit, other)? };
            if is_in {
                inside.push(other_at);
            }
        }
        all.push(inside);
    }
    Ok(all)
}

/// Whether one commit contains another: is it, or descends from it.
///
/// # Errors
/// git's.
pub fn contains(repo: &Path, commit: &str, other: &str) -> Result<bool, Error> {
    Ok(commit == other || Ancestry::of(repo)?.contains(commit, other)?)
}

/// How many commits one has that the other lacks.
///
/// # Errors
/// git's.
pub fn commits_beyond(repo: &Path, commit: &str, base: &str) -> Result<usize, Error> {
    open_worktree(repo)?.ahead(commit, base)
}

/// Reads who descends from whom: libgit2, or the git program where libgit2 cannot read.
struct Ancestry {
    library: Option<git2::Repository>,
    reader: Box<dyn Reader>,
}

impl Ancestry {
    fn of(repo: &Path) -> Result<Self, Error> {
        Ok(Self { library: git2::Repository::open(repo).ok(), reader: open_worktree(repo)? })
    }

    fn contains(&self, commit: &str, other: &str) -> Result<bool, Error> {
        let known = self.library.as_ref().and_then(|repo| {
            let ids = (git2::Oid::from_str(commit).ok()?, git2::Oid::from_str(other).ok()?);
            repo.graph_descendant_of(ids.0, ids.1).ok()
        });
        match known {
            Some(known) => Ok(known),
            None => Ok(self.reader.ahead(other, commit)? == 0),
        }
    }
}

/// Whether two commits have no ancestor in common.
///
/// # Errors
/// git's.
pub fn is_unrelated(repo: &Path, one: &str, other: &str) -> Result<bool, Error> {
    let mut command = git_for_reading(repo);
    let asked = read(command.args(["merge-base", one, other]))?;
    // git answers "none" with exit code 1 and no output.
    if asked.status.code() == Some(1) {
        return Ok(true);
    }
    let doing = format!("compare {one} with {other}");
    Ok(first_line(&asked.checked(doing)?.stdout).is_empty())
}

/// The working tree that has a branch checked out, the main one first.
///
/// # Errors
/// git's.
pub fn checked_out_at(repo: &Path, branch: &str) -> Result<Option<PathBuf>, Error> {
    let reader = open_worktree(repo)?;
    let main = reader.main_on(&full(branch))?;
    match main {
        Some(at) => Ok(Some(at)),
        None => reader.worktree_on(&full(branch), &|_| false),
    }
}

/// How many tracked files of a working tree differ from its last commit; `submodules` count as files.
/// Filters that an agent may have added do not run.
///
/// # Errors
/// git's.
pub async fn tracked_changes(
    worktree: &Path,
    programs: &Programs,
    submodules: bool,
) -> Result<usize, Error> {
    let doing = format!("look for changes in {}", worktree.display());
    let barred = programs.barred(worktree).await?;
    let mut command = barred.git(worktree, false);
    command.env("GIT_OPTIONAL_LOCKS", "0");
    command.args(["status", "--porcelain", "-z", "--no-renames", "--untracked-files=no"]);
    if !submodules {
        command.arg("--ignore-submodules=all");
    }
    let listed = run(command, &doing, LIMIT).await?.checked(doing)?;
    Ok(listed.stdout.iter().filter(|byte| **byte == 0).count())
}

/// An operation that was begun in a working tree and is neither finished nor aborted, with the
/// commands that do: a rebase, a merge, a cherry-pick, a revert, `git am` or a bisection. Looks at
/// the main working tree, and at others that rebase this branch.
///
/// # Errors
/// git's.
pub fn under_way(repo: &Path, branch: &str) -> Result<Option<(String, String)>, Error> {
    let reader = open_worktree(repo)?;
    let common = reader.place().common.clone();
    if let Some(what) = operation_in(&common) {
        return Ok(Some(described(what, &reader.place().top)));
    }
    let others = std::fs::read_dir(common.join("worktrees")).into_iter().flatten().flatten();
    for Registration { admin, folder, .. } in
        others.filter_map(|entry| registered_in(&entry.path()))
    {
        let names = ["rebase-merge/head-name", "rebase-apply/head-name"];
        let rebases = names.iter().any(|file| {
            let named = plain::text(&admin.join(file)).unwrap_or_default();
            named.trim() == full(branch)
        });
        if let Some(what) = operation_in(&admin).filter(|_| rebases) {
            return Ok(Some(described(what, &folder)));
        }
    }
    Ok(None)
}

fn operation_in(admin: &Path) -> Option<&'static str> {
    const MARKS: [(&str, &str); 6] = [
        ("rebase-merge", "rebase"),
        ("rebase-apply", "rebase"),
        ("MERGE_HEAD", "merge"),
        ("CHERRY_PICK_HEAD", "cherry-pick"),
        ("REVERT_HEAD", "revert"),
        ("BISECT_LOG", "bisect"),
    ];
    MARKS.iter().find(|(mark, _)| admin.join(mark).exists()).map(|(_, what)| {
        if *what == "rebase" && admin.join("rebase-apply/applying").exists() { "am" } else { what }
    })
}

fn described(what: &str, at: &Path) -> (String, String) {
    let git = format!("git -C {}", quoted(at));
    let message = format!("a git {what} is under way in {}", at.display());
    let commands = match what {
        "bisect" => format!("end it with: {git} bisect reset"),
        _ => {
            format!("finish it with: {git} {what} --continue, or give it up: {git} {what} --abort")
        }
    };
    (message, commands)
}

/// Moves a branch to a commit, if it is still where it was seen; `from` is `None` for a branch that
/// must not exist yet. Returns whether it moved. Changes no working tree: check
/// [`checked_out_at`] first.
///
/// # Errors
/// git's, as for a ref that is locked.
pub async fn move_branch(
    repo: &Path,
    branch: &str,
    from: Option<&str>,
    to: &str,
    why: &str,
) -> Result<bool, Error> {
    let doing = format!("move branch {branch}");
    let mut command = git_command(repo);
    // All zeroes or empty: the ref must not exist.
    command.args(["update-ref", "-m", why, &full(branch), to, from.unwrap_or_default()]);
    let done = run(command, &doing, LIMIT).await?;
    if done.status.success() {
        return Ok(true);
    }
    // It may have moved, or not: read it back.
    let now = Tips(repo).of(branch)?.map(|at| at.commit);
    if now.as_deref() == Some(to) {
        return Ok(true);
    }
    if now.as_deref() == from { done.checked(doing).map(|_| false) } else { Ok(false) }
}
