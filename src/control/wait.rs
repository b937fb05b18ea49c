//! Waiting until a session needs somebody, without polling.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::service::{self, Progress};
use crate::session::Cause;
use crate::session::journal::Event;
use crate::session::mail::Kind;
use crate::session::state::Word;
use crate::session::store::read_journal;

use super::bus::Bus;
use super::context::Context;
use super::error::{Class, Error, Result};
use super::folders::FolderWatch;
use super::host::{Operation, Perform};
use super::session::Session;
use super::target::Target;
use super::view::View;

/// Waits until the first of some sessions is in a state that it does not leave by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Wait {
    /// As they were typed.
    pub sessions: Vec<String>,
    /// The states that count instead; none: done, waiting, blocked, stopped, failed, and paused
    /// without a time at which it is tried again.
    pub until: Vec<Word>,
    /// The longest to wait, in seconds.
    pub timeout_s: Option<u64>,
}

/// How the wait ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Waited {
    /// With the first session that got there.
    Reached(Box<View>),
    /// At the timeout.
    TimedOut {
        /// Where each of the sessions stands: "jwt-login is running".
        standing: Vec<String>,
    },
}

#[async_trait]
impl Perform for Wait {
    async fn perform(self, on: &Operation<'_>) -> Result<Waited> {
        let (context, found) = Target::resolve_all(on.caller, &on.warnings, &self.sessions)?;
        if found.is_empty() {
            return Err(Error::usage("no session is named: there is nothing to wait for"));
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
    /// The first session that is where it is waited for.
    async fn first(
        &self,
        context: &Context,
        found: &[Session],
        progress: Progress<'_>,
    ) -> Result<View> {
        let (warnings, root) = (&context.warnings, &context.project.root);
        // Listening comes before looking, or what happens between would be missed.
        let mut files = FolderWatch::all(found.iter().map(|session| session.folder.path()))?;
        files.remark().iter().for_each(|remark| progress(remark));
        let mut bus = Bus::listen(context.scope(), found, warnings).await;
        let mut units = bus.ask(warnings).await;
        loop {
            let mut undecided = false;
            for session in found {
                if !session.exists() {
                    let folder = session.folder.path().display();
                    let message = format!("{folder} no longer exists");
                    return Err(Error::new(Class::NotFound, message).hint("was it archived?"));
                }
                // Before the hook is read: one that has ended meanwhile has written it.
                let is_worked_on = session.is_worked_on();
                let unit = units.get(&session.instance);
                let view = View::of(&context.caller, root, session, unit.as_ref())?;
                if !self.is_reached(&view) || is_about_to_go_on(context, session, view.state) {
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
                // A lock that is let go of tells nobody.
                () = tokio::time::sleep(UNDECIDED), if undecided => {}
            }
        }
    }

    fn is_reached(&self, view: &View) -> bool {
        if !self.until.is_empty() {
            return self.until.contains(&view.state);
        }
        match view.state {
            Word::Done | Word::Waiting | Word::Blocked | Word::Stopped | Word::Failed => true,
            Word::Paused => view.until.is_none() || is_for_a_human(view.cause.as_ref()),
            Word::New | Word::Running | Word::Queued | Word::Limited => false,
        }
    }
}

/// Whether what pauses a session ends only when a human does something, however often it is tried
/// again meanwhile.
const fn is_for_a_human(cause: Option<&Cause>) -> bool {
    matches!(cause, Some(Cause::Credentials | Cause::Disk))
}

/// Whether mail lies in the inbox that lets the session go on, and a unit whose worker will take
/// it: it only stands still for as long as the worker needs to start.
fn is_about_to_go_on(context: &Context, session: &Session, state: Word) -> bool {
    if !matches!(state, Word::Waiting | Word::Blocked) || !session.folder.has_unread() {
        return false;
    }
    let wakes = session.folder.unread().is_ok_and(|unread| {
        let mut kinds = unread.messages.iter().map(|(_, message)| message.kind);
        kinds.any(|kind| !matches!(kind, Kind::Handoff | Kind::Stop))
    });
    let has_unit = service::recorded(context.scope(), &session.instance)
        .is_ok_and(|recorded| recorded.is_some());
    wakes && has_unit
}

/// For how long a worker that has just started is left to itself before it is looked at again.
const UNDECIDED: Duration = Duration::from_millis(50);

/// Whether a worker is at a session that came after this had come to rest: it was sent for by a
/// word or a start, and what the hook says is of before.
fn is_taken_up(session: &Session, view: &View) -> bool {
    if matches!(view.state, Word::Paused | Word::Running | Word::Limited | Word::Queued) {
        return false;
    }
    let mut started = None;
    let read = read_journal(&session.folder, |entry| match entry.event {
        Event::WorkerStarted(_) => started = Some(entry.at),
        Event::WorkerEnded(_) => started = None,
        _ => {}
    });
    // One that has not said so yet is just starting, or just ending.
    read.is_ok() && started.is_none_or(|started| view.since.is_none_or(|since| started >= since))
}

/// Where a session stands, in a few words.
fn stands(session: &Session) -> String {
    let state = session.hook().map_or(Word::New, |hook| hook.state);
    format!("{} is {state}", session.name)
}
