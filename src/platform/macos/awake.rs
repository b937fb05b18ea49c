//! A Mac that would go to sleep for want of a user stays awake. A lid that is closed still counts.

use std::process::Stdio;

use tokio::process::{Child, Command};

/// Holds a power assertion until it is dropped; also when this process is killed, since
/// caffeinate(8) watches it.
#[derive(Debug)]
pub struct Awake {
    _child: Child,
}

impl Awake {
    /// Takes the assertion. macOS has no place to show `why`. `None`, with a warning in the log,
    /// when caffeinate cannot be run.
    #[must_use]
    pub fn hold(why: &str) -> Option<Self> {
        tracing::debug!("keeping the host awake: {why}");
        let child = Command::new("/usr/bin/caffeinate")
            .args(["-i", "-w", &std::process::id().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        child
            .inspect_err(|error| tracing::warn!("the host may go to sleep: caffeinate: {error}"))
            .ok()
            .map(|child| Self { _child: child })
    }
}
