//! macOS's launchd, through launchctl(1): one agent per session in the user's login session.
//!
//! ```text
//! agents       property lists: what an agent runs, and reading that back
//! front        the agents of front ends: the web page, the bot
//! folder       their files: in LaunchAgents those that start at login, elsewhere the others
//! launchctl    the program, run with a time limit
//! job          its text output, read leniently
//! state        what job and worker together say about a session
//! timers       the agents that start sessions at a time
//! status       the file in which a worker reports to us
//! supervised   the worker's side: watchdog, readiness, exit codes
//! operation    start, stop and restart, one at a time per session
//! manager      all of that as a ServiceManager
//! ```
//!
//! launchd has no watchdog, no readiness protocol, no cgroups, and nothing that runs after a failure.
//! The worker brings its own: a kernel timer that it re-arms, a status file, its run's process group
//! and `SAMOCODE_RUN`, and a token for the agent that messages the human.
//!
//! Nothing here depends on macOS, so that all of it is tested on Linux, with a launchctl that the
//! tests bring.

pub mod agents;
pub mod folder;
mod front;
pub mod job;
pub mod launchctl;
pub mod manager;
mod operation;
mod places;
mod state;
mod status;
pub mod supervised;
mod timers;
mod watch;

use std::path::PathBuf;

pub use places::Places;

/// The variable that names another launchctl than the system's. For tests: set on Linux, it also
/// makes launchd the service manager of a program that was built for tests. One that was built for
/// use there has no launchd in it.
pub const LAUNCHCTL: &str = "SAMOCODE_LAUNCHCTL";

/// The start of the label of every session's agent.
const SESSION: &str = "dev.samocode.session.";

/// The agent that watches the spool.
pub const WAKE: &str = "dev.samocode.wake";

/// The agent that sends notices again.
pub const NOTICES: &str = "dev.samocode.notices";

/// The agent that sends notices whose quiet hours are over.
pub const HELD: &str = "dev.samocode.held";

/// The agent that messages the human about sessions that have given up.
pub const FAILED: &str = "dev.samocode.failed";

/// The agent that serves the web page.
pub const WEB: &str = "dev.samocode.web";

/// The agent that answers from the phone.
pub const BOT: &str = "dev.samocode.bot";

/// The label of a session's agent.
#[must_use]
pub fn label(instance: &str) -> String {
    format!("{SESSION}{instance}")
}

/// The label of a session's timer.
#[must_use]
pub fn timer_label(instance: &str) -> String {
    format!("dev.samocode.timer.{instance}")
}

/// The instance in the label of a session's agent.
#[must_use]
pub fn instance_of(label: &str) -> Option<&str> {
    label.strip_prefix(SESSION)
}

/// The launchctl to use; `None` where launchd is not the service manager.
#[must_use]
pub fn program() -> Option<PathBuf> {
    if !cfg!(any(target_os = "macos", debug_assertions)) {
        return None;
    }
    let named = std::env::var_os(LAUNCHCTL).map(PathBuf::from).filter(|path| path.is_absolute());
    named.or_else(|| cfg!(target_os = "macos").then(|| PathBuf::from("/bin/launchctl")))
}

/// Whether launchd is the service manager here.
#[must_use]
pub fn is_used() -> bool {
    program().is_some()
}
