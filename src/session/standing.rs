//! Where a session stands, in a word and in full.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::vocabulary::{Cause, Needs, WaitsFor};

/// A session's state in one word, the same in `status --json`, hook and status line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Word {
    /// Asked for, nothing has run yet.
    New,
    /// At work, or about to be.
    Running,
    /// A human is waited for.
    Waiting,
    /// It cannot go on without help.
    Blocked,
    /// Finished.
    Done,
    /// Stopped by a human.
    Stopped,
    /// Over the cap of sessions that run at once.
    Queued,
    /// At the usage limit, until a time.
    Limited,
    /// Disk, credentials or network are in the way; it goes on when that is mended.
    Paused,
    /// The unit gave up.
    Failed,
}

impl Word {
    /// The word.
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

impl std::fmt::Display for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// Where a session stands.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Standing {
    /// Asked for; worktree and overview are not made yet.
    #[default]
    New,
    /// Something is to be done.
    Running,
    /// A human is waited for.
    Waiting {
        /// What for.
        waits_for: WaitsFor,
        /// What the agent said of it.
        reason: Option<String>,
    },
    /// It cannot go on.
    Blocked {
        /// Why.
        reason: String,
        /// What it needs.
        needs: Needs,
    },
    /// Finished.
    Done,
    /// Over the cap of sessions that run at once.
    Queued,
    /// At the usage limit.
    Limited {
        /// When it ends.
        until: Timestamp,
    },
    /// Something outside is in the way.
    Paused {
        /// What.
        cause: Cause,
        /// How to mend it.
        detail: String,
        /// When it is tried again.
        until: Option<Timestamp>,
    },
    /// The worker gave up after too many quick deaths.
    GaveUp,
}
