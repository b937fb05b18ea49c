//! What happens when a worker of a member has come to rest: others start, and the human hears of it.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::control::context::Context;
use crate::control::error::{Error, Result};
use crate::control::operation::{Operation, Perform};
use crate::control::privilege::Raised;
use crate::control::request;
use crate::control::session::Session;
use crate::control::target::Target;
use crate::session::store::crash_point;

use super::files::{Files, convoy_of};
use super::members::{facts, sessions};
use super::next::{Memory, remember, starts};
use super::plan::Plan;
use super::{announce, branch, existing, merging};

/// Looks after the convoy of a session: starts the members that may start now, announces what
/// changed, and merges a convoy that is complete. Safe to repeat. Does nothing for a session in no
/// convoy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advance {
    /// The instance of the session that has come to rest.
    pub session: String,
}

/// What was done for a convoy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advanced {
    /// The members that were started.
    pub started: Vec<String>,
    /// What the human was told, a sentence each.
    pub announced: Vec<String>,
}

#[async_trait]
impl Perform for Advance {
    async fn perform(self, on: &Operation<'_>) -> Result<Advanced> {
        let Target { context, session } = on.resolve(&self.session)?;
        let Some(id) = convoy_of(&context.project, &session.name)? else {
            return Ok(Advanced::default());
        };
        let plan = existing(&context, &id)?;
        advance(on, &context, &plan).await
    }
}

/// Does what is due for a convoy.
pub(super) async fn advance(
    on: &Operation<'_>,
    context: &Context,
    plan: &Plan,
) -> Result<Advanced> {
    let files = Files::of(&context.project, &plan.id)?;
    let lock = files.lock().await?;
    let before = files.memory()?;
    let mut advanced = Advanced::default();
    let mut failed = Vec::new();
    let found = sessions(context, plan)?;
    for name in starts(plan, &facts(&found, &before)?) {
        match start(context, plan, &name, &found).await {
            Ok(()) => advanced.started.push(name),
            Err(error) => failed.push((name, error.in_one_line())),
        }
    }
    let found = sessions(context, plan)?;
    let memory = remember(plan, &facts(&found, &before)?, &failed, &before);
    let mut memory = tell(context, plan, &files, &before, memory, &mut advanced)?;
    drop(lock);
    announce_all(context, &advanced).await?;
    let Some(complete) = memory.complete else { return Ok(advanced) };
    stop_target(context, plan).await;
    if plan.merge && memory.merged != Some(complete) {
        let text = merging::merge(on, context, plan).await;
        let _lock = files.lock().await?;
        memory = files.memory()?;
        if memory.merged != Some(complete) {
            let before = memory.clone();
            memory.merged = Some(complete);
            memory.outcome = Some(text.clone());
            memory.add(text);
            tell(context, plan, &files, &before, memory, &mut advanced)?;
        }
        announce_all(context, &advanced).await?;
    }
    Ok(advanced)
}

fn tell(
    context: &Context,
    plan: &Plan,
    files: &Files,
    before: &Memory,
    memory: Memory,
    advanced: &mut Advanced,
) -> Result<Memory> {
    if memory == *before && memory.is_settled() {
        return Ok(memory);
    }
    advanced.announced.extend(memory.pending.iter().map(|news| news.text.clone()));
    announce::settle(context, plan, files, memory)
}

async fn announce_all(context: &Context, advanced: &Advanced) -> Result<()> {
    if advanced.announced.is_empty() { Ok(()) } else { announce::send(context).await }
}

/// Starts a member whose turn has come.
async fn start(
    context: &Context,
    plan: &Plan,
    name: &str,
    sessions: &[(String, Option<Session>)],
) -> Result<()> {
    let session = sessions.iter().find(|(known, _)| known == name);
    let Some(session) = session.and_then(|(_, session)| session.as_ref()) else {
        return Err(Error::refused(format!("{name} does not exist")));
    };
    branch::make(context, plan, name, sessions).await?;
    crash_point("the branch of a member is made");
    request::release(session)?;
    crash_point("a member is released");
    let manager = context.manager().await?;
    let _root = Raised::up()?;
    manager.reset_failed(&session.instance).await?;
    manager.enable(&session.instance).await?;
    manager.start(&session.instance, &crate::service::quiet).await?;
    crash_point("a member is started");
    Ok(())
}

/// A complete convoy has nothing left to stop. What fails here changes nothing else.
async fn stop_target(context: &Context, plan: &Plan) {
    let stopped = async {
        let manager = context.manager().await?;
        let _root = Raised::up()?;
        manager.stop_convoy(&plan.id).await.map_err(Error::from)
    };
    if let Err(error) = stopped.await {
        tracing::info!("the convoy's target stays: {}", error.in_one_line());
    }
}
