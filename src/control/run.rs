//! Running a session in the foreground, without a service manager.

use std::io;
use std::process::Stdio;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use crate::config::{Dirs, Env, Flags};
use crate::platform::limits::Limit;
use crate::service::Progress;
use crate::service::exit::WorkerExit;
use crate::service::foreground::{Ended, Options, Orders, Outcome, Standby, Supervisor};
use crate::session::names::SessionName;
use crate::session::state::StateName;
use crate::session::store::OutageNotes;

use super::context::{Caller, Context};
use super::enable::{Overrides, Waits};
use super::error::{Class, Error, Result};
use super::install::{check_agent, check_branch};
use super::jobs::worker;
use super::operation::{Operation, Perform};
use super::request::{Became, Durable, Work, begin_or_resume};
use super::session::Session;
use super::target::Target;
use super::timer;
use super::view::View;

mod again;

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
        let mut workers = Workers::new(on.caller, &flags, &self.session);
        let mut target = Target::begin(on.caller, &on.warnings, &self.session, &flags, None)?;
        if let Some((kept, said)) = again::kept(&self.set, &target) {
            let flags = kept.flags();
            // An agent that is no longer known stays what it is in the settings.
            if let Ok(with) = Target::begin(on.caller, &on.warnings, &self.session, &flags, None) {
                said.iter().for_each(|said| on.warnings.add(said));
                (workers, target) = (Workers::new(on.caller, &flags, &self.session), with);
            }
        }
        let Target { context, session } = &target;
        context.project.check_places()?;
        check_agent(context, &context.settings, &context.caller.env, session)?;
        check_branch(&context.project, &context.settings, session)?;
        timer::forget_before_beginning(session)?;
        if begin_or_resume(session, &self.work, Durable::WithTheWorker)? == Became::Running {
            let instance = &session.instance;
            let message = format!("{} is already running in another process", session.name);
            return Err(Error::refused(message).hint(format!(
                "see it with: samocode status {instance}; stop it with: samocode stop {instance}"
            )));
        }
        again::remember(&self.set, session)?;
        workers.work(context, session, on.progress).await
    }
}

/// The workers of a run in the foreground.
struct Workers<'a> {
    caller: &'a Caller,
    env: Env,
    /// Both are made ahead. Where that fails, so does the run, which then says why.
    ready: io::Result<(Supervisor, Option<Standby>)>,
}

impl<'a> Workers<'a> {
    /// Starts a worker ahead, for the session that is typed like this, unless it takes a look to
    /// know which that is.
    fn new(caller: &'a Caller, flags: &Flags, typed: &str) -> Self {
        let env = flags.over(&caller.env);
        let ready = Supervisor::new(Options::default()).map(|supervisor| {
            let command = SessionName::new(typed).ok().map(|name| {
                let mut command = command(caller, name.as_str(), &env);
                command.env_remove(worker::SESSION_DIR);
                command
            });
            let standby = command.and_then(|command| supervisor.stand_by(command).ok());
            (supervisor, standby)
        });
        Self { caller, env, ready }
    }

    /// Runs a worker for the session in the foreground and returns how it ended.
    async fn work(
        self,
        context: &Context,
        session: &Session,
        progress: Progress<'_>,
    ) -> Result<Ran> {
        let Self { caller, env, ready } = self;
        let orders = Orders {
            instance: session.instance.clone(),
            config: context.project.config.clone(),
            folder: session.folder.path().to_owned(),
        };
        let mut command = command(caller, &orders.instance, &env);
        command.env(worker::CONFIG, &orders.config).env(worker::SESSION_DIR, &orders.folder);
        let outcome = async {
            let (supervisor, standby) = ready?;
            let standby = standby.map(|standby| (standby, orders));
            supervisor.supervise(command, standby, |status| progress(status)).await
        };
        let outcome = outcome.await.map_err(|error| {
            let hint = Limit::of_start(&error).map(Limit::remedy);
            let error = Error::unavailable(format!("cannot run {}: {error}", session.name));
            Error { hint, ..error }
        })?;
        ran(context, session, outcome)
    }
}

fn command(caller: &Caller, instance: &str, env: &Env) -> Command {
    let mut command = Command::new(&caller.binary);
    command.arg("worker").arg(instance).env_clear().envs(env).stdin(Stdio::null());
    command
}

/// Runs a worker for the session in the foreground and returns how it ended.
pub(crate) async fn work(
    context: &Context,
    session: &Session,
    flags: &Flags,
    progress: Progress<'_>,
) -> Result<Ran> {
    let workers = Workers::new(&context.caller, flags, &session.instance);
    workers.work(context, session, progress).await
}

fn ran(context: &Context, session: &Session, outcome: Outcome) -> Result<Ran> {
    let caller = &context.caller;
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
