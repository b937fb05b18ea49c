//! The worktree in which a [`Series`](super::series::Series) merges and tests.

use async_trait::async_trait;

use crate::control::error::Result;
use crate::git::Programs;
use crate::git::merge::{Foreseen, Integration, Merged, Simulation};
use crate::session::Phase;
use crate::session::store::crash_point;

use super::Work;
use super::check::Target;
use super::record::{Member, Record};
use super::series::{Ground, Series, Step, Verdict};
use super::trial::Trial;

pub(super) struct Worktree<'a> {
    work: &'a Work<'a>,
    target: &'a Target,
    record: Record,
    tree: Integration,
    trial: Option<Trial>,
    /// Where it was put last; the worktree follows only when something is done there.
    at: String,
    is_there: bool,
}

impl<'a> Worktree<'a> {
    pub(super) fn new(work: &'a Work<'a>, target: &'a Target, record: &Record) -> Result<Self> {
        let files = work.files;
        let settings = &work.context.settings;
        let below = &work.context.project.main_repo;
        let real = below.canonicalize().unwrap_or_else(|_| below.clone());
        let subfolder = real.strip_prefix(&target.repo).unwrap_or("".as_ref()).to_owned();
        let trial = record.test.clone().map(|command| Trial {
            command,
            folder: files.worktree.join(subfolder),
            limit: settings.test_timeout,
            log: files.log.clone(),
            env: work.context.caller.env.clone(),
            run: files.run.clone(),
            provision: settings.provision.clone(),
            repo: target.repo.clone(),
            root: files.worktree.clone(),
            confine: settings.confine(Phase::Testing).clone(),
            home: work.context.dirs.home.clone(),
        });
        if let Some(trial) = &trial {
            trial.begin_log(record.series.ends.is_empty())?;
        }
        Ok(Self {
            work,
            target,
            record: record.clone(),
            tree: Integration::new(
                &target.repo,
                &files.worktree,
                &files.run,
                Programs::of(&work.context.dirs.state),
            ),
            trial,
            at: record.series.base.clone(),
            is_there: false,
        })
    }

    fn member(&self, at: usize) -> &Member {
        &self.record.members[at]
    }

    /// Reports what is done, and with how many branches it is settled what becomes of them.
    fn step(&self, what: String) {
        let of = self.record.members.len();
        let settled = self.record.series.ends.len();
        self.work.on.step((settled + 1).min(of), of, what);
    }

    async fn go_there(&mut self) -> Result<()> {
        if !self.is_there {
            self.tree.put_at(&self.at).await?;
            self.is_there = true;
        }
        Ok(())
    }

    /// The conflicts, found in memory: then the worktree need not be touched.
    fn foresee(&self, member: &Member) -> Result<Option<Step>> {
        let Some(mut simulation) = Simulation::of(&self.target.repo, &self.at)? else {
            return Ok(None);
        };
        let names = [self.target.branch.as_str(), &member.branch];
        Ok(match simulation.merge(&member.commit, names)? {
            Foreseen::Clean => None,
            Foreseen::Contained => Some(Step::Contained),
            Foreseen::Conflicts(files) => Some(Step::Conflicts(files)),
        })
    }
}

#[async_trait]
impl Ground for Worktree<'_> {
    async fn put_at(&mut self, commit: &str) -> Result<()> {
        commit.clone_into(&mut self.at);
        self.is_there = false;
        Ok(())
    }

    async fn merge(&mut self, member: usize) -> Result<Step> {
        let member = self.member(member).clone();
        if let Some(step) = self.foresee(&member)? {
            return Ok(step);
        }
        self.go_there().await?;
        self.step(format!("merging {}", member.session));
        let session = self.work.sessions.iter().find(|session| session.name == member.session);
        let task = session.and_then(|session| session.state().ok()).map(|state| state.task);
        let task = task.unwrap_or_default();
        let (branch, into) = (&member.branch, &self.target.branch);
        let message = format!(
            "Merge branch '{branch}' into {into}\n\n{}",
            task.lines().next().unwrap_or_default()
        );
        let step = match self.tree.merge(&member.commit, message.trim_end()).await? {
            Merged::Commit(commit) if commit == self.at => Step::Contained,
            Merged::Commit(commit) => {
                self.at = commit;
                Step::Merged
            }
            Merged::Conflicts(files) => Step::Conflicts(files),
            Merged::Refused(said) => Step::Refused(said),
        };
        crash_point("a branch is merged");
        Ok(step)
    }

    fn head(&self) -> Result<String> {
        Ok(self.at.clone())
    }

    async fn test(&mut self) -> Result<Verdict> {
        let Some(trial) = self.trial.clone() else { return Ok(Verdict::Green) };
        self.go_there().await?;
        let verdict = trial.run(&|what| self.step(what)).await?;
        // They may have changed files, or even committed.
        self.is_there = false;
        crash_point("the tests have run");
        Ok(verdict)
    }

    fn save(&mut self, series: &Series) -> Result<()> {
        self.record.series = series.clone();
        self.work.files.write(&self.record)
    }

    fn name(&self, member: usize) -> String {
        self.member(member).session.clone()
    }

    fn built_on(&self, member: usize) -> &[usize] {
        &self.member(member).built_on
    }
}
