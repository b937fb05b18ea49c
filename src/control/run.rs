//! Working on a session in the foreground, where no service manager is wanted.

use std::process::Stdio;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use crate::config::{Dirs, Flags};
use crate::service::Progress;
use crate::service::exit::Exit;
use crate::service::foreground::{self, Ended};
use crate::session::state::Word;
use crate::session::store::OutageNotes;

use super::context::Context;
use super::enable::{Overrides, Waits};
use super::error::{Class, Error, Result};
use super::host::{Operation, Perform};
use super::install::{check_agent, check_branch};
use super::request::{Became, Work, begin_or_resume};
use super::session::Session;
use super::target::Target;
use super::view::View;

/// Works on a session until it waits, is blocked or done. `progress` hears each status line of the
/// worker, which ends with the caller.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Run {
    /// As it was typed.
    pub session: String,
    /// What it is to do.
    pub work: Work,
    /// What is set for it.
    pub set: Overrides,
}

/// How work in the foreground ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ran {
    /// The session now, as others see it: one without a worker is stopped.
    pub view: View,
    /// The state its worker left it in.
    pub state: Word,
    /// The worker's reason for that.
    pub reason: Option<String>,
    /// What it waits for, unless a human has answered in its files.
    pub waits: Option<Waits>,
    /// Whether somebody interrupted it in the middle of its work.
    #[serde(default)]
    pub interrupted: bool,
    /// Why the worker did not come to a rest of its own, if it did not.
    pub failure: Option<Class>,
}

#[async_trait]
impl Perform for Run {
    async fn perform(self, on: &Operation<'_>) -> Result<Ran> {
        let flags = self.set.flags();
        let target = Target::begin(on.caller, &on.warnings, &self.session, &flags, None)?;
        let Target { context, session } = &target;
        context.project.check_places()?;
        check_agent(context, &context.settings, &context.caller.env, session)?;
        check_branch(&context.project, &context.settings, session)?;
        if begin_or_resume(session, &self.work)? == Became::Running {
            let instance = &session.instance;
            let message = format!("{} is worked on by another process already", session.name);
            return Err(Error::refused(message).hint(format!(
                "samocode status {instance} shows it, samocode stop {instance} ends it"
            )));
        }
        work(context, session, &flags, on.progress).await
    }
}

/// Works on a session in the foreground and says how it ended.
pub(crate) async fn work(
    context: &Context,
    session: &Session,
    flags: &Flags,
    progress: Progress<'_>,
) -> Result<Ran> {
    let caller = &context.caller;
    let mut command = Command::new(&caller.binary);
    command
        .arg("worker")
        .arg(&session.instance)
        .env_clear()
        .envs(&flags.over(&caller.env))
        .env("SAMOCODE_CONFIG", &context.project.config)
        .env("SAMOCODE_SESSION_DIR", session.folder.path())
        .stdin(Stdio::null());
    let outcome =
        foreground::supervise(command, &foreground::Options::default(), |status| progress(status))
            .await
            .map_err(|error| Error::unavailable(format!("cannot run {}: {error}", session.name)))?;
    let mut hook = session.hook()?;
    if matches!(outcome.ended, Ended::Stopped)
        && let Some(outage) = OutageNotes::of(Dirs::runtime(&caller.env))
            .last(&session.instance, session.folder.path())
    {
        hook.pause(outage.reason, outage.since);
    }
    let code = outcome.status.code().and_then(|code| u8::try_from(code).ok());
    let failure = match (code, &outcome.ended) {
        (Some(code), _) if code == Exit::Configuration.code() => Some(Class::Configuration),
        (Some(code), _) if code == Exit::Usage.code() => Some(Class::Usage),
        (_, Ended::Finished) => None,
        // It was in no run that was cut off.
        _ => match hook.state {
            Word::Stopped | Word::Paused | Word::Limited | Word::Queued => None,
            _ => Some(Class::Unavailable),
        },
    };
    let view = View::of(caller, &context.project.root, session, None)?;
    let view = view.in_project(&context.project);
    view.notes.iter().for_each(|note| context.warnings.add(note));
    let waits = Waits::of(caller, session)?;
    let interrupted =
        matches!(outcome.ended, Ended::Stopped) && matches!(hook.state, Word::New | Word::Running);
    Ok(Ran { view, state: hook.state, reason: hook.reason, waits, interrupted, failure })
}
