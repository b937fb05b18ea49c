//! Notices on the user's desktop. Those with buttons are shown by a process of their own, which stays
//! until they are closed: [`listen`].

#[cfg(target_os = "linux")]
mod bus;
#[cfg(target_os = "linux")]
mod listen;
#[cfg(target_os = "linux")]
mod seen;
mod waiting;

use std::path::{Path, PathBuf};
use std::sync::Arc;

#[cfg(target_os = "linux")]
pub use bus::Desktop;
pub use waiting::Waiting;

use super::buttons::Press;
use super::{Notifier, NotifyError};

/// Shows the notices that are left in `waiting` on that desktop, until all are closed. `act` does what a
/// press on a button means, and returns what came of it in a sentence.
///
/// # Errors
/// If there is no bus, or the notices cannot be watched.
#[cfg(target_os = "linux")]
pub async fn listen<F: Future<Output = String>>(
    runtime_dir: Option<PathBuf>,
    waiting: &Waiting,
    act: impl Fn(Press) -> F,
) -> Result<(), NotifyError> {
    listen::listen(&Desktop::new(Desktop::user_bus(runtime_dir)), waiting, act).await
}

/// There is no such bus here.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
pub async fn listen<F: Future<Output = String>>(
    _runtime_dir: Option<PathBuf>,
    _waiting: &Waiting,
    _act: impl Fn(Press) -> F,
) -> Result<(), NotifyError> {
    Err(NotifyError::Absent("desktop: notices with buttons need D-Bus".to_owned()))
}

/// The desktop, under this name, of the user whose bus is in `runtime_dir` (the value of `XDG_RUNTIME_DIR`), or in
/// systemd's default for that folder. `None` on systems without such a bus. Notices with buttons are left in
/// the user's folder of `state` for who shows them.
#[must_use]
#[cfg(target_os = "linux")]
pub fn notifier(
    name: &str,
    runtime_dir: Option<PathBuf>,
    state: Option<&Path>,
) -> Option<Arc<dyn Notifier>> {
    let desktop = Desktop::new(Desktop::user_bus(runtime_dir)).named(name);
    Some(Arc::new(desktop.with_buttons(state.map(Waiting::of)).expected_back(state)))
}

/// `None`: there is no such bus here.
#[must_use]
#[cfg(not(target_os = "linux"))]
pub fn notifier(
    _name: &str,
    _runtime_dir: Option<PathBuf>,
    _state: Option<&Path>,
) -> Option<Arc<dyn Notifier>> {
    None
}
