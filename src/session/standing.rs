//! The state of a session, as one word and with its details.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::event::{Held, Scheduled};
use super::vocabulary::{Cause, Needs, WaitsFor};

/// A session's state in one word, shared by `status --json`, hook and status line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StateName {
    /// Requested, but nothing has run yet.
    New,
    /// An agent is at work, or is about to start.
    Running,
    /// Waiting for a human's answer; nothing runs.
    Waiting,
    /// Blocked by a problem that needs a human's help.
    Blocked,
    /// Finished: the last phase is complete.
    Done,
    /// Stopped by a human, until a human starts it again.
    Stopped,
    /// More sessions are active than may run at once, others come first, or its time has not come.
    Queued,
    /// The account's usage limit is reached; resumes when it resets.
    Limited,
    /// Disk, credentials, network or budget prevent runs; resumes when that is fixed.
    Paused,
    /// The unit gave up after too many crashes.
    Failed,
}

impl StateName {
    /// Every state, in the order in which help and completions list them.
    pub const ALL: [Self; 10] = [
        Self::New,
        Self::Running,
        Self::Waiting,
        Self::Blocked,
        Self::Done,
        Self::Stopped,
        Self::Queued,
        Self::Limited,
        Self::Paused,
        Self::Failed,
    ];

    /// The word used in files and output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Blocked => "blocked",
            Self::Done => "done",
            Self::Stopped => "stopped",
            Self::Queued => "queued",
            Self::Limited => "limited",
            Self::Paused => "paused",
            Self::Failed => "failed",
        }
    }
}

impl std::fmt::Display for StateName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// The state of a session, with the data that belongs to it.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Standing {
    /// Requested, but nothing has run yet.
    #[default]
    New,
    /// There is work to do.
    Running,
    /// Waiting for a human's answer; nothing runs.
    Waiting {
        /// What the human has to provide.
        waits_for: WaitsFor,
        /// The reason the agent gave.
        reason: Option<String>,
    },
    /// Blocked by a problem that needs a human's help.
    Blocked {
        /// Why the session is blocked.
        reason: String,
        /// What kind of help it needs.
        needs: Needs,
    },
    /// Finished: the last phase is complete.
    Done,
    /// More sessions are active than may run at once; this one waits for a slot.
    Queued,
    /// Other sessions of its convoy come first; nothing runs.
    Held(Held),
    /// It begins at a time that has not come; nothing runs.
    Scheduled(Scheduled),
    /// The account's usage limit is reached.
    Limited {
        /// When the limit resets and runs may start again.
        until: Timestamp,
        /// The error message of the run that reached it.
        said: Option<String>,
    },
    /// An outside cause prevents runs.
    Paused {
        /// The cause, which decides when to check again.
        cause: Cause,
        /// What is wrong and how to fix it.
        detail: String,
        /// When to retry; `None` if only a human can resume the session.
        until: Option<Timestamp>,
    },
    /// The worker gave up after too many quick deaths.
    GaveUp,
}

impl Standing {
    /// Whether only a human's word leads out of this state.
    #[must_use]
    pub const fn awaits_human(&self) -> bool {
        matches!(self, Self::Waiting { .. } | Self::Blocked { .. } | Self::Done)
    }
}
