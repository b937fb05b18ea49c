//! systemd, of a user or of the system, over D-Bus.

#[cfg(target_os = "linux")]
mod bus;
pub mod escape;
pub mod files;
#[cfg(target_os = "linux")]
mod install;
mod installed;
#[cfg(target_os = "linux")]
mod jobs;
mod limits;
#[cfg(target_os = "linux")]
pub mod manager;
#[cfg(target_os = "linux")]
mod private;
pub mod registry;
#[cfg(target_os = "linux")]
mod status;
pub mod units;
mod verify;

/// The path unit that watches the wake spool.
pub const WAKE_PATH: &str = "samocode-wake.path";

/// The unit of an instance.
#[must_use]
pub fn service(instance: &str) -> String {
    format!("samocode@{instance}.service")
}

/// The target of a convoy.
#[cfg(target_os = "linux")]
fn convoy(id: &str) -> String {
    format!("samocode-convoy@{id}.target")
}

/// The instance of a session's unit.
#[must_use]
pub fn instance_of(unit: &str) -> Option<&str> {
    unit.strip_prefix("samocode@")?.strip_suffix(".service")
}
