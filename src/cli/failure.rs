//! Turns an error into a message, a hint and an exit code.

use crate::agent::AgentError;
use crate::config::Error as ProjectError;
use crate::control::{Class, Error};
use crate::service::exit::WorkerExit;
use crate::session::names::BadName;

/// An error as one line: what was attempted, and why it failed.
pub(super) fn one_line(error: &anyhow::Error) -> String {
    if let Some(error) = error.downcast_ref::<Error>() {
        return error.in_one_line();
    }
    Error::of(Class::Internal, &**error).message
}

/// An error with its hint, and the exit code it stands for.
pub(super) fn with_exit_code(error: anyhow::Error) -> (Error, u8) {
    let error = match error.downcast::<Coded>() {
        Ok(Coded(code, error)) => return (error, code),
        Err(error) => error,
    };
    let error = match error.downcast::<Error>() {
        Ok(error) => error,
        Err(error) => Error::of(class(&error), &*error),
    };
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

/// The class of an error that did not come through `control`.
fn class(error: &anyhow::Error) -> Class {
    if error.is::<BadName>() {
        return Class::Usage;
    }
    // The location of a program is a setting: CLAUDE_PATH, SAMOCODE_AGENT, PATH.
    if error.is::<ProjectError>() || error.is::<AgentError>() {
        return Class::Configuration;
    }
    Class::Unavailable
}

/// An error whose exit code does not follow from its class, such as an interrupt.
#[derive(Debug, thiserror::Error)]
#[error("{1}")]
pub(super) struct Coded(pub(super) u8, pub(super) Error);
