//! Which agent a session continues with that was begun with `--agent`.

use crate::config::{Origin, Settings};
use crate::control::enable::Overrides;
use crate::control::session::Session;
use crate::control::target::Target;
use crate::service;
use crate::session::Phase;
use crate::session::event::RunStarted;
use crate::session::journal::Event;
use crate::session::store;

/// The key of the agent.
const KEY: &str = "SAMOCODE_AGENT";

/// The agent that a session continues with, if the caller names none and it is another one than in the
/// settings: the one its unit has, else that of its last run.
pub(super) fn agent(set: &Overrides, target: &Target) -> Option<String> {
    let Target { context, session } = target;
    if set.agent.is_some() || !session.exists() {
        return None;
    }
    let before = match service::recorded(context.scope(), &session.instance) {
        Ok(Some(recorded)) if recorded.folder == session.folder.path() => {
            let chosen = recorded.environment.into_iter().find(|(name, _)| name == KEY);
            chosen.filter(|_| !is_set_here(&context.settings)).map(|(_, agent)| agent)
        }
        _ => of_last_run(session, &context.settings),
    };
    before.filter(|before| *before != context.settings.agent(Phase::Init).to_string())
}

/// Whether the caller's own environment names an agent.
fn is_set_here(settings: &Settings) -> bool {
    origin(settings, KEY).is_some_and(|origin| *origin == Origin::Environment)
}

fn origin<'s>(settings: &'s Settings, key: &str) -> Option<&'s Origin> {
    settings.rows().iter().find(|row| row.key == key).map(|row| &row.origin)
}

/// The agent of the last run, unless the settings say which one to use.
fn of_last_run(session: &Session, settings: &Settings) -> Option<String> {
    if origin(settings, KEY).is_some_and(|origin| *origin != Origin::Default) {
        return None;
    }
    let mut last = None;
    store::read_journal(&session.folder, |entry| {
        if let Event::RunStarted(started) = &entry.event
            && is_by_default(settings, started)
        {
            last = Some(name(started));
        }
    })
    .ok()?;
    last
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
