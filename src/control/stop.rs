//! Stopping a session, now or at the end of its iteration. It stays stopped until it is started.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::service::{ServiceManager, retire};
use crate::session::mail::{Kind, Message};
use crate::session::state::StateName;
use crate::session::store::{crash_point, read_journal};

use super::below;
use super::context::{Caller, manager};
use super::error::{Error, Result};
use super::folders::FolderWatch;
use super::operation::{Operation, Perform};
use super::privilege::Raised;
use super::queue;
use super::request;
use super::session::Session;
use super::target::Target;
use super::timer::{self, Upcoming};

/// Stops a session until someone starts it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// A name, a dated folder name or an instance, as typed.
    pub session: String,
    /// Interrupt the run instead of waiting for the iteration's end.
    pub now: bool,
}

/// A session that was asked to stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// The session's name; its instance if the session no longer exists.
    pub session: String,
    /// The instance of its unit, which every verb takes as a name.
    pub instance: String,
    /// How the stop ended: not every session stops.
    pub end: StopEnd,
    /// What was to come of it on its own, and no longer does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upcoming: Option<Upcoming>,
}

/// How stopping a session ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopEnd {
    /// It is stopped, and stays so until it is started.
    Stopped,
    /// It was done already.
    WasDone,
    /// It became done before the stop took effect.
    Done,
    /// Someone started it before it had stopped: it is running.
    CalledOff,
    /// Its folder or project no longer exists. Its unit is stopped.
    Gone {
        /// What no longer exists, with a hint.
        what: Error,
    },
}

/// Whether the stop still stands after the wait for the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Drained {
    /// The worker has stopped, or we did not wait for it.
    Over,
    /// A human started the session again in the meantime.
    CalledOff,
}

/// With `now`: how long the worker gets to read the message before its unit is stopped.
const NOTICE: Duration = Duration::from_secs(1);

#[async_trait]
impl Perform for Stop {
    async fn perform(self, on: &Operation<'_>) -> Result<Stopped> {
        let found = Target::look_up(on.caller, &on.warnings, &self.session)?;
        let manager = manager(on.caller.scope).await?;
        let (context, session) = match found {
            Ok(Target { context, session }) => {
                below::check(&context, &session)?;
                (context, session)
            }
            Err(gone) => {
                // Only the unit can be stopped.
                retire::stop(manager.as_ref(), &gone.instance, on.progress).await?;
                let instance = gone.instance.clone();
                let end = StopEnd::Gone { what: on.caller.pasteable(gone.into()) };
                let session = instance.clone();
                return Ok(Stopped { session, instance, end, upcoming: None });
            }
        };
        let upcoming = timer::cancel(&context, &session).await?;
        let end = self.stop(on, manager.as_ref(), &context.caller, &session).await?;
        queue::pass_on(&context);
        Ok(Stopped { session: session.name, instance: session.instance, end, upcoming })
    }
}

impl Stop {
    async fn stop(
        &self,
        on: &Operation<'_>,
        manager: &dyn ServiceManager,
        caller: &Caller,
        session: &Session,
    ) -> Result<StopEnd> {
        if session.hook()?.state == StateName::Done && !session.is_worked_on() {
            return Ok(StopEnd::WasDone);
        }
        if session.is_worked_on() && self.drain(on, caller, session).await? == Drained::CalledOff {
            return Ok(StopEnd::CalledOff);
        }
        // From here on the session is stopped, whether or not its worker recorded it.
        crash_point("the unit is to be stopped");
        if stop_unit(on, manager, session).await? == Drained::CalledOff {
            return Ok(StopEnd::CalledOff);
        }
        crash_point("the unit is stopped, and nobody remembers");
        if let Err(error) = request::stop(session) {
            remember_elsewhere(manager, session, &error).await?;
        }
        // It may just have finished.
        let is_done = session.hook()?.state == StateName::Done;
        Ok(if is_done { StopEnd::Done } else { StopEnd::Stopped })
    }

    /// Asks the worker to stop, and waits until it has.
    async fn drain(
        &self,
        on: &Operation<'_>,
        caller: &Caller,
        session: &Session,
    ) -> Result<Drained> {
        let watch = FolderWatch::session(&session.folder)?;
        watch.remark().iter().for_each(|remark| (on.progress)(remark));
        let message = match request::send(session, caller, Kind::Stop, "") {
            Ok(message) => message,
            Err(error) => {
                // It must be possible to stop a session that has filled the disk.
                let instead =
                    if self.now { "" } else { "; interrupting its run, which start will resume" };
                on.warnings.add(format!(
                    "cannot ask the worker to stop: {}{instead}",
                    error.in_one_line()
                ));
                return Ok(Drained::Over);
            }
        };
        let is_over = || !session.is_worked_on() || is_stopped(session);
        if self.now {
            let _ = tokio::time::timeout(NOTICE, watch.until(is_over)).await;
            return Ok(Drained::Over);
        }
        (on.progress)(&format!(
            "{} stops at the end of its iteration (Ctrl-C only ends this wait) …",
            session.name
        ));
        watch.until(|| is_over() || is_called_off(session, &message)).await;
        Ok(if is_called_off(session, &message) { Drained::CalledOff } else { Drained::Over })
    }
}

/// Stops the unit. If a start replaces the stop, the human has changed their mind, unless the journal
/// already has the stop: then stop it again.
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

/// Saves a stop that could not be written to the journal: as an empty mark beside it, which takes no
/// disk space, and by disabling the unit so that nothing starts the session again.
///
/// # Errors
/// If neither works.
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
            "{name} is stopped, but this could not be saved ({why}); it will start again at the next boot"
        ))
        .hint(format!("fix that, then run again: samocode stop {name}"))),
        (Err(_), Ok(())) => {
            session.warnings.add(format!(
                "the stop could not be saved ({why}): the unit is disabled instead until the next start"
            ));
            Ok(())
        }
        (Ok(()), _) => {
            session.warnings.add(format!(
                "the stop could not be saved in the journal ({why}); it is saved in {} instead",
                session.folder.stop_mark().display()
            ));
            Ok(())
        }
    }
}

/// Whether a start has cancelled this stop. A worker records a stop in the journal before it removes
/// the message from the inbox; one that vanished unrecorded was removed by a start.
fn is_called_off(session: &Session, stop: &Message) -> bool {
    !session.folder.is_unread(&stop.id)
        && read_journal(&session.folder, |_| {})
            .is_ok_and(|(state, _)| !state.stopped && state.name() != StateName::Done)
}

fn is_stopped(session: &Session) -> bool {
    session.folder.read_hook().is_some_and(|hook| hook.state == StateName::Stopped)
}
