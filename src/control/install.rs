//! Writing and starting a session's unit, and the checks before that.

use crate::agent::environment::recorded;
use crate::agent::{REGISTRY, vocabulary};
use crate::config::{Env, Flags, Project, Settings};
use crate::git::{self, Checkout, Plan};
use crate::service::{self, Limits, Progress, Scope, ServiceManager, Shared, retire};
use crate::session::store::crash_point;
use crate::session::{Hint as _, Phase};

use super::context::Context;
use super::convoy::convoy_of;
use super::error::{Error, Result};
use super::privilege::{Raised, RunAs};
use super::session::Session;

/// In system scope there must be a user: without one, the unit would run the session as root.
pub(super) fn check_user(context: &Context) -> Result<()> {
    if context.scope() == Scope::System && context.run_as.is_none() {
        return Err(Error::usage("--system needs the user to run the session as")
            .hint("sudo samocode enable --system --run-as USER …"));
    }
    Ok(())
}

/// Checks that the agent is installed and willing to run, before anything is created.
pub(super) fn check_agent(
    context: &Context,
    settings: &Settings,
    env: &Env,
    session: &Session,
) -> Result<()> {
    let phase = session.hook().map_or(Phase::Investigation, |hook| hook.phase);
    let agent =
        REGISTRY.agent(settings.agent(phase), phase, settings, env, &context.caller.binary)?;
    let environment: crate::agent::Environment = env.clone().into_iter().collect();
    let is_root = rustix::process::geteuid().is_root();
    agent.ready(is_root, &environment)?;
    Ok(())
}

/// For a new session, refuses a name that git would not accept as a branch.
pub(super) fn check_branch(
    project: &Project,
    settings: &Settings,
    session: &Session,
) -> Result<()> {
    if session.exists() {
        return Ok(());
    }
    match planned(project, settings, session) {
        Err(error) if error.is_about_name() => {
            let hint = error.hint();
            let usage = Error::usage(error);
            Err(match hint {
                Some(hint) => usage.hint(hint),
                None => usage,
            })
        }
        _ => Ok(()),
    }
}

pub(super) fn planned(
    project: &Project,
    settings: &Settings,
    session: &Session,
) -> Result<Plan, git::Error> {
    let branch = settings.branch_of(&session.name);
    Checkout::of_session(project, &session.folder.name()).plan(&branch)
}

/// A session's unit as it will be installed.
pub(crate) struct UnitFiles<'a> {
    context: &'a Context,
    session: &'a Session,
    /// The variables that the drop-in sets.
    environment: Vec<(String, String)>,
    /// The environment from which the worker will take its settings.
    pub(super) env: Env,
    /// The settings that the worker will use, as read from `env` and the project's files.
    pub(super) settings: Settings,
}

impl<'a> UnitFiles<'a> {
    /// Takes PATH and settings from this shell and its flags. Variables that an earlier `enable`
    /// recorded stay unless they are set now.
    pub(crate) fn new(context: &'a Context, session: &'a Session, flags: &Flags) -> Result<Self> {
        context.project.check_places()?;
        let mut environment =
            recorded(&vocabulary(), &flags.over(&context.caller.env), &context.caller.cwd);
        let before = service::recorded(context.scope(), &session.instance)?;
        let uid = context.run_as.as_ref().map(RunAs::uid);
        if let Some(before) = before.as_ref().and_then(|before| before.uid)
            && Some(before) != uid
        {
            let message = format!(
                "session '{}' already runs as the user with id {before}, who owns its files",
                session.instance
            );
            return Err(Error::usage(message)
                .hint("run the command for this session alone, without --run-as"));
        }
        for (name, value) in before.map(|before| before.environment).unwrap_or_default() {
            if !environment.iter().any(|(known, _)| *known == name) {
                environment.push((name, value));
            }
        }
        let mut env = context.caller.env.clone();
        env.extend(environment.iter().cloned());
        let settings =
            Settings::load(&vocabulary(), Some(&context.project), &env, &Flags::default())?;
        Ok(Self { context, session, environment, env, settings })
    }

    /// For a session that was moved: keeps everything recorded except its location.
    pub(super) fn moved(
        context: &'a Context,
        session: &'a Session,
        recorded: service::Recorded,
    ) -> Result<Self> {
        let mut env = context.caller.env.clone();
        env.extend(recorded.environment.iter().cloned());
        let settings =
            Settings::load(&vocabulary(), Some(&context.project), &env, &Flags::default())?;
        Ok(Self { context, session, environment: recorded.environment, env, settings })
    }

    /// What the unit files are to contain; `convoy` is the one that it is in.
    pub(super) fn unit(&self, convoy: Option<String>) -> Result<service::Session> {
        let context = self.context;
        let spool = context.spool()?;
        let settings = &self.settings;
        let limits = Limits {
            tasks_max: Some(settings.tasks_max.clone()),
            cpu_weight: Some(settings.cpu_weight.clone()),
            ..Limits::default()
        }
        .with_memory(&settings.memory_max);
        Ok(service::Session {
            instance: self.session.instance.clone(),
            project: context.dirs.short(&context.project.root),
            config: context.project.config.clone(),
            folder: self.session.folder.path().to_owned(),
            spool: spool.dir().to_owned(),
            environment: self.environment.clone(),
            uid: context.run_as.as_ref().map(RunAs::uid),
            limits,
            convoy,
        })
    }

    /// Writes the unit files, starts the waker, and enables the unit at boot.
    pub(crate) async fn install(
        &self,
        manager: &dyn ServiceManager,
        progress: Progress<'_>,
    ) -> Result<()> {
        let context = self.context;
        check_user(context)?;
        let scope = context.scope();
        let spool = context.spool()?;
        let shared = Shared { binary: &context.caller.binary, spool: spool.dir() };
        let session = self.unit(convoy_of(&context.project, &self.session.name)?)?;
        let _root = Raised::up()?;
        let before = service::recorded(scope, &self.session.instance)?;
        if before.is_some_and(|before| before.folder != self.session.folder.path()) {
            // A worker that still runs there works on a folder that no longer exists.
            retire::stop(manager, &self.session.instance, progress).await?;
        }
        spool.create(scope)?;
        manager.install(shared, Some(&session)).await?;
        crash_point("the unit is installed");
        manager.watch_spool().await?;
        crash_point("the waker watches");
        manager.enable(&self.session.instance).await?;
        crash_point("the unit is enabled");
        Ok(())
    }

    /// Starts the unit and waits until the manager reports it as running.
    pub(crate) async fn start(
        &self,
        manager: &dyn ServiceManager,
        progress: Progress<'_>,
    ) -> Result<()> {
        let instance = &self.session.instance;
        manager.reset_failed(instance).await?;
        crash_point("the unit is to be started");
        manager.start(instance, progress).await?;
        crash_point("the unit is started");
        Ok(())
    }
}
