//! One verb for many sessions: one call, and what it did to each.

use clap::Args;

use crate::control::many::{Action, Chosen, Each, Many};
use crate::control::{Call, Class, Error};

use super::{Common, complete, output};

/// Which sessions a verb is for.
#[derive(Debug, Args)]
pub(super) struct Sessions {
    /// Names, dated folder names, or instances
    #[arg(required_unless_present = "all", add = complete::sessions())]
    sessions: Vec<String>,
    /// All sessions of the project for which this does something
    #[arg(long, conflicts_with = "sessions")]
    all: bool,
}

impl Sessions {
    /// Acts on all of them side by side; `tell` prints what became of one. Prints why it failed for
    /// the others; the last such error is returned.
    pub(super) async fn each<C: Call>(
        self,
        common: &Common,
        action: Action,
        report: impl FnMut(&C::Reply) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let chosen = if self.all { Chosen::All } else { Chosen::Named(self.sessions) };
        each::<C>(common, chosen, action, report).await
    }
}

pub(super) async fn each<C: Call>(
    common: &Common,
    sessions: Chosen,
    action: Action,
    mut report: impl FnMut(&C::Reply) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let is_all = sessions == Chosen::All;
    let done = common.call(Many { sessions, action }).await?;
    if is_all && done.is_empty() {
        output::progress("nothing to do: no session is in a state that this would change");
    }
    let mut failed: Option<Error> = None;
    let mut warned = Vec::new();
    for Each { session, answer } in done {
        for warning in answer.warnings {
            if !warned.contains(&warning) {
                output::note(&warning);
                warned.push(warning);
            }
        }
        let unfit = || Error::new(Class::Internal, "the host replied to a different request");
        match answer.result.and_then(|reply| C::reply(reply).ok_or_else(unfit)) {
            Ok(reply) => report(&reply)?,
            Err(error) => {
                if let Some(before) = failed.replace(about(&session, error)) {
                    output::note(&before.in_one_line());
                }
            }
        }
    }
    failed.map_or(Ok(()), |error| Err(error.into()))
}

/// The error, with the session it is about if it does not say so.
fn about(session: &str, error: Error) -> Error {
    if error.message.contains(session) {
        return error;
    }
    Error { message: format!("{session}: {}", error.message), ..error }
}
