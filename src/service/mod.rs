//! The operating system's service manager: units, jobs, signals; and a replacement where there is
//! none.
//!
//! [`ServiceManager`] is the seam, and [`Registry`] the part of it that works without a running
//! manager. On Linux both are implemented by systemd, the user's or the system's, on macOS by
//! [`launchd`]; [`foreground`] acts as the manager for `samocode run`. A worker makes no D-Bus calls:
//! it changes things in the manager through [`spool`] and [`wake`].

mod commands;
mod error;
pub mod exit;
pub mod foreground;
pub mod journal;
pub mod launchd;
mod manager;
pub mod notify_socket;
mod registry;
pub mod retire;
pub mod spool;
pub mod systemd;
mod unit;
mod unit_files;
pub mod wake;

pub use commands::{Reader, quoted};
pub use error::{Error, JOB_BOUND, Unfit, Verb};
pub use manager::{About, FrontEnd, Progress, ServiceManager, connect, quiet};
pub use notify_socket::Notify;
pub use registry::{
    Convoy, Installed, Limits, Recorded, Registry, Session, Shared, Timer, UnitFile, Verified,
    recorded, registry,
};
pub use spool::{Action, Spool, Token};
pub use systemd::WEB_PORT;
pub use systemd::units::{NEWEST, parse_version};
pub use unit::{Active, Enablement, JobResult, UnitChange, UnitDetail, UnitResult, UnitStatus};
pub use unit_files::Written;

/// The name of an instance's unit in the service manager that is used here.
#[must_use]
pub fn unit_name(instance: &str) -> String {
    if launchd::is_used() { launchd::label(instance) } else { systemd::service(instance) }
}

/// The instance of a session's unit, given the unit's name as cgroups have it.
#[must_use]
pub fn instance_of(unit: &str) -> Option<&str> {
    systemd::instance_of(unit)
}

/// The last message that an instance's worker logged, where it logs to a file of ours.
#[must_use]
pub fn last_words(instance: &str) -> Option<String> {
    launchd::is_used().then_some(())?;
    launchd::supervised::last_message(&launchd::Places::of_env().ok()?.log_of(instance))
}

/// Selects the user's or the system's service manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The calling user's manager.
    User,
    /// The machine's manager, PID 1.
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
