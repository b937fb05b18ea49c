//! Giving a session a timer.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::control::context::Context;
use crate::control::convoy::convoy_of;
use crate::control::enable::Overrides;
use crate::control::error::{Error, Result};
use crate::control::install::UnitFiles;
use crate::control::operation::Operation;
use crate::control::request::{self, Work};
use crate::control::session::Session;
use crate::session::schedule::{BadTime, Every, at};
use crate::session::state::{Standing, StateName};
use crate::session::store::crash_point;
use crate::session::{SessionName, clock};

use super::files::Files;
use super::record::Record;
use super::shown::Upcoming;
use super::{arm, tick};

/// The number that a name gets at most by its timer, for checking that it is not too long.
const MANY: u32 = 9999;

impl From<BadTime> for Error {
    fn from(bad: BadTime) -> Self {
        let hint = bad.remedy;
        Self::usage(bad).hint(hint)
    }
}

/// When a session begins, as it was asked for.
#[derive(Debug, PartialEq)]
struct Asked {
    next: Timestamp,
    every: Option<Every>,
}

fn asked(work: &Work, now: &Zoned) -> Result<Asked> {
    let every = work.every.as_deref().map(Every::parse).transpose()?;
    let first = work.at.as_deref().map(|text| at(text, now)).transpose()?;
    let next = match (first, &every) {
        (Some(_), Some(every)) if !every.is_interval() => {
            return Err(Error::usage(format!("{} has its own times", every.describe()))
                .hint("leave --at out, or give --every an interval such as 6h"));
        }
        (Some(first), _) => Some(first),
        (None, Some(every)) if every.is_interval() => Some(now.timestamp()),
        (None, every) => every.as_ref().and_then(|every| every.next(None, now)),
    };
    let next = next.ok_or_else(|| Error::usage("that time never comes"))?;
    Ok(Asked { next, every })
}

/// Has a session begin at a time, or again and again. Returns what is to come.
///
/// # Errors
/// For a time that is none, a session that cannot wait for one, and those of disk and manager.
pub(in crate::control) async fn set(
    on: &Operation<'_>,
    context: &Context,
    session: &Session,
    unit: &UnitFiles<'_>,
    (work, set): (&Work, &Overrides),
) -> Result<Upcoming> {
    let asked = asked(work, &clock::local_now())?;
    let task = check(on, context, session, work, asked.every.is_some())?;
    let files = Files::of(session);
    let lock = files.lock().await?;
    let known = files.read().ok().flatten();
    let mut record = Record {
        session: session.name.clone(),
        next: Some(asked.next),
        every: asked.every,
        zone: TimeZone::system().iana_name().map(str::to_owned),
        work: Work { task, at: None, every: None, ..work.clone() },
        set: set.clone(),
        is_set: false,
        pending: None,
        latest: known.as_ref().and_then(|known| known.latest.clone()),
        number: known.as_ref().map_or(1, |known| known.number),
        skipped: None,
    };
    files.write(&record)?;
    crash_point("the record of a timer is written");
    request::schedule(session, &record.work, asked.next)?;
    crash_point("a session waits for its time");
    request::coordinate(session, work)?;
    arm(context, session, &record, Some(&unit.unit(None)?)).await?;
    record.is_set = true;
    files.write(&record)?;
    crash_point("a timer is known to be set");
    drop(lock);
    if record.next.is_some_and(|next| next <= Timestamp::now()) {
        // An interval that begins now.
        record = tick::tick(on, context, session).await?.unwrap_or(record);
    }
    Ok(record.shown())
}

/// Refuses what cannot be. Returns the task that each session gets.
fn check(
    on: &Operation<'_>,
    context: &Context,
    session: &Session,
    work: &Work,
    is_repeated: bool,
) -> Result<Option<String>> {
    let (name, instance) = (&session.name, &session.instance);
    if on.caller.session().is_some() || work.parent.is_some() {
        return Err(Error::refused(
            "only a human gives sessions a time to start at, and none below another",
        )
        .hint("leave out --at and --every: a coordinator starts its sessions itself"));
    }
    if !work.after.is_empty() || work.convoy.is_some() {
        return Err(Error::usage(format!(
            "{name} cannot start both at a time and in a convoy, after others"
        ))
        .hint(
            "leave out --after and --convoy, or --at and --every; others may come --after this one",
        ));
    }
    if let Some(convoy) = convoy_of(&context.project, name)? {
        return Err(Error::refused(format!("{name} is in convoy '{convoy}', which starts it"))
            .hint(format!("see when: samocode convoy status {convoy}")));
    }
    if is_repeated && SessionName::new(&format!("{name}-{MANY}")).is_err() {
        return Err(Error::usage(format!(
            "'{name}' is too long for sessions named {name}-2, {name}-3 …"
        ))
        .hint("choose a shorter name"));
    }
    let task = work.task.as_deref().map(str::trim).filter(|task| !task.is_empty());
    if !session.exists() {
        return match task {
            Some(task) => Ok(Some(task.to_owned())),
            None => Err(Error::usage(format!("session '{name}' is new and needs a task")).hint(
                format!("say what is to be done: samocode enable {name} --task \"…\" --at …"),
            )),
        };
    }
    let state = session.state()?;
    let is_new_task = task.is_some_and(|task| task != state.task);
    let own = || Some(task.unwrap_or(&state.task).to_owned());
    match session.hook()?.state {
        StateName::Done if is_repeated => Ok(own()),
        StateName::Done if task.is_none() => Err(Error::usage(format!("session '{name}' is done"))
            .hint(format!(
                "give it a new task with: samocode enable {instance} --task \"…\" --at …"
            ))),
        StateName::Done => Ok(own()),
        state if is_new_task => {
            Err(Error::usage(format!("session '{name}' is {state} and already has another task"))
                .hint(format!(
                    "to change it, remove it first: samocode remove {instance} --unfinished"
                )))
        }
        _ if is_repeated || matches!(state.standing, Standing::Scheduled(_)) => Ok(own()),
        StateName::Stopped | StateName::Blocked | StateName::Failed if !session.is_worked_on() => {
            Ok(own())
        }
        StateName::New if state.place.is_none() && !session.is_worked_on() => Ok(own()),
        state => Err(Error::refused(format!(
            "{name} is {state}; --at is for a session that is new, stopped, blocked, failed or done"
        ))
        .hint(format!("stop it first: samocode stop {instance}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked_for(at: Option<&str>, every: Option<&str>) -> Result<(String, bool)> {
        let now = "2026-11-27T20:15:30".parse::<jiff::civil::DateTime>().unwrap();
        let now = now.to_zoned(TimeZone::UTC).unwrap();
        let (at, every) = (at.map(str::to_owned), every.map(str::to_owned));
        let work = Work { at, every, ..Work::default() };
        asked(&work, &now).map(|asked| (asked.next.to_string(), asked.every.is_some()))
    }

    #[test]
    fn an_interval_begins_now_or_at_its_first_time_and_a_calendar_at_its_own() {
        let found = |at, every| asked_for(at, every).unwrap();
        assert_eq!(found(Some("22:00"), None), ("2026-11-27T22:00:00Z".into(), false));
        assert_eq!(found(None, Some("6h")), ("2026-11-27T20:15:30Z".into(), true));
        assert_eq!(found(Some("22:00"), Some("6h")), ("2026-11-27T22:00:00Z".into(), true));
        assert_eq!(found(None, Some("Mon 09:00")), ("2026-11-30T09:00:00Z".into(), true));
        let error = asked_for(Some("22:00"), Some("Mon 09:00")).unwrap_err();
        assert_eq!(error.message, "every Mon at 09:00 has its own times");
        for (at, every, text) in [
            (Some("soon"), None, "\"soon\" is not a time"),
            (None, Some("often"), "\"often\" is neither"),
        ] {
            let error = asked_for(at, every).unwrap_err();
            assert!(error.message.starts_with(text) && error.hint.is_some(), "{error:?}");
        }
    }
}
