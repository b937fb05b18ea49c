//! Whose turn it is: sessions that begin when others are done, or at a time.

use jiff::Timestamp;

use crate::control::error::{Class, Error, Result};
use crate::control::session::Session;
use crate::session::event;
use crate::session::journal::Event;
use crate::session::state::{Standing, State};
use crate::session::store::Journal;

use super::{Durable, Work, begin_or_resume, keep_hook, lock};

/// Records that other sessions of its convoy come first. Changes nothing once it has begun.
///
/// # Errors
/// If a worker is running, and those of the disk.
pub(crate) fn hold(session: &Session, held: &event::Held) -> Result<()> {
    change(session, |state| match &state.standing {
        Standing::New if state.place.is_none() => Some(Event::Held(held.clone())),
        Standing::Held(known) if known != held => Some(Event::Held(held.clone())),
        _ => None,
    })
}

/// Begins a session whose worker starts at a later time, or gives one that has not begun another
/// time. Changes nothing once it has begun.
///
/// # Errors
/// As [`begin_or_resume`] and [`hold`].
pub(crate) fn schedule(session: &Session, work: &Work, begins: Timestamp) -> Result<()> {
    if !session.exists() {
        begin_or_resume(session, work, Durable::Now)?;
    }
    let scheduled = event::Scheduled { begins };
    change(session, |state| match &state.standing {
        Standing::New if state.place.is_none() => Some(Event::Scheduled(scheduled.clone())),
        Standing::Scheduled(known) if *known != scheduled => {
            Some(Event::Scheduled(scheduled.clone()))
        }
        _ => None,
    })
}

/// Records that the turn of a session that is held has come.
///
/// # Errors
/// As [`hold`].
pub(crate) fn release(session: &Session) -> Result<()> {
    change(session, |state| {
        matches!(state.standing, Standing::Held(_)).then(|| Event::Released(event::Released {}))
    })
}

/// The event with which a session without a journal begins, as its worker would write it.
fn import(session: &Session) -> Result<Event> {
    let mut imported = session.imported(&session.overview()).map_err(|why| {
        Error::new(Class::Configuration, format!("cannot import session '{}': {why}", session.name))
    })?;
    if let Event::Imported(event::Imported { asked: Some(asked), .. }) = &mut imported
        && session.folder.hook().exists()
    {
        // Nobody knows which wait these were for.
        let unread = session.folder.unread()?.messages.into_iter();
        asked.unread = unread.map(|(_, message)| message.id).collect();
    }
    Ok(imported)
}

/// Appends an event to the journal, if one is needed, and writes the hook. A session that has no
/// journal yet, one of the predecessor's, is imported from its files first.
pub(crate) fn change(session: &Session, event: impl Fn(&State) -> Option<Event>) -> Result<()> {
    let Some(lock) = lock(session)? else {
        return if event(&session.state()?).is_none() {
            Ok(())
        } else {
            Err(Error::unavailable(format!("{} is being worked on", session.name)))
        };
    };
    let mut journal = Journal::open(&session.folder, &lock)?;
    // Nothing may come before the event that a session begins with.
    let foreign = journal.state().seq == 0 && session.folder.is_begun();
    if foreign && event(journal.state()).is_some() {
        journal.append(import(session)?)?;
    }
    if let Some(event) = event(journal.state()) {
        journal.append(event)?;
    }
    keep_hook(session, journal.state())
}
