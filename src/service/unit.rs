//! The status of a session's unit. The words are systemd's; other managers' answers are translated
//! into them. An unknown word is kept unchanged.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An enum of the words a manager uses for one thing, with `Other` for unknown words.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$of_word:meta])* $word:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(from = "String", into = "String")]
        pub enum $name {
            $($(#[$of_word])* $word,)*
            /// A word unknown to this version, as the manager wrote it.
            Other(String),
        }

        impl $name {
            /// The manager's own word.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$word => $text,)*
                    Self::Other(word) => word,
                }
            }
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                match word.as_str() {
                    $($text => Self::$word,)*
                    _ => Self::Other(word),
                }
            }
        }

        impl From<$name> for String {
            fn from(word: $name) -> Self {
                word.as_str().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words! {
    /// Whether a unit is running.
    #[derive(Default)]
    Active {
        /// Its worker is running and ready.
        Active = "active",
        /// It is running and was asked to reload.
        Reloading = "reloading",
        /// It is running and applying a changed definition.
        Refreshing = "refreshing",
        /// It is starting, or waiting for its automatic restart.
        Activating = "activating",
        /// It is stopping.
        Deactivating = "deactivating",
        /// It is not running, and nothing is wrong.
        #[default]
        Inactive = "inactive",
        /// It is not running, and the manager does not restart it.
        Failed = "failed",
    }
}

impl Active {
    /// Whether a process exists or soon will.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        matches!(
            self,
            Self::Active
                | Self::Reloading
                | Self::Refreshing
                | Self::Activating
                | Self::Deactivating
        )
    }
}

words! {
    /// Whether a unit starts at boot.
    #[derive(Default)]
    Enablement {
        /// It starts at boot.
        Enabled = "enabled",
        /// It starts only on request.
        Disabled = "disabled",
        /// It cannot be started at all.
        Masked = "masked",
        /// The manager knows no such unit.
        #[default]
        Absent = "",
    }
}

words! {
    /// How a unit's last worker ended.
    #[derive(Default)]
    UnitResult {
        /// It exited without a failure, or has never run.
        #[default]
        Success = "success",
        /// It exited with a code that means failure.
        ExitCode = "exit-code",
        /// A signal killed it.
        Signal = "signal",
        /// A signal killed it, with a core dump.
        CoreDump = "core-dump",
        /// It sent no keep-alive in time.
        Watchdog = "watchdog",
        /// It took too long to start or to stop.
        Timeout = "timeout",
        /// It was started too often in too short a time.
        StartLimit = "start-limit-hit",
        /// The kernel killed it because memory ran out.
        OutOfMemory = "oom-kill",
    }
}

words! {
    /// How an unsuccessful job ended.
    JobResult {
        /// Another job for the same unit replaced it.
        Canceled = "canceled",
        /// It was not started: it conflicts with a running job, which stays.
        Refused = "refused",
        /// It exceeded its time limit.
        Timeout = "timeout",
        /// A unit it depends on failed to start.
        Dependency = "dependency",
        /// The worker exited before it was ready, or the manager gave up on it.
        Failed = "failed",
    }
}

/// A unit's entry in the manager's list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitStatus {
    /// The session's instance; empty if the unit is not a session's.
    pub instance: String,
    /// The unit's full name.
    pub name: String,
    /// Whether it is running.
    pub active: Active,
    /// Whether a job for it is queued or running.
    pub has_job: bool,
}

impl UnitStatus {
    /// Whether it is running, starting or stopping: a process exists or soon will.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        self.has_job || self.active.is_up()
    }
}

/// The full status of one unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitDetail {
    /// Its entry in the list.
    pub status: UnitStatus,
    /// Whether it starts at boot.
    pub enabled: Enablement,
    /// Automatic restarts since someone last started it.
    pub restarts: u32,
    /// How its last worker ended.
    pub result: UnitResult,
    /// The status line set by the worker.
    pub status_text: String,
    /// The worker's process id, if it is running.
    pub main_pid: Option<u32>,
    /// The exit code of the last worker, or the number of the signal that killed it.
    pub exit_status: i32,
    /// The cgroup, relative to the cgroup root; empty if the unit is not running or the system has
    /// no cgroups.
    pub cgroup: String,
}

/// A change in a watched unit; a field is `None` if it did not change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitChange {
    /// The instance whose unit changed.
    pub instance: String,
    /// The new state.
    pub active: Option<Active>,
    /// The new status line.
    pub status_text: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_word_is_kept_unchanged() {
        for word in ["active", "deactivating", "maintenance"] {
            assert_eq!(Active::from(word.to_owned()).to_string(), word);
        }
        assert_eq!(Active::from("failed".to_owned()), Active::Failed);
        assert_eq!(Enablement::from(String::new()), Enablement::Absent);
        assert!(!Active::from("maintenance".to_owned()).is_up());
    }
}
