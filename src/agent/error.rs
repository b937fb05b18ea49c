//! Why an agent cannot be used.

use super::{find, process};

/// Why an agent cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// No agent has this name; the second field lists the allowed names.
    #[error("'{0}' is not an agent: {1}")]
    Unknown(String, String),
    /// The agent is planned, but not implemented yet.
    #[error(
        "agent '{0}' is not built in yet: use claude, or command:PROGRAM ARGS with a script that calls {0}"
    )]
    NotBuilt(&'static str),
    /// The agent would refuse to run as root.
    #[error(
        "{0} does not run as root: run the session as a normal user (--run-as USER), or set IS_SANDBOX=1 if root is confined, as in a container"
    )]
    Root(&'static str),
    /// The agent's program was not found.
    #[error(transparent)]
    Program(#[from] find::NotFound),
    /// The agent cannot be started.
    #[error(transparent)]
    Start(#[from] process::StartError),
    /// The agent did not print its version.
    #[error("'{program} --version' {what}: is this the right program? Set its path in .samocode")]
    NoVersion {
        /// The program as it was named.
        program: String,
        /// What the program did instead.
        what: String,
    },
}
