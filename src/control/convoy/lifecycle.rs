//! Starting, stopping and removing a convoy.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::control::context::Context;
use crate::control::error::{Error, Result};
use crate::control::operation::{Operation, Perform};
use crate::control::privilege::Raised;
use crate::control::request::{self, Work, resume_despite_stop};
use crate::control::session::Session;
use crate::control::{stop, unit};
use crate::service::Shared;
use crate::session::state::{Standing as Stands, Word};

use super::advance::{Advanced, advance};
use super::create::members_units;
use super::files::{self, Files, convoy_of};
use super::members::{facts, sessions};
use super::next::Place;
use super::{existing, no_agents};

/// Starts a convoy: the members that were stopped, blocked or failed, and those whose turn has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// Its id.
    pub id: String,
}

/// Stops all members of a convoy until they are started again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// Its id.
    pub id: String,
    /// Interrupt runs instead of waiting for the end of iterations.
    #[serde(default)]
    pub now: bool,
}

/// Removes a convoy. Its sessions stay as they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remove {
    /// Its id.
    pub id: String,
}

/// A convoy that was removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// Its id.
    pub id: String,
    /// Its members that had not begun. Nobody starts them now but a human.
    pub held: Vec<String>,
}

#[async_trait]
impl Perform for Start {
    async fn perform(self, on: &Operation<'_>) -> Result<Advanced> {
        no_agents(on, "started")?;
        let context = Context::here(on.caller, &on.warnings)?;
        let plan = existing(&context, &self.id)?;
        let mut resumed = Vec::new();
        for (name, session) in sessions(&context, &plan)? {
            let Some(session) = session.filter(|session| !session.is_worked_on()) else { continue };
            let state = session.state()?;
            let is_held = matches!(state.standing, Stands::Held(_));
            let word = session.hook()?.state;
            if is_held && word == Word::Stopped {
                // It starts when its turn comes.
                resume_despite_stop(&session, &Work::default())?;
            } else if !is_held && is_at_rest(word) {
                unit::Start { session: name.clone() }.perform(on).await?;
                resumed.push(name);
            }
        }
        if let Ok(manager) = context.manager().await
            && crate::service::registry(context.scope())?.convoy(&plan.id)?.is_some()
        {
            let _root = Raised::up()?;
            manager.start_convoy(&plan.id).await?;
        }
        let mut advanced = advance(on, &context, &plan).await?;
        advanced.started.splice(0..0, resumed);
        Ok(advanced)
    }
}

const fn is_at_rest(word: Word) -> bool {
    matches!(word, Word::New | Word::Running | Word::Stopped | Word::Blocked | Word::Failed)
}

#[async_trait]
impl Perform for Stop {
    async fn perform(self, on: &Operation<'_>) -> Result<Vec<stop::Stopped>> {
        no_agents(on, "stopped")?;
        let context = Context::here(on.caller, &on.warnings)?;
        let plan = existing(&context, &self.id)?;
        // Those that others wait for last: until then nobody starts because they end.
        let mut members = sessions(&context, &plan)?;
        members.reverse();
        let calls = members
            .into_iter()
            .filter(|(_, session)| session.is_some())
            .map(|(name, _)| stop::Stop { session: name, now: self.now }.perform(on));
        let stopped: Result<Vec<_>> =
            futures_util::future::join_all(calls).await.into_iter().collect();
        let stopped = stopped?;
        if let Ok(manager) = context.manager().await {
            let _root = Raised::up()?;
            manager.stop_convoy(&plan.id).await?;
        }
        Ok(stopped)
    }
}

#[async_trait]
impl Perform for Remove {
    async fn perform(self, on: &Operation<'_>) -> Result<Removed> {
        no_agents(on, "removed")?;
        let context = Context::here(on.caller, &on.warnings)?;
        let plan = existing(&context, &self.id)?;
        let files = Files::of(&context.project, &plan.id)?;
        let _lock = files.lock().await?;
        let found = sessions(&context, &plan)?;
        let known = facts(&found, &files.memory()?)?;
        let is_held = |name: &&String| known[*name].place == Place::Held;
        let held = plan.sessions.iter().filter(is_held).cloned().collect();
        if let Ok(manager) = context.manager().await {
            let there: Vec<Session> = found.into_iter().filter_map(|(_, it)| it).collect();
            let units = members_units(&context, &there, None)?;
            let spool = context.spool()?;
            let shared = Shared { binary: &context.caller.binary, spool: spool.dir() };
            let _root = Raised::up()?;
            manager.install_convoy(shared, None, &units).await?;
            // Last the target: while it stands, stopping it stops them all.
            manager.remove_convoy(&plan.id).await?;
        }
        files.remove()?;
        if files::find(&context.project, &plan.id)?.is_some() {
            files::remove_single(&context.project)?;
        }
        Ok(Removed { id: plan.id, held })
    }
}

/// Lets a session that is held start because a human asks for it, unless its convoy starts it when
/// its turn comes.
///
/// # Errors
/// If it is in a convoy.
pub(in crate::control) fn check_turn(context: &Context, session: &Session) -> Result<()> {
    let state = session.state()?;
    let Stands::Held(held) = state.standing else { return Ok(()) };
    let (name, instance) = (&session.name, &session.instance);
    if let Some(id) = convoy_of(&context.project, name)? {
        if state.stopped {
            resume_despite_stop(session, &Work::default())?;
        }
        return Err(Error::refused(format!("{name} has not begun: {}", held.reason())).hint(
            format!("see what comes first: samocode convoy status {id}; to start {instance} on its own, remove the convoy: samocode convoy remove {id}"),
        ));
    }
    request::release(session)
}
