//! Keeps an idle Mac from going to sleep. Closing the lid still works.

use std::process::Stdio;

use tokio::process::{Child, Command};

/// Holds a power assertion until it is dropped. If this process is killed the assertion is released
/// too, since caffeinate(8) watches the process.
#[derive(Debug)]
pub struct Awake {
    _child: Child,
}

impl Awake {
    /// Takes the assertion. macOS cannot show `why`. `None`, with a warning in the log, if
    /// caffeinate cannot be run.
    #[must_use]
    pub fn hold(why: &str) -> Option<Self> {
        tracing::info!("keeping the host awake: {why}");
        let child = Command::new("/usr/bin/caffeinate")
            .args(["-i", "-w", &std::process::id().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        child
            .inspect_err(|error| tracing::warn!("cannot keep the host awake: caffeinate: {error}"))
            .ok()
            .map(|child| Self { _child: child })
    }
}
