//! The events of a journal.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::advance::Gate;
use super::cost::RunCost;
use super::history::HistoryLine;
use super::mail::Kind;
use super::phase::Phase;
use super::restored::Restored;
use super::signal::Status;
use super::vocabulary::{Cause, Needs, RunOutcome, WaitsFor};

/// Where a signal leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "next", rename_all = "snake_case")]
pub enum Step {
    /// Another iteration in this phase.
    Stay,
    /// The first iteration of another phase.
    Enter {
        /// That phase.
        phase: Phase,
    },
    /// A human is waited for.
    Wait {
        /// What for.
        #[serde(rename = "for")]
        waits_for: WaitsFor,
    },
    /// The session blocks.
    Block {
        /// Why.
        reason: String,
        /// What it needs.
        needs: Needs,
    },
    /// The session is finished.
    Finish,
    /// A fresh conversation in this phase, given the signal's state.
    HandOver,
}

/// How a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The session is done, waits, is blocked or was stopped: nothing is left to do.
    Settled,
    /// It was asked to end, by a shutdown or a `systemctl stop`; it goes on at the next start.
    Interrupted,
    /// It executed the unit's binary anew.
    Reloaded,
    /// It gave up after too many quick deaths.
    GaveUp,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// The session was asked for.
    Created {
        /// The session's name.
        name: String,
        /// What is to be done.
        task: String,
        /// What the investigation should begin with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dive: Option<String>,
    },
    /// A session of the predecessor, or one whose journal is gone, was taken over from its files.
    Imported {
        /// The session's name.
        name: String,
        /// Its task.
        task: String,
        /// Its phase.
        phase: Phase,
        /// Iterations in that phase so far.
        iteration: u32,
        /// Iterations in all so far.
        total: u32,
        /// How far the phase's gate was open.
        #[serde(default)]
        gate: Gate,
        /// What it waited for, if it was waiting.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        waits_for: Option<WaitsFor>,
        /// Why it was blocked, if it was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        blocked: Option<String>,
        /// Whether it was done.
        #[serde(default)]
        done: bool,
    },
    /// Worktree and overview are made; the session leaves `init`.
    Prepared {
        /// The folder the agent works in.
        working_dir: String,
        /// The branch; absent without a repository.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        branch: Option<String>,
        /// The commit it began from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        base: Option<String>,
        /// What the human should know: no fetch, no signing.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notes: Vec<String>,
    },
    /// A finished session was given a new task.
    Resumed {
        /// The new task.
        task: String,
    },
    /// A worker began.
    WorkerStarted {
        /// Its process.
        pid: u32,
        /// The kernel's boot id, by which a reboot is told from a crash.
        boot: String,
        /// How long the machine had run, in milliseconds: no clock that is set changes it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        uptime_ms: Option<u64>,
        /// samocode's version.
        version: String,
    },
    /// A worker ended in order.
    WorkerEnded {
        /// How.
        end: End,
    },
    /// A run begins: written before the agent is started.
    RunStarted {
        /// The run's id.
        run: String,
        /// The agent's name.
        agent: String,
        /// The agent's own conversation.
        conversation: String,
        /// Whether that conversation is continued.
        resume: bool,
        /// The phase.
        phase: Phase,
        /// The iteration in this phase.
        iteration: u32,
        /// The iteration in all.
        total: u32,
        /// Which run of this iteration it is, from 1.
        attempt: u32,
        /// The raw stream's file name in `_logs/`.
        log: String,
    },
    /// A run ended.
    RunEnded {
        /// The run's id.
        run: String,
        /// What became of it, in a word.
        outcome: RunOutcome,
        /// More of it, for a person.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
        /// Whether it counts against the retries.
        #[serde(default)]
        failure: bool,
        /// Whether its conversation can be continued.
        #[serde(default)]
        resumable: bool,
        /// The size of the model's context in tokens, where the agent told it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        context_window: Option<u64>,
        /// What it cost.
        #[serde(default)]
        cost: RunCost,
    },
    /// A run died with its worker.
    RunLost {
        /// The run's id.
        run: String,
    },
    /// A finished run left no usable signal; it is asked for one.
    SignalAsked {
        /// The run's id.
        run: String,
        /// What was wrong.
        problem: String,
    },
    /// A signal was taken.
    SignalTaken {
        /// The run's id.
        run: String,
        /// Its line of the history, local time included, so that a replay writes the same.
        line: HistoryLine,
        /// The phase it was given in.
        phase: Phase,
        /// Its status.
        status: Status,
        /// What worktree and session looked like, when the signal is the same as the one before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fingerprint: Option<String>,
        /// What a handoff carries.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        state: Option<Value>,
        /// Where it leads.
        step: Step,
    },
    /// The worker blocked the session itself.
    Blocked {
        /// Why.
        reason: String,
        /// What it needs.
        needs: Needs,
    },
    /// A message was taken out of the inbox; what it does to the session follows from its kind.
    Mail {
        /// Its id.
        id: String,
        /// Who sent it.
        from: String,
        /// Its kind.
        mail: Kind,
    },
    /// A human answered by hand, in `_qa.md`.
    Answered,
    /// A human changed the phase in the overview.
    PhaseSet {
        /// To which.
        phase: Phase,
    },
    /// A blocked session tries again.
    Retried {
        /// What brought it back: `start`, `overview`.
        by: String,
    },
    /// A human stopped the session.
    Stopped,
    /// A human started it again.
    Started,
    /// The usage limit was reached.
    Limited {
        /// When it ends.
        until: Timestamp,
        /// Which limit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        what: Option<String>,
    },
    /// Something outside is in the way: disk, credentials, network, budget.
    Paused {
        /// What.
        cause: Cause,
        /// How to mend it.
        detail: String,
        /// When it is tried again; absent: when a human says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
        /// Whether another session of the same account has told the human.
        #[serde(default)]
        quiet: bool,
    },
    /// As many sessions run as may run at once.
    Queued {
        /// How many may.
        cap: u32,
    },
    /// What was in the way is gone.
    Continued,
    /// The session's folder could not be written for a while, until now.
    Outage {
        /// Since when.
        since: Timestamp,
        /// What the disk said, and of what.
        what: String,
    },
    /// Files were found to have lost data in a restart of the machine.
    Restored(Restored),
    /// No sign of progress for a while; the agent was nudged.
    Nudged {
        /// The run's id.
        run: String,
        /// Seconds without progress.
        quiet_s: u64,
    },
    /// Still none: the watchdog is not fed any more.
    Stalled {
        /// The run's id.
        run: String,
        /// Seconds without progress.
        quiet_s: u64,
    },
    /// The agent makes the same tool call over and over.
    Repeated {
        /// The run's id.
        run: String,
        /// What it calls.
        what: String,
        /// How often in a row.
        times: u32,
    },
    /// The agent was asked to hand over, as its context fills up or a human asked for it.
    HandoffAsked {
        /// The run's id.
        run: String,
        /// Tokens in the context.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        used: Option<u64>,
    },
    /// A handoff was made in the place of an agent that ended without one.
    HandoffMade {
        /// The run's id.
        run: String,
        /// What the next conversation is given.
        state: Value,
    },
    /// Four fifths of a budget are used.
    BudgetWarned {
        /// Of which, and how much.
        text: String,
    },
    /// A message to the human was sent, or could not be.
    Notified {
        /// What it was about.
        what: String,
        /// Whether it told where the session stands, rather than of something in passing.
        #[serde(default)]
        standing: bool,
        /// By which notifier.
        by: String,
        /// Why it failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
}

impl Event {
    /// The event's kind as it stands in the journal and in journald's `SAMOCODE_EVENT`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Created { .. } => "created",
            Self::Imported { .. } => "imported",
            Self::Prepared { .. } => "prepared",
            Self::Resumed { .. } => "resumed",
            Self::WorkerStarted { .. } => "worker_started",
            Self::WorkerEnded { .. } => "worker_ended",
            Self::RunStarted { .. } => "run_started",
            Self::RunEnded { .. } => "run_ended",
            Self::RunLost { .. } => "run_lost",
            Self::SignalAsked { .. } => "signal_asked",
            Self::SignalTaken { .. } => "signal_taken",
            Self::Blocked { .. } => "blocked",
            Self::Mail { .. } => "mail",
            Self::Answered => "answered",
            Self::PhaseSet { .. } => "phase_set",
            Self::Retried { .. } => "retried",
            Self::Stopped => "stopped",
            Self::Started => "started",
            Self::Limited { .. } => "limited",
            Self::Paused { .. } => "paused",
            Self::Queued { .. } => "queued",
            Self::Continued => "continued",
            Self::Outage { .. } => "outage",
            Self::Restored(_) => "restored",
            Self::Nudged { .. } => "nudged",
            Self::Stalled { .. } => "stalled",
            Self::Repeated { .. } => "repeated",
            Self::HandoffAsked { .. } => "handoff_asked",
            Self::HandoffMade { .. } => "handoff_made",
            Self::BudgetWarned { .. } => "budget_warned",
            Self::Notified { .. } => "notified",
        }
    }
}
