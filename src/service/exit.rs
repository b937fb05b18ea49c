//! A worker's exit codes, listed once. `RestartPreventExitStatus=`, `SuccessExitStatus=` and
//! `RestartForceExitStatus=` of `samocode@.service` depend on these numbers, and so does the parent
//! of a worker in the foreground.

/// How a worker ends. Uses the numbers of `sysexits.h` if one fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerExit {
    /// 0: the session is done, waiting, blocked or stopped. A result, not a failure.
    Settled,
    /// 0: something outside blocks the session; in the foreground, a message says what.
    Paused,
    /// 2: the command line cannot be understood.
    Usage,
    /// 69, `EX_UNAVAILABLE`: another worker holds the session's lock.
    Locked,
    /// 70, `EX_SOFTWARE`: it gave up after ten quick deaths without a stable iteration.
    GaveUp,
    /// 75, `EX_TEMPFAIL`: it was interrupted, or has to start again at once.
    Interrupted,
    /// 78, `EX_CONFIG`: nothing works until a human fixes the configuration.
    Configuration,
    /// Not an exit: the process executes the unit's binary again.
    Reload,
}

impl WorkerExit {
    /// The process's exit code, as systemd and the shell see it.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Settled | Self::Paused => 0,
            Self::Usage => 2,
            Self::Locked => 69,
            Self::GaveUp => 70,
            Self::Interrupted | Self::Reload => 75,
            Self::Configuration => 78,
        }
    }
}
