//! Removes a session's unit while others may want to start it.

use std::time::{Duration, Instant};

use super::{Error, Progress, ServiceManager, Spool};

/// How often to retry a stop that a start has replaced. Whoever started the unit does not ask
/// again, so more are needed only if several do so at the same time.
const STOPS: u32 = 10;

/// How long the waker may take to act on a token it has taken from the spool. The work of a killed
/// waker is left to the next one, which finds the session gone.
const WAKER: Duration = Duration::from_secs(10);

/// How often to check the waker's claims during that wait.
const LOOK: Duration = Duration::from_millis(20);

/// Stops a session's unit, even if someone starts it at the same time. For callers that need it
/// down before their next step; [`ServiceManager::stop`] leaves the last word to others.
///
/// # Errors
/// As [`ServiceManager::job`].
pub async fn stop(
    manager: &dyn ServiceManager,
    instance: &str,
    progress: Progress<'_>,
) -> Result<(), Error> {
    for _ in 1..STOPS {
        match manager.stop(instance, progress).await {
            Err(error) if error.is_overruled() => {}
            other => return other,
        }
    }
    manager.stop(instance, progress).await
}

/// Stops a session's unit and removes it, whatever state it is in. The waker may be handling mail
/// for it: a start it has decided on comes before the removal, not after. If the session still
/// exists, save that it is stopped before calling this, so that a start has no effect.
///
/// # Errors
/// As [`ServiceManager::job`], and [`Error::File`].
pub async fn retire(
    manager: &dyn ServiceManager,
    instance: &str,
    progress: Progress<'_>,
) -> Result<(), Error> {
    manager.remove_timer(instance, progress).await?;
    manager.disable(instance).await?;
    settle(manager, instance, progress).await?;
    manager.remove(instance).await?;
    // Mail that the waker took until then was for a unit that existed.
    settle(manager, instance, progress).await?;
    manager.reset_failed(instance).await
}

/// Brings a unit down, after any job the waker has started for it.
async fn settle(
    manager: &dyn ServiceManager,
    instance: &str,
    progress: Progress<'_>,
) -> Result<(), Error> {
    stop(manager, instance, progress).await?;
    let spool = Spool::of(manager.scope())?;
    let began = Instant::now();
    while spool.owes(instance)? && began.elapsed() < WAKER {
        tokio::time::sleep(LOOK).await;
    }
    stop(manager, instance, progress).await
}
