//! How a worker ends, listed once. `RestartPreventExitStatus=`, `SuccessExitStatus=` and
//! `RestartForceExitStatus=` of `samocode@.service` depend on these numbers, and the parent of a
//! worker in the foreground acts by them.

/// How a worker ends. The numbers are `sysexits.h`'s where one fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: the session is done, waits, is blocked or was stopped. A result, not a failure.
    Settled,
    /// 0: something outside is in the way, and a person at the foreground is told.
    Paused,
    /// 2: the command line cannot be understood.
    Usage,
    /// 69, `EX_UNAVAILABLE`: another worker holds the session's lock.
    Locked,
    /// 70, `EX_SOFTWARE`: it gives up after ten quick deaths without a stable iteration.
    GaveUp,
    /// 75, `EX_TEMPFAIL`: it was interrupted, or is needed again at once.
    Interrupted,
    /// 78, `EX_CONFIG`: nothing works until a human mends the configuration.
    Configuration,
    /// Not an end: the unit's binary is to be executed anew.
    Reload,
}

impl Exit {
    /// The process's exit code.
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
