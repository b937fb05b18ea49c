//! What a service manager says of a session's unit. The words are those of systemd, which other
//! managers' answers are translated into; one that is not known here is kept as it was said.

use std::fmt;

/// An enum of the words a manager uses for one thing, with `Other` for words not known here.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$of_word:meta])* $word:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $name {
            $($(#[$of_word])* $word,)*
            /// A word that is not known here, as the manager said it.
            Other(String),
        }

        impl $name {
            /// The manager's word.
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

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words! {
    /// Whether a unit runs.
    #[derive(Default)]
    Active {
        /// Its worker runs and is ready.
        Active = "active",
        /// It runs and was asked to reload.
        Reloading = "reloading",
        /// It runs and takes up a changed definition.
        Refreshing = "refreshing",
        /// It starts, or waits for its automatic restart.
        Activating = "activating",
        /// It stops.
        Deactivating = "deactivating",
        /// It does not run, and nothing is wrong.
        #[default]
        Inactive = "inactive",
        /// It does not run, and the manager does not restart it.
        Failed = "failed",
    }
}

impl Active {
    /// Whether there is, or soon will be, a process.
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
    /// Whether a unit is started at boot.
    #[derive(Default)]
    Enablement {
        /// It is.
        Enabled = "enabled",
        /// It is not.
        Disabled = "disabled",
        /// It cannot be started at all.
        Masked = "masked",
        /// The manager knows of no such unit.
        #[default]
        Absent = "",
    }
}

words! {
    /// How a unit's last worker ended.
    #[derive(Default)]
    UnitResult {
        /// By itself, without a failure, or it has never run.
        #[default]
        Success = "success",
        /// With an exit code that is a failure.
        ExitCode = "exit-code",
        /// By a signal.
        Signal = "signal",
        /// By a signal, with a core dump.
        CoreDump = "core-dump",
        /// It gave no sign of life.
        Watchdog = "watchdog",
        /// It took too long to start or to stop.
        Timeout = "timeout",
        /// It was started too often in too short a time.
        StartLimit = "start-limit-hit",
        /// The kernel ended it for want of memory.
        OutOfMemory = "oom-kill",
    }
}

words! {
    /// How a job that did not get done ended.
    JobResult {
        /// Another job for the same unit took its place.
        Canceled = "canceled",
        /// It was not begun: a job under way says otherwise, and stays.
        Refused = "refused",
        /// It took too long.
        Timeout = "timeout",
        /// A unit it needs could not be started.
        Dependency = "dependency",
        /// The worker ended before it was ready, or the manager has given it up.
        Failed = "failed",
    }
}

/// A unit as the manager's list has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitStatus {
    /// The instance; empty for a unit that is no session's.
    pub instance: String,
    /// The unit's full name.
    pub name: String,
    /// Whether it runs.
    pub active: Active,
    /// A job for it is queued or under way.
    pub has_job: bool,
}

impl UnitStatus {
    /// Whether it runs, starts or stops: there is, or soon will be, a process.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        self.has_job || self.active.is_up()
    }
}

/// Everything about one unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitDetail {
    /// What the list has.
    pub status: UnitStatus,
    /// Whether it is started at boot.
    pub enabled: Enablement,
    /// Automatic restarts since it was last started by hand.
    pub restarts: u32,
    /// How its last worker ended.
    pub result: UnitResult,
    /// The line the worker set.
    pub status_text: String,
    /// The worker's process id, when there is one.
    pub main_pid: Option<u32>,
    /// The exit code of the last worker that exited, or the number of the signal that ended it.
    pub exit_status: i32,
    /// The cgroup below the cgroup root; empty when it does not run, or where there are none.
    pub cgroup: String,
}

/// Something changed about a watched unit; `None` for what did not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitChange {
    /// The instance.
    pub instance: String,
    /// Whether it runs now.
    pub active: Option<Active>,
    /// New status line.
    pub status_text: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_not_known_is_shown_as_it_was_said() {
        for word in ["active", "deactivating", "maintenance"] {
            assert_eq!(Active::from(word.to_owned()).to_string(), word);
        }
        assert_eq!(Active::from("failed".to_owned()), Active::Failed);
        assert_eq!(Enablement::from(String::new()), Enablement::Absent);
        assert!(!Active::from("maintenance".to_owned()).is_up());
    }
}
