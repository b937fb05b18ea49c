//! One call at a time that keeps the manager busy.
//!
//! The manager answers one call after the other, loads or enables a unit in some milliseconds, and
//! runs its jobs only when no call is left. If a verb for a hundred sessions sent all of its calls at
//! once, nothing would start before the last was answered; nor would anybody else's calls be: also the
//! waker's, which starts the session for which a place is free.

use tokio::sync::{Semaphore, SemaphorePermit};

static TURN: Semaphore = Semaphore::const_new(1);

/// Waits for this process's turn to call the manager, which ends when it is dropped. Whoever has it must
/// not ask for it again.
pub(super) async fn turn() -> Option<SemaphorePermit<'static>> {
    // It is never closed.
    TURN.acquire().await.ok()
}
