//! Changing a session that has no running worker: create, resume, stop. The caller takes the
//! session's lock and writes to its journal. Also sends messages to its inbox.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::config::Dirs;
use crate::session::event;
use crate::session::journal::Event;
use crate::session::mail::{Kind, Message};
use crate::session::overview::Overview;
use crate::session::state::{Standing, State, StateName};
use crate::session::store::{self, Folder, Journal, Lock, LockError, Vouchers};
use crate::session::{Phase, RetryCause, is_blank};

use super::context::Caller;
use super::error::{Class, Error, Result};
use super::session::Session;

mod turn;
mod work;

pub(crate) use turn::{change, hold, release, schedule};
use work::make_folder;
pub use work::{Delegate, Work};
pub(crate) use work::{check_workers, coordinate};

/// The result of a request to start or resume a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Became {
    /// A new session was created.
    Created,
    /// A finished session got a new task.
    Resumed,
    /// A stopped, blocked or failed session may continue.
    Revived,
    /// The session exists and only needs to be started.
    Known,
    /// A worker is running it already.
    Running,
}

/// When a request to continue is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durable {
    /// Before the call returns.
    Now,
    /// With the first event that the worker syncs. For a caller that starts the worker itself and
    /// reports nothing before it has ended.
    WithTheWorker,
}

impl Durable {
    /// The verb that makes such a request, for hints.
    const fn verb(self) -> &'static str {
        match self {
            Self::Now => "enable",
            Self::WithTheWorker => "run",
        }
    }
}

/// How long to wait for a worker that is about to exit.
const ENDING: Duration = Duration::from_secs(5);

/// Makes a session ready for a worker: creates it, gives it a new task, or lets it continue.
///
/// # Errors
/// If a task is missing, or given to a session that has another one; and those of the disk.
pub(crate) fn begin_or_resume(session: &Session, work: &Work, durable: Durable) -> Result<Became> {
    let with_task = format!("samocode {} {} --task \"…\"", durable.verb(), session.name);
    let task = task_of(session, work, &with_task)?;
    make_folder(session)?;
    let Some(lock) = lock(session)? else {
        let state = session.state()?;
        if task.is_some_and(|task| task != state.task) {
            return Err(at_work(session));
        }
        return Ok(Became::Running);
    };
    let mut journal = Journal::open(&session.folder, &lock)?;
    discard_stops(session)?;
    if journal.state().seq == 0
        && let Some(became) = enter(&mut journal, session, work, task, &with_task)?
    {
        return Ok(became);
    }
    match (journal.state().name(), task) {
        (StateName::Done, Some(task)) => {
            // Back to investigation; the worker updates the overview.
            journal.append(Event::Resumed(event::Resumed { task: task.to_owned() }))?;
            Ok(Became::Resumed)
        }
        (StateName::Done, None) => {
            let name = &session.name;
            Err(Error::usage(format!("session '{name}' is done"))
                .hint(format!("give it a new task with: {with_task}")))
        }
        // The same request again, for example because the first one was interrupted.
        (_, Some(task)) if journal.state().task == task => revive(session, &mut journal, durable),
        (_, Some(_)) => Err(at_work(session)),
        (_, None) => revive(session, &mut journal, durable),
    }
}

/// The task that a session is to get, if it gets one.
fn task_of<'w>(session: &Session, work: &'w Work, with_task: &str) -> Result<Option<&'w str>> {
    let name = &session.name;
    let needs = |message: String| {
        Error::usage(message).hint(format!("say what is to be done: {with_task}"))
    };
    match work.task.as_deref().map(|task| task.trim_matches(is_blank)) {
        Some("") => Err(needs(format!("the task of session '{name}' is empty"))),
        None if !session.exists() => {
            Err(needs(format!("session '{name}' is new and needs a task")))
        }
        task => Ok(task),
    }
}

/// Writes the first event of a journal. `None` if the session, one of the predecessor's, is done and
/// still has to get its new task.
fn enter(
    journal: &mut Journal,
    session: &Session,
    work: &Work,
    task: Option<&str>,
    with_task: &str,
) -> Result<Option<Became>> {
    if !session.folder.overview().exists() {
        let task = task.ok_or_else(|| {
            let folder = session.folder.path().display();
            Error::usage(format!("the session in {folder} is empty and needs a task"))
                .hint(with_task)
        })?;
        journal.append(Event::Created(event::Created {
            name: session.name.clone(),
            task: task.to_owned(),
            dive: work.dive.clone(),
            parent: work.parent.clone(),
        }))?;
        return Ok(Some(Became::Created));
    }
    // Started by the predecessor: the worker imports it from its files.
    if task.is_some() && !is_done_by_overview(session) {
        return Err(at_work(session));
    }
    if task.is_none() {
        return match session.obstacle() {
            Some(why) => {
                let why = format!("cannot import session '{}': {why}", session.name);
                Err(Error::new(Class::Configuration, why))
            }
            None => Ok(Some(Became::Known)),
        };
    }
    let overview = store::read(&session.folder.overview())?.unwrap_or_default();
    let overview = Overview::parse(overview);
    let status = overview.status();
    journal.append(Event::Imported(event::Imported {
        name: session.name.clone(),
        task: overview.task().unwrap_or_default().to_owned(),
        phase: Phase::Done,
        iteration: status.iteration.unwrap_or(0),
        total: status.total_iterations.unwrap_or(0),
        gate: crate::session::advance::Gate::Closed,
        asked: None,
        waits_for: None,
        blocked: None,
        done: true,
    }))?;
    Ok(None)
}

/// Like [`begin_or_resume`], and also cancels a stop that the worker has not acted on yet.
///
/// # Errors
/// As [`begin_or_resume`].
pub(crate) fn resume_despite_stop(session: &Session, work: &Work) -> Result<Became> {
    let became = begin_or_resume(session, work, Durable::Now)?;
    if became != Became::Running {
        return Ok(became);
    }
    discard_stops(session)?;
    // The worker may have acted on the stop just before and be about to exit.
    if session.state()?.stopped { begin_or_resume(session, work, Durable::Now) } else { Ok(became) }
}

/// Discards stops that no worker has acted on.
fn discard_stops(session: &Session) -> Result<()> {
    for (file, message) in session.folder.unread()?.messages {
        if message.kind == Kind::Stop {
            session.folder.put_away(&file, &message.file_name())?;
        }
    }
    Ok(store::remove(&session.folder.stop_mark())?)
}

/// Lets a stopped, blocked, failed or paused session continue.
fn revive(session: &Session, journal: &mut Journal, durable: Durable) -> Result<Became> {
    let append = |journal: &mut Journal, event| match durable {
        Durable::Now => journal.append(event),
        Durable::WithTheWorker => journal.append_unsynced(event, |_, _| ()),
    };
    let word = journal.state().name();
    if matches!(
        word,
        StateName::Stopped | StateName::Failed | StateName::Paused | StateName::Limited
    ) {
        append(journal, Event::Started(event::Started {}))?;
    }
    if journal.state().name() == StateName::Blocked {
        append(journal, Event::Retried(event::Retried { by: RetryCause::Start }))?;
    }
    // Sooner than at its time.
    if matches!(journal.state().standing, Standing::Scheduled(_)) {
        append(journal, Event::Released(event::Released {}))?;
        return Ok(Became::Revived);
    }
    // No worker starts that would write the hook: its turn has not come.
    if matches!(journal.state().standing, Standing::Held(_)) {
        keep_hook(session, journal.state())?;
    }
    Ok(if journal.state().name() == word { Became::Known } else { Became::Revived })
}

fn is_done_by_overview(session: &Session) -> bool {
    session.hook().is_ok_and(|hook| hook.state == StateName::Done)
}

fn at_work(session: &Session) -> Error {
    let name = &session.name;
    Error::usage(format!("session '{name}' already has a task, which is not done")).hint(format!(
        "send it a message with: samocode send {name} \"…\", or start another session"
    ))
}

/// Takes the session's lock; `None` if a worker holds it. Waits for a worker that is about to exit.
fn lock(session: &Session) -> Result<Option<Lock>> {
    let deadline = Instant::now() + ENDING;
    loop {
        match Lock::take(&session.folder) {
            Ok(lock) => return Ok(Some(lock)),
            Err(LockError::Held(_)) => {
                let ending = session.hook().is_ok_and(|hook| {
                    matches!(
                        hook.state,
                        StateName::Done
                            | StateName::Waiting
                            | StateName::Blocked
                            | StateName::Stopped
                            | StateName::Failed
                    )
                });
                if !ending || Instant::now() >= deadline {
                    return Ok(None);
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(LockError::Store(error)) => return Err(error.into()),
        }
    }
}

/// Records in the journal that a human stopped the session. Returns false, and records nothing, if a
/// worker is running: it records the stop itself.
///
/// # Errors
/// Those of the disk.
pub(crate) fn stop(session: &Session) -> Result<bool> {
    let Some(lock) = lock(session)? else { return Ok(false) };
    let mut journal = Journal::open(&session.folder, &lock)?;
    if journal.state().seq > 0
        && !matches!(journal.state().name(), StateName::Stopped | StateName::Done)
    {
        journal.append(Event::Stopped(event::Stopped {}))?;
    }
    let state = journal.state();
    if state.stopped {
        keep_hook(session, state)?;
    }
    store::remove(&session.folder.stop_mark())?;
    Ok(true)
}

/// Writes the hook unless it tells this state.
fn keep_hook(session: &Session, state: &State) -> Result<()> {
    if session.folder.read_hook().is_some_and(|hook| hook.seq == state.seq) {
        return Ok(());
    }
    let mut bytes = serde_json::to_vec(&crate::session::hook::Hook::of(state))?;
    bytes.push(b'\n');
    store::replace(&session.folder.hook(), &bytes)?;
    Ok(())
}

/// Puts a message into the session's inbox.
///
/// # Errors
/// If the message is too large, and those of the disk.
pub(crate) fn send(session: &Session, caller: &Caller, kind: Kind, body: &str) -> Result<Message> {
    let mut message = message(session, caller, kind, body, None)?;
    vouch(caller, session, &message, caller.sender(&session.instance))?;
    let id = message.id.clone();
    deliver_once(&session.folder, &mut message)?;
    if message.id != id {
        vouch(caller, session, &message, caller.sender(&session.instance))?;
    }
    Ok(message)
}

/// Records, before a message is delivered, who sent it and from where, if somebody vouches for it.
///
/// # Errors
/// Those of the disk.
pub(crate) fn vouch(
    caller: &Caller,
    session: &Session,
    message: &Message,
    by: Option<&str>,
) -> Result<()> {
    let Some(by) = by else { return Ok(()) };
    let state = Dirs::user(&caller.env)?.state;
    Ok(Vouchers::of(&state, &session.instance).vouch(message, by)?)
}

/// Delivers a message, unless the inbox has the same one unread: same sender, kind and text,
/// possibly from a command that was interrupted. Then `message` becomes that one.
///
/// # Errors
/// Those of the disk.
pub(crate) fn deliver_once(folder: &Folder, message: &mut Message) -> Result<()> {
    let unread = folder.unread()?.messages.into_iter().map(|(_, known)| known);
    match unread.into_iter().find(|known| known.says_the_same(message)) {
        Some(known) => *message = known,
        None => deliver_last(folder, message)?,
    }
    Ok(())
}

/// Delivers a message so that it is read after all other unread ones. They are read in the order of
/// their times, and the clock may have been set back since.
///
/// # Errors
/// Those of the disk.
pub(crate) fn deliver_last(folder: &Folder, message: &mut Message) -> Result<()> {
    let unread = folder.unread()?.messages;
    if let Some((_, last)) = unread.last().filter(|(_, last)| last.at >= message.at) {
        message.at = last.at.checked_add(SignedDuration::from_micros(1)).unwrap_or(message.at);
    }
    Ok(folder.deliver(message)?)
}

/// Creates a message to the session without sending it.
///
/// # Errors
/// If it is too large.
pub(crate) fn message(
    session: &Session,
    caller: &Caller,
    kind: Kind,
    body: &str,
    reply_to: Option<&str>,
) -> Result<Message> {
    Message::new(caller.name(), &session.instance, Timestamp::now(), kind, body)
        .and_then(|message| message.in_reply_to(reply_to))
        .map_err(|error| Error::usage(format!("cannot send to {}: {error}", session.name)))
}
