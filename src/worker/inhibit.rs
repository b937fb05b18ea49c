//! `SAMOCODE_INHIBIT=idle`: a host that would go to sleep for want of a user stays awake while an
//! iteration runs. A lid that is closed or a button that is pressed still counts.

use std::process::Stdio;

use tokio::process::{Child, Command};

use crate::config::settings::Inhibit;

/// Holds logind's inhibitor lock until it is dropped; also when the worker is killed, since the
/// program below ends with its standard input.
#[derive(Debug)]
pub(super) struct Inhibitor {
    _child: Child,
}

impl Inhibitor {
    /// Takes the lock if the settings ask for it. A host without logind has nothing to inhibit.
    pub(super) fn take(setting: Inhibit, instance: &str) -> Option<Self> {
        if setting != Inhibit::Idle {
            return None;
        }
        let child = Command::new("systemd-inhibit")
            .args(["--what=idle", "--mode=block", "--who=samocode"])
            .arg(format!("--why=session {instance} is at work"))
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
