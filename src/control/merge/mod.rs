//! Merging the branches of finished sessions into one tested branch.
//!
//! ```text
//! check      all members and the target, before anything is changed
//! record     SESSIONS/_merge/BRANCH.json: what is merged, and how far it has come
//! series     WORKTREES/_merge/BRANCH: merge in memory, then with git, then test; decide
//! landing    the intent in the record, then the branch moves, if it is where it was
//! tidy up    the worktree, then the record
//! ```
//!
//! A merge that was killed resumes from the record, or is begun again if the branches have changed
//! since. A branch that is checked out somewhere is not moved: the result then is on a branch of its
//! own, and the reply has the command that takes it over.

mod check;
mod ground;
mod left_out;
mod record;
mod report;
mod resolve;
mod series;
mod trial;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::config::Project;
use crate::git::merge::{Foreseen, Simulation, contains, move_branch};
use crate::git::{self, Checkout, Programs, Repository};
use crate::session::store::crash_point;

use super::below;
use super::context::Context;
use super::convoy;
use super::error::{Class, Error, Result};
use super::operation::{Operation, Perform};
use super::session::Session;
use super::target;

use check::{Target, check_names, members, order, repository};
use ground::Worktree;
use record::{Files, Landing, Member, Record};
use series::Series;

pub(super) use left_out::{forget, note};
pub use report::{Landed, Merged, Part};
pub use resolve::Resolving;
pub use series::End;

/// Merges sessions' branches into one branch, tests the result, and leaves out what conflicts or
/// makes the tests fail.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Merge {
    /// The sessions, as typed, or the id of a convoy.
    pub sessions: Vec<String>,
    /// The branch to merge into; `None` means the one that sessions start from.
    pub into: Option<String>,
    /// Only predict the conflicts, in memory.
    pub dry_run: bool,
    /// Also merge sessions that are not done.
    pub unfinished: bool,
    /// Begin a session for each conflict, to resolve it.
    pub resolve: bool,
}

/// How often to start over because the target has moved.
const ROUNDS: usize = 10;

#[async_trait]
impl Perform for Merge {
    async fn perform(mut self, on: &Operation<'_>) -> Result<Merged> {
        let (context, sessions) = self.members(on)?;
        self.into = self.target(on)?;
        for session in &sessions {
            below::check(&context, session)?;
        }
        check_names(&sessions)?;
        let repo = repository(&context)?;
        let held = held(on)?;
        let programs = Programs::of(&context.dirs.state);
        let target = Target::of(&repo, self.into.as_deref(), held.as_deref(), &programs).await?;
        let found = members(&context, &sessions, &target, self.unfinished).await?;
        if self.dry_run {
            let ends = predict(&target, &found)?;
            return Ok(report::predicted(&target, &found, ends));
        }
        if let Some((what, remedy)) = programs.findings(&repo).await? {
            on.warnings.add(format!("{what}; {remedy}"));
        }
        let project = &context.project;
        let files = Files::of(&project.sessions, Checkout::place(project), &target.branch)?;
        trial::end_processes(&files.run)?;
        let mut merged = match settle_landing(&files, project, &target, &found).await? {
            Some(landed) => landed,
            None => {
                let held = held.as_deref();
                let work = Work { on, context: &context, sessions: &sessions, files: &files, held };
                work.rounds(&self, &repo).await?
            }
        };
        if self.resolve {
            merged.resolving = resolve::resolve(on, &repo, &merged, &sessions).await;
        }
        Ok(merged)
    }
}

impl Merge {
    /// The branch to merge into. An agent merges those below its session into its own branch: others
    /// are not its.
    fn target(&self, on: &Operation<'_>) -> Result<Option<String>> {
        let Some(own) = on.caller.session() else { return Ok(self.into.clone()) };
        let branch = on
            .resolve(own)?
            .session
            .hook()?
            .branch
            .ok_or_else(|| Error::refused(format!("{own} has no branch to merge into")))?;
        match self.into.as_ref().filter(|into| **into != branch) {
            Some(into) => Err(Error::refused(format!("an agent cannot merge into {into}"))
                .hint(format!("leave --into out, to merge into your own branch, {branch}"))),
            None => Ok(Some(branch)),
        }
    }

    /// The sessions that were typed, or those of the convoy with that id.
    fn members(&self, on: &Operation<'_>) -> Result<(Context, Vec<Session>)> {
        let resolve =
            |names: &[String]| target::Target::resolve_all(on.caller, &on.warnings, names);
        match (resolve(&self.sessions), self.sessions.as_slice()) {
            (Err(error), [id]) if error.class == Class::NotFound => {
                let project = Context::here(on.caller, &on.warnings)?.project;
                let plan = convoy::find(&project, id).ok().flatten().ok_or(error)?;
                resolve(&plan.order().into_iter().map(str::to_owned).collect::<Vec<_>>())
            }
            (found, _) => found,
        }
    }
}

/// The worktree of a confined agent that merges into its own branch, if its repository is its own.
fn held(on: &Operation<'_>) -> Result<Option<std::path::PathBuf>> {
    let Some(own) = on.caller.session().filter(|_| on.caller.is_for_confined()) else {
        return Ok(None);
    };
    let own = on.resolve(own)?;
    let checkout = Checkout::of_session(&own.context.project, &own.session.folder.name());
    let is_own = checkout.repository() == Repository::Own;
    Ok(is_own.then(|| checkout.root().to_owned()))
}

/// Merges all members in memory, one after another, without those that conflict.
fn predict(target: &Target, members: &[Member]) -> Result<Option<Vec<Option<End>>>> {
    let Some(mut simulation) = Simulation::of(&target.repo, &target.base)? else {
        return Ok(None);
    };
    let mut ends: Vec<Option<End>> = vec![None; members.len()];
    for at in order(members) {
        let member = &members[at];
        let is_out = |other: &&usize| ends[**other].as_ref().is_some_and(End::is_left_out);
        if let Some(other) = member.built_on.iter().find(is_out) {
            ends[at] = Some(End::HeldUp { by: members[*other].session.clone() });
            continue;
        }
        ends[at] = match simulation.merge(&member.commit, [&target.branch, &member.branch])? {
            Foreseen::Clean => None,
            Foreseen::Contained => Some(End::Contained),
            Foreseen::Conflicts(files) => Some(End::Conflicts { files }),
        };
    }
    Ok(Some(ends))
}

/// Completes the move of the branch that a killed merge had begun. Returns the report of that merge
/// if it was this one.
async fn settle_landing(
    files: &Files,
    project: &Project,
    target: &Target,
    members: &[Member],
) -> Result<Option<Merged>> {
    let Some(record) = files.read()? else { return Ok(None) };
    let Some(landing) = &record.landing else { return Ok(None) };
    let now = crate::git::merge::Tips(&target.repo).of(&landing.branch)?;
    let has_moved = match now {
        Some(now) => contains(&target.repo, &now.commit, &landing.to)?,
        None => false,
    };
    if !has_moved {
        // Nothing is lost: the merge is resumed from the record, or begun again.
        return Ok(None);
    }
    let same = |(one, other): (&Member, &Member)| {
        (&one.session, &one.commit) == (&other.session, &other.commit)
    };
    let is_same = record.into == target.branch
        && record.members.len() == members.len()
        && record.members.iter().zip(members).all(same);
    left_out::remember(project, &record)?;
    tidy_up(files, target)?;
    Ok(is_same.then(|| report::of(target, &record, &files.log)))
}

fn tidy_up(files: &Files, target: &Target) -> Result<()> {
    git::merge::remove(&target.repo, &files.worktree)?;
    crash_point("the merge's worktree is removed");
    files.discard()
}

/// A merge in progress.
struct Work<'a> {
    on: &'a Operation<'a>,
    context: &'a Context,
    sessions: &'a [Session],
    files: &'a Files,
    /// As [`Target::of`] takes it.
    held: Option<&'a std::path::Path>,
}

impl Work<'_> {
    async fn target(&self, repo: &std::path::Path, into: Option<&str>) -> Result<Target> {
        Target::of(repo, into, self.held, &Programs::of(&self.context.dirs.state)).await
    }

    /// Merges on the target's tip, again for as long as the target moves meanwhile.
    async fn rounds(&self, call: &Merge, repo: &std::path::Path) -> Result<Merged> {
        for _ in 0..ROUNDS {
            let target = self.target(repo, call.into.as_deref()).await?;
            let members = members(self.context, self.sessions, &target, call.unfinished).await?;
            let mut record = self.record(&target, members)?;
            self.settle(&target, &mut record).await?;
            if self.land(&target, &mut record).await? {
                left_out::remember(&self.context.project, &record)?;
                crash_point("what was left out is kept");
                tidy_up(self.files, &target)?;
                return Ok(report::of(&target, &record, &self.files.log));
            }
            (self.on.progress)(&format!(
                "{} has new commits: starting over from its tip",
                target.branch
            ));
        }
        let target = self.target(repo, call.into.as_deref()).await?;
        tidy_up(self.files, &target)?;
        Err(Error::unavailable(format!(
            "the target branch changed {ROUNDS} times during the merge; nothing was changed"
        )))
    }

    /// The record of this merge: that of one that was killed, if it still holds.
    fn record(&self, target: &Target, members: Vec<Member>) -> Result<Record> {
        let order = order(&members);
        let fresh = Record {
            into: target.branch.clone(),
            test: self.context.settings.test_command.clone(),
            members,
            series: Series::new(&target.base, order),
            landing: None,
        };
        if let Some(known) = self.files.read()?.filter(|known| known.continues(&fresh)) {
            (self.on.progress)("resuming the merge that was interrupted");
            return Ok(Record { landing: None, ..known });
        }
        self.files.write(&fresh)?;
        Ok(fresh)
    }

    async fn settle(&self, target: &Target, record: &mut Record) -> Result<()> {
        let mut series = record.series.clone();
        let mut ground = Worktree::new(self, target, record)?;
        let settled = series.settle(&mut ground).await;
        record.series = series;
        if settled.is_err() {
            // What was found out so far stays in the record.
            git::merge::remove(&target.repo, &self.files.worktree)?;
        }
        settled
    }

    /// Moves the branch to the result. Returns false if the target is no longer where it was.
    async fn land(&self, target: &Target, record: &mut Record) -> Result<bool> {
        let to = record.series.tip.clone();
        if to == target.base {
            return Ok(true);
        }
        // The human's branch may have moved, been checked out, or become dirty meanwhile.
        if self.target(&target.repo, Some(&target.branch)).await? != *target {
            return Ok(false);
        }
        let from = target.result_at.clone();
        record.landing =
            Some(Landing { branch: target.result.clone(), from: from.clone(), to: to.clone() });
        self.files.write(record)?;
        crash_point("the branch is to be moved");
        let why = format!("samocode merge: {} sessions", record.series.accepted.len());
        let moved = move_branch(&target.repo, &target.result, from.as_deref(), &to, &why).await?;
        crash_point("the branch is moved");
        Ok(moved)
    }
}

#[cfg(test)]
mod tests;
