//! Reading a session's files, for the other modules of `control`.

use crate::session::event;
use crate::session::hand_edit::hand_edit;
use crate::session::history::History;
use crate::session::hook::Hook;
use crate::session::journal::Event;
use crate::session::overview::Blocked;
use crate::session::state::{Standing, State, StateName};
use crate::session::store::{self, Folder, JournalError, Lock, read_journal};
use crate::session::{Files, Overview, Phase};

use super::context::Warnings;
use super::error::Result;

/// A session that exists, or is about to be created.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    /// The session's name, without date and project.
    pub(crate) name: String,
    /// The instance name of its unit.
    pub(crate) instance: String,
    /// Its folder, which may not exist yet.
    pub(crate) folder: Folder,
    /// Where problems with its files are reported.
    pub(crate) warnings: Warnings,
}

impl Session {
    /// Whether its folder exists.
    pub(crate) fn exists(&self) -> bool {
        self.folder.path().is_dir()
    }

    /// The state according to the journal. A damaged line ends the reading with a warning.
    pub(crate) fn state(&self) -> Result<State> {
        let (state, damage) = read_journal(&self.folder, |_| {})?;
        if let Some(damage) = damage {
            self.warnings.add(format!(
                "{} is damaged in {damage}; only the lines before that were read",
                self.folder.journal().display()
            ));
        }
        Ok(state)
    }

    /// Why no worker can run the session, if so: its journal is damaged or unreadable, or it has
    /// none and its overview does not give its phase and status.
    pub(crate) fn obstacle(&self) -> Option<String> {
        match read_journal(&self.folder, |_| {}) {
            Ok((state, None)) if state.seq == 0 => self.imported(&self.overview()).err(),
            Ok((_, None)) => None,
            Ok((_, Some(damage))) => {
                Some(JournalError::Damaged(self.folder.journal(), damage).to_string())
            }
            Err(error) => Some(error.to_string()),
        }
    }

    /// Whether a worker is running it: its lock is held.
    pub(crate) fn is_worked_on(&self) -> bool {
        Lock::is_held(&self.folder)
    }

    /// The hook; if that is missing, one derived from the journal or the overview.
    pub(crate) fn hook(&self) -> Result<Hook> {
        if let Some(hook) = self.folder.read_hook() {
            return Ok(hook);
        }
        let state = self.state()?;
        let mut hook = Hook::of(&state);
        if state.seq == 0 {
            hook.task_id.clone_from(&self.name);
            let overview = self.overview();
            let status = overview.status();
            hook.phase = status.phase.unwrap_or(hook.phase);
            hook.iteration = status.iteration.unwrap_or(0);
            hook.total_iterations = status.total_iterations.unwrap_or(0);
            hook.state = match status.blocked {
                Some(Blocked::WaitingHuman) => StateName::Waiting,
                Some(Blocked::Yes) => StateName::Blocked,
                _ if hook.phase == Phase::Done => StateName::Done,
                _ => StateName::Stopped,
            };
            self.foreign_reason(&overview, &mut hook);
        }
        Ok(hook)
    }

    pub(super) fn overview(&self) -> Overview {
        let overview = store::read(&self.folder.overview()).ok().flatten().unwrap_or_default();
        Overview::parse(overview)
    }

    /// For a session without a journal: the event with which a worker will import it.
    pub(super) fn imported(&self, overview: &Overview) -> Result<Event, String> {
        let history = store::read(&self.folder.history()).ok().flatten().unwrap_or_default();
        let questions = self.folder.questions();
        let files = Files {
            overview,
            history: &History::parse(&history).lines,
            qa: questions.as_ref().map(|file| &file.qa),
            has_hook: self.folder.hook().exists(),
        };
        crate::session::import(&self.name, files)
    }

    /// For a session without a journal: fills in what it is waiting for or blocked by, as its worker
    /// will see it.
    fn foreign_reason(&self, overview: &Overview, hook: &mut Hook) {
        let (waits_for, blocked) = match self.imported(overview) {
            Ok(Event::Imported(event::Imported { waits_for, blocked, .. })) => (waits_for, blocked),
            Ok(_) => return,
            Err(why) => {
                hook.state = StateName::Failed;
                hook.reason = Some(why);
                return;
            }
        };
        if hook.state == StateName::Waiting {
            hook.waits_for = waits_for;
            let open = self.folder.questions().map_or(0, |file| file.qa.waiting());
            hook.questions = Some(open).filter(|open| *open > 0);
        } else if hook.state == StateName::Blocked {
            hook.reason = blocked;
        }
    }

    /// Whether a human has answered by editing the session's files, so that the next worker will
    /// continue.
    pub(crate) fn is_answered_by_hand(&self) -> bool {
        let state = self.state().unwrap_or_default();
        if state.seq == 0 {
            // Its worker will treat existing answers as the human's.
            return self.folder.questions().is_some_and(|file| file.qa.is_answered());
        }
        // Its worker may have seen them already, before the hook shows it.
        !matches!(state.standing, Standing::Waiting { .. })
            || hand_edit(&state, &self.overview().status(), self.folder.questions().as_ref())
                .is_some()
    }
}
