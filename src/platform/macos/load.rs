//! What services use now: launchd does not count that.

use crate::platform::Load;

/// Nothing is known of any service.
#[must_use]
pub const fn of_services(_slice: &str, _user: Option<u32>) -> Vec<Load> {
    Vec::new()
}

/// Nothing is known of any process's use.
#[must_use]
pub const fn of_processes(_program: &str, _mark: &str, _user: u32) -> Vec<Load> {
    Vec::new()
}
