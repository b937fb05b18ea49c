//! Failures of a service manager, each with the command that helps.

use std::path::PathBuf;
use std::time::Duration;

use crate::session::Hint;

use super::{JobResult, Scope};

/// How long to wait for a job before reporting it as slow. Longer than `TimeoutStopSec=` and
/// `TimeoutAbortSec=` together, and systemd's own default for a start.
pub const JOB_BOUND: Duration = Duration::from_secs(90);

/// The kinds of job a manager does on a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Does nothing to an active unit; a deactivating one is started afterwards.
    Start,
    /// Returns once the worker has ended.
    Stop,
    /// Stops the unit if it is active, then starts it.
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

/// Failures of a service manager.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No manager can be reached.
    #[error("no {scope} service manager is reachable ({why})")]
    NoManager {
        /// The user's manager or the system's.
        scope: Scope,
        /// The sockets that were tried, and why each failed.
        why: String,
    },
    /// The manager is too old for samocode.
    #[error("{name} {found} is too old; samocode needs {oldest} or later")]
    TooOld {
        /// The manager's name, as in `systemd`.
        name: &'static str,
        /// The version it reports.
        found: u32,
        /// The oldest version that works.
        oldest: u32,
    },
    /// The manager refuses to do it for this user.
    #[error("the {scope} service manager does not allow this user to {what}")]
    Denied {
        /// The user's manager or the system's.
        scope: Scope,
        /// The attempt, as in "enable samocode@a.service".
        what: String,
        /// The command that gets permission.
        hint: &'static str,
    },
    /// Someone masked the unit, so that nothing starts it.
    #[error("cannot {what}: the unit is masked")]
    Masked {
        /// The attempt, as in "start samocode@a.service".
        what: String,
        /// The command that unmasks it.
        command: String,
    },
    /// A call to the manager failed.
    #[error("cannot {what}: {source}")]
    Call {
        /// The attempt, as in "list the units of the sessions".
        what: String,
        /// The manager's own answer.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A job failed, or was cancelled.
    #[error("{verb} of {unit} failed: {}", job_words(result))]
    Job {
        /// The kind of job.
        verb: Verb,
        /// The full name of the unit, with its suffix.
        unit: String,
        /// How the manager says it ended.
        result: JobResult,
        /// How to find out more, with the commands: "to find out why: …".
        ask: String,
    },
    /// A job has not finished after [`JOB_BOUND`]. It keeps running.
    #[error("{verb} of {unit} has not finished after {} s", JOB_BOUND.as_secs())]
    Slow {
        /// The kind of job.
        verb: Verb,
        /// The full name of the unit, with its suffix.
        unit: String,
    },
    /// The manager closed the connection before it answered.
    #[error("the service manager closed the connection during {0}")]
    Gone(String),
    /// The process that did it was killed; it has to be done again.
    #[error("what was to {0} was killed")]
    Killed(String),
    /// A unit file or its folder cannot be read or changed.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// `read`, `write`, `create`, `remove`, `take`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The error as the operating system reports it.
        source: std::io::Error,
    },
    /// Neither XDG_CONFIG_HOME nor HOME locates the user's files.
    #[error("HOME is not set")]
    NoHome,
    /// A value that cannot be written to a unit file.
    #[error(transparent)]
    Unfit(#[from] Unfit),
}

impl Error {
    /// Whether another job for the unit replaced this one or came first: someone else asked for
    /// the opposite.
    #[must_use]
    pub const fn is_overruled(&self) -> bool {
        matches!(self, Self::Job { result: JobResult::Canceled | JobResult::Refused, .. })
    }
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        const STATUS: &str = "check it with: samocode status";
        const FOREGROUND: &str = "use `samocode run SESSION`, which needs none";
        Some(match self {
            Self::NoManager { scope, .. } => {
                let is_root = rustix::process::getuid().is_root();
                without_manager(*scope, is_root).to_owned()
            }
            Self::TooOld { .. } => FOREGROUND.to_owned(),
            Self::Denied { hint, .. } => (*hint).to_owned(),
            Self::Masked { command, .. } => format!("allow it again with: {command}"),
            Self::Job { result: JobResult::Canceled, .. } | Self::Slow { .. } => STATUS.to_owned(),
            Self::Job { result: JobResult::Refused, .. } => "retry once it is down".to_owned(),
            Self::Job { ask, .. } => ask.clone(),
            Self::Gone(_) | Self::Killed(_) => "try again".to_owned(),
            Self::NoHome => "set it to your home folder".to_owned(),
            Self::Unfit(unfit) => return unfit.hint(),
            Self::Call { .. } | Self::File { .. } => return None,
        })
    }
}

/// Explains a job's result.
fn job_words(result: &JobResult) -> String {
    match result {
        JobResult::Canceled => "another job for the unit replaced it".into(),
        JobResult::Refused => "the service manager is already stopping it".into(),
        JobResult::Timeout => "it took too long".into(),
        JobResult::Dependency => "a unit it depends on failed to start".into(),
        JobResult::Failed => {
            "it exited before it was ready, or the service manager gave up on it".into()
        }
        JobResult::Other(other) => format!("the service manager reports '{other}'"),
    }
}

/// What to do without a manager. Agents do not run as root, in the foreground either.
fn without_manager(scope: Scope, is_root: bool) -> &'static str {
    match (scope, is_root) {
        (Scope::User, true) => {
            "as root, use the system's with --system and --run-as USER; or run `samocode run SESSION` as a user, which needs none"
        }
        (Scope::System, true) => "use `samocode run SESSION` as a user, which needs none",
        (Scope::System, false) => "use `samocode run SESSION`, which needs none",
        (Scope::User, false) => {
            "log in by ssh or on a console (su and sudo start none), or use `samocode run SESSION`, which needs none"
        }
    }
}

/// A text that cannot be written to a unit file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Not UTF-8; systemd refuses such values.
    #[error("{0:?} is not UTF-8, which a unit file cannot hold")]
    NotUtf8(String),
    /// A control character that the directive has no escape for.
    #[error(
        "{0:?} contains a control character or ends with a backslash, which a unit file cannot hold"
    )]
    Control(String),
    /// A character that XML cannot hold.
    #[error("{0:?} contains a character that a launchd agent cannot hold")]
    Character(String),
    /// A program whose path systemd refuses however it is quoted.
    #[error(
        "systemd runs no program whose path contains a quote, a backslash or a control character, as {0:?} does"
    )]
    Program(String),
    /// A relative path where systemd requires an absolute one.
    #[error("{0:?} is a relative path; a unit file needs an absolute one")]
    Relative(String),
    /// An environment variable's name with characters other than letters, digits and `_`.
    #[error("{0:?} is not a valid name for an environment variable")]
    Variable(String),
    /// A name that neither an instance nor a convoy can have.
    #[error("{0:?} cannot be part of a unit's name")]
    Name(String),
    /// A limit that systemd would ignore with a warning.
    #[error("{value:?} is not a valid value for {directive}")]
    Limit {
        /// The directive, without its `=`.
        directive: &'static str,
        /// The value that the unit file cannot hold.
        value: String,
        /// Describes the valid values.
        allowed: &'static str,
    },
}

impl Hint for Unfit {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotUtf8(_) | Self::Control(_) | Self::Character(_) => "rename it".to_owned(),
            Self::Program(_) => {
                "install samocode in another folder, then run its `enable` again".to_owned()
            }
            Self::Variable(_) => "use letters, digits and '_'".to_owned(),
            Self::Name(_) => "use a session's name".to_owned(),
            Self::Limit { allowed, .. } => format!("use {allowed}"),
            Self::Relative(_) => return None,
        })
    }
}

#[cfg(test)]
mod tests;
