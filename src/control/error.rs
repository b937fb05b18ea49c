//! Errors as every front end needs them: what went wrong, what kind of thing that is, and what to
//! do now.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::agent::AgentError;
use crate::platform::limits::Limit;
use crate::platform::privilege::StaysLow;
use crate::session::mail::MailError;
use crate::session::names::BadName;
use crate::session::qa::QaError;
use crate::session::store::{JournalError, LockError, StoreError};
use crate::{config, git, service};

/// What kind of thing went wrong. A front end decides by it: the terminal on an exit code, a page on
/// an HTTP status, a caller on whether a retry can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The request makes no sense as it was put: a bad name, an unknown question, no task.
    Usage,
    /// The project, its settings or the agent's program must be fixed first.
    Configuration,
    /// There is no such session.
    NotFound,
    /// Understood, but not in this state, or not by this caller. Nothing was changed.
    Refused,
    /// Something this needs does not work now: the service manager, the disk, git. May work later.
    Unavailable,
    /// A defect of samocode, or a file of its own that is damaged.
    Internal,
}

/// What went wrong, in one line, with the way out kept apart from it so that each front end can
/// show that in its own way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    /// What kind of thing.
    pub class: Class,
    /// What was attempted, on what, and why it failed. One line.
    pub message: String,
    /// What to do now, with a command that can be pasted where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// What a function of `control` returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of this class. Line ends in what another program said become spaces.
    pub fn new(class: Class, message: impl fmt::Display) -> Self {
        let message = message.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        Self { class, message, hint: None }
    }

    /// The request makes no sense as it was put.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self::new(Class::Usage, message)
    }

    /// Not in this state, or not by this caller.
    pub fn refused(message: impl fmt::Display) -> Self {
        Self::new(Class::Refused, message)
    }

    /// Something this needs does not work now.
    pub fn unavailable(message: impl fmt::Display) -> Self {
        Self::new(Class::Unavailable, message)
    }

    /// The same with what to do now.
    #[must_use]
    pub fn hint(self, hint: impl fmt::Display) -> Self {
        Self { hint: Some(hint.to_string()), ..self }
    }

    /// An error of a library, with all its causes in one line.
    pub fn of(class: Class, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        let mut limit = limit(error);
        while let Some(error) = cause {
            limit = limit.or_else(|| self::limit(error));
            let told = error.to_string();
            // A library's error often quotes its own cause.
            if !text.contains(&told) {
                text = format!("{text}: {told}");
            }
            cause = error.source();
        }
        let hint = limit.map(Limit::remedy).filter(|remedy| !text.contains(remedy.as_str()));
        Self { hint, ..Self::new(class, text) }
    }

    /// The message and the hint in one line, for where there is only one.
    #[must_use]
    pub fn in_one_line(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{}: {hint}", self.message),
            None => self.message.clone(),
        }
    }
}

/// The limit of the machine that an error of the operating system tells of.
fn limit(error: &(dyn std::error::Error + 'static)) -> Option<Limit> {
    error.downcast_ref::<std::io::Error>().and_then(Limit::of)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.message)
    }
}

impl std::error::Error for Error {}

/// Adds what was attempted to an error that does not say it, as those of the operating system.
pub(crate) trait Attempt<T> {
    /// "cannot ACTION: what the system said".
    fn attempt(self, action: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: std::error::Error + 'static> Attempt<T> for std::result::Result<T, E> {
    fn attempt(self, action: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| {
            let Error { message, hint, .. } = Error::of(Class::Unavailable, &error);
            let error = Error::unavailable(format!("cannot {}: {message}", action()));
            Error { hint, ..error }
        })
    }
}

macro_rules! classes {
    ($($error:ty => $class:ident,)*) => {$(
        impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::of(Class::$class, &error)
            }
        }
    )*};
}

classes! {
    BadName => Usage,
    QaError => Usage,
    MailError => Usage,
    AgentError => Configuration,
    config::Error => Configuration,
    StoreError => Unavailable,
    LockError => Unavailable,
    git::Error => Unavailable,
    StaysLow => Unavailable,
    serde_json::Error => Internal,
}

impl From<JournalError> for Error {
    fn from(error: JournalError) -> Self {
        let class = match &error {
            JournalError::Damaged(..) => Class::Internal,
            JournalError::Store(_) => Class::Unavailable,
        };
        Self::of(class, &error)
    }
}

impl From<service::Error> for Error {
    fn from(error: service::Error) -> Self {
        let class = match &error {
            service::Error::Denied { .. } => Class::Refused,
            _ => Class::Unavailable,
        };
        Self::of(class, &error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_travels_as_json_and_stays_one_line() {
        let error = Error::usage("git said:\n  no").hint("samocode doctor");
        let text = serde_json::to_string(&error).unwrap();
        assert_eq!(text, r#"{"class":"usage","message":"git said: no","hint":"samocode doctor"}"#);
        assert_eq!(serde_json::from_str::<Error>(&text).unwrap(), error);
        assert_eq!(error.in_one_line(), "git said: no: samocode doctor");
    }

    #[test]
    fn a_limit_of_the_machine_is_named_wherever_the_error_comes_from() {
        let full = || std::io::Error::from_raw_os_error(rustix::io::Errno::NOSPC.raw_os_error());
        let stored = StoreError { action: "write", path: "/s/_hook.json".into(), source: full() };
        let attempted = Err::<(), _>(std::io::Error::from_raw_os_error(
            rustix::io::Errno::MFILE.raw_os_error(),
        ));
        let attempted = attempted.attempt(|| "watch files".to_owned()).unwrap_err();
        for (error, named) in [(Error::from(stored), "free some space"), (attempted, "ulimit -n")] {
            assert!(error.hint.as_deref().is_some_and(|hint| hint.contains(named)), "{error:?}");
            assert!(!error.message.contains(named), "{error:?}");
        }
    }

    #[test]
    fn causes_are_told_once() {
        let source = std::io::Error::other("the disk is full");
        let error = StoreError { action: "write", path: "/s/_hook.json".into(), source };
        assert_eq!(Error::from(error).message, "cannot write /s/_hook.json: the disk is full");
        let failed = Err::<(), _>(std::io::Error::other("no")).attempt(|| "lock /s".to_owned());
        assert_eq!(failed.unwrap_err().message, "cannot lock /s: no");
    }
}
