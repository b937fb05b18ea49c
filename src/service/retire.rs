//! Taking a session's unit away, while others may want to start it.

use std::time::{Duration, Instant};

use super::{Error, Progress, ServiceManager, Spool};

/// How often a stop is asked for when a start takes its place. Whoever started the unit does not
/// ask again, so that more are needed only where several do so at the same time.
const STOPS: u32 = 10;

/// How long the waker may take with what it has taken out of the spool. What a waker owes that was
/// killed, the next one finds to be nobody's.
const WAKER: Duration = Duration::from_secs(10);

/// How often the waker's claims are looked at meanwhile.
const LOOK: Duration = Duration::from_millis(20);

/// Stops a session's unit, also where somebody starts it meanwhile: for what must be down before
/// something else is done, where [`ServiceManager::stop`] leaves the last word to the others.
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

/// Stops a session's unit and removes it, whatever it does. The waker may have mail for it in hand:
/// a start that it has decided on comes before the end, not after it. Where there is a session still,
/// that it is stopped should be written down before, so that a start comes to nothing.
///
/// # Errors
/// As [`ServiceManager::job`], and [`Error::File`].
pub async fn retire(
    manager: &dyn ServiceManager,
    instance: &str,
    progress: Progress<'_>,
) -> Result<(), Error> {
    manager.disable(instance).await?;
    settle(manager, instance, progress).await?;
    manager.remove(instance).await?;
    // Mail that the waker took until then was for a unit that it knew.
    settle(manager, instance, progress).await?;
    manager.reset_failed(instance).await
}

/// Brings a unit down, and what the waker has begun for it to its end.
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
