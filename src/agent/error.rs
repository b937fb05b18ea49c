//! Why an agent cannot be used.

use std::path::PathBuf;

use crate::session::Hint;

use super::{find, process};

/// Why an agent cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// No agent has this name; the second field lists the allowed names.
    #[error("'{0}' is not an agent")]
    Unknown(String, String),
    /// The agent is planned, but not implemented yet.
    #[error("agent '{0}' is not built in yet")]
    NotBuilt(&'static str),
    /// The agent would refuse to run as root.
    #[error("{0} does not run as root")]
    Root(&'static str),
    /// A key names a file that is not there.
    #[error("{key} names {}, which is not a file", file.display())]
    NoFile {
        /// The key.
        key: &'static str,
        /// The path it has.
        file: PathBuf,
        /// What else it takes.
        otherwise: &'static str,
    },
    /// The agent's program was not found.
    #[error(transparent)]
    Program(#[from] find::NotFound),
    /// The agent cannot be started.
    #[error(transparent)]
    Start(#[from] process::StartError),
    /// The agent did not print its version.
    #[error("'{program} --version' {what}")]
    NoVersion {
        /// The program as it was named.
        program: String,
        /// What the program did instead.
        what: String,
    },
}

impl Hint for AgentError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unknown(_, allowed) => allowed.clone(),
            Self::NotBuilt(name) => {
                format!("use claude, or command:PROGRAM ARGS with a script that calls {name}")
            }
            Self::Root(_) => {
                "run the session as a normal user (--run-as USER), or set IS_SANDBOX=1 if root is confined, for example in a container".to_owned()
            }
            Self::NoFile { key, otherwise, .. } => {
                format!("correct {key} in .samocode, or set it to {otherwise}")
            }
            Self::Program(missing) => return missing.hint(),
            Self::Start(failed) => return failed.hint(),
            Self::NoVersion { .. } => {
                "check that this is the right program, or set its path in .samocode".to_owned()
            }
        })
    }
}

impl Hint for find::NotFound {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::OnPath { hint, .. } | Self::AtPath { hint, .. } => hint.clone(),
            Self::NoNode(_) => {
                "install node, or run 'samocode enable' from a shell where it works".to_owned()
            }
        })
    }
}

impl Hint for process::StartError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotOnPath { .. } => "install it, or set its path in .samocode".to_owned(),
            Self::NotFound(_) => "correct its path in .samocode".to_owned(),
            Self::NotExecutable(program) => format!("try: chmod +x '{program}'"),
            Self::TooLong(_) => "shorten the role files or the environment".to_owned(),
            Self::NoFolder { .. } => "restore it, or archive the session".to_owned(),
            Self::Cgroup(_) => {
                "check that the unit's Delegate=yes is in effect, with: samocode doctor".to_owned()
            }
            Self::Cage(_) => "see what this host can hold, with: samocode doctor".to_owned(),
            Self::Limit { limit, .. } => limit.remedy(),
            Self::NoInterpreter(_) | Self::NotAProgram(_) | Self::Nul(_) | Self::Other { .. } => {
                return None;
            }
        })
    }
}
