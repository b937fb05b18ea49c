//! A session among those it belongs to: the sessions above and below it, and its convoy.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::session::Phase;
use crate::session::state::StateName;
use crate::session::store::Folder;

use super::convoy;
use super::error::Result;
use super::operation::{Operation, Perform};
use super::target;
use super::target::Target;

/// Asks which sessions a session belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tree {
    /// A name, a dated folder name or an instance, as typed.
    pub session: String,
}

/// What a session belongs to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Belongs {
    /// The topmost session above it, and all below that, each before those below it. Just the session
    /// itself if it is alone.
    pub family: Vec<Kin>,
    /// Its convoy, or that of the topmost session above it.
    pub convoy: Option<convoy::Standing>,
}

/// A session in the tree of those that began it and that it began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kin {
    /// The session's name, without date and project.
    pub session: String,
    /// The instance of its unit.
    pub instance: String,
    /// How many sessions are above it.
    pub depth: usize,
    /// The state its files give.
    pub state: StateName,
    /// Its phase.
    pub phase: Phase,
    /// Why it is in that state, or what it is doing.
    pub about: Option<String>,
    /// Its cost so far, in US dollars.
    pub cost_usd: f64,
    /// Whether a part of that is an estimate from tokens.
    #[serde(default)]
    pub cost_estimated: bool,
}

#[async_trait]
impl Perform for Tree {
    async fn perform(self, on: &Operation<'_>) -> Result<Belongs> {
        let Target { context, session } = on.resolve(&self.session)?;
        let above = |folder: &Folder| std::iter::successors(folder.above(), Folder::above).count();
        let top = std::iter::successors(Some(session.folder.clone()), Folder::above).last();
        let top = top.unwrap_or_else(|| session.folder.clone());
        let mut family = Vec::new();
        let mut convoy_of = session.name.clone();
        let base = above(&top);
        for folder in std::iter::once(top.clone()).chain(top.descendants()) {
            let Ok(one) = target::at(&context, folder.path()) else { continue };
            let Ok(hook) = one.hook() else { continue };
            if folder == top {
                convoy_of.clone_from(&one.name);
            }
            let doing = hook.run.as_ref().and_then(|run| run.doing.clone());
            let preparing = hook.preparing.clone().filter(|_| one.is_worked_on());
            let doing = doing.or(preparing);
            family.push(Kin {
                session: one.name,
                instance: one.instance,
                depth: above(&folder).saturating_sub(base),
                state: hook.state,
                phase: hook.phase,
                about: doing.or(hook.reason),
                cost_usd: hook.cost_usd,
                cost_estimated: hook.estimated,
            });
        }
        Ok(Belongs { family, convoy: convoy::of_session(&context, &convoy_of)? })
    }
}
