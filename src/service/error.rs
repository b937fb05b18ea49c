//! What can go wrong with a service manager, and what to do about it.

use std::path::PathBuf;
use std::time::Duration;

use super::{JobResult, Scope};

/// How long a job may take before we say so. Longer than `TimeoutStopSec=` and `TimeoutAbortSec=`
/// together, and systemd's own default for a start.
pub const JOB_BOUND: Duration = Duration::from_secs(90);

/// What a job is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Start; nothing happens to an active unit, a deactivating one is started afterwards.
    Start,
    /// Stop.
    Stop,
    /// Stop if active, then start.
    Restart,
}

impl std::fmt::Display for Verb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
        })
    }
}

/// What can go wrong with a service manager.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no manager to talk to.
    #[error(
        "no {scope} service manager is reachable ({why}): use `samocode run SESSION`, which needs none"
    )]
    NoManager {
        /// Whose.
        scope: Scope,
        /// What was tried.
        why: String,
    },
    /// The manager is older than what samocode can work with.
    #[error(
        "{name} {found} is too old, samocode needs {oldest} or later: use `samocode run SESSION`, which needs none"
    )]
    TooOld {
        /// The manager's name.
        name: &'static str,
        /// Its version.
        found: u32,
        /// The oldest that will do.
        oldest: u32,
    },
    /// The manager will not do it for this user.
    #[error("the {scope} service manager does not let this user {what}: {hint}")]
    Denied {
        /// Whose.
        scope: Scope,
        /// What was asked.
        what: String,
        /// What to do.
        hint: &'static str,
    },
    /// A call failed.
    #[error("cannot {what}: {source}")]
    Call {
        /// What was asked.
        what: String,
        /// The manager's answer.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A job ended otherwise than done.
    #[error("{verb} of {unit} failed: {why}", why = job_words(result, ask))]
    Job {
        /// What the job was to do.
        verb: Verb,
        /// Full unit name.
        unit: String,
        /// How it ended.
        result: JobResult,
        /// The commands that tell more: "`…` says why".
        ask: String,
    },
    /// A job is not done after [`JOB_BOUND`]. It goes on.
    #[error("{verb} of {unit} is still under way after {} s: `samocode status` shows how it goes on", JOB_BOUND.as_secs())]
    Slow {
        /// What the job was to do.
        verb: Verb,
        /// Full unit name.
        unit: String,
    },
    /// The manager went away while we waited for it.
    #[error("the service manager closed the connection during {0}: try again")]
    Gone(String),
    /// A unit file, or the folder it is in.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// `read`, `write`, `create`, `remove`, `take`.
        action: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Neither XDG_CONFIG_HOME nor HOME say where the user's files are.
    #[error("HOME is not set: set it to your home folder")]
    NoHome,
    /// A value that no unit file can hold.
    #[error(transparent)]
    Unfit(#[from] Unfit),
}

impl Error {
    /// Whether another job for the unit took this one's place or was there first: somebody else
    /// asked for the opposite.
    #[must_use]
    pub const fn is_overruled(&self) -> bool {
        matches!(self, Self::Job { result: JobResult::Canceled | JobResult::Refused, .. })
    }
}

/// A job's result in words, with the command that tells more.
fn job_words(result: &JobResult, ask: &str) -> String {
    match result {
        JobResult::Canceled => {
            "another job for the unit took its place: look with `samocode status`".into()
        }
        JobResult::Refused => {
            "the service manager is just stopping it: try again when it is down".into()
        }
        JobResult::Timeout => format!("it took too long; {ask}"),
        JobResult::Dependency => format!("a unit it needs could not be started; {ask}"),
        JobResult::Failed => {
            format!("it ended before it was ready, or the service manager gave it up; {ask}")
        }
        JobResult::Other(other) => format!("the service manager says '{other}'; {ask}"),
    }
}

/// Why a text cannot stand in a unit file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Not UTF-8; systemd refuses such values.
    #[error("{0:?} is not UTF-8, which a unit file cannot hold: rename it")]
    NotUtf8(String),
    /// A control character where the directive has no way to write one.
    #[error(
        "{0:?} has a control character or a backslash at its end, which a unit file cannot hold: rename it"
    )]
    Control(String),
    /// A relative path where systemd wants an absolute one.
    #[error("{0:?} is a relative path; a unit file wants an absolute one")]
    Relative(String),
    /// The name of an environment variable with other characters than letters, digits and `_`.
    #[error("{0:?} is no name for an environment variable: use letters, digits and '_'")]
    Variable(String),
    /// Neither an instance nor a convoy can have this name.
    #[error("{0:?} cannot be part of a unit's name: use a session's name")]
    Name(String),
    /// A limit that systemd would ignore with a warning.
    #[error("{value:?} is no value for {directive}: use {allowed}")]
    Limit {
        /// The directive.
        directive: &'static str,
        /// What was given.
        value: String,
        /// What would do.
        allowed: &'static str,
    },
}

#[cfg(test)]
mod tests;
