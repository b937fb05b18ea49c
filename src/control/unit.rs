//! The verbs known from systemctl: start, restart, reload and disable a session's unit.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::config::Flags;
use crate::service::retire;
use crate::session::event;
use crate::session::journal::{End, Event};
use crate::session::state::StateName;
use crate::session::store::read_journal;

use super::below;
use super::context::manager;
use super::convoy::check_turn;
use super::enable::{Waits, tell_notes};
use super::error::{Error, Result};
use super::folders::FolderWatch;
use super::install::{UnitFiles, check_agent};
use super::operation::{Operation, Perform};
use super::privilege::Raised;
use super::queue;
use super::request::{Became, Durable, Work, begin_or_resume, resume_despite_stop};
use super::target::Target;
use super::timer;

/// Resumes a session that was stopped, blocked or failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// A name, a dated folder name or an instance, as typed.
    pub session: String,
}

/// A session that was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// The session's name, without date and project.
    pub session: String,
    /// The instance of its unit, which every verb takes as a name.
    pub instance: String,
    /// What it is still waiting for.
    pub waits: Option<Waits>,
}

/// Interrupts the run and restarts the worker, which resumes it in the same conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restart {
    /// A name, a dated folder name or an instance, as typed.
    pub session: String,
}

/// Makes the worker switch to the installed samocode at the end of its iteration, and waits for that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reload {
    /// A name, a dated folder name or an instance, as typed.
    pub session: String,
    /// The longest to wait, in seconds.
    pub timeout_s: u64,
}

/// Stops starting a session at boot, without touching a current run. If the session's folder or
/// project no longer exists, stops and removes its unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disable {
    /// A name, a dated folder name or an instance, as typed.
    pub session: String,
}

/// The session that a call acted on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// The session's name, without date and project.
    pub session: String,
    /// The instance of its unit, which every verb takes as a name.
    pub instance: String,
}

/// A unit that was disabled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disabled {
    /// The instance of its unit, which every verb takes as a name.
    pub instance: String,
    /// Whether it was removed, since the session no longer exists.
    pub removed: bool,
    /// What was to come of it on its own, and no longer does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upcoming: Option<timer::Upcoming>,
}

#[async_trait]
impl Perform for Start {
    async fn perform(self, on: &Operation<'_>) -> Result<Started> {
        let Target { context, session } = &on.resolve(&self.session)?;
        below::check(context, session)?;
        check_turn(context, session)?;
        let manager = context.manager().await?;
        let unit = UnitFiles::new(context, session, &Flags::default())?;
        check_agent(context, &unit.settings, &unit.env, session)?;
        let became = resume_despite_stop(session, &Work::default())?;
        if became == Became::Running
            && matches!(session.hook()?.state, StateName::Paused | StateName::Limited)
        {
            // Its worker is sleeping and holds the journal.
            let stopped = manager.stop(&session.instance, on.progress).await;
            // Being overruled by another start is fine: that is what we want too.
            stopped.or_else(|error| if error.is_overruled() { Ok(()) } else { Err(error) })?;
            begin_or_resume(session, &Work::default(), Durable::Now)?;
        }
        unit.install(manager.as_ref(), on.progress).await?;
        unit.start(manager.as_ref(), on.progress).await?;
        timer::forget_single(context, session).await?;
        queue::look(context);
        tell_notes(context, session).await;
        Ok(Started {
            session: session.name.clone(),
            instance: session.instance.clone(),
            waits: Waits::of(on.caller, session)?.filter(|waits| waits.state == StateName::Waiting),
        })
    }
}

#[async_trait]
impl Perform for Restart {
    async fn perform(self, on: &Operation<'_>) -> Result<Named> {
        let Target { context, session } = &on.resolve(&self.session)?;
        below::check(context, session)?;
        let manager = context.manager().await?;
        resume_despite_stop(session, &Work::default())?;
        let unit = UnitFiles::new(context, session, &Flags::default())?;
        unit.install(manager.as_ref(), on.progress).await?;
        manager.reset_failed(&session.instance).await?;
        manager.restart(&session.instance, on.progress).await?;
        Ok(Named { session: session.name.clone(), instance: session.instance.clone() })
    }
}

#[async_trait]
impl Perform for Reload {
    async fn perform(self, on: &Operation<'_>) -> Result<Named> {
        let Target { context, session } = on.resolve(&self.session)?;
        below::check(&context, &session)?;
        let manager = context.manager().await?;
        if !session.is_worked_on() {
            return Err(Error::usage(format!("{} is not running", session.name))
                .hint("it will use the installed samocode when it starts"));
        }
        let watch = FolderWatch::session(&session.folder)?;
        watch.remark().iter().for_each(|remark| (on.progress)(remark));
        let since = session.state()?.seq;
        manager.reload(&session.instance).await?;
        let name = &session.name;
        (on.progress)(&format!(
            "{name} switches to the installed samocode at the end of its iteration …"
        ));
        let wait = watch.until(|| {
            // A worker that was restarted after being killed also runs the installed program.
            let mut is_over = false;
            let read = read_journal(&session.folder, |entry| {
                is_over |= entry.seq > since
                    && match entry.event {
                        Event::WorkerEnded(event::WorkerEnded { end }) => end != End::Reloaded,
                        Event::WorkerStarted(_) => true,
                        _ => false,
                    };
            });
            read.is_ok() && is_over
        });
        if tokio::time::timeout(Duration::from_secs(self.timeout_s), wait).await.is_err() {
            return Err(Error::unavailable(format!(
                "the iteration of {name} has not ended after {} s; it will reload when it does",
                self.timeout_s
            )));
        }
        Ok(Named { session: session.name, instance: session.instance })
    }
}

#[async_trait]
impl Perform for Disable {
    async fn perform(self, on: &Operation<'_>) -> Result<Disabled> {
        let found = Target::look_up(on.caller, &on.warnings, &self.session)?;
        let manager = manager(on.caller.scope).await?;
        match found {
            Ok(Target { context, session }) => {
                below::check(&context, &session)?;
                let upcoming = timer::cancel(&context, &session).await?;
                let _root = Raised::up()?;
                manager.disable(&session.instance).await?;
                Ok(Disabled { instance: session.instance, removed: false, upcoming })
            }
            Err(gone) => {
                let _root = Raised::up()?;
                retire::retire(manager.as_ref(), &gone.instance, on.progress).await?;
                Ok(Disabled { instance: gone.instance, removed: true, upcoming: None })
            }
        }
    }
}
