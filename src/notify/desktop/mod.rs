//! Notices on the user's desktop, on systems whose desktops take them over D-Bus.

#[cfg(target_os = "linux")]
mod bus;

use std::path::PathBuf;
use std::sync::Arc;

use super::Notifier;

#[cfg(target_os = "linux")]
pub use bus::Desktop;

/// The desktop, under this name, of the user whose bus is in `runtime_dir` (the value of `XDG_RUNTIME_DIR`), or in
/// systemd's default for that folder. `None` on systems without such a bus.
#[must_use]
#[cfg(target_os = "linux")]
pub fn notifier(name: &str, runtime_dir: Option<PathBuf>) -> Option<Arc<dyn Notifier>> {
    Some(Arc::new(Desktop::new(Desktop::user_bus(runtime_dir)).named(name)))
}

/// `None`: there is no such bus here.
#[must_use]
#[cfg(not(target_os = "linux"))]
pub fn notifier(_name: &str, _runtime_dir: Option<PathBuf>) -> Option<Arc<dyn Notifier>> {
    None
}
