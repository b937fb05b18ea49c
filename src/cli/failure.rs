//! Turns an error into a message, a hint and an exit code.

use crate::agent::AgentError;
use crate::control::{Class, Error};
use crate::service::exit::WorkerExit;
use crate::session::names::BadName;
use crate::{config, git, service};

/// An error with its hint, and the exit code it stands for.
pub(super) fn with_exit_code(error: anyhow::Error) -> (Error, u8) {
    let error = match error.downcast::<Coded>() {
        Ok(Coded(code, error)) => return (error, code),
        Err(error) => error,
    };
    let error = of(&error);
    let code = exit_code(error.class);
    (error, code)
}

/// The exit code of a class, as documented in the README.
pub(super) const fn exit_code(class: Class) -> u8 {
    match class {
        Class::Usage | Class::NotFound => WorkerExit::Usage.code(),
        Class::Configuration => WorkerExit::Configuration.code(),
        Class::Refused | Class::Unavailable | Class::Internal => 1,
    }
}

/// An error with its class and hint, also one that did not come through `control`.
fn of(error: &anyhow::Error) -> Error {
    own(error).unwrap_or_else(|| Error::of(Class::Unavailable, &**error))
}

/// The error of a type that has a class of its own; `None` for any other.
fn own(error: &anyhow::Error) -> Option<Error> {
    error
        .downcast_ref::<Error>()
        .cloned()
        .or_else(|| error.downcast_ref::<BadName>().cloned().map(Error::from))
        .or_else(|| error.downcast_ref::<AgentError>().map(Error::from))
        .or_else(|| error.downcast_ref::<config::Error>().map(Error::from))
        .or_else(|| error.downcast_ref::<git::Error>().map(Error::from))
        .or_else(|| error.downcast_ref::<service::Error>().map(Error::from))
}

/// An error whose exit code does not follow from its class, such as an interrupt.
#[derive(Debug, thiserror::Error)]
#[error("{1}")]
pub(super) struct Coded(pub(super) u8, pub(super) Error);
