//! What a session is asked to do, and what its agent may do for its human.

use serde::{Deserialize, Serialize};

use crate::control::error::{Error, Result};
use crate::control::session::Session;
use crate::service::quoted;
use crate::session::event;
use crate::session::journal::Event;
use crate::session::store;

use super::change;

/// The work a session is asked to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Work {
    /// The task. A new session needs one, and so does a finished one to resume.
    pub task: Option<String>,
    /// What a new session investigates first.
    pub dive: Option<String>,
    /// The instance of the session that begins it; `None` if a human does.
    pub parent: Option<String>,
    /// Whether it is to coordinate sessions below it.
    pub coordinates: bool,
    /// What its human lets it decide for them; `None` changes nothing.
    pub delegate: Option<Delegate>,
    /// The sessions that have to be done before it starts, as typed.
    pub after: Vec<String>,
    /// The convoy that it is to be in.
    pub convoy: Option<String>,
    /// When it begins, as typed; at once if absent. With an interval, its first time.
    pub at: Option<String>,
    /// The interval or the calendar at which it begins again, as typed.
    pub every: Option<String>,
}

/// What a human lets a coordinator decide for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Delegate {
    /// The gates of the sessions below it.
    Gates,
    /// Nothing.
    None,
}

/// Refuses a session in whose folder something else is where the sessions below it would lie. An agent
/// can put a link there, which would lead out of the sessions' folder.
///
/// # Errors
/// If so.
pub(crate) fn check_workers(session: &Session) -> Result<()> {
    if session.folder.may_coordinate() {
        return Ok(());
    }
    let workers = session.folder.workers();
    Err(Error::refused(format!("{} is not a folder of sessions", workers.display()))
        .hint(format!("move it away: mv {0} {0}.old", quoted(&workers))))
}

/// Makes the session a coordinator, and records what its human lets it decide.
///
/// # Errors
/// As [`hold`](super::hold).
pub(crate) fn coordinate(session: &Session, work: &Work) -> Result<()> {
    if work.coordinates || work.delegate == Some(Delegate::Gates) {
        check_workers(session)?;
        store::make_folder(&session.folder.workers())?;
    }
    let Some(gates) = work.delegate.map(|delegate| delegate == Delegate::Gates) else {
        return Ok(());
    };
    change(session, |state| {
        (state.opens_gates != gates).then_some(Event::Delegated(event::Delegated { gates }))
    })
}

/// Makes the session's folder. The record of an earlier one, whose folder was removed by hand, is not
/// the new one's.
pub(super) fn make_folder(session: &Session) -> Result<()> {
    if let Some(kept) = session.folder.set_lost_record_aside()? {
        let (name, kept) = (&session.name, kept.display());
        session.warnings.add(format!(
            "the folder of an earlier session {name} was removed; its journal and mail are in {kept}"
        ));
    }
    if !session.exists() {
        session.folder.make_record()?;
    }
    Ok(store::make_folder(session.folder.path())?)
}
