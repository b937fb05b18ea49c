//! Whether the worktree's HEAD is still on the session's branch, and what changed beside that branch.
//! Commits made anywhere else are not part of the session's result, so it must not end with work there.

use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::SystemTime;

use crate::git::{self, Checkout};
use crate::session::event;
use crate::session::journal::{Event, Step};
use crate::session::{Elsewhere, Needs, Stray};

use super::Worker;

impl Worker<'_> {
    /// The event that HEAD has left the session's branch, moved on or come back; `None` if it is
    /// where the journal says.
    pub(super) async fn head_moved(&self) -> Option<Event> {
        let state = self.writer.state();
        let (branch, checkout) = (state.branch()?, self.checkout()?);
        match git::elsewhere(checkout.root(), branch).await {
            Ok(head) if head == state.elsewhere => None,
            Ok(head) => Some(Event::HeadMoved(event::HeadMoved { head })),
            Err(error) => {
                tracing::warn!("cannot tell whether HEAD is on branch {branch}: {error}");
                None
            }
        }
    }
}

/// What is known of the refs beside the session's branch.
#[derive(Debug, Default)]
pub(super) struct Beside {
    /// Set once there is a worktree.
    watch: Option<git::Watch>,
    /// The refs as they were before the run.
    before: Option<Arc<git::Refs>>,
    /// When the run began.
    since: Option<SystemTime>,
    /// The first look, which takes milliseconds where there are hundreds of branches and worktrees: it
    /// is taken while the first run starts.
    first: Option<JoinHandle<Option<Look>>>,
}

type Look = (git::Watch, Option<Arc<git::Refs>>);

fn first_look(root: &Path, place: &Path, sessions: &Path) -> Option<Look> {
    let mut watch = git::Watch::of(root, place, sessions)?;
    let before = watch.look();
    Some((watch, before))
}

impl Beside {
    /// Takes over what the first look has seen.
    fn settle(&mut self) {
        let first = self.first.take().and_then(|first| first.join().ok().flatten());
        if let Some((watch, before)) = first {
            (self.watch, self.before) = (Some(watch), before);
        }
    }
}

impl Worker<'_> {
    /// Takes the refs as they are before a run.
    pub(super) fn look_beside(&mut self) {
        self.beside.settle();
        self.beside.since = Some(SystemTime::now());
        if let Some(watch) = &mut self.beside.watch {
            self.beside.before = watch.look();
            return;
        }
        let (Some(_), Some(checkout)) = (self.writer.state().branch(), self.checkout()) else {
            return;
        };
        let root = checkout.root().to_owned();
        let place = Checkout::place(&self.setup.project).to_owned();
        let sessions = self.setup.project.sessions.clone();
        let (in_thread, at, of) = (root.clone(), place.clone(), sessions.clone());
        match thread::Builder::new().spawn(move || first_look(&in_thread, &at, &of)) {
            Ok(first) => self.beside.first = Some(first),
            // A limit on processes may allow no thread.
            Err(_) => {
                let (watch, before) = first_look(&root, &place, &sessions).unzip();
                (self.beside.watch, self.beside.before) = (watch, before.flatten());
            }
        }
    }

    /// The watch over what is beside the session's branch, once there is a worktree.
    fn watch(&mut self) -> Option<&mut git::Watch> {
        if self.beside.watch.is_none() {
            self.writer.state().branch()?;
            let root = self.checkout()?.root().to_owned();
            let project = &self.setup.project;
            let (place, sessions) = (Checkout::place(project), &project.sessions);
            self.beside.watch = git::Watch::of(&root, place, sessions);
        }
        self.beside.watch.as_mut()
    }

    /// The event that something changed beside the session's branch during the run, or is settled;
    /// `None` if all is as the journal says.
    pub(super) async fn strays(&mut self) -> Option<Event> {
        self.beside.settle();
        let before = self.beside.before.take()?;
        let after = self.watch()?.look()?;
        let (state, watch) = (self.writer.state(), self.beside.watch.as_ref()?);
        let since = self.beside.since.unwrap_or_else(SystemTime::now);
        let is_same = Arc::ptr_eq(&before, &after) && state.strays.is_empty();
        if is_same && git::left_behind(self.checkout()?.root(), &after, since).is_empty() {
            return None;
        }
        let (branch, checkout) = (state.branch()?.to_owned(), self.checkout()?);
        let (root, known) = (checkout.root(), &state.strays);
        match git::strays(root, &branch, watch, since, (&before, &after), known).await {
            Ok(strays) if strays == state.strays => None,
            Ok(strays) => Some(Event::StraysFound(event::StraysFound { branch, strays })),
            Err(error) => {
                tracing::warn!("cannot tell what changed beside branch {branch}: {error}");
                None
            }
        }
    }

    /// Takes the refs as they were when a run began whose worker died, as far as git remembers.
    pub(super) fn look_back(&mut self, since: SystemTime) {
        self.beside.before = self.watch().and_then(|watch| watch.look_back(since)).map(Arc::new);
        self.beside.since = Some(since);
    }
}

/// The step after a run during which something changed beside the session's branch. It may be the
/// agent's work, so the agent gets one iteration to bring it over before the session ends.
pub(super) fn unless_beside(step: Step, found: Option<&Event>, known: &[Stray]) -> Step {
    let Some(Event::StraysFound(event::StraysFound { strays, .. })) = found else { return step };
    let is_news = !known.iter().any(Stray::is_work) && strays.iter().any(Stray::is_work);
    if step == Step::Finish && is_news { Step::Stay } else { step }
}

/// The step after a run that left HEAD `elsewhere`. A session does not end with work there: the
/// agent gets one iteration to bring it over; if it has had that, a human has to decide.
pub(super) fn unless_elsewhere(
    step: Step,
    elsewhere: Option<&Elsewhere>,
    was_told: bool,
    working_dir: &str,
) -> Step {
    let Some(elsewhere) = elsewhere.filter(|head| step == Step::Finish && head.has_work()) else {
        return step;
    };
    if !was_told {
        return Step::Stay;
    }
    let folder = git::quoted(working_dir.as_ref());
    let commands = elsewhere.remedy().into_iter().map(|words| format!("git -C {folder} {words}"));
    let commands = commands.collect::<Vec<_>>().join(" && ");
    let undo = if elsewhere.rebasing {
        format!("; or undo the rebase: git -C {folder} rebase --abort")
    } else {
        String::new()
    };
    let reason = format!(
        "the agent reported that it is done, but {}. To bring the commits over: {commands}{undo}",
        elsewhere.describe()
    );
    Step::Block { reason, needs: Needs::HumanDecision }
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use super::*;

    #[test]
    fn a_session_whose_agent_may_have_worked_elsewhere_gets_one_iteration_to_bring_it_over() {
        let work = Stray::Stashed { commit: "c".into(), message: "WIP on t: x".into() };
        let lost = Stray::Lost { name: "refs/heads/x".into(), commits: 1, kept: "k".into() };
        let found = |strays: &[Stray]| {
            let (branch, strays) = ("t".to_owned(), strays.to_vec());
            Some(Event::StraysFound(event::StraysFound { branch, strays }))
        };
        let step = |step, found: Option<Event>, known: &[Stray]| {
            unless_beside(step, found.as_ref(), known)
        };
        assert_eq!(step(Step::Finish, found(from_ref(&work)), &[]), Step::Stay);
        assert_eq!(step(Step::Finish, found(from_ref(&work)), from_ref(&lost)), Step::Stay);
        assert_eq!(step(Step::Finish, found(&[lost]), &[]), Step::Finish, "kept, and not its own");
        assert_eq!(step(Step::Finish, found(from_ref(&work)), from_ref(&work)), Step::Finish);
        assert_eq!(step(Step::Finish, None, from_ref(&work)), Step::Finish);
        assert_eq!(step(Step::HandOver, found(&[work]), &[]), Step::HandOver);
    }

    #[test]
    fn a_session_ends_only_with_its_work_on_its_branch() {
        let head = |lacking| Elsewhere {
            branch: "t".into(),
            on: Some("other".into()),
            commit: None,
            lacking,
            unrelated: false,
            kept: None,
            rebasing: false,
        };
        let step =
            |head: Option<&Elsewhere>, told| unless_elsewhere(Step::Finish, head, told, "/w/a b");
        assert_eq!(step(None, true), Step::Finish);
        assert_eq!(step(Some(&head(Some(0))), true), Step::Finish);
        assert_eq!(step(Some(&head(Some(2))), false), Step::Stay);
        assert_eq!(step(Some(&head(None)), false), Step::Stay);
        let Step::Block { reason, .. } = step(Some(&head(Some(2))), true) else { panic!() };
        assert!(
            reason.ends_with(
                "2 commits are missing from 't'. To bring the commits over: \
                 git -C '/w/a b' switch t && git -C '/w/a b' merge other"
            ),
            "{reason}"
        );
        let stays = unless_elsewhere(Step::HandOver, Some(&head(None)), true, "/w");
        assert_eq!(stays, Step::HandOver, "only the end is at stake");
    }
}
