//! Importing a session from its files: one started by the Python samocode, or without a journal.

use super::advance::Gate;
use super::history::HistoryLine;
use super::journal::Event;
use super::overview::{Blocked, Overview};
use super::phase::Phase;
use super::signal::Status;
use super::vocabulary::WaitsFor;
use crate::session::event;

/// Derives a session's state from its overview and history.
///
/// # Errors
/// A message for the human if the overview has no valid phase.
pub fn import(name: &str, overview: &Overview, history: &[HistoryLine]) -> Result<Event, String> {
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
    let waits_for = (blocked == Blocked::WaitingHuman && !done).then(|| {
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
        iteration: status.iteration.unwrap_or(in_phase).min(phase.limit()),
        total: status.total_iterations.or(last.and_then(|line| line.iteration)).unwrap_or(0),
        gate: if waits_for.is_some() { Gate::Waited } else { gate(phase, history) },
        waits_for,
        blocked: reason,
        done,
    }))
}

/// Gate progress: open if the phase waited and another iteration of it followed.
fn gate(phase: Phase, history: &[HistoryLine]) -> Gate {
    let visit = visit(phase, history);
    match visit.iter().rposition(is_waiting) {
        None => Gate::Closed,
        Some(at) if at + 1 < visit.len() => Gate::Open,
        Some(_) => Gate::Waited,
    }
}

fn iterations_in(phase: Phase, history: &[HistoryLine]) -> u32 {
    u32::try_from(visit(phase, history).len()).unwrap_or(u32::MAX)
}

/// The history lines of the latest stay in `phase`.
fn visit(phase: Phase, history: &[HistoryLine]) -> &[HistoryLine] {
    let here = |line: &HistoryLine| {
        line.phase.as_deref().is_some_and(|word| word.eq_ignore_ascii_case(phase.as_str()))
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

    #[test]
    fn a_session_waiting_in_requirements_waits_on() {
        let history = [line("investigation", "continue"), line("requirements", "waiting")];
        let event = import("x", &overview("Requirements", "waiting_human"), &history).unwrap();
        let Event::Imported(event::Imported { phase, iteration, total, gate, waits_for, .. }) =
            event
        else {
            panic!()
        };
        assert_eq!((phase, iteration, total), (Phase::Requirements, 2, 5));
        assert_eq!(gate, Gate::Waited);
        assert_eq!(waits_for, Some(WaitsFor::QaAnswers));
    }

    #[test]
    fn a_gate_that_was_answered_stays_open() {
        let history = [line("requirements", "waiting"), line("requirements", "continue")];
        let event = import("x", &overview("requirements", "no"), &history).unwrap();
        let Event::Imported(event::Imported { gate, waits_for, .. }) = event else { panic!() };
        assert_eq!((gate, waits_for), (Gate::Open, None));
    }

    #[test]
    fn an_unknown_phase_is_not_guessed() {
        let told = import("x", &overview("polishing", "no"), &[]).unwrap_err();
        assert!(told.contains("polishing"), "{told}");
    }
}
