//! The events of a journal. Field and variant names are the file format.

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

/// What the session does after a signal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "next", rename_all = "snake_case")]
pub enum Step {
    /// Runs another iteration in the same phase.
    Stay,
    /// Moves on to another phase.
    Enter {
        /// The phase to move to.
        phase: Phase,
    },
    /// Waits until a human answers.
    Wait {
        /// What the human has to provide.
        #[serde(rename = "for")]
        waits_for: WaitsFor,
    },
    /// Blocks the session until a human helps.
    Block {
        /// Why the session is blocked, as shown to the human.
        reason: String,
        /// What kind of help the session needs.
        needs: Needs,
    },
    /// Ends the session as done.
    Finish,
    /// Starts a fresh conversation in this phase, given the signal's state.
    HandOver,
}

/// Why a worker exited in an orderly way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Nothing left to do: the session is done, waiting, blocked or stopped.
    Settled,
    /// A shutdown or `systemctl stop` ended it; the session resumes at the next start.
    Interrupted,
    /// It re-executed the unit's binary for a reload.
    Reloaded,
    /// It gave up after too many quick deaths.
    GaveUp,
}

/// An event of a session: what happened, with the data needed to replay it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// A session was requested; nothing exists yet but its folder.
    Created {
        /// The session's name, without date or project.
        name: String,
        /// The task, as the person typed it.
        task: String,
        /// What to investigate first (`--dive`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dive: Option<String>,
    },
    /// A session without a journal was imported from its files, such as one of the Python samocode.
    Imported {
        /// The session's name, without date or project.
        name: String,
        /// The task, from the overview.
        task: String,
        /// The phase, from the overview.
        phase: Phase,
        /// Iterations completed in that phase.
        iteration: u32,
        /// Iterations completed in all phases together.
        total: u32,
        /// Progress of the phase's gate, derived from the signal history.
        #[serde(default)]
        gate: Gate,
        /// What the session was waiting for, if it was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        waits_for: Option<WaitsFor>,
        /// Why the session was blocked, if it was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        blocked: Option<String>,
        /// Whether the session was done.
        #[serde(default)]
        done: bool,
    },
    /// Worktree and overview exist; the session leaves `init`.
    Prepared {
        /// The folder the agent works in.
        working_dir: String,
        /// The branch; absent if the project has no repository.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        branch: Option<String>,
        /// The commit the branch starts from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        base: Option<String>,
        /// Warnings for the human, such as a failed fetch or commits that are not signed.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notes: Vec<String>,
    },
    /// A finished session was given a new task.
    Resumed {
        /// The new task, as the person typed it.
        task: String,
    },
    /// A worker process started and holds the session's lock.
    WorkerStarted {
        /// ID of the worker's process.
        pid: u32,
        /// The kernel's boot ID; a different one means that the machine rebooted.
        boot: String,
        /// The machine's uptime in milliseconds; unlike wall-clock time, nobody can change it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        uptime_ms: Option<u64>,
        /// The version of samocode that runs.
        version: String,
    },
    /// A worker exited in an orderly way.
    WorkerEnded {
        /// The reason for the exit.
        end: End,
    },
    /// A run starts; written before the agent is launched.
    RunStarted {
        /// The ID of the run.
        run: String,
        /// The agent's name, such as `claude`.
        agent: String,
        /// The ID of the agent's conversation.
        conversation: String,
        /// Whether the agent resumes that conversation.
        resume: bool,
        /// The phase the run works in.
        phase: Phase,
        /// Number of the iteration within the phase, from 1.
        iteration: u32,
        /// Number of the iteration within the session, from 1.
        total: u32,
        /// Number of the run within the iteration, from 1.
        attempt: u32,
        /// File name of the raw stream in `_logs/`.
        log: String,
    },
    /// A run ended and its outcome is known.
    RunEnded {
        /// The ID of the run.
        run: String,
        /// The outcome in one word.
        outcome: RunOutcome,
        /// Details for a person, if there are any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
        /// Whether the run uses up one of the iteration's retries.
        #[serde(default)]
        failure: bool,
        /// Whether the next run can resume its conversation.
        #[serde(default)]
        resumable: bool,
        /// The size of the model's context window in tokens, if the agent reported it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        context_window: Option<u64>,
        /// Money, tokens and machine resources the run used.
        #[serde(default)]
        cost: RunCost,
    },
    /// A run died with its worker.
    RunLost {
        /// The ID of the run.
        run: String,
    },
    /// A finished run left no usable signal; the next run only asks for one.
    SignalAsked {
        /// The ID of the run.
        run: String,
        /// What was wrong with the signal.
        problem: String,
    },
    /// A signal was accepted; this ends the iteration.
    SignalTaken {
        /// The ID of the run.
        run: String,
        /// Its line in the history, including the local time, so that a replay writes the same
        /// line.
        line: HistoryLine,
        /// The phase in which the signal was given.
        phase: Phase,
        /// The status the agent signalled.
        status: Status,
        /// Hash of worktree and session, if the signal repeats the one before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fingerprint: Option<String>,
        /// What a handoff passes to the next conversation.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        state: Option<Value>,
        /// What the session does next.
        step: Step,
    },
    /// The worker blocked the session itself.
    Blocked {
        /// Why the session is blocked, as shown to the human.
        reason: String,
        /// What kind of help the session needs.
        needs: Needs,
    },
    /// A message was taken out of the inbox; its kind decides what it does to the session.
    Mail {
        /// ID of the message, also its file name.
        id: String,
        /// Who sent it: `human`, `parent` or a session.
        from: String,
        /// What the message is for.
        mail: Kind,
    },
    /// A human answered by editing `_qa.md`.
    Answered,
    /// A human changed the phase by editing the overview.
    PhaseSet {
        /// The phase that was set.
        phase: Phase,
    },
    /// A blocked session is retried.
    Retried {
        /// What caused the retry: `start` or `overview`.
        by: String,
    },
    /// A human stopped the session.
    Stopped,
    /// A human started the session again.
    Started,
    /// The account's usage limit was reached.
    Limited {
        /// When the limit resets and runs may start again.
        until: Timestamp,
        /// Which limit it is, in the agent's words: `five_hour`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        what: Option<String>,
    },
    /// An outside cause prevents runs: disk, credentials, network or budget.
    Paused {
        /// Which of these it is.
        cause: Cause,
        /// What is wrong and how to fix it.
        detail: String,
        /// When to retry; absent if only a human can resume the session.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
        /// Whether another session of the same account has already notified the human.
        #[serde(default)]
        quiet: bool,
    },
    /// The maximum number of sessions is running already.
    Queued {
        /// How many sessions may run at once.
        cap: u32,
    },
    /// Whatever prevented runs has cleared.
    Continued,
    /// The session's folder was not writable for a while, and is again.
    Outage {
        /// When the folder became unwritable.
        since: Timestamp,
        /// The error, with the path it concerns.
        what: String,
    },
    /// Files lost data when the machine went down.
    Restored(Restored),
    /// The agent made no progress for a while and was nudged.
    Nudged {
        /// The ID of the run.
        run: String,
        /// How long there has been no progress, in seconds.
        quiet_s: u64,
    },
    /// Still no progress: the worker stops feeding the watchdog.
    Stalled {
        /// The ID of the run.
        run: String,
        /// How long there has been no progress, in seconds.
        quiet_s: u64,
    },
    /// The agent keeps making the same tool call.
    Repeated {
        /// The ID of the run.
        run: String,
        /// The tool and a summary of its input.
        what: String,
        /// How many times in a row.
        times: u32,
    },
    /// The agent was asked for a handoff: its context is filling up, or a human wants one.
    HandoffAsked {
        /// The ID of the run.
        run: String,
        /// Tokens in the context; absent if a human asked for the handoff.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        used: Option<u64>,
    },
    /// The worker wrote a handoff for an agent that ended without one.
    HandoffMade {
        /// The ID of the run.
        run: String,
        /// What the next conversation receives.
        state: Value,
    },
    /// 80 % of a budget is used.
    BudgetWarned {
        /// Which budget, and how much of it.
        text: String,
    },
    /// A notification was sent, or could not be.
    Notified {
        /// The subject: a state of the session, or a short text.
        what: String,
        /// Whether it reported the session's state, not some passing event.
        #[serde(default)]
        standing: bool,
        /// The notifier that sent it.
        by: String,
        /// Why sending failed; absent if it worked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
}

impl Event {
    /// The event's name in the journal and in journald's `SAMOCODE_EVENT`.
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
