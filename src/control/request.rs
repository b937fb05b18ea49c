//! What a human asks of a session whose worker is not there to be asked: written into the
//! session's journal by whoever holds its lock.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::session::event;
use crate::session::journal::Event;
use crate::session::mail::{Kind, Message};
use crate::session::overview::Overview;
use crate::session::state::{State, Word};
use crate::session::store::{self, Folder, Journal, Lock, LockError};
use crate::session::{Phase, RetryCause};

use super::context::Caller;
use super::error::{Class, Error, Result};
use super::session::Session;

/// What a session is asked to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Work {
    /// What is to be done. A new session needs one; a finished one is resumed with a new one.
    pub task: Option<String>,
    /// What the investigation of a new session begins with.
    pub dive: Option<String>,
}

/// What became of a request to begin or resume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Became {
    /// A new session.
    Created,
    /// A finished session with a new task.
    Resumed,
    /// A session that was stopped, blocked or failed goes on.
    Revived,
    /// It was there, and needs nothing more than to be started.
    Known,
    /// A worker is at it.
    Running,
}

/// How long a worker that is just ending is waited for.
const ENDING: Duration = Duration::from_secs(5);

/// Makes the session ready to be worked on: creates it, resumes it or lets it go on.
///
/// # Errors
/// For a task that is missing or that is not wanted, and what is in the way on disk.
pub(crate) fn begin_or_resume(session: &Session, work: &Work) -> Result<Became> {
    let is_new = !session.exists();
    let task = work.task.as_deref().map(str::trim);
    if task.is_some_and(str::is_empty) {
        let message = format!("the task of session '{}' is empty", session.name);
        return Err(Error::usage(message).hint(format!(
            "say what is to be done: samocode enable {} --task \"…\"",
            session.name
        )));
    }
    if is_new && task.is_none() {
        let name = &session.name;
        return Err(Error::usage(format!("session '{name}' is new: say what is to be done"))
            .hint(format!("samocode enable {name} --task \"…\"")));
    }
    store::make_folder(session.folder.path())?;
    let Some(lock) = lock(session)? else {
        let state = session.state()?;
        if task.is_some_and(|task| task != state.task) {
            return Err(at_work(session, state.word()));
        }
        return Ok(Became::Running);
    };
    let mut journal = Journal::open(&session.folder, &lock)?;
    discard_stops(session)?;
    if journal.state().seq == 0 && !session.folder.overview().exists() {
        let task = task.ok_or_else(|| {
            let folder = session.folder.path().display();
            Error::usage(format!("{folder} is empty: say what is to be done"))
                .hint(format!("samocode enable {} --task \"…\"", session.name))
        })?;
        journal.append(Event::Created(event::Created {
            name: session.name.clone(),
            task: task.to_owned(),
            dive: work.dive.clone(),
        }))?;
        return Ok(Became::Created);
    }
    if journal.state().seq == 0 {
        // One the predecessor began: the worker takes it over from its files.
        if task.is_some() && !is_done_by_overview(session) {
            return Err(at_work(session, Word::Running));
        }
        if task.is_none() {
            return match session.obstacle() {
                Some(why) => {
                    let why = format!("cannot take over session '{}': {why}", session.name);
                    Err(Error::new(Class::Configuration, why))
                }
                None => Ok(Became::Known),
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
    }
    match (journal.state().word(), task) {
        (Word::Done, Some(task)) => {
            // Back to investigation; the worker brings the overview in line.
            journal.append(Event::Resumed(event::Resumed { task: task.to_owned() }))?;
            Ok(Became::Resumed)
        }
        (Word::Done, None) => {
            let name = &session.name;
            Err(Error::usage(format!("session '{name}' is done"))
                .hint(format!("give it a new task with: samocode enable {name} --task \"…\"")))
        }
        // Asked again, perhaps because the first time was cut off.
        (_, Some(task)) if journal.state().task == task => revive(&mut journal),
        (word, Some(_)) => Err(at_work(session, word)),
        (_, None) => revive(&mut journal),
    }
}

/// The same, by a human who says that the session is to go on: a worker that is to stop at the end
/// of its iteration does not.
///
/// # Errors
/// As [`begin_or_resume`].
pub(crate) fn resume_despite_stop(session: &Session, work: &Work) -> Result<Became> {
    let became = begin_or_resume(session, work)?;
    if became != Became::Running {
        return Ok(became);
    }
    discard_stops(session)?;
    // The worker may have taken the stop just before, and is about to end.
    if session.state()?.stopped { begin_or_resume(session, work) } else { Ok(became) }
}

/// A stop that no worker took is over when a human says start.
fn discard_stops(session: &Session) -> Result<()> {
    for (file, message) in session.folder.unread()?.messages {
        if message.kind == Kind::Stop {
            session.folder.put_away(&file, &message.file_name())?;
        }
    }
    Ok(store::remove(&session.folder.stop_mark())?)
}

/// Lets a session go on that a human stopped, or that blocked or failed.
fn revive(journal: &mut Journal) -> Result<Became> {
    let word = journal.state().word();
    if matches!(word, Word::Stopped | Word::Failed | Word::Paused | Word::Limited) {
        journal.append(Event::Started(event::Started {}))?;
    }
    if journal.state().word() == Word::Blocked {
        journal.append(Event::Retried(event::Retried { by: RetryCause::Start }))?;
    }
    Ok(if journal.state().word() == word { Became::Known } else { Became::Revived })
}

fn is_done_by_overview(session: &Session) -> bool {
    session.hook().is_ok_and(|hook| hook.state == Word::Done)
}

fn at_work(session: &Session, word: Word) -> Error {
    let name = &session.name;
    Error::usage(format!("session '{name}' is {word} and has its task"))
        .hint(format!("send it words with: samocode send {name} \"…\", or begin another session"))
}

/// The session's lock; `None` when a worker holds it. One that is about to end is waited for.
fn lock(session: &Session) -> Result<Option<Lock>> {
    let deadline = Instant::now() + ENDING;
    loop {
        match Lock::take(&session.folder) {
            Ok(lock) => return Ok(Some(lock)),
            Err(LockError::Held(_)) => {
                let ending = session.hook().is_ok_and(|hook| {
                    matches!(
                        hook.state,
                        Word::Done | Word::Waiting | Word::Blocked | Word::Stopped | Word::Failed
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

/// Writes down that a human stopped the session, if no worker is there to do it.
///
/// # Errors
/// What is in the way on disk.
pub(crate) fn stop(session: &Session) -> Result<bool> {
    let Some(lock) = lock(session)? else { return Ok(false) };
    let mut journal = Journal::open(&session.folder, &lock)?;
    if journal.state().seq > 0 && !matches!(journal.state().word(), Word::Stopped | Word::Done) {
        journal.append(Event::Stopped(event::Stopped {}))?;
    }
    let state = journal.state();
    if state.stopped && session.folder.read_hook().is_none_or(|hook| hook.seq != state.seq) {
        write_hook(session, state)?;
    }
    store::remove(&session.folder.stop_mark())?;
    Ok(true)
}

fn write_hook(session: &Session, state: &State) -> Result<()> {
    let mut bytes = serde_json::to_vec(&crate::session::hook::Hook::of(state))?;
    bytes.push(b'\n');
    store::replace(&session.folder.hook(), &bytes)?;
    Ok(())
}

/// Puts a message into the session's inbox.
///
/// # Errors
/// For a message that is too large, and what is in the way on disk.
pub(crate) fn send(session: &Session, caller: &Caller, kind: Kind, body: &str) -> Result<Message> {
    let mut message = message(session, caller, kind, body)?;
    deliver_once(&session.folder, &mut message)?;
    Ok(message)
}

/// Delivers a message, unless the same words of the same sender lie unread: they were said by a
/// command that was cut off, or by somebody impatient. Then it is that message.
///
/// # Errors
/// What is in the way on disk.
pub(crate) fn deliver_once(folder: &Folder, message: &mut Message) -> Result<()> {
    let unread = folder.unread()?.messages.into_iter().map(|(_, known)| known);
    match unread.into_iter().find(|known| known.says_the_same(message)) {
        Some(known) => *message = known,
        None => deliver_last(folder, message)?,
    }
    Ok(())
}

/// Delivers a message that is to be read after all that lie unread. They are read in the order of
/// their times, and a clock may have been set back since.
///
/// # Errors
/// What is in the way on disk.
pub(crate) fn deliver_last(folder: &Folder, message: &mut Message) -> Result<()> {
    let unread = folder.unread()?.messages;
    if let Some((_, last)) = unread.last().filter(|(_, last)| last.at >= message.at) {
        message.at = last.at.checked_add(SignedDuration::from_micros(1)).unwrap_or(message.at);
    }
    Ok(folder.deliver(message)?)
}

/// A message to the session, not sent yet.
///
/// # Errors
/// For one that is too large.
pub(crate) fn message(
    session: &Session,
    caller: &Caller,
    kind: Kind,
    body: &str,
) -> Result<Message> {
    Message::new(caller.name(), &session.instance, Timestamp::now(), kind, body)
        .map_err(|error| Error::usage(format!("cannot send to {}: {error}", session.name)))
}
