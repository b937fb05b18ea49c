//! What the units run: worker, waker, resending of notices, those of the desktop, notification of a
//! failure.
//!
//! The service manager of this machine starts these, never a person, so they are plain functions
//! and no calls of a [`Host`](super::Host).

pub mod desktop;
pub mod due;
pub mod failed;
pub mod notices;
pub mod wake;
pub mod worker;

use crate::notify::Delivery;

/// The errors of deliveries, one line each, without those of a desktop that nobody is logged in to.
fn errors(deliveries: &[Delivery]) -> Vec<String> {
    let failed = deliveries.iter().filter_map(|delivery| {
        let error = delivery.result.as_ref().err().filter(|error| !error.is_quiet())?;
        Some(format!("{}: {error}", delivery.notifier))
    });
    failed.collect()
}
