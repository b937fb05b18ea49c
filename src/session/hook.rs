//! The hook, `_hook.json`: a small summary of the session's state, derived from the journal and
//! rebuilt when missing or damaged. `status` reads nothing else.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Elsewhere;
use super::event::ConversationKept;
use super::journal::Usage;
use super::phase::Phase;
use super::state::{Standing, State, StateName};
use super::vocabulary::{Cause, Needs, WaitsFor};

/// The contents of `_hook.json`; field names are the file format.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hook {
    /// The session's name, without date or project.
    pub task_id: String,
    /// The phase the session is in.
    pub phase: Phase,
    /// Iterations in this phase, including the current one.
    pub iteration: u32,
    /// Iterations in all phases together.
    pub total_iterations: u32,
    /// The session's state in one word.
    pub state: StateName,
    /// When the session entered this state.
    pub since: Timestamp,
    /// Number of the last journal entry included here.
    pub seq: u64,
    /// The current run, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<HookRun>,
    /// What the worker does to the worktree before a run, while it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preparing: Option<String>,
    /// What the session is waiting for.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<WaitsFor>,
    /// Number of open questions in `_qa.md`, while waiting for answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub questions: Option<usize>,
    /// Why the session is waiting, blocked, paused or limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What pauses the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// What a blocked session needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<Needs>,
    /// When a limit or a pause ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// When progress was last seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_progress: Option<Timestamp>,
    /// The folder the agent works in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worktree: Option<String>,
    /// The session's git branch; absent without a repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Where HEAD is, in a sentence, if it is not on that branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elsewhere: Option<String>,
    /// Cost of all runs so far, in US dollars.
    pub cost_usd: f64,
    /// Tokens used by all runs so far.
    pub tokens: Usage,
    /// Runs whose cost in US dollars is unknown.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unpriced: u32,
    /// Whether the cost of some run is an estimate.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
    /// What the last iteration did, from its signal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// How long the agent's program keeps the conversation of an iteration that rests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<ConversationKept>,
    /// What a human should know beside the state.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// The current run, as the hook shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HookRun {
    /// The ID of the run.
    pub id: String,
    /// File name of its raw stream in `_logs/`.
    pub log: String,
    /// When the agent's process was started.
    pub since: Timestamp,
    /// What the agent is doing, in a few words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doing: Option<String>,
    /// The tokens it has used so far. Its cost is known when it ends.
    #[serde(default, skip_serializing_if = "Usage::is_none")]
    pub tokens: Usage,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// Why a session has failed whose worker gave up.
pub const KEPT_DYING: &str = "its worker kept dying soon after it was started";

impl Hook {
    /// Marks the session as paused for a reason that could not be saved in its folder. The worker
    /// keeps retrying until it is fixed.
    pub fn pause(&mut self, reason: String, since: Timestamp) {
        self.state = StateName::Paused;
        self.cause = Some(Cause::Disk);
        self.reason = Some(reason);
        self.since = since;
        self.until = None;
        self.run = None;
    }

    /// Derives the hook from the state of the journal.
    #[must_use]
    pub fn of(state: &State) -> Self {
        let (mut waits_for, mut reason, mut needs, mut until) = (None, None, None, None);
        let mut pauses = None;
        match &state.standing {
            Standing::Waiting { waits_for: what, reason: why } => {
                waits_for = Some(what.clone());
                reason.clone_from(why);
            }
            Standing::Blocked { reason: why, needs: what } => {
                reason = Some(why.clone());
                needs = Some(what.clone());
            }
            Standing::Limited { until: end, said } => {
                reason.clone_from(said);
                until = Some(*end);
            }
            Standing::Held(held) => reason = Some(held.reason()),
            Standing::Scheduled(scheduled) => reason = Some(scheduled.reason()),
            Standing::Paused { detail, until: end, cause } => {
                pauses = Some(cause.clone());
                reason = Some(detail.clone());
                until = *end;
            }
            _ => {}
        }
        let branch = state.branch().unwrap_or_default();
        let strays = state.strays.iter().map(|stray| stray.describe(branch));
        Self {
            task_id: state.name.clone(),
            phase: state.phase(),
            iteration: state.visit.iterations,
            total_iterations: state.total,
            state: state.name(),
            since: state.since,
            seq: state.seq,
            run: state.open_run().map(|open| HookRun {
                id: open.run.clone(),
                log: open.log.clone(),
                since: open.since,
                doing: None,
                tokens: Usage::default(),
            }),
            preparing: None,
            waits_for,
            questions: None,
            reason,
            cause: pauses,
            needs,
            until,
            last_progress: state.last_progress,
            worktree: state.working_dir().map(str::to_owned),
            branch: state.branch().map(str::to_owned),
            elsewhere: state.elsewhere.as_ref().map(Elsewhere::describe),
            cost_usd: rounded(state.costs.usd),
            tokens: state.costs.tokens,
            unpriced: state.costs.unpriced,
            estimated: state.costs.estimated,
            summary: state.last_signal.as_ref().and_then(|last| last.line.summary.clone()),
            conversation: state.conversation().and_then(|known| known.kept.clone()),
            notes: state.notes.all().into_iter().chain(strays).collect(),
        }
    }
}

/// A cost rounded to millionths of a dollar; one too large for that has none.
fn rounded(usd: f64) -> f64 {
    let rounded = (usd * 1e6).round() / 1e6;
    if rounded.is_finite() { rounded } else { usd }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::state::Costs;

    #[test]
    fn a_hook_can_be_read_back_whatever_the_session_cost() {
        for (usd, shown) in [(1.8e302, 1.8e302), (f64::MAX, f64::MAX), (0.123_456_789, 0.123_457)] {
            let tokens = Usage { input: u64::MAX, output: u64::MAX, ..Usage::default() };
            let costs = Costs { usd, tokens, ..Costs::default() };
            let hook = Hook::of(&State { costs, ..State::default() });
            let read: Hook = serde_json::from_slice(&serde_json::to_vec(&hook).unwrap()).unwrap();
            assert!((read.cost_usd - shown).abs() <= shown * 1e-12, "{}", read.cost_usd);
        }
    }
}
