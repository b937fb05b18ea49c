//! Sessions that begin on their own: once at a time, or again and again.
//!
//! ```text
//! enable --at, --every      a record, SESSIONS/_timers/INSTANCE.json; the session, which waits for its
//!                           time; and the manager's timer, set to the next time, always a single one
//! its time comes            the timer's unit leaves a token for the waker, which runs `samocode tick`
//! tick                      reads the record. If a time is due: records what begins and when the next
//!                           time is; begins it as `enable` does; sets the timer again
//! stop, disable, archive    remove the record, then the timer
//! ```
//!
//! The record is the truth. A tick that finds nothing due only sets the timer as the record has it, so
//! every step may be repeated; the timer also ticks when it is loaded, at boot or at login, which
//! catches up on a time that passed while the machine was off, once.

mod files;
mod record;
mod set;
mod shown;
mod tell;
mod tick;

use crate::service::{self, Shared, quiet};
use crate::session::store::crash_point;

use super::context::Context;
use super::error::Result;
use super::privilege::Raised;
use super::session::Session;

use files::Files;
use record::Record;

pub(super) use set::set;
pub use shown::{Skipped, Upcoming};
pub use tick::{Tick, Ticked};

/// What is to come of a session on its own; `None` if it has no timer, or its record is damaged.
pub(crate) fn of(session: &Session) -> Option<Upcoming> {
    Files::of(session).read().ok().flatten().map(|record| record.shown())
}

/// Removes the timer of a session, if it has one. Returns what no longer happens.
///
/// # Errors
/// Those of the disk and the service manager.
pub(super) async fn cancel(context: &Context, session: &Session) -> Result<Option<Upcoming>> {
    let files = Files::of(session);
    // One that cannot be read is removed too.
    let Some(record) = files.read().map_or(Some(None), |read| read.map(Some)) else {
        return Ok(None);
    };
    let _lock = files.lock().await?;
    files.remove()?;
    crash_point("the record of a timer is removed");
    unset(context, session).await?;
    Ok(record.map(|record| record.shown()))
}

/// Forgets the single time of a session that has begun anyway.
pub(super) async fn forget_single(context: &Context, session: &Session) -> Result<()> {
    let files = Files::of(session);
    match files.read() {
        Ok(Some(record)) if record.every.is_none() => {
            files.remove()?;
            unset(context, session).await
        }
        _ => Ok(()),
    }
}

/// Sets the manager's timer as the record has it, and installs `unit` with it.
async fn arm(
    context: &Context,
    session: &Session,
    record: &Record,
    unit: Option<&service::Session>,
) -> Result<()> {
    let Some(at) = record.next else { return unset(context, session).await };
    let timer = service::Timer {
        instance: session.instance.clone(),
        at,
        what: record.describe(&session.name),
    };
    let manager = context.manager().await?;
    let spool = context.spool()?;
    let shared = Shared { binary: &context.caller.binary, spool: spool.dir() };
    let _root = Raised::up()?;
    spool.create(context.scope())?;
    crash_point("a timer is to be set");
    manager.set_timer(shared, unit, &timer).await?;
    crash_point("a timer is set");
    Ok(manager.watch_spool().await?)
}

async fn unset(context: &Context, session: &Session) -> Result<()> {
    let manager = context.manager().await?;
    let _root = Raised::up()?;
    Ok(manager.remove_timer(&session.instance, &quiet).await?)
}
