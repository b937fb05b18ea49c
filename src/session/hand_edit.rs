//! What a human edited by hand while no run was active.

use jiff::Timestamp;

use super::event;
use super::journal::Event;
use super::overview::{Blocked, StatusLines};
use super::phase::Phase;
use super::qa::Qa;
use super::state::{Standing, State};
use super::vocabulary::{RetryCause, WaitsFor};

/// A human's edit of a session's files that changes its course.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandEdit {
    /// Another phase in the overview.
    Phase(Phase),
    /// `Blocked: no` in the overview of a blocked session.
    Unblocked,
    /// Answers in `_qa.md`, none of them missing.
    Answers,
}

/// A `_qa.md` as found on disk.
#[derive(Debug, Clone)]
pub struct QaFile {
    /// The questions in `_qa.md`, with the answers filled in by hand.
    pub qa: Qa,
    /// Whether it is UTF-8. Nobody can fill in answers where it is not.
    pub is_utf8: bool,
    /// When it was last written, if the file system knows.
    pub modified: Option<Timestamp>,
}

impl HandEdit {
    /// What the journal says about it.
    #[must_use]
    pub fn event(self) -> Event {
        match self {
            Self::Phase(phase) => Event::PhaseSet(event::PhaseSet { phase }),
            Self::Unblocked => Event::Retried(event::Retried { by: RetryCause::Overview }),
            Self::Answers => Event::Answered(event::Answered {}),
        }
    }
}

/// The human's edit, if the files differ from what the worker left. The overview must have the
/// worker's own lines: whatever an agent wrote there has been replaced before its run counts as
/// ended.
#[must_use]
pub fn hand_edit(state: &State, status: &StatusLines, qa: Option<&QaFile>) -> Option<HandEdit> {
    let phase = state.phase();
    if phase != Phase::Init
        && let Some(to) = status.phase.filter(|to| *to != phase)
    {
        return Some(HandEdit::Phase(to));
    }
    match &state.standing {
        Standing::Blocked { .. } if status.blocked == Some(Blocked::No) => {
            Some(HandEdit::Unblocked)
        }
        Standing::Waiting { waits_for: WaitsFor::QaAnswers, .. } => {
            qa.filter(|file| answers_since(state, file)).map(|_| HandEdit::Answers)
        }
        _ => None,
    }
}

/// Whether all questions have answers, and one of them was given since the session waits.
fn answers_since(state: &State, file: &QaFile) -> bool {
    if !file.is_utf8 || !file.qa.is_answered() {
        return false;
    }
    match &state.visit.asked {
        Some(asked) => asked.answers != file.qa.fingerprint(),
        // A wait that an older version recorded.
        None => file.modified.is_none_or(|at| at > state.since),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::asked::Asked;
    use crate::session::overview::Overview;
    use crate::session::state::Visit;

    const OPEN: &str = "### Q1: a?\n**Answer:** _waiting_\n";
    const ANSWERED: &str = "### Q1: a?\n**Answer:** yes\n";

    fn waiting(before: &str) -> State {
        let asked = Asked { answers: Qa::parse(before).fingerprint(), ..Asked::default() };
        State {
            standing: Standing::Waiting { waits_for: WaitsFor::QaAnswers, reason: None },
            visit: Visit { phase: Phase::Requirements, asked: Some(asked), ..Visit::default() },
            since: Timestamp::from_second(1000).unwrap(),
            ..State::default()
        }
    }

    fn found(state: &State, qa: &str) -> Option<HandEdit> {
        let modified = Timestamp::from_second(2000).ok();
        let file = QaFile { qa: Qa::parse(qa), is_utf8: true, modified };
        let status = Overview::parse("## Status\nPhase: requirements\nBlocked: no\n").status();
        hand_edit(state, &status, Some(&file))
    }

    #[test]
    fn answers_count_only_if_they_were_given_since_the_session_waits() {
        assert_eq!(found(&waiting(OPEN), OPEN), None);
        assert_eq!(found(&waiting(OPEN), ANSWERED), Some(HandEdit::Answers));
        assert_eq!(found(&waiting(ANSWERED), ANSWERED), None, "they were there before");
        let other = ANSWERED.replace("yes", "no");
        assert_eq!(found(&waiting(ANSWERED), &other), Some(HandEdit::Answers));
        let retyped = ANSWERED.replace("a?", "a, precisely?") + "\nSee above.\n";
        assert_ne!(found(&waiting(OPEN), &retyped), None);
        let asks_more = format!("{ANSWERED}{}", OPEN.replace("Q1", "Q2"));
        assert_eq!(found(&waiting(OPEN), &asks_more), None, "one is missing");
        assert_eq!(found(&waiting(""), "no question"), None);
    }

    #[test]
    fn of_a_wait_without_a_record_the_files_time_decides() {
        let mut state = waiting(OPEN);
        state.visit.asked = None;
        assert_eq!(found(&state, ANSWERED), Some(HandEdit::Answers));
        state.since = Timestamp::from_second(3000).unwrap();
        assert_eq!(found(&state, ANSWERED), None);
    }

    #[test]
    fn another_phase_counts_before_anything_else_and_no_word_frees_only_what_is_blocked() {
        let status = Overview::parse("## Status\nPhase: testing\nBlocked: no\n").status();
        let mut state = waiting(OPEN);
        assert_eq!(hand_edit(&state, &status, None), Some(HandEdit::Phase(Phase::Testing)));
        state.visit.phase = Phase::Testing;
        assert_eq!(hand_edit(&state, &status, None), None);
        state.standing = Standing::Blocked { reason: "r".into(), needs: "n".into() };
        assert_eq!(hand_edit(&state, &status, None), Some(HandEdit::Unblocked));
    }
}
