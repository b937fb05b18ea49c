//! What must be so before anything is merged: all of it is checked first, so that a merge that
//! cannot work changes nothing.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::control::context::Context;
use crate::control::error::{Class, Error, Result};
use crate::control::own_repository;
use crate::control::session::Session;
use crate::git::merge::{
    Tips, branch_names, checked_out_at, commits_beyond, contained, contains, is_unrelated,
    tracked_changes, under_way,
};
use crate::git::{self, Programs, quoted};
use crate::session::names::nearest;
use crate::session::order;
use crate::session::state::StateName;

use super::record::Member;

/// The branch that is merged into, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// The repository that is merged in, by its main checkout.
    pub(super) repo: PathBuf,
    /// The short name of the branch that is merged into.
    pub(super) branch: String,
    /// The working tree that has it checked out. It is never touched: the result then goes to a
    /// branch of its own.
    pub(super) checked_out: Option<PathBuf>,
    /// The branch that gets the result.
    pub(super) result: String,
    /// Where that one is; `None` if it does not exist.
    pub(super) result_at: Option<String>,
    /// The commit to start from.
    pub(super) base: String,
}

/// Results for a branch that is checked out go to a branch below this one.
const RESULTS: &str = "samocode-merge";

/// Finds the repository of a project.
///
/// # Errors
/// If there is none.
pub(super) fn repository(context: &Context) -> Result<PathBuf> {
    let main = &context.project.main_repo;
    git::root(main)?.ok_or_else(|| {
        let message =
            format!("there is nothing to merge: {} is not in a git repository", main.display());
        Error::refused(message)
    })
}

impl Target {
    /// Reads where the target is.
    ///
    /// # Errors
    /// If it does not exist, an operation of git is under way there, or it has changes that are not
    /// committed.
    ///
    /// `held` is the worktree of a confined agent that merges into its own branch. It has that branch checked
    /// out in a repository of its own, in which no git may run outside of the cage.
    pub(super) async fn of(
        repo: &Path,
        into: Option<&str>,
        held: Option<&Path>,
        programs: &Programs,
    ) -> Result<Self> {
        let branch = match into {
            Some(into) => into.to_owned(),
            None => git::default_branch(repo)?.ok_or_else(|| {
                Error::refused(format!("{} has no commit to merge into", repo.display()))
                    .hint(begin_with(repo))
            })?,
        };
        let Some(at) = Tips(repo).of(&branch)? else { return Err(no_branch(repo, &branch)?) };
        if let Some((what, commands)) = under_way(repo, &branch)? {
            return Err(
                Error::refused(format!("cannot merge into {branch}: {what}")).hint(commands)
            );
        }
        let checked_out = checked_out_at(repo, &branch)?;
        if let (Some(folder), None) = (&checked_out, held) {
            let changed = tracked_changes(folder, programs, true).await?;
            if changed > 0 {
                let files = if changed == 1 { "file is" } else { "files are" };
                let git = format!("git -C {}", quoted(folder));
                // Whoever gets a result by hand has its submodules where they were, and no stash helps.
                let remedy = match tracked_changes(folder, programs, false).await? {
                    0 => format!(
                        "get the submodules' commits ({git} submodule update) or commit them"
                    ),
                    _ => format!("commit or stash them first ({git} stash)"),
                };
                return Err(Error::refused(format!(
                    "cannot merge into {branch}: it is checked out in {} and {changed} {files} not committed there",
                    folder.display()
                ))
                .hint(format!("{remedy}, or merge into another branch with --into BRANCH")));
            }
        }
        let checked_out = checked_out.or_else(|| held.map(Path::to_owned));
        let result =
            if checked_out.is_some() { format!("{RESULTS}/{branch}") } else { branch.clone() };
        let result_at = Tips(repo).of(&result)?.map(|at| at.commit);
        let base = match &result_at {
            Some(earlier) if contains(repo, earlier, &at.commit)? => earlier.clone(),
            Some(earlier) if !contains(repo, &at.commit, earlier)? => {
                return Err(Error::refused(format!(
                    "branch {result} holds an earlier result that is not in {branch}, and {branch} has new commits"
                ))
                .hint(format!(
                    "merge it (git -C {0} merge {result}) or delete it (git -C {0} branch -D {result})",
                    quoted(repo)
                )));
            }
            _ => at.commit,
        };
        Ok(Self { repo: repo.to_owned(), branch, checked_out, result, result_at, base })
    }
}

/// How a repository without a commit gets its first.
fn begin_with(repo: &Path) -> String {
    format!("begin with a session's branch: git -C {} merge BRANCH", quoted(repo))
}

fn no_branch(repo: &Path, branch: &str) -> Result<Error> {
    let all = branch_names(repo)?;
    let error = Error::new(Class::NotFound, format!("there is no branch '{branch}' to merge into"));
    let is_first = git::head(repo).is_ok_and(|head| head.commit.is_none());
    Ok(match nearest(branch, all.iter().map(String::as_str)) {
        Some(near) => error.hint(format!("did you mean '{near}'?")),
        // There is nothing yet that it could be made from.
        None if is_first => error.hint(begin_with(repo)),
        None => error.hint(format!("create it with: git -C {} branch {branch}", quoted(repo))),
    })
}

/// Refuses a session that is named twice, and a list without any.
pub(super) fn check_names(sessions: &[Session]) -> Result<()> {
    let mut seen = HashSet::new();
    match sessions.iter().find(|session| !seen.insert(session.folder.path())) {
        Some(twice) => Err(Error::usage(format!("session '{}' is named twice", twice.name))),
        None if sessions.is_empty() => Err(Error::usage("no session to merge is named")),
        None => Ok(()),
    }
}

/// The members of a merge, with their branches as they are now.
///
/// # Errors
/// For the first one that cannot be merged, in one line.
pub(super) async fn members(
    context: &Context,
    sessions: &[Session],
    target: &Target,
    unfinished: bool,
) -> Result<Vec<Member>> {
    let mut members = Vec::with_capacity(sessions.len());
    let mut idle = Vec::new();
    for session in sessions {
        match member(context, session, target, unfinished).await? {
            Work::Member(member) => members.push(member),
            Work::Nothing { branch } => {
                idle.push(format!(
                    "{}: its branch {branch} has no commits of its own",
                    session.name
                ));
            }
        }
    }
    // One that reviewed the others, say, is no reason to merge none of them.
    if members.is_empty() {
        return Err(Error::refused(format!("cannot merge {}", idle.join("; "))));
    }
    idle.into_iter().for_each(|what| context.warnings.add(format!("nothing to merge of {what}")));
    let commits: Vec<&str> = members.iter().map(|member| member.commit.as_str()).collect();
    let inside = contained(&target.repo, &commits)?;
    for (member, built_on) in members.iter_mut().zip(inside) {
        member.built_on = built_on;
    }
    Ok(members)
}

/// What there is of a session to merge.
enum Work {
    Member(Member),
    Nothing { branch: String },
}

async fn member(
    context: &Context,
    session: &Session,
    target: &Target,
    unfinished: bool,
) -> Result<Work> {
    let Session { name, instance, .. } = session;
    let refused = |what: String| Error::refused(format!("cannot merge {name}: {what}"));
    let hook = session.hook()?;
    let is_busy = matches!(hook.state, StateName::New | StateName::Running | StateName::Queued);
    if session.is_worked_on() || (is_busy && !unfinished) {
        return Err(refused("it is still running".to_owned())
            .hint(format!("wait for it with: samocode wait {instance} --until done")));
    }
    if hook.state != StateName::Done && !unfinished {
        return Err(refused(format!("it is {}, not done", hook.state))
            .hint("to merge the commits it has so far, add --unfinished"));
    }
    let Some(branch) = hook.branch.clone() else {
        return Err(refused("it has no branch".to_owned()));
    };
    own_repository::take_over(context, session).await;
    let Some(at) = Tips(&target.repo).of(&branch)? else {
        return Err(refused(format!("its branch {branch} no longer exists")));
    };
    if session.state()?.base() == Some(at.commit.as_str()) {
        return Ok(Work::Nothing { branch });
    }
    if is_unrelated(&target.repo, &target.base, &at.commit)? {
        let into = &target.branch;
        return Err(refused(format!("its branch {branch} has no history in common with {into}")));
    }
    if let Some(worktree) = hook.worktree.as_ref().filter(|folder| Path::new(folder).is_dir())
        && let Ok(files @ 1..) = git::changed_files(worktree.as_ref()).await
    {
        let are = if files == 1 { "1 file is" } else { &format!("{files} files are") };
        context.warnings.add(format!(
            "{are} not committed in {worktree}, and will not be part of the merge of {name}"
        ));
    }
    let commits = commits_beyond(&target.repo, &at.commit, &target.base)?;
    Ok(Work::Member(Member {
        session: name.clone(),
        instance: instance.clone(),
        branch,
        commit: at.commit,
        commits,
        built_on: Vec::new(),
    }))
}

/// The order to merge in: what others are built on first, else as named.
pub(super) fn order(members: &[Member]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..members.len()).collect();
    // A branch contains all that those it is built on contain, and them.
    order::by_key(&mut order, |at| members[*at].built_on.len());
    order
}
