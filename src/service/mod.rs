//! The operating system's service manager: units, jobs, signals; and what stands in where there
//! is none.
//!
//! [`ServiceManager`] is the seam, and [`Registry`] the part of it that needs no manager to run.
//! systemd, of a user or of the system, is behind both on Linux; [`foreground`] plays the manager
//! for `samocode run`. [`spool`] and [`wake`] are how a worker, which makes no D-Bus calls, has
//! something changed in the manager.

mod error;
pub mod exit;
pub mod foreground;
mod manager;
pub mod notify_socket;
mod registry;
pub mod retire;
pub mod spool;
pub mod systemd;
mod unit;
pub mod wake;

pub use error::{Error, JOB_BOUND, Unfit, Verb};
pub use manager::{About, Progress, ServiceManager, connect, quiet};
pub use notify_socket::Notify;
pub use registry::{
    Installed, Limits, Recorded, Registry, Session, Shared, UnitFile, Verified, recorded, registry,
};
pub use spool::{Action, Spool, Token};
pub use systemd::service as unit_name;
pub use systemd::units::{NEWEST, parse_version};
pub use unit::{Active, Enablement, JobResult, UnitChange, UnitDetail, UnitResult, UnitStatus};

/// Whose service manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The calling user's.
    User,
    /// The machine's.
    System,
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::User => "user",
            Self::System => "system",
        })
    }
}
