//! Running a session in the foreground, without a service manager.

use std::process::Stdio;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use crate::config::{Dirs, Flags};
use crate::platform::limits::Limit;
use crate::service::Progress;
use crate::service::exit::WorkerExit;
use crate::service::foreground::{self, Ended};
use crate::session::state::StateName;
use crate::session::store::OutageNotes;

use super::context::Context;
use super::enable::{Overrides, Waits};
use super::error::{Class, Error, Result};
use super::install::{check_agent, check_branch};
use super::operation::{Operation, Perform};
use super::request::{Became, Durable, Work, begin_or_resume};
use super::session::Session;
use super::target::Target;
use super::view::View;

/// Runs a session until it is waiting, blocked or done. Each status line of the worker goes to
/// `progress`. The worker ends with the caller.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Run {
    /// A name, a dated folder name or an instance, as typed.
    pub session: String,
    /// The task to work on.
    pub work: Work,
    /// Settings for this session only.
    pub set: Overrides,
}

/// How a run in the foreground ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ran {
    /// The session as `status` shows it now that its worker has exited.
    pub view: View,
    /// The state its worker left it in.
    pub state: StateName,
    /// The worker's reason for that state.
    pub reason: Option<String>,
    /// What it is waiting for, unless a human has answered in its files.
    pub waits: Option<Waits>,
    /// Whether a human interrupted it while it was working.
    #[serde(default)]
    pub interrupted: bool,
    /// The class of the failure, if the worker was cut off or failed.
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
        if begin_or_resume(session, &self.work, Durable::WithTheWorker)? == Became::Running {
            let instance = &session.instance;
            let message = format!("{} is already running in another process", session.name);
            return Err(Error::refused(message).hint(format!(
                "see it with: samocode status {instance}; stop it with: samocode stop {instance}"
            )));
        }
        work(context, session, &flags, on.progress).await
    }
}

/// Runs a worker for the session in the foreground and returns how it ended.
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
            .map_err(|error| {
                let hint = Limit::of_start(&error).map(Limit::remedy);
                let error = Error::unavailable(format!("cannot run {}: {error}", session.name));
                Error { hint, ..error }
            })?;
    let mut hook = session.hook()?;
    if matches!(outcome.ended, Ended::Stopped)
        && let Some(outage) = OutageNotes::of(Dirs::runtime(&caller.env))
            .last(&session.instance, session.folder.path())
    {
        hook.pause(outage.reason, outage.since);
    }
    let code = outcome.status.code().and_then(|code| u8::try_from(code).ok());
    let failure = match (code, &outcome.ended) {
        (Some(code), _) if code == WorkerExit::Configuration.code() => Some(Class::Configuration),
        (Some(code), _) if code == WorkerExit::Usage.code() => Some(Class::Usage),
        (_, Ended::Finished) => None,
        // No run was interrupted in these states.
        _ => match hook.state {
            StateName::Stopped | StateName::Paused | StateName::Limited | StateName::Queued => None,
            _ => Some(Class::Unavailable),
        },
    };
    let view = View::of(caller, &context.project.root, session, None)?;
    let view = view.in_project(&context.project);
    view.notes.iter().for_each(|note| context.warnings.add(note));
    let waits = Waits::of(caller, session)?;
    let interrupted = matches!(outcome.ended, Ended::Stopped)
        && matches!(hook.state, StateName::New | StateName::Running);
    Ok(Ran { view, state: hook.state, reason: hook.reason, waits, interrupted, failure })
}
