//! What all pages share.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::control::context::is_outside;
use crate::control::origin::Origin;
use crate::control::{Call, Caller, Error, Host, Local, Result, call};
use crate::service::Scope;
use crate::session::clock;

use super::board::Board;
use super::place::{Cookie, Names};
use super::rate::{Buckets, Rate};
use super::tokens::Tokens;

/// Streams of events that may be open at the same time.
const MOST_STREAMS: usize = 256;

/// How many messages wait for a page to show them.
const MOST_NOTES: usize = 256;

/// What all pages share.
pub(super) struct App {
    caller: Caller,
    pub(super) host: Arc<dyn Host>,
    pub(super) board: Board,
    pub(super) tokens: Tokens,
    pub(super) names: Names,
    pub(super) cookie: Cookie,
    pub(super) zone: TimeZone,
    /// Requests of each visit.
    pub(super) visits: Buckets<String>,
    /// What each visit changes.
    pub(super) changes: Buckets<String>,
    /// Requests without a visit, all together.
    pub(super) strangers: Buckets<()>,
    /// Held by whoever presses a button of a message.
    pub(super) pressing: tokio::sync::Mutex<()>,
    streams: Arc<Semaphore>,
    notes: Mutex<VecDeque<(String, Vec<String>)>>,
}

impl App {
    pub(super) fn new(caller: Caller, tokens: Tokens, names: Names, cookie: Cookie) -> Self {
        Self {
            host: Arc::new(Local::new(caller.clone())),
            caller,
            board: Board::new(),
            tokens,
            names,
            cookie,
            zone: clock::shown_zone(),
            visits: Buckets::new(Rate { burst: 600.0, per_second: 100.0 }),
            changes: Buckets::new(Rate { burst: 30.0, per_second: 1.0 }),
            strangers: Buckets::new(Rate { burst: 60.0, per_second: 5.0 }),
            pressing: tokio::sync::Mutex::default(),
            streams: Arc::new(Semaphore::new(MOST_STREAMS)),
            notes: Mutex::default(),
        }
    }

    /// Keeps the board up to date from now on.
    pub(super) fn follow(self: &Arc<Self>) {
        let app = Arc::clone(self);
        tokio::spawn(async move {
            let has_project = !is_outside(&app.caller);
            app.board.follow(Arc::clone(&app.host), has_project).await;
        });
    }

    /// Whether the sessions are a user's, not the system's.
    pub(super) fn is_of_user(&self) -> bool {
        self.caller.scope == Scope::User
    }

    /// This machine, for calls in one of its projects.
    pub(super) fn host_in(&self, project: &Path) -> Arc<dyn Host> {
        let config = Some(project.join(".samocode"));
        Arc::new(Local::new(Caller { config, ..self.caller.clone() }))
    }

    /// The folders of the projects that are known: the one that the process was started in, and those
    /// of all sessions.
    pub(super) fn projects(&self) -> Vec<String> {
        let snapshot = self.board.snapshot();
        let own = crate::config::Project::find_with(
            self.caller.config.as_deref(),
            &self.caller.cwd,
            &self.caller.env,
        );
        let own = own.ok().map(|project| project.root.display().to_string());
        let mut all: Vec<String> = own.into_iter().collect();
        for session in snapshot.sessions {
            if !all.contains(&session.view.project) {
                all.push(session.view.project.clone());
            }
        }
        all
    }

    pub(super) fn now(&self) -> (Timestamp, &TimeZone) {
        (Timestamp::now(), &self.zone)
    }

    /// Makes a call; its reply and its warnings.
    pub(super) async fn ask<C>(&self, request: C) -> Result<(C::Reply, Vec<String>)>
    where
        C: Call + Send + 'static,
        C::Reply: Send + 'static,
    {
        ask_on(Arc::clone(&self.host), request).await
    }

    /// Makes a call for somebody who pressed a button of a message.
    pub(super) async fn ask_as_phone<C>(&self, request: C) -> Result<(C::Reply, Vec<String>)>
    where
        C: Call + Send + 'static,
        C::Reply: Send + 'static,
    {
        let mut caller = self.caller.clone();
        if let Origin::Outside(by) = &mut caller.origin {
            *by = format!("{} by a button", by.trim_end_matches(" in a browser"));
        }
        ask_on(Arc::new(Local::new(caller)), request).await
    }

    /// A place for one more stream of events, if there is one.
    pub(super) fn stream(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.streams).try_acquire_owned().ok()
    }

    /// Keeps lines for the page that the browser asks for next.
    pub(super) fn keep_note(&self, lines: Vec<String>) -> String {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.push_back((id.clone(), lines));
        if notes.len() > MOST_NOTES {
            notes.pop_front();
        }
        id
    }

    /// The lines that were kept, once.
    pub(super) fn take_note(&self, id: &str) -> Vec<String> {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let at = notes.iter().position(|(known, _)| known == id);
        at.and_then(|at| notes.remove(at)).map(|(_, lines)| lines).unwrap_or_default()
    }
}

/// Makes a call that comes to its end even if the browser goes away meanwhile.
pub(super) async fn ask_on<C>(host: Arc<dyn Host>, request: C) -> Result<(C::Reply, Vec<String>)>
where
    C: Call + Send + 'static,
    C::Reply: Send + 'static,
{
    let made = tokio::spawn(async move { call(host.as_ref(), request, &|_| {}).await });
    match made.await {
        Ok(answer) => Ok((answer.result?, answer.warnings)),
        Err(error) => Err(Error::new(crate::control::Class::Internal, error)),
    }
}
