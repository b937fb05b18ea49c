//! What is known of all sessions, kept up to date by `watch`, for any number of open pages.
//!
//! Every change gets a number. A page says which number it has seen and gets what came after it, so
//! that a page that was away loses nothing and gets nothing twice.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::watch as channel;

use crate::control::view::View;
use crate::control::watch::{Change, Watch};
use crate::control::{Error, Host, Result};
use crate::session::order;
use crate::session::state::StateName;

/// How many changes are taken at once.
const AT_ONCE: usize = 4096;

/// After this long, what could not be watched is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// All sessions.
#[derive(Debug)]
pub(super) struct Board {
    /// Tells this process's numbers from those of an earlier one.
    pub(super) boot: String,
    known: Mutex<Known>,
    /// The number of the last change.
    last: channel::Sender<u64>,
}

#[derive(Debug, Default)]
struct Known {
    sessions: BTreeMap<String, Session>,
    unreadable: BTreeMap<String, Error>,
    unwatched: Option<Error>,
    last: u64,
}

/// A session, and the number of its last change.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) view: Arc<View>,
    pub(super) changed: u64,
}

/// All sessions at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Snapshot {
    /// In the order they are shown in.
    pub(super) sessions: Vec<Session>,
    /// What cannot be shown, and why.
    pub(super) troubles: Vec<(Option<String>, Error)>,
    /// The number of the last change in it.
    pub(super) last: u64,
}

/// A heading of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Group {
    /// They cannot continue without a human.
    Need,
    /// They work, or will without a human.
    Work,
    /// They were stopped.
    Rest,
    /// They are done.
    Done,
}

impl Group {
    pub(super) const ALL: [Self; 4] = [Self::Need, Self::Work, Self::Rest, Self::Done];

    pub(super) const fn of(state: StateName) -> Self {
        match state {
            StateName::Failed | StateName::Blocked | StateName::Waiting => Self::Need,
            StateName::Running
            | StateName::Limited
            | StateName::Paused
            | StateName::Queued
            | StateName::New => Self::Work,
            StateName::Stopped => Self::Rest,
            StateName::Done => Self::Done,
        }
    }

    /// Its name in pages and events.
    pub(super) const fn id(self) -> &'static str {
        match self {
            Self::Need => "need",
            Self::Work => "work",
            Self::Rest => "rest",
            Self::Done => "done",
        }
    }

    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Need => "Waiting for you",
            Self::Work => "At work",
            Self::Rest => "Stopped",
            Self::Done => "Done",
        }
    }
}

impl Snapshot {
    /// The sessions below one heading.
    pub(super) fn of(&self, group: Group) -> impl Iterator<Item = &Session> {
        self.sessions.iter().filter(move |session| Group::of(session.view.state) == group)
    }

    /// Only the sessions whose name, project, state or phase has each of these words.
    pub(super) fn with_words(mut self, text: &str) -> Self {
        let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
        self.sessions.retain(|session| {
            let view = &session.view;
            let text = format!("{} {} {} {}", view.instance, view.project, view.state, view.phase);
            let text = text.to_lowercase();
            words.iter().all(|word| text.contains(word))
        });
        self
    }

    pub(super) fn need(&self) -> usize {
        self.of(Group::Need).count()
    }
}

impl Board {
    pub(super) fn new() -> Self {
        Self {
            boot: uuid::Uuid::new_v4().simple().to_string(),
            known: Mutex::default(),
            last: channel::Sender::new(0),
        }
    }

    /// Sends the number of each change.
    pub(super) fn subscribe(&self) -> channel::Receiver<u64> {
        self.last.subscribe()
    }

    pub(super) fn view(&self, instance: &str) -> Option<Session> {
        self.known().sessions.get(instance).cloned()
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let known = self.known();
        let mut sessions: Vec<Session> = known.sessions.values().cloned().collect();
        let troubles = known.unwatched.iter().map(|error| (None, error.clone()));
        let unreadable = known.unreadable.iter();
        let unreadable = unreadable.map(|(name, error)| (Some(name.clone()), error.clone()));
        let snapshot = Snapshot {
            troubles: troubles.chain(unreadable).collect(),
            last: known.last,
            sessions: Vec::new(),
        };
        drop(known);
        // The longest wait first among those that need a human, the latest first among the others.
        order::by_key(&mut sessions, |session| {
            let view = &session.view;
            let group = Group::of(view.state);
            let at = view.since.map_or(0, |since| since.as_millisecond());
            (group, if group == Group::Need { at } else { -at })
        });
        Snapshot { sessions, ..snapshot }
    }

    /// Takes changes in; a page sees all of them or none.
    fn take(&self, changes: Vec<Change>) {
        let mut known = self.known();
        let number = known.last + 1;
        let mut is_new = false;
        for change in changes {
            is_new |= known.take(change, number);
        }
        if is_new {
            known.last = number;
            drop(known);
            self.last.send_replace(number);
        }
    }

    fn set_unwatched(&self, error: Option<Error>) {
        let mut known = self.known();
        if known.unwatched != error {
            known.unwatched = error;
            known.last += 1;
            let number = known.last;
            drop(known);
            self.last.send_replace(number);
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches all sessions of the machine, and those of the project without a unit, for as long as
    /// the process runs.
    pub(super) async fn follow(&self, host: Arc<dyn Host>, has_project: bool) {
        loop {
            let error = match self.watch(host.as_ref(), has_project).await {
                Ok(()) => Error::unavailable("the sessions are no longer watched"),
                Err(error) => error,
            };
            tracing::warn!("{error}");
            self.set_unwatched(Some(error));
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn watch(&self, host: &dyn Host, has_project: bool) -> Result<()> {
        let everywhere = Watch { sessions: Vec::new(), everywhere: true };
        let mut streams: Vec<BoxStream<'static, Change>> = vec![host.watch(everywhere).await?];
        if has_project {
            streams.push(host.watch(Watch::default()).await?);
        }
        let mut changes = stream::select_all(streams).ready_chunks(AT_ONCE);
        // All that is there now is ready at once, and nothing is if there are no sessions.
        let first = changes.next().now_or_never().flatten().unwrap_or_default();
        self.forget_all_but(&first);
        self.set_unwatched(None);
        self.take(first);
        while let Some(next) = changes.next().await {
            self.take(next);
        }
        Ok(())
    }

    /// Forgets sessions that went away while nothing was watched.
    fn forget_all_but(&self, there: &[Change]) {
        let is_there = |instance: &str| {
            there.iter().any(|change| match change {
                Change::Session { view } => view.instance == instance,
                Change::Unreadable { instance: other, .. } => other == instance,
                Change::Gone { .. } => false,
            })
        };
        let known = self.known();
        let gone = known.sessions.keys().filter(|known| !is_there(known)).cloned();
        let gone: Vec<Change> = gone.map(|instance| Change::Gone { instance }).collect();
        drop(known);
        self.take(gone);
    }
}

impl Known {
    /// Whether the change brings something new.
    fn take(&mut self, change: Change, number: u64) -> bool {
        match change {
            Change::Session { view } => {
                let was_unreadable = self.unreadable.remove(&view.instance).is_some();
                let known = self.sessions.get(&view.instance);
                if known.is_some_and(|known| *known.view == *view) {
                    return was_unreadable;
                }
                let session = Session { changed: number, view: Arc::from(view) };
                self.sessions.insert(session.view.instance.clone(), session);
                true
            }
            Change::Gone { instance } => {
                let was_unreadable = self.unreadable.remove(&instance).is_some();
                self.sessions.remove(&instance).is_some() || was_unreadable
            }
            Change::Unreadable { instance, error } => {
                self.unreadable.insert(instance, error.clone()) != Some(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(instance: &str, state: &str, since: &str) -> Change {
        let view = serde_json::json!({
            "session": instance, "instance": instance, "project": "/p", "folder": "/f",
            "state": state, "phase": "planning", "iteration": 1, "total_iterations": 2,
            "since": since, "cost_usd": 0.5, "tokens": { "input": 1, "output": 2 },
        });
        Change::Session { view: Box::new(serde_json::from_value(view).unwrap()) }
    }

    #[test]
    fn those_that_wait_longest_come_first_and_the_same_twice_is_no_change() {
        let board = Board::new();
        let all = || {
            vec![
                change("done", "done", "2026-11-20T10:00:00Z"),
                change("runs", "running", "2026-11-20T09:00:00Z"),
                change("asks", "waiting", "2026-11-20T08:00:00Z"),
                change("failed", "failed", "2026-11-20T07:00:00Z"),
                change("ran", "running", "2026-11-20T06:00:00Z"),
            ]
        };
        let numbers = board.subscribe();
        board.take(all());
        let names = |board: &Board| -> Vec<String> {
            board.snapshot().sessions.iter().map(|of| of.view.instance.clone()).collect()
        };
        assert_eq!(names(&board), ["failed", "asks", "runs", "ran", "done"]);
        assert_eq!((board.snapshot().need(), *numbers.borrow()), (2, 1));
        board.take(all());
        assert_eq!(*numbers.borrow(), 1, "nothing is new");

        let found: Vec<_> = board.snapshot().with_words("RUN plann").sessions;
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(board.snapshot().with_words("runs waiting").sessions.is_empty());
        board.take(vec![change("asks", "done", "2026-11-20T11:00:00Z")]);
        assert_eq!(board.view("asks").unwrap().changed, 2);
        assert_eq!(board.view("runs").unwrap().changed, 1);
        assert_eq!(names(&board)[3..], ["asks", "done"]);

        let error = Error::usage("no");
        let unreadable = || Change::Unreadable { instance: "ran".into(), error: error.clone() };
        board.take(vec![unreadable()]);
        board.take(vec![unreadable()]);
        assert_eq!(board.snapshot().last, 3);
        assert_eq!(board.snapshot().troubles, [(Some("ran".to_owned()), error.clone())]);
        board.take(vec![Change::Gone { instance: "ran".into() }]);
        assert!(board.snapshot().troubles.is_empty());

        // As after a pause in which nothing was watched.
        board.forget_all_but(&[change("runs", "running", "2026-11-20T09:00:00Z")]);
        assert_eq!(names(&board), ["runs"]);
    }
}
