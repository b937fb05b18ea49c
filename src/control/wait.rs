//! Waiting until a session needs a human, without polling.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::service::{self, Progress};
use crate::session::journal::Event;
use crate::session::mail::Kind;
use crate::session::state::StateName;
use crate::session::store::read_journal;
use crate::session::{Cause, WaitsFor};

use super::bus::Bus;
use super::context::Context;
use super::error::{Class, Error, Result};
use super::folders::FolderWatch;
use super::operation::{Operation, Perform};
use super::session::Session;
use super::target::Target;
use super::view::View;

/// Waits until the first of several sessions reaches a state that it does not leave on its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Wait {
    /// The sessions, as typed.
    pub sessions: Vec<String>,
    /// The states to wait for. If empty: done, waiting, blocked, stopped, failed, and paused without
    /// a time for the next retry.
    pub until: Vec<StateName>,
    /// The longest to wait, in seconds.
    pub timeout_s: Option<u64>,
    /// What the caller knows already: a session that is still there does not end the wait.
    pub seen: Vec<Mark>,
}

/// A state of a session that was reported: the same again is not news.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The instance of the session's unit, which every verb takes as a name.
    pub instance: String,
    /// The session's state when the call was made.
    pub state: StateName,
    /// When it entered that state, which tells one stay in it from the next.
    pub since: Option<Timestamp>,
}

impl Mark {
    /// The state of this session.
    #[must_use]
    pub fn of(view: &View) -> Self {
        Self { instance: view.instance.clone(), state: view.state, since: view.since }
    }
}

/// How the wait ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Waited {
    /// This session was the first to reach such a state.
    Reached(Box<View>),
    /// The timeout came first.
    TimedOut {
        /// The state of each session: "jwt-login is running".
        standing: Vec<String>,
    },
}

#[async_trait]
impl Perform for Wait {
    async fn perform(self, on: &Operation<'_>) -> Result<Waited> {
        let (context, found) = Target::resolve_all(on.caller, &on.warnings, &self.sessions)?;
        if found.is_empty() {
            return Err(Error::usage("cannot wait: no session is named"));
        }
        let reached = self.first(&context, &found, on.progress);
        let reached = match self.timeout_s.map(Duration::from_secs) {
            Some(bound) => tokio::time::timeout(bound, reached).await,
            None => Ok(reached.await),
        };
        match reached {
            Ok(view) => Ok(Waited::Reached(Box::new(view?))),
            Err(_) => Ok(Waited::TimedOut { standing: found.iter().map(stands).collect() }),
        }
    }
}

impl Wait {
    /// The first session to reach one of the states.
    async fn first(
        &self,
        context: &Context,
        found: &[Session],
        progress: Progress<'_>,
    ) -> Result<View> {
        let (warnings, root) = (&context.warnings, &context.project.root);
        // Subscribe before looking, so that no change in between is missed.
        let mut files = FolderWatch::all([])?;
        found.iter().try_for_each(|session| files.add_session(&session.folder))?;
        files.remark().iter().for_each(|remark| progress(remark));
        let instances: Vec<String> = found.iter().map(|one| one.instance.clone()).collect();
        let mut bus = Bus::listen(context.scope(), &instances, warnings).await;
        let mut units = bus.ask(warnings).await;
        loop {
            let mut undecided = false;
            for session in found {
                if !session.exists() {
                    let folder = session.folder.path().display();
                    let message = format!("{folder} no longer exists");
                    return Err(Error::new(Class::NotFound, message).hint("was it archived?"));
                }
                // Check the lock before reading the hook: a worker writes the hook before it exits.
                let is_worked_on = session.is_worked_on();
                let unit = units.get(&session.instance);
                let view = View::of(&context.caller, root, session, unit.as_ref())?;
                let is_news = self.is_reached(&view) && !self.seen.contains(&Mark::of(&view));
                if !is_news || is_about_to_go_on(context, session, view.state) {
                    continue;
                }
                if !(is_worked_on && is_taken_up(session, &view)) {
                    return Ok(view.in_project(&context.project));
                }
                undecided = true;
            }
            tokio::select! {
                () = files.changed() => {}
                () = bus.changed() => units = bus.ask(warnings).await,
                // Releasing a lock sends no event.
                () = tokio::time::sleep(UNDECIDED), if undecided => {}
            }
        }
    }

    fn is_reached(&self, view: &View) -> bool {
        if !self.until.is_empty() {
            return self.until.contains(&view.state);
        }
        let needs = view.needs.as_ref().map(|needs| &needs.waits_for);
        match view.state {
            // Mail from those below it ends that.
            StateName::Waiting if needs == Some(&WaitsFor::Workers) => false,
            StateName::Done
            | StateName::Waiting
            | StateName::Blocked
            | StateName::Stopped
            | StateName::Failed => true,
            StateName::Paused => view.until.is_none() || is_for_a_human(view.cause.as_ref()),
            StateName::New | StateName::Running | StateName::Queued | StateName::Limited => false,
        }
    }
}

/// Whether a pause ends only when a human does something, however often the worker retries.
const fn is_for_a_human(cause: Option<&Cause>) -> bool {
    matches!(cause, Some(Cause::Credentials | Cause::Disk))
}

/// Whether the inbox has mail that will resume the session, and the session has a unit to do so: then
/// it is only waiting for its worker to start.
fn is_about_to_go_on(context: &Context, session: &Session, state: StateName) -> bool {
    if !matches!(state, StateName::Waiting | StateName::Blocked) || !session.folder.has_unread() {
        return false;
    }
    let left = session.state().map(|state| state.left).unwrap_or_default();
    let wakes = session.folder.unread().is_ok_and(|unread| {
        unread.messages.iter().any(|(_, message)| {
            !matches!(message.kind, Kind::Handoff | Kind::Stop) && !left.contains(&message.id)
        })
    });
    let has_unit = service::recorded(context.scope(), &session.instance)
        .is_ok_and(|recorded| recorded.is_some());
    wakes && has_unit
}

/// How long to wait before looking again at a worker that has just started.
const UNDECIDED: Duration = Duration::from_millis(50);

/// Whether the current worker was started, by a message or by `start`, after the session had come to
/// rest, so that the hook is out of date.
fn is_taken_up(session: &Session, view: &View) -> bool {
    if matches!(
        view.state,
        StateName::Paused | StateName::Running | StateName::Limited | StateName::Queued
    ) {
        return false;
    }
    let mut started = None;
    let read = read_journal(&session.folder, |entry| match entry.event {
        Event::WorkerStarted(_) => started = Some(entry.at),
        Event::WorkerEnded(_) => started = None,
        _ => {}
    });
    // A worker that is not in the journal is just starting or just exiting.
    read.is_ok() && started.is_none_or(|started| view.since.is_none_or(|since| started >= since))
}

/// The session's name and state, as in "jwt-login is running".
fn stands(session: &Session) -> String {
    let state = session.hook().map_or(StateName::New, |hook| hook.state);
    format!("{} is {state}", session.name)
}
