//! Errors as every front end needs them: what went wrong, what class of problem it is, and what to
//! do next.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::agent::AgentError;
use crate::platform::limits::Limit;
use crate::platform::privilege::StaysLow;
use crate::session::Hint;
use crate::session::mail::MailError;
use crate::session::names::BadName;
use crate::session::qa::QaError;
use crate::session::store::{JournalError, LockError, StoreError};
use crate::{config, git, service};

/// The class of an error. From it the command line picks an exit code, a web page an HTTP status,
/// and a caller can tell whether a retry may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The request is not valid: a bad name, an unknown question, no task.
    Usage,
    /// The project, its settings or the agent's program must be fixed first.
    Configuration,
    /// There is no such session.
    NotFound,
    /// Valid, but not in this state or not for this caller. Nothing was changed.
    Refused,
    /// Something the call needs does not work now: the service manager, the disk, git. A retry may
    /// succeed later.
    Unavailable,
    /// A bug in samocode, or damage to one of its own files.
    Internal,
}

/// An error in one line, with a separate hint so that each front end can show it in its own way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    /// The class of the problem.
    pub class: Class,
    /// What was attempted, on what, and why it failed. One line.
    pub message: String,
    /// What to do next, with a command to paste where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// The result of a function in `control`.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Creates an error. Line breaks in the message, as in other programs' output, become spaces.
    pub fn new(class: Class, message: impl fmt::Display) -> Self {
        let message = message.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        Self { class, message, hint: None }
    }

    /// An error of [`Class::Usage`].
    pub fn usage(message: impl fmt::Display) -> Self {
        Self::new(Class::Usage, message)
    }

    /// An error of [`Class::Refused`].
    pub fn refused(message: impl fmt::Display) -> Self {
        Self::new(Class::Refused, message)
    }

    /// An error of [`Class::Unavailable`].
    pub fn unavailable(message: impl fmt::Display) -> Self {
        Self::new(Class::Unavailable, message)
    }

    /// Adds a hint: what to do next.
    #[must_use]
    pub fn hint(self, hint: impl fmt::Display) -> Self {
        Self { hint: Some(hint.to_string()), ..self }
    }

    /// Converts any other error, with all its causes in one line.
    pub fn of(class: Class, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        let (mut limit, mut refused) = (limit(error), is_refused(error));
        while let Some(error) = cause {
            limit = limit.or_else(|| self::limit(error));
            refused |= is_refused(error);
            let cause_text = error.to_string();
            // Many errors already quote their cause.
            if !text.contains(&cause_text) {
                text = format!("{text}: {cause_text}");
            }
            cause = error.source();
        }
        let hint = limit.map(Limit::remedy).filter(|remedy| !text.contains(remedy.as_str()));
        let hint = hint.or_else(|| refused.then(|| REFUSED.to_owned()));
        Self { hint, ..Self::new(class, text) }
    }

    /// The message and the hint in one line.
    #[must_use]
    pub fn in_one_line(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{}: {hint}", self.message),
            None => self.message.clone(),
        }
    }
}

/// What to do about permissions that are missing.
const REFUSED: &str = "check who owns it and the folders above it, and their permissions";

/// Whether permissions are missing.
fn is_refused(error: &(dyn std::error::Error + 'static)) -> bool {
    let error = error.downcast_ref::<std::io::Error>();
    error.is_some_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
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

/// Adds what was attempted to an error that does not say so, such as the operating system's.
pub(crate) trait Attempt<T> {
    /// The error becomes "cannot ACTION: CAUSE".
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

/// For errors that know their own hint.
macro_rules! hinted {
    ($($error:ty => $class:expr,)*) => {$(
        impl From<&$error> for Error {
            fn from(error: &$error) -> Self {
                let class: fn(&$error) -> Class = $class;
                let own = Self::of(class(error), error);
                let hint = Hint::hint(error).or_else(|| own.hint.clone());
                Self { hint, ..own }
            }
        }

        impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::from(&error)
            }
        }
    )*};
}

hinted! {
    AgentError => |_| Class::Configuration,
    config::Error => |_| Class::Configuration,
    git::Error => |_| Class::Unavailable,
    StoreError => |_| Class::Unavailable,
    service::Error => |error| match error {
        service::Error::Denied { .. } => Class::Refused,
        _ => Class::Unavailable,
    },
}

classes! {
    BadName => Usage,
    QaError => Usage,
    MailError => Usage,
    LockError => Unavailable,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_permissions_come_with_a_hint_that_names_the_path_where_it_is_known() {
        let denied = || std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        let of = Error::of(Class::Unavailable, &denied());
        assert_eq!(of.hint.as_deref(), Some(REFUSED));
        let stored = StoreError { action: "open", path: "/s/a b".into(), source: denied() };
        let hint = Error::from(stored).hint.unwrap();
        assert!(hint.ends_with("namei -l '/s/a b'"), "{hint}");
    }

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
    fn a_hint_of_any_part_is_apart_from_the_message() {
        let no_bus = || "no bus".to_owned();
        let errors: [(Error, Class, &str); 5] = [
            (
                service::Error::NoManager { scope: service::Scope::User, why: no_bus() }.into(),
                Class::Unavailable,
                "samocode run SESSION",
            ),
            (
                service::Error::Denied {
                    scope: service::Scope::System,
                    what: "start it".to_owned(),
                    hint: "use sudo",
                }
                .into(),
                Class::Refused,
                "use sudo",
            ),
            (
                config::Error::NoProject { cwd: "/p".into(), folder: None }.into(),
                Class::Configuration,
                "samocode init",
            ),
            (
                git::Error::DubiousOwnership { repo: "/r".into() }.into(),
                Class::Unavailable,
                "safe.directory /r",
            ),
            (AgentError::NotBuilt("codex").into(), Class::Configuration, "use claude"),
        ];
        for (error, class, hint) in errors {
            assert_eq!(error.class, class, "{error:?}");
            assert!(error.hint.as_deref().is_some_and(|text| text.contains(hint)), "{error:?}");
            assert!(!error.message.contains(hint), "{error:?}");
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
