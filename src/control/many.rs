//! One action on many sessions, side by side.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use serde::{Deserialize, Serialize};

use crate::service::Scope;
use crate::session::state::StateName;

use super::context::{Answer, Context};
use super::enable::{Enable, Overrides};
use super::error::{Error, Result};
use super::host::{Reply, Request, answer};
use super::operation::{Operation, Perform};
use super::registry;
use super::request::Work;
use super::session::Session;
use super::stop::Stop;
use super::target::Target;
use super::timer;
use super::unit::{Disable, Reload, Restart, Start};

/// Does the same to several sessions. What fails for one does not keep the others from it, but a
/// mistyped name does, before anything is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Many {
    /// The sessions to act on: named, or all of the project.
    pub sessions: Chosen,
    /// What is done to them.
    pub action: Action,
}

/// The sessions to act on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Chosen {
    /// Names, dated folder names or instances, as typed.
    Named(Vec<String>),
    /// All of the project for which the action does something.
    All,
}

/// An action, with what the call for a single session takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// As [`Enable`], with the same task for all. `All` are those that exist and are not done.
    Enable {
        /// The task to work on.
        work: Box<Work>,
        /// Settings for these sessions.
        set: Overrides,
        /// Save the credentials found in the caller's environment.
        import_env: bool,
        /// In system scope: the name of the user to run the sessions as.
        run_as: Option<String>,
    },
    /// As [`Start`]. `All` are those that are stopped, blocked, failed, limited or paused.
    Start,
    /// As [`Stop`]. `All` are those that are neither stopped nor done.
    Stop {
        /// Whether to interrupt the run instead of waiting for the end of the iteration.
        now: bool,
    },
    /// As [`Restart`]. `All` are those that run.
    Restart,
    /// As [`Reload`]. `All` are those that run.
    Reload {
        /// The longest to wait for each, in seconds.
        timeout_s: u64,
    },
    /// As [`Disable`]. `All` are those of the project that exist.
    Disable,
}

/// What became of one of the sessions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Each {
    /// The session, as it was typed; its instance if all were meant.
    pub session: String,
    /// The answer to the call for it.
    pub answer: Answer<Reply>,
}

/// How many are acted on at the same time. Most of it is waiting: for workers and the manager.
const SIDE_BY_SIDE: usize = 64;

/// How many begin at the same time. The manager answers one call after the other, in some milliseconds
/// each, and runs its jobs when no call is left: with more, nothing starts meanwhile, nor does a session
/// for which a place is free.
const BEGUN_TOGETHER: usize = 12;

#[async_trait]
impl Perform for Many {
    async fn perform(self, on: &Operation<'_>) -> Result<Vec<Each>> {
        let chosen = self.chosen(on)?;
        // Root's privileges are raised and dropped for the whole process: one at a time then.
        let is_alone = on.caller.scope == Scope::System && rustix::process::getuid().is_root();
        let side_by_side = match self.action {
            _ if is_alone => 1,
            Action::Enable { .. } => BEGUN_TOGETHER,
            _ => SIDE_BY_SIDE,
        };
        let (of, ended) = (chosen.len(), AtomicUsize::new(0));
        let mut calls: Vec<BoxFuture<'_, Each>> = Vec::with_capacity(of);
        for session in chosen {
            let request = self.action.request(session.clone());
            let ended = &ended;
            let call = async move {
                let answer = answer(on.caller, request, on.progress).await;
                let at = ended.fetch_add(1, Ordering::Relaxed) + 1;
                on.step(at.min(of), of, session.clone());
                Each { session, answer }
            };
            calls.push(call.boxed());
        }
        let mut done = Vec::with_capacity(calls.len());
        if self.action.installs() && !calls.is_empty() {
            // It installs what all have in common, so that the manager reads its files once.
            done.push(calls.remove(0).await);
        }
        done.extend(stream::iter(calls).buffered(side_by_side).collect::<Vec<_>>().await);
        Ok(done)
    }
}

impl Many {
    /// The sessions, each once.
    fn chosen(&self, on: &Operation<'_>) -> Result<Vec<String>> {
        match &self.sessions {
            Chosen::Named(typed) if typed.is_empty() => Err(Error::usage("no session was named")),
            Chosen::Named(typed) => {
                self.check(on, typed)?;
                let mut seen = HashSet::new();
                Ok(typed.iter().filter(|name| seen.insert(name.as_str())).cloned().collect())
            }
            Chosen::All => {
                let context = Context::here(on.caller, &on.warnings)?;
                let mut all = registry::all_with_units(&context)?;
                // Oldest first, as they were begun.
                all.reverse();
                all.retain(|session| self.action.is_for(session));
                Ok(all.into_iter().map(|session| session.instance).collect())
            }
        }
    }

    /// Refuses a mistyped name among several before anything happens to the others.
    fn check(&self, on: &Operation<'_>, typed: &[String]) -> Result<()> {
        if typed.len() < 2 {
            return Ok(());
        }
        for name in typed {
            match self.action {
                // It may be new.
                Action::Enable { .. } => {}
                // What no longer exists still has a unit.
                Action::Stop { .. } | Action::Disable => {
                    let _ = Target::look_up(on.caller, &on.warnings, name)?;
                }
                Action::Start | Action::Restart | Action::Reload { .. } => {
                    on.resolve(name)?;
                }
            }
        }
        Ok(())
    }
}

impl Action {
    fn request(&self, session: String) -> Request {
        match self.clone() {
            Self::Enable { work, set, import_env, run_as } => {
                Enable { session, work: *work, set, import_env, run_as }.into()
            }
            Self::Start => Start { session }.into(),
            Self::Stop { now } => Stop { session, now }.into(),
            Self::Restart => Restart { session }.into(),
            Self::Reload { timeout_s } => Reload { session, timeout_s }.into(),
            Self::Disable => Disable { session }.into(),
        }
    }

    /// Whether it writes unit files.
    const fn installs(&self) -> bool {
        matches!(self, Self::Enable { .. } | Self::Start | Self::Restart)
    }

    /// Whether it does something for this session when all are meant.
    fn is_for(&self, session: &Session) -> bool {
        let Ok(hook) = session.hook() else { return false };
        match self {
            Self::Enable { .. } => hook.state != StateName::Done,
            Self::Start => matches!(
                hook.state,
                StateName::Stopped
                    | StateName::Blocked
                    | StateName::Failed
                    | StateName::Limited
                    | StateName::Paused
            ),
            Self::Stop { .. } => {
                session.is_worked_on()
                    || !matches!(hook.state, StateName::Stopped | StateName::Done)
                    || timer::of(session).is_some()
            }
            Self::Restart | Self::Reload { .. } => session.is_worked_on(),
            Self::Disable => true,
        }
    }
}

#[cfg(test)]
mod tests;
