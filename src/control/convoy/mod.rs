//! Convoys: sessions that work towards one goal, started in the order of what they depend on,
//! counted together, announced together and merged together.
//!
//! A convoy is a file, `SESSIONS/_convoys/ID.json`, and no process belongs to it. All its sessions
//! exist from the start; those whose turn has not come are held, and their worker, whoever starts it,
//! ends at once. Whenever a worker comes to rest or a unit fails, a token in the spool makes the waker
//! run [`Advance`]: it starts the members that may start now and tells the human what changed, once.
//! So whichever member ends last completes the convoy. A token is kept until that has ended.

mod advance;
mod announce;
mod branch;
mod create;
mod files;
mod join;
mod lifecycle;
mod members;
mod merging;
mod next;
mod plan;
mod written;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::config::Project;
use crate::session::Phase;
use crate::session::state::StateName;

use super::context::Context;
use super::error::{Class, Error, Result};
use super::operation::{Operation, Perform};

pub(super) use branch::below as branch_below;
pub(super) use files::{convoy_of, find};
pub(super) use join::join;
pub(super) use lifecycle::check_turn;
pub(super) use members::note;

pub use advance::{Advance, Advanced};
pub use create::Create;
pub use lifecycle::{Remove, Removed, Start, Stop};
pub use plan::{Plan, Share, Task};
pub use written::Planned;

/// The ids of a project's convoys.
pub(crate) fn ids(project: &Project) -> Result<Vec<String>> {
    Ok(files::all(project)?.0.into_iter().map(|plan| plan.id).collect())
}

impl From<plan::Flaw> for Error {
    fn from(flaw: plan::Flaw) -> Self {
        Self::usage(flaw)
    }
}

/// Shows how a convoy is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The convoy's id, unique in the project.
    pub id: String,
}

/// Shows all convoys of the project.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {}

/// How a convoy is doing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// The convoy's id, unique in the project.
    pub id: String,
    /// What it is called; may be empty.
    pub name: String,
    /// Its members, each after those it waits for.
    pub members: Vec<Member>,
    /// What all of them have cost, in US dollars.
    pub cost_usd: f64,
    /// Whether a part of that is an estimate from tokens.
    #[serde(default)]
    pub cost_estimated: bool,
    /// What they may cost.
    pub budget: Option<f64>,
    /// The members that start next, once those before them are done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<String>,
    /// Whether all are done.
    pub complete: bool,
    /// What becomes of their branches once all are done, or that the budget keeps others from starting,
    /// in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
}

/// A member of a convoy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// The session's name, without date and project.
    pub session: String,
    /// Its state; `None` if it does not exist.
    pub state: Option<StateName>,
    /// Its phase; `None` if it does not exist, or has not begun.
    pub phase: Option<Phase>,
    /// The members it waits for, or waited for.
    pub after: Vec<String>,
    /// Those of them that are not done.
    pub waits_for: Vec<String>,
    /// The members that it holds up while it is not done.
    pub holds_up: Vec<String>,
    /// Why it is in its state.
    pub reason: Option<String>,
    /// What it has cost, in US dollars.
    pub cost_usd: f64,
    /// Whether a part of that is an estimate from tokens.
    #[serde(default)]
    pub cost_estimated: bool,
}

#[async_trait]
impl Perform for Status {
    async fn perform(self, on: &Operation<'_>) -> Result<Standing> {
        let context = Context::here(on.caller, &on.warnings)?;
        let plan = existing(&context, &self.id)?;
        members::standing(&context, &plan)
    }
}

#[async_trait]
impl Perform for List {
    async fn perform(self, on: &Operation<'_>) -> Result<Vec<Standing>> {
        let context = Context::here(on.caller, &on.warnings)?;
        let (plans, damaged) = files::all(&context.project)?;
        damaged.into_iter().for_each(|what| on.warnings.add(what));
        plans.iter().map(|plan| members::standing(&context, plan)).collect()
    }
}

/// The convoy that a session is in, as it is doing.
pub(super) fn of_session(context: &Context, name: &str) -> Result<Option<Standing>> {
    let Some(id) = convoy_of(&context.project, name)? else { return Ok(None) };
    let plan = find(&context.project, &id)?;
    plan.map(|plan| members::standing(context, &plan)).transpose()
}

fn no_agents(on: &Operation<'_>, what: &str) -> Result<()> {
    match on.caller.session() {
        Some(_) => Err(Error::refused(format!("convoys are {what} by humans, not by agents"))),
        None => Ok(()),
    }
}

/// Finds a convoy; an error that names the nearest one if there is none of this id.
fn existing(context: &Context, id: &str) -> Result<Plan> {
    if let Some(plan) = find(&context.project, id)? {
        return Ok(plan);
    }
    let (plans, _) = files::all(&context.project)?;
    let near = crate::session::names::nearest(id, plans.iter().map(|plan| plan.id.as_str()));
    let error = Error::new(Class::NotFound, format!("there is no convoy '{id}'"));
    Err(match near {
        Some(near) => error.hint(format!("did you mean '{near}'?")),
        None => error.hint(format!("create it with: samocode convoy create {id} SESSION…")),
    })
}

#[cfg(test)]
mod tests;
