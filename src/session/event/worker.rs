//! Workers: start and orderly exit.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::session::deaths::Birth;
use crate::session::state::{Standing, State};

use super::Occurrence;

/// A worker process started and holds the session's lock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerStarted {
    /// ID of the worker's process.
    pub pid: u32,
    /// The kernel's boot ID; a different one means that the machine rebooted.
    pub boot: String,
    /// The machine's uptime in milliseconds; unlike wall-clock time, it cannot be set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uptime_ms: Option<u64>,
    /// The version of samocode that runs.
    pub version: String,
}

impl Occurrence for WorkerStarted {
    const MESSAGE_ID: &str = "9f25281f71624ffa901acbcc2480aa81";

    fn describe(&self) -> String {
        format!("worker {} started (samocode {})", self.pid, self.version)
    }

    fn fold(&self, at: Timestamp, state: &mut State) {
        state.deaths.worker_started(Birth::new(at, self.uptime_ms, &self.boot));
        state.machine.worker_started(&self.boot);
    }
}

/// A worker exited in an orderly way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerEnded {
    /// The reason for the exit.
    pub end: End,
}

impl Occurrence for WorkerEnded {
    const MESSAGE_ID: &str = "1e4fbf0a84034368836a061788e12e4f";

    fn describe(&self) -> String {
        match self.end {
            End::Settled => "worker ended: nothing left to do",
            End::Interrupted => "worker interrupted; resumes at the next start",
            End::Reloaded => "worker switches to the installed samocode",
            End::GaveUp => "worker gave up after too many quick deaths",
        }
        .to_owned()
    }

    fn fold(&self, _at: Timestamp, state: &mut State) {
        state.deaths.worker_ended();
        state.unsettled = false;
        // What only a human's word ends is still true of a session whose worker keeps dying.
        if self.end == End::GaveUp && !state.standing.awaits_human() {
            state.standing = Standing::GaveUp;
        }
    }
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
