//! Messages of a worker to its manager, as `sd_notify(3)` has them.

use std::time::Duration;

/// The parts of a notify message that concern us.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) status: Option<String>,
    pub(super) alive: bool,
    pub(super) trigger: bool,
    pub(super) ends: bool,
    pub(super) extend: Option<Duration>,
}

impl Message {
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let mut message = Self::default();
        for line in String::from_utf8_lossy(bytes).lines() {
            match line.split_once('=') {
                Some(("READY", "1")) | Some(("WATCHDOG", "1")) => message.alive = true,
                Some(("STOPPING", "1")) => message.ends = true,
                Some(("WATCHDOG", "trigger")) => message.trigger = true,
                Some(("STATUS", status)) => message.status = Some(status.to_owned()),
                Some(("EXTEND_TIMEOUT_USEC", usec)) => {
                    message.extend = usec.parse().ok().map(Duration::from_micros);
                }
                _ => {}
            }
        }
        message
    }
}
