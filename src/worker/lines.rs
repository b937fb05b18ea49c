//! The worker's lines in the overview.

use crate::session::Phase;
use crate::session::history::HistoryLine;
use crate::session::journal::Step;
use crate::session::overview::{Blocked, Field, Overview};
use crate::session::state::{Standing, State};

/// The worker's lines while a run is active.
pub(super) fn set_of_run(overview: &mut Overview, state: &State) {
    overview.set(Field::Phase, state.phase().as_str());
    set_counters(overview, state);
    overview.set(Field::Blocked, Blocked::No.as_str());
}

pub(super) fn set_counters(overview: &mut Overview, state: &State) {
    overview.set(Field::Iteration, &state.visit.iterations.to_string());
    overview.set(Field::TotalIterations, &state.total.to_string());
}

pub(super) const fn blocked(standing: &Standing) -> Blocked {
    match standing {
        Standing::Waiting { .. } => Blocked::WaitingHuman,
        Standing::Blocked { .. } | Standing::GaveUp => Blocked::Yes,
        _ => Blocked::No,
    }
}

/// The flow-log line for a signal and its next step. It uses the signal's own time, so that a
/// replay writes the same line.
pub(super) fn flow_of(line: &HistoryLine, step: &Step) -> Option<String> {
    let from: Phase = line.phase.as_deref()?.parse().ok()?;
    let what = match step {
        Step::Stay => return None,
        Step::Enter { phase } => format!("{from} -> {phase}"),
        Step::Wait { waits_for } => format!("{from} waits for {waits_for}"),
        Step::Review => format!("{from}: the reviewers read the change again"),
        Step::Block { reason, .. } | Step::Dispute { reason } => {
            format!("{from} blocked: {reason}")
        }
        Step::Finish => "Session done".to_owned(),
        Step::HandOver => format!("{from} handed over to a fresh conversation"),
    };
    // `YYYY-MM-DD HH:MM:SS` of the history, shortened to the flow log's `MM-DD HH:MM`.
    let at = line.timestamp.as_deref()?.get(5..16)?;
    Some(format!("[{:03} @ {at}] {what}", line.iteration?))
}
