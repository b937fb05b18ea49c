//! The kinds of events that notices report. `notify.toml` chooses channels by them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The event a notice reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoticeKind {
    /// The session is waiting for a human.
    Waiting,
    /// The session cannot continue on its own.
    Blocked,
    /// The session has finished.
    Done,
    /// The unit failed and will not be restarted.
    Failed,
    /// The session resumes once something outside is fixed.
    Paused,
    /// A run makes no progress.
    Stalled,
    /// A usage limit of the agent's account is reached.
    Limit,
    /// Most of a budget is used.
    Budget,
    /// Something worth knowing while the session keeps running.
    Warning,
    /// The session's agent writes to the human.
    Mail,
    /// All sessions of a convoy are done, or it has news that needs nobody.
    Convoy,
    /// A session of a convoy needs somebody.
    Member,
    /// What was held back during quiet hours, in one message.
    Digest,
    /// A user checks whether notices arrive.
    Test,
}

impl NoticeKind {
    /// All kinds of events.
    pub const ALL: [Self; 13] = [
        Self::Waiting,
        Self::Blocked,
        Self::Done,
        Self::Failed,
        Self::Paused,
        Self::Stalled,
        Self::Limit,
        Self::Budget,
        Self::Warning,
        Self::Mail,
        Self::Convoy,
        Self::Member,
        Self::Digest,
    ];

    /// The kind's name in the journal.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Blocked => "blocked",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Paused => "paused",
            Self::Stalled => "stalled",
            Self::Limit => "limit",
            Self::Budget => "budget",
            Self::Warning => "warning",
            Self::Mail => "mail",
            Self::Convoy => "convoy",
            Self::Member => "member",
            Self::Digest => "digest",
            Self::Test => "test",
        }
    }

    /// Whether it tells the session's state, so that a later one makes it void.
    #[must_use]
    pub const fn is_of_state(self) -> bool {
        matches!(
            self,
            Self::Waiting | Self::Blocked | Self::Done | Self::Failed | Self::Paused | Self::Limit
        )
    }

    /// Whether nothing happens until a human has looked.
    #[must_use]
    pub const fn is_urgent(self) -> bool {
        matches!(self, Self::Blocked | Self::Failed | Self::Member)
    }

    /// Whether every channel gets it at once, whatever it is set up for.
    #[must_use]
    pub const fn is_for_all(self) -> bool {
        matches!(self, Self::Test | Self::Digest)
    }
}

impl fmt::Display for NoticeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
