//! Feeding the unit's watchdog while the worker waits or works itself. During a run, `pulse` decides.

use std::time::Duration;

use crate::service::Notify;

/// Longest time between checks for mail and watchdog pings while the worker waits.
const TICK: Duration = Duration::from_secs(5);

/// How often to check and ping: a third of the watchdog's interval, if the unit has one.
pub(super) fn tick(notify: &Notify) -> Duration {
    notify.watchdog_interval().map_or(TICK, |watchdog| (watchdog / 3).min(TICK))
}

/// Feeds the watchdog during a long operation of the worker's own.
pub(super) async fn pinging<T>(notify: &Notify, work: impl Future<Output = T>) -> T {
    tokio::pin!(work);
    loop {
        notify.watchdog();
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(tick(notify)) => {}
        }
    }
}
