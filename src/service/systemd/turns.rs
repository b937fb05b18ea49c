//! Few calls at a time that keep the manager busy.
//!
//! The manager answers one call after the other, and loads or enables a unit in some milliseconds. If
//! a verb for a hundred sessions sent all of its calls at once, everybody else's would be answered
//! after them: also the waker's, which starts the session for which a place is free.

use tokio::sync::{Semaphore, SemaphorePermit};

/// One is worked on while the next is under way.
static TURNS: Semaphore = Semaphore::const_new(2);

/// Waits for a turn to call the manager. Ends when it is dropped; do not take two.
pub(super) async fn turn() -> Option<SemaphorePermit<'static>> {
    // It is never closed.
    TURNS.acquire().await.ok()
}
