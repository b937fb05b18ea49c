//! systemd, of a user or of the system, over D-Bus.

#[cfg(target_os = "linux")]
mod bus;
pub mod escape;
pub mod files;
#[cfg(target_os = "linux")]
mod jobs;
#[cfg(target_os = "linux")]
pub mod manager;
#[cfg(target_os = "linux")]
mod private;
#[cfg(target_os = "linux")]
mod status;
pub mod units;

/// The path unit that watches the wake spool.
pub const WAKE_PATH: &str = "samocode-wake.path";

/// The unit of an instance.
#[must_use]
pub fn service(instance: &str) -> String {
    format!("samocode@{instance}.service")
}

/// The instance of a session's unit.
#[must_use]
pub fn instance_of(unit: &str) -> Option<&str> {
    unit.strip_prefix("samocode@")?.strip_suffix(".service")
}
