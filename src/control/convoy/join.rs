//! A session that is begun after others: it joins their convoy, or makes one with them.

use std::collections::BTreeSet;

use crate::control::below;
use crate::control::context::Context;
use crate::control::enable::Overrides;
use crate::control::error::{Error, Result};
use crate::control::operation::Operation;
use crate::control::request::Work;
use crate::control::session::Session;
use crate::session::state::StateName;

use super::create::{Joining, check_place, establish};
use super::files::{convoy_of, find};
use super::plan::{Plan, Task};

/// Begins a session as a member of a convoy. It starts when those it comes after are done. Without an
/// id, it is their convoy, or one named after the session.
///
/// # Errors
/// If a session does not exist, or is in another convoy; if the session has begun; for a cycle.
pub(in crate::control) async fn join(
    on: &Operation<'_>,
    context: &Context,
    session: &Session,
    work: &Work,
    set: &Overrides,
) -> Result<()> {
    let mut after = Vec::with_capacity(work.after.len());
    for typed in &work.after {
        let other = on.resolve(typed)?.session;
        if other.folder == session.folder {
            return Err(Error::usage(format!("{} cannot start after itself", session.name)));
        }
        if after.contains(&other.name) {
            return Err(Error::usage(format!("{} is named twice after --after", other.name)));
        }
        after.push(other.name);
    }
    let id = id_of(context, session, work, &after)?;
    let known = find(&context.project, &id)?;
    let mut plan = known.clone().unwrap_or_else(|| Plan {
        id: id.clone(),
        // One that nobody named is nothing to announce.
        notify_on_complete: work.convoy.is_some(),
        ..Plan::default()
    });
    for name in &after {
        if !plan.sessions.contains(name) {
            plan.sessions.push(name.clone());
        }
    }
    if !plan.sessions.contains(&session.name) {
        plan.sessions.push(session.name.clone());
    }
    let task = work.task.clone().unwrap_or_default();
    if session.exists() {
        check_unbegun(session, known.as_ref(), &after)?;
    } else if task.trim().is_empty() {
        return Err(Error::usage(format!("session '{}' is new and needs a task", session.name))
            .hint(format!("samocode enable {} --task \"…\" --after …", session.name)));
    }
    let task = Task { task, agent: set.agent.clone(), budget: set.budget.clone() };
    plan.tasks.insert(session.name.clone(), task);
    if !after.is_empty() {
        plan.after.insert(session.name.clone(), after);
    }
    let plan = plan.checked()?;
    check_agent(on, context, session, &plan)?;
    check_place(context, &plan)?;
    establish(on, context, &plan, Some(&Joining { session, work, set })).await
}

/// The convoy to join: that of the command, else that of those before it, else a new one.
fn id_of(context: &Context, session: &Session, work: &Work, after: &[String]) -> Result<String> {
    let mut known = BTreeSet::new();
    for name in after.iter().chain([&session.name]) {
        known.extend(convoy_of(&context.project, name)?);
    }
    known.extend(work.convoy.clone());
    let mut ids = known.into_iter();
    match (ids.next(), ids.next()) {
        (None, _) => Ok(session.name.clone()),
        (Some(id), None) => Ok(id),
        (Some(one), Some(other)) => Err(Error::refused(format!(
            "cannot begin {}: a session is in one convoy, and these are in two: '{one}' and '{other}'",
            session.name
        ))
        .hint(format!("see who is where: samocode convoy status {one}"))),
    }
}

/// A session that has begun waits for no other. The same command again changes nothing.
fn check_unbegun(session: &Session, known: Option<&Plan>, after: &[String]) -> Result<()> {
    let is_same = known.is_some_and(|plan| {
        plan.sessions.contains(&session.name) && plan.before(&session.name) == after
    });
    let state = session.hook()?.state;
    if is_same || matches!(state, StateName::New) {
        return Ok(());
    }
    Err(Error::usage(format!("session '{}' has begun; --after is for a new one", session.name)))
}

/// An agent makes convoys of the sessions below its own only.
fn check_agent(
    on: &Operation<'_>,
    context: &Context,
    session: &Session,
    plan: &Plan,
) -> Result<()> {
    if on.caller.session().is_none() {
        return Ok(());
    }
    for name in plan.sessions.iter().filter(|name| **name != session.name) {
        below::check(context, &on.resolve(name)?.session)?;
    }
    Ok(())
}
