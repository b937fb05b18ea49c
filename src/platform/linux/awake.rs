//! Keeps an idle host from going to sleep. Closing the lid or pressing the button still works.

use std::process::Stdio;

use tokio::process::{Child, Command};

/// Holds logind's inhibitor lock until it is dropped. If this process is killed the lock is
/// released too, since `cat` exits when its standard input closes.
#[derive(Debug)]
pub struct Awake {
    _child: Child,
}

impl Awake {
    /// Takes the lock; `systemd-inhibit --list` shows `why`. `None`, with a warning in the log, on
    /// a host without logind.
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
                tracing::warn!("cannot keep the host awake: systemd-inhibit: {error}")
            })
            .ok()
            .map(|child| Self { _child: child })
    }
}
