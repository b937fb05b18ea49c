//! Importing a session from its files: one started by the Python samocode, or without a journal.

use super::advance::Gate;
use super::asked::Asked;
use super::history::HistoryLine;
use super::journal::Event;
use super::overview::{Blocked, Overview};
use super::phase::Phase;
use super::qa::Qa;
use super::signal::Status;
use super::vocabulary::WaitsFor;
use crate::session::event;

/// The files of a session without a journal.
#[derive(Debug, Clone, Copy)]
pub struct Files<'a> {
    /// The `_overview.md` of the session to import.
    pub overview: &'a Overview,
    /// The lines of `_signal_history.jsonl`.
    pub history: &'a [HistoryLine],
    /// `_qa.md`, if it exists.
    pub qa: Option<&'a Qa>,
    /// Whether there is a hook: then the session had a journal and lost it.
    pub has_hook: bool,
}

/// Derives a session's state from its files.
///
/// The predecessor took answers in `_qa.md` and `Blocked: no` as the human's word, so they open the
/// gate of a session it left. For a session that lost its journal it is unknown what the human has
/// said since it waited, so it waits again.
///
/// # Errors
/// A message for the human if the overview has no valid phase.
pub fn import(name: &str, files: Files<'_>) -> Result<Event, String> {
    let Files { overview, history, .. } = files;
    let status = overview.status();
    let phase = match (status.phase, &status.phase_text) {
        (Some(phase), _) => phase,
        (None, Some(word)) => {
            let phases = Phase::ALL.map(Phase::as_str).join(", ");
            return Err(format!(
                "its _overview.md has 'Phase: {word}', which is not a phase: change it to one of {phases}"
            ));
        }
        (None, None) => Phase::Init,
    };
    let last = history.last();
    let blocked = status.blocked.unwrap_or(Blocked::No);
    let done = phase == Phase::Done && last.is_some_and(|line| line.status() == Some(Status::Done));
    let is_answered = phase == Phase::Requirements
        && blocked == Blocked::No
        && !files.has_hook
        && files.qa.is_some_and(Qa::is_answered);
    let waits = blocked == Blocked::WaitingHuman
        || (blocked == Blocked::No && !is_answered && has_worked_on(phase, history));
    let waits_for = (waits && !done).then(|| {
        last.filter(|line| is_waiting(line))
            .and_then(|line| line.waits_for.as_deref())
            .map_or_else(|| WaitsFor::usual(phase), WaitsFor::from)
    });
    let reason = (blocked == Blocked::Yes && !done).then(|| {
        last.and_then(|line| line.reason.clone().or_else(|| line.summary.clone()))
            .or_else(|| status.last_action.clone())
            .unwrap_or_else(|| "it was already blocked when it was imported".to_owned())
    });
    let in_phase = iterations_in(phase, history);
    Ok(Event::Imported(event::Imported {
        name: name.to_owned(),
        task: overview.task().unwrap_or_default().to_owned(),
        phase,
        iteration: status.iteration.unwrap_or(0).max(in_phase).min(phase.limit()),
        total: status.total_iterations.or(last.and_then(|line| line.iteration)).unwrap_or(0),
        gate: match (&waits_for, is_answered) {
            (Some(_), _) => Gate::Waited,
            (None, true) => Gate::Open,
            (None, false) => Gate::Closed,
        },
        // Answers that a session of the predecessor has count, whenever they were given.
        asked: waits_for.as_ref().map(|_| Asked {
            answers: files.qa.filter(|_| files.has_hook).and_then(Qa::fingerprint),
            ..Asked::default()
        }),
        waits_for,
        blocked: reason,
        done,
    }))
}

/// Whether a session stopped at a gate and has continued since, which says nothing of an answer:
/// a rejection has the same effect.
fn has_worked_on(phase: Phase, history: &[HistoryLine]) -> bool {
    let visit = visit(phase, history);
    let waited = visit.iter().rposition(is_waiting);
    phase.is_gate() && waited.is_some_and(|at| at + 1 < visit.len())
}

fn iterations_in(phase: Phase, history: &[HistoryLine]) -> u32 {
    u32::try_from(visit(phase, history).len()).unwrap_or(u32::MAX)
}

/// The history lines of the latest stay in `phase`.
fn visit(phase: Phase, history: &[HistoryLine]) -> &[HistoryLine] {
    let here = |line: &HistoryLine| {
        line.phase.as_deref().and_then(|word| word.parse().ok()) == Some(phase)
    };
    let elsewhere = history.iter().rposition(|line| !here(line));
    &history[elsewhere.map_or(0, |at| at + 1)..]
}

fn is_waiting(line: &HistoryLine) -> bool {
    line.status() == Some(Status::Waiting)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(phase: &str, status: &str) -> HistoryLine {
        HistoryLine {
            phase: Some(phase.into()),
            status: Some(status.into()),
            ..HistoryLine::default()
        }
    }

    fn overview(phase: &str, blocked: &str) -> Overview {
        Overview::parse(format!(
            "# Session: x\n\n## Task\nDo it\n\n## Status\nPhase: {phase}\nIteration: 2\nTotal Iterations: 5\nBlocked: {blocked}\n"
        ))
    }

    const ANSWERED: &str = "### Q1: a?\n**Answer:** yes\n";

    fn imported(
        phase: &str,
        blocked: &str,
        history: &[HistoryLine],
        qa: Option<&str>,
        has_hook: bool,
    ) -> event::Imported {
        let (overview, qa) = (overview(phase, blocked), qa.map(Qa::parse));
        let files = Files { overview: &overview, history, qa: qa.as_ref(), has_hook };
        match import("x", files).unwrap() {
            Event::Imported(imported) => imported,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_session_waiting_in_requirements_waits_on() {
        let history = [line("investigation", "continue"), line("requirements", "waiting")];
        let imported = imported("Requirements", "waiting_human", &history, None, false);
        assert_eq!(
            (imported.phase, imported.iteration, imported.total),
            (Phase::Requirements, 2, 5)
        );
        assert_eq!((imported.gate, imported.waits_for), (Gate::Waited, Some(WaitsFor::QaAnswers)));
    }

    #[test]
    fn a_gate_that_was_worked_on_since_it_waited_waits_again() {
        for (phase, waits_for) in
            [("requirements", WaitsFor::QaAnswers), ("planning", WaitsFor::PlanApproval)]
        {
            for has_hook in [true, false] {
                let history = [line(phase, "waiting"), line(phase, "continue")];
                let imported = imported(phase, "no", &history, None, has_hook);
                let found = (imported.gate, imported.waits_for);
                assert_eq!(found, (Gate::Waited, Some(waits_for.clone())), "{phase}");
            }
        }
        let history = [line("implementation", "waiting"), line("implementation", "continue")];
        assert_eq!(imported("implementation", "no", &history, None, true).waits_for, None);
    }

    #[test]
    fn answers_of_the_predecessors_human_open_the_gate_but_not_if_a_journal_was_lost() {
        for history in [
            vec![],
            vec![line("requirements", "waiting")],
            vec![line("requirements", "waiting"), line("requirements", "continue")],
        ] {
            let left = imported("requirements", "no", &history, Some(ANSWERED), false);
            assert_eq!((left.gate, left.waits_for), (Gate::Open, None));
            let lost = imported("requirements", "no", &history, Some(ANSWERED), true);
            assert_ne!(lost.gate, Gate::Open);
        }
        let open = ANSWERED.replace("yes", "_waiting_");
        assert_eq!(imported("requirements", "no", &[], Some(&open), false).gate, Gate::Closed);
        assert_eq!(imported("planning", "no", &[], Some(ANSWERED), false).gate, Gate::Closed);
    }

    #[test]
    fn answers_that_were_there_when_a_journal_was_lost_are_recorded_as_such() {
        let history = [line("requirements", "waiting")];
        let answers = |has_hook| {
            let qa = Some(ANSWERED);
            let imported = imported("requirements", "waiting_human", &history, qa, has_hook);
            imported.asked.unwrap().answers
        };
        assert_eq!(answers(true), Qa::parse(ANSWERED).fingerprint());
        assert_eq!(answers(false), None, "the predecessor's count");
    }

    #[test]
    fn the_iterations_of_the_history_count_towards_the_limit() {
        let history = vec![line("Investigation", "continue"); 20];
        assert_eq!(imported("investigation", "no", &history, None, false).iteration, 20);
        let more = vec![line("investigation", "continue"); 25];
        assert_eq!(imported("investigation", "no", &more, None, false).iteration, 20);
        assert_eq!(imported("investigation", "no", &history[..1], None, false).iteration, 2);
    }

    #[test]
    fn an_unknown_phase_is_not_guessed() {
        let overview = overview("polishing", "no");
        let files = Files { overview: &overview, history: &[], qa: None, has_hook: false };
        let told = import("x", files).unwrap_err();
        assert!(told.contains("polishing"), "{told}");
    }
}
