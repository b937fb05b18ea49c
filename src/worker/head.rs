//! Whether the worktree's HEAD is still on the session's branch. Commits made anywhere else are not
//! part of the session's result, so it must not end with work there.

use crate::git;
use crate::session::event;
use crate::session::journal::{Event, Step};
use crate::session::{Elsewhere, Needs};

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
    use super::*;

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
