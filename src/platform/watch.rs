//! Watching files for changes.

use notify::{EventHandler, RecommendedWatcher, Result};

use super::threads;

/// A watcher that hands events to `tell`. It needs a thread of its own, and panics without one.
///
/// # Errors
/// If it cannot be made, as where a limit on processes allows no thread.
pub fn watcher(tell: impl EventHandler) -> Result<RecommendedWatcher> {
    threads::try_some(1).map_err(notify::Error::io)?;
    notify::recommended_watcher(tell)
}
