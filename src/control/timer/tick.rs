//! What happens when a timer's time has come, or might have.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::control::context::Context;
use crate::control::enable::Enable;
use crate::control::error::{Class, Error, Result};
use crate::control::install::planned;
use crate::control::operation::{Operation, Perform};
use crate::control::session::Session;
use crate::control::target::{self, Target};
use crate::git::{Plan, Start, WorktreePlan};
use crate::session::state::Standing;
use crate::session::store::crash_point;

use super::files::Files;
use super::record::{Last, Record, Turn};
use super::shown::Skipped;
use super::tell::tell;
use super::{arm, unset};

/// Begins what a session's timer is to begin now, if anything, and sets the timer again. Safe to repeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tick {
    /// The instance whose timer it is.
    pub session: String,
}

/// What a tick came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticked {
    /// The session that began.
    pub began: Option<String>,
    /// Why none did, although it was time.
    pub skipped: Option<String>,
}

#[async_trait]
impl Perform for Tick {
    async fn perform(self, on: &Operation<'_>) -> Result<Ticked> {
        if on.caller.session().is_some() {
            return Err(Error::refused("a timer is for its unit to look at, not for agents"));
        }
        let Target { context, session } = on.resolve(&self.session)?;
        let before = Files::of(&session).read()?;
        let after = tick(on, &context, &session).await?;
        let skipped = |of: &Option<Record>| of.as_ref().and_then(|of| of.skipped.clone());
        let latest = |of: &Option<Record>| of.as_ref().and_then(|of| of.latest.clone());
        Ok(Ticked {
            began: latest(&after).filter(|began| latest(&before).as_ref() != Some(began)),
            skipped: skipped(&after)
                .filter(|it| skipped(&before).as_ref() != Some(it))
                .map(|it| it.why),
        })
    }
}

/// Does what is due. Returns what is remembered then; `None` if the session has no timer.
pub(super) async fn tick(
    on: &Operation<'_>,
    context: &Context,
    session: &Session,
) -> Result<Option<Record>> {
    let files = Files::of(session);
    let _lock = files.lock().await?;
    let Some(mut record) = files.read()? else {
        unset(context, session).await?;
        return Ok(None);
    };
    let now = Timestamp::now();
    if record.is_due(now) {
        let had_skipped = record.skipped.is_some();
        plan(context, session, &mut record, now)?;
        files.write(&record)?;
        crash_point("what a timer begins is decided");
        if let Some(skipped) = record.skipped.as_ref().filter(|_| !had_skipped) {
            tell(context, session, &skipped.why).await;
        }
    }
    if let Some(name) = record.pending.clone() {
        match begin(on, context, &record, &name).await {
            Ok(()) => {
                crash_point("what a timer begins has begun");
                record.latest = Some(name);
                record.skipped = None;
            }
            Err(error) if error.class == Class::Unavailable => return Err(error),
            Err(error) => {
                let why = on.caller.pasteable(error).in_one_line();
                tell(context, session, &why).await;
                record.skipped = Some(Skipped { at: now, why });
            }
        }
        record.pending = None;
        if record.next.is_none() && record.skipped.is_none() {
            files.remove()?;
            crash_point("the record of a timer is removed");
            unset(context, session).await?;
            return Ok(Some(record));
        }
        files.write(&record)?;
    }
    arm(context, session, &record, None).await?;
    if !record.is_set {
        record.is_set = true;
        files.write(&record)?;
    }
    Ok(Some(record))
}

/// Decides what becomes of a time that is due.
fn plan(context: &Context, session: &Session, record: &mut Record, now: Timestamp) -> Result<()> {
    let due = record.next.unwrap_or(now);
    let last = last(context, session, record)?;
    match record.turn(last) {
        Turn::Own => record.pending = Some(session.name.clone()),
        Turn::Fresh => {
            let (name, number) = fresh(context, record)?;
            (record.pending, record.number) = (Some(name), number);
        }
        Turn::Skip(why) => record.skipped = Some(Skipped { at: due, why }),
    }
    record.advance(now);
    Ok(())
}

fn last(context: &Context, session: &Session, record: &Record) -> Result<Last> {
    let found;
    let last = match record.last() {
        own if own == session.name => session,
        other => {
            found = target::resolve(context, other)?;
            &found
        }
    };
    if !last.exists() {
        return Ok(Last::Gone);
    }
    let state = last.state()?;
    let is_unbegun = !state.stopped && matches!(state.standing, Standing::Scheduled(_));
    Ok(if is_unbegun { Last::Unbegun } else { Last::Begun(last.hook()?.state) })
}

/// The first free name with a number: one that no session has, and no branch of an earlier one.
fn fresh(context: &Context, record: &Record) -> Result<(String, u32)> {
    let mut number = record.number.max(1) + 1;
    loop {
        let name = format!("{}-{number}", record.session);
        let session = target::resolve(context, &name)?;
        let plan = planned(&context.project, &context.settings, &session)?;
        let is_attached = |start: &Start| matches!(start, Start::Attach(_));
        let has_branch =
            matches!(&plan, Plan::Worktree(WorktreePlan { start, .. }) if is_attached(start));
        if !session.exists() && !has_branch {
            return Ok((name, number));
        }
        number += 1;
    }
}

/// Begins a session as a person does, or resumes it.
async fn begin(on: &Operation<'_>, context: &Context, record: &Record, name: &str) -> Result<()> {
    let enable = Enable {
        session: name.to_owned(),
        work: record.work.clone(),
        set: record.set.clone(),
        import_env: false,
        run_as: context.run_as.as_ref().map(|user| user.name().to_owned()),
    };
    // An enabling may tick too, but not the one of a session without a time.
    Box::pin(enable.perform(on)).await.map(drop)
}
