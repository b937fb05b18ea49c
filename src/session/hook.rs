//! The hook, `_hook.json`: small and quick to read, what to do now. Derived from the journal and
//! rebuilt when it is missing or damaged; `status` reads nothing else.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::journal::Usage;
use super::phase::Phase;
use super::state::{Standing, State, Word};
use super::vocabulary::{Needs, WaitsFor};

/// The hook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hook {
    /// The session's name.
    pub task_id: String,
    /// The phase.
    pub phase: Phase,
    /// Iterations in this phase.
    pub iteration: u32,
    /// Iterations in all.
    pub total_iterations: u32,
    /// The state in one word.
    pub state: Word,
    /// Since when.
    pub since: Timestamp,
    /// The journal entry it was derived from.
    pub seq: u64,
    /// The run under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<HookRun>,
    /// What is waited for.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<WaitsFor>,
    /// Open questions in `_qa.md`, when answers are waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub questions: Option<usize>,
    /// Why it waits, is blocked or paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
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
    /// The branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// US dollars so far.
    pub cost_usd: f64,
    /// Tokens so far.
    pub tokens: Usage,
    /// The last signal's summary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
}

/// The run under way, as the hook tells it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HookRun {
    /// The run's id.
    pub id: String,
    /// Its raw stream's file name in `_logs/`.
    pub log: String,
    /// Since when.
    pub since: Timestamp,
    /// What the agent does now, in a few words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doing: Option<String>,
}

impl Hook {
    /// Has it say that something is in the way, which could not be kept in the session's folder,
    /// and is tried again and again until a human has mended it.
    pub fn pause(&mut self, reason: String, since: Timestamp) {
        self.state = Word::Paused;
        self.reason = Some(reason);
        self.since = since;
        self.until = None;
        self.run = None;
    }

    /// Derives the hook from the journal's state.
    #[must_use]
    pub fn of(state: &State) -> Self {
        let (mut waits_for, mut reason, mut needs, mut until) = (None, None, None, None);
        match &state.standing {
            Standing::Waiting { waits_for: what, reason: why } => {
                waits_for = Some(what.clone());
                reason.clone_from(why);
            }
            Standing::Blocked { reason: why, needs: what } => {
                reason = Some(why.clone());
                needs = Some(what.clone());
            }
            Standing::Limited { until: end } => until = Some(*end),
            Standing::Paused { detail, until: end, .. } => {
                reason = Some(detail.clone());
                until = *end;
            }
            _ => {}
        }
        Self {
            task_id: state.name.clone(),
            phase: state.phase(),
            iteration: state.visit.iterations,
            total_iterations: state.total,
            state: state.word(),
            since: state.since,
            seq: state.seq,
            run: state.open_run().map(|open| HookRun {
                id: open.run.clone(),
                log: open.log.clone(),
                since: open.since,
                doing: None,
            }),
            waits_for,
            questions: None,
            reason,
            needs,
            until,
            last_progress: state.last_progress,
            worktree: state.working_dir().map(str::to_owned),
            branch: state.branch().map(str::to_owned),
            cost_usd: (state.costs.usd * 1e6).round() / 1e6,
            tokens: state.costs.tokens,
            summary: state.last_signal.as_ref().and_then(|last| last.line.summary.clone()),
        }
    }
}
