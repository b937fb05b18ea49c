//! What a session continues with that was begun with flags such as `--agent`: settings of its own.

use crate::config::{Origin, Settings};
use crate::control::enable::Overrides;
use crate::control::error::Result;
use crate::control::request::change;
use crate::control::session::Session;
use crate::control::target::Target;
use crate::service;
use crate::session::Phase;
use crate::session::event::{Chosen, RunStarted};
use crate::session::journal::Event;
use crate::session::store;

/// The key of the agent.
const KEY: &str = "SAMOCODE_AGENT";

/// The settings that a session keeps, if the caller names none and they differ from the others: those
/// its unit has, else those of its last runs. With what to say about them.
pub(super) fn kept(set: &Overrides, target: &Target) -> Option<(Overrides, Vec<String>)> {
    let Target { context, session } = target;
    if !session.exists() {
        return None;
    }
    let unit = service::recorded(context.scope(), &session.instance).ok().flatten();
    let unit = unit.filter(|unit| unit.folder == session.folder.path());
    let before = Before::of(session, &context.settings);
    let (mut kept, mut said) = (set.clone(), Vec::new());
    for (flag, key, value) in kept.each() {
        if value.as_ref().is_some_and(|value| !value.trim().is_empty())
            || is_set_here(&context.settings, key)
        {
            continue;
        }
        let of_unit = unit.as_ref().and_then(|unit| {
            unit.environment.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone())
        });
        let found = match &unit {
            Some(_) if key == KEY => of_unit,
            _ => of_unit.or_else(|| before.value(key)),
        };
        let Some(found) = found.filter(|found| *found != current(&context.settings, key)) else {
            continue;
        };
        let name = &session.name;
        said.push(if key == KEY {
            format!("{name} continues with {found}, as before; to change that, use {flag}")
        } else {
            format!("{name} keeps {flag} {found}, as before; to change that, use {flag}")
        });
        *value = Some(found);
    }
    (!said.is_empty()).then_some((kept, said))
}

/// Records the settings that a run is given for its session alone.
///
/// # Errors
/// Those of the disk.
pub(super) fn remember(set: &Overrides, session: &Session) -> Result<()> {
    let flags = set.flags();
    let given = flags.iter().filter(|(_, value)| !value.trim().is_empty());
    let settings: std::collections::BTreeMap<_, _> =
        given.map(|(key, value)| (key.to_owned(), value.trim().to_owned())).collect();
    if settings.is_empty() {
        return Ok(());
    }
    change(session, |state| {
        let is_known = |(key, value): (&String, &String)| state.chosen.get(key) == Some(value);
        let all_known = settings.iter().all(is_known);
        (!all_known).then(|| Event::Chosen(Chosen { settings: settings.clone() }))
    })
}

/// Whether the caller's own environment sets a key.
fn is_set_here(settings: &Settings, key: &str) -> bool {
    origin(settings, key).is_some_and(|origin| *origin == Origin::Environment)
}

fn origin<'s>(settings: &'s Settings, key: &str) -> Option<&'s Origin> {
    settings.rows().iter().find(|row| row.key == key).map(|row| &row.origin)
}

/// The value that holds without flags.
fn current(settings: &Settings, key: &str) -> String {
    if key == KEY {
        return settings.agent(Phase::Init).to_string();
    }
    let row = settings.rows().iter().find(|row| row.key == key);
    row.map(|row| row.value.clone()).unwrap_or_default()
}

/// What earlier runs had.
#[derive(Default)]
struct Before {
    chosen: Chosen,
    /// The agent of the last run, unless the settings say which one to use.
    agent: Option<String>,
}

impl Before {
    fn of(session: &Session, settings: &Settings) -> Self {
        let mut before = Self::default();
        let is_open = origin(settings, KEY).is_none_or(|origin| *origin == Origin::Default);
        // A journal that cannot be read is reported by what reads it next.
        let _ = store::read_journal(&session.folder, |entry| match &entry.event {
            Event::Chosen(chosen) => before.chosen.settings.extend(chosen.settings.clone()),
            Event::RunStarted(started) if is_open && is_by_default(settings, started) => {
                before.agent = Some(name(started));
            }
            _ => {}
        });
        before
    }

    fn value(&self, key: &str) -> Option<String> {
        let agent = self.agent.clone().filter(|_| key == KEY);
        agent.or_else(|| self.chosen.settings.get(key).cloned())
    }
}

/// Whether the settings leave it to the default which agent works in the phase of this run.
fn is_by_default(settings: &Settings, started: &RunStarted) -> bool {
    let key = format!("{KEY}_{}", started.phase.as_str().to_ascii_uppercase());
    started.review.is_none() && origin(settings, &key).is_none()
}

/// The agent of a run, as a setting names it.
fn name(RunStarted { agent, command, .. }: &RunStarted) -> String {
    command.clone().unwrap_or_else(|| agent.clone())
}
