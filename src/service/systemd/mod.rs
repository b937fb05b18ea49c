//! The user's or the system's systemd, over D-Bus.

#[cfg(target_os = "linux")]
mod bus;
pub mod convoys;
pub mod escape;
pub mod files;
#[cfg(target_os = "linux")]
mod front;
mod hardening;
#[cfg(target_os = "linux")]
mod install;
mod installed;
#[cfg(target_os = "linux")]
mod jobs;
mod limits;
#[cfg(target_os = "linux")]
mod linger;
#[cfg(target_os = "linux")]
pub mod manager;
#[cfg(target_os = "linux")]
mod of_system;
#[cfg(target_os = "linux")]
mod private;
pub mod registry;
#[cfg(target_os = "linux")]
mod status;
#[cfg(target_os = "linux")]
mod timers;
pub mod units;
mod verify;
#[cfg(target_os = "linux")]
mod version;
#[cfg(target_os = "linux")]
mod web;

/// The path unit that watches the wake spool.
pub const WAKE_PATH: &str = "samocode-wake.path";

/// The path unit that watches for notices that have not been sent.
pub const NOTICES_PATH: &str = "samocode-notices.path";

/// The service that sends them again.
pub const NOTICES_SERVICE: &str = "samocode-notices.service";

/// The service that sends those of one session of the system's manager.
pub const NOTICES_OF_SESSION: &str = "samocode-notices@.service";

/// The timer that looks for notices whose quiet hours are over.
pub const HELD_TIMER: &str = "samocode-held.timer";

/// The service that sends them.
pub const HELD_SERVICE: &str = "samocode-held.service";

/// The path unit that watches for desktop notices with buttons.
pub const DESKTOP_PATH: &str = "samocode-desktop.path";

/// The service that shows them and hears presses.
pub const DESKTOP_SERVICE: &str = "samocode-desktop.service";

/// The service that answers people by Telegram.
pub const BOT_SERVICE: &str = "samocode-bot.service";

/// The socket unit that starts the web page on demand.
pub const WEB_SOCKET: &str = "samocode-web.socket";

/// The service that serves it.
pub const WEB_SERVICE: &str = "samocode-web.service";

/// The port that the socket unit listens on, on the loopback interface.
pub const WEB_PORT: u16 = 7266;

/// The name of an instance's unit.
#[must_use]
pub fn service(instance: &str) -> String {
    format!("samocode@{instance}.service")
}

/// The name of a convoy's target.
#[cfg(target_os = "linux")]
fn convoy(id: &str) -> String {
    format!("samocode-convoy@{id}.target")
}

/// The name of a session's timer.
#[cfg(target_os = "linux")]
fn timer(instance: &str) -> String {
    format!("samocode-timer@{instance}.timer")
}

/// The instance in the name of a session's unit.
#[must_use]
pub fn instance_of(unit: &str) -> Option<&str> {
    unit.strip_prefix("samocode@")?.strip_suffix(".service")
}
