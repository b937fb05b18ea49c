//! A host that would go to sleep for want of a user stays awake. A lid that is closed or a button
//! that is pressed still counts.

use std::process::Stdio;

use tokio::process::{Child, Command};

/// Holds logind's inhibitor lock until it is dropped; also when this process is killed, since the
/// program below ends with its standard input.
#[derive(Debug)]
pub struct Awake {
    _child: Child,
}

impl Awake {
    /// Takes the lock, `why` being shown by `systemd-inhibit --list`. `None`, with a warning in
    /// the log, on a host without logind.
    #[must_use]
    pub fn hold(why: &str) -> Option<Self> {
        let child = Command::new("systemd-inhibit")
            .args(["--what=idle", "--mode=block", "--who=samocode"])
            .arg(format!("--why={why}"))
            .arg("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        child
            .inspect_err(|error| {
                tracing::warn!("the host may go to sleep: systemd-inhibit: {error}")
            })
            .ok()
            .map(|child| Self { _child: child })
    }
}
