//! Stopping a session: at the end of its iteration, or now; remembered until it is started.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::service::{ServiceManager, retire};
use crate::session::mail::{Kind, Message};
use crate::session::state::Word;
use crate::session::store::{crash_point, read_journal};

use super::context::manager;
use super::error::{Error, Result};
use super::folders::FolderWatch;
use super::host::{Operation, Perform};
use super::privilege::Raised;
use super::request;
use super::session::Session;
use super::target::Target;

/// Stops a session until somebody starts it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// As it was typed.
    pub session: String,
    /// Interrupt the run instead of waiting for the iteration's end.
    pub now: bool,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// The session's name; its instance where the session no longer exists.
    pub session: String,
    /// Its instance.
    pub instance: String,
    /// How it ended.
    pub end: StopEnd,
}

/// How stopping a session ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopEnd {
    /// It is stopped.
    Stopped,
    /// It was done before.
    WasDone,
    /// It came to its end just then.
    Done,
    /// Somebody started it meanwhile: it runs.
    CalledOff,
    /// Its folder or project no longer exists. Its unit does not run.
    Gone {
        /// What is gone, and what to do.
        what: Error,
    },
}

/// What came of asking the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Drained {
    /// It is at its end, or was not to be waited for.
    Over,
    /// A human had the session go on meanwhile.
    CalledOff,
}

/// How long a worker gets to see the message before it is asked by the unit's stop.
const NOTICE: Duration = Duration::from_secs(1);

#[async_trait]
impl Perform for Stop {
    async fn perform(self, on: &Operation<'_>) -> Result<Stopped> {
        let found = Target::look_up(on.caller, &on.warnings, &self.session)?;
        let manager = manager(on.caller.scope).await?;
        let session = match found {
            Ok(Target { session, .. }) => session,
            Err(gone) => {
                // Only the unit can be stopped.
                retire::stop(manager.as_ref(), &gone.instance, on.progress).await?;
                let instance = gone.instance.clone();
                let end = StopEnd::Gone { what: on.caller.pasteable(gone.into()) };
                return Ok(Stopped { session: instance.clone(), instance, end });
            }
        };
        let end = self.stop(on, manager.as_ref(), &session).await?;
        Ok(Stopped { session: session.name, instance: session.instance, end })
    }
}

impl Stop {
    async fn stop(
        &self,
        on: &Operation<'_>,
        manager: &dyn ServiceManager,
        session: &Session,
    ) -> Result<StopEnd> {
        if session.hook()?.state == Word::Done && !session.is_worked_on() {
            return Ok(StopEnd::WasDone);
        }
        if session.is_worked_on() && self.drain(on, session).await? == Drained::CalledOff {
            return Ok(StopEnd::CalledOff);
        }
        // Whatever the worker managed to write down, from here on it is stopped.
        crash_point("the unit is to be stopped");
        if stop_unit(on, manager, session).await? == Drained::CalledOff {
            return Ok(StopEnd::CalledOff);
        }
        crash_point("the unit is stopped, and nobody remembers");
        if let Err(error) = request::stop(session) {
            remember_elsewhere(manager, session, &error).await?;
        }
        // It may have come to its end just then.
        let is_done = session.hook()?.state == Word::Done;
        Ok(if is_done { StopEnd::Done } else { StopEnd::Stopped })
    }

    /// Asks the worker to stop, and waits for it to say so.
    async fn drain(&self, on: &Operation<'_>, session: &Session) -> Result<Drained> {
        let watch = FolderWatch::new(session.folder.path())?;
        watch.remark().iter().for_each(|remark| (on.progress)(remark));
        let message = match request::send(session, on.caller, Kind::Stop, "") {
            Ok(message) => message,
            Err(error) => {
                // A session that has filled the disk has to be stoppable all the same.
                let instead =
                    if self.now { "" } else { "; its run is interrupted, and resumed by start" };
                on.warnings
                    .add(format!("the worker cannot be asked: {}{instead}", error.in_one_line()));
                return Ok(Drained::Over);
            }
        };
        let is_over = || !session.is_worked_on() || is_stopped(session);
        if self.now {
            let _ = tokio::time::timeout(NOTICE, watch.until(is_over)).await;
            return Ok(Drained::Over);
        }
        (on.progress)(&format!(
            "{} stops at the end of its iteration (Ctrl-C leaves it draining) …",
            session.name
        ));
        watch.until(|| is_over() || is_called_off(session, &message)).await;
        Ok(if is_called_off(session, &message) { Drained::CalledOff } else { Drained::Over })
    }
}

/// Stops the unit. A start that takes the stop's place is a human's later word, unless the session
/// is stopped already: then it was not meant.
async fn stop_unit(
    on: &Operation<'_>,
    manager: &dyn ServiceManager,
    session: &Session,
) -> Result<Drained> {
    match manager.stop(&session.instance, on.progress).await {
        Err(error) if error.is_overruled() && !session.state()?.stopped => {
            return Ok(Drained::CalledOff);
        }
        Err(error) if error.is_overruled() => {
            retire::stop(manager, &session.instance, on.progress).await?;
        }
        other => other?,
    }
    Ok(Drained::Over)
}

/// A stop that the journal could not take is remembered by a mark beside it, which needs no room,
/// and the unit is disabled, so that nothing brings the session back.
///
/// # Errors
/// When it can be remembered in neither way.
async fn remember_elsewhere(
    manager: &dyn ServiceManager,
    session: &Session,
    error: &Error,
) -> Result<()> {
    let name = &session.name;
    let why = error.in_one_line();
    let marked = session.folder.mark_stopped();
    let disabled = {
        let _root = Raised::up()?;
        manager.disable(&session.instance).await
    };
    match (marked, disabled) {
        (Err(_), Err(_)) => Err(Error::unavailable(format!(
            "{name} does not run, but this could not be saved: {why}; it comes back at the next boot"
        ))
        .hint(format!("fix that and run again: samocode stop {name}"))),
        (Err(_), Ok(())) => {
            session.warnings.add(format!(
                "the stop could not be saved ({why}): the unit is disabled instead, until start"
            ));
            Ok(())
        }
        (Ok(()), _) => {
            session.warnings.add(format!(
                "the stop could not be saved in the journal ({why}): {} remembers it, until start",
                session.folder.stop_mark().display()
            ));
            Ok(())
        }
    }
}

/// A stop is in the journal before it leaves the inbox, unless somebody else took it out.
fn is_called_off(session: &Session, stop: &Message) -> bool {
    !session.folder.is_unread(&stop.id)
        && read_journal(&session.folder, |_| {})
            .is_ok_and(|(state, _)| !state.stopped && state.word() != Word::Done)
}

fn is_stopped(session: &Session) -> bool {
    session.folder.read_hook().is_some_and(|hook| hook.state == Word::Stopped)
}
