//! Writing and starting a session's unit, and the checks before that.

use std::fs::{File, OpenOptions};
use std::path::Path;

use crate::agent::environment::recorded;
use crate::agent::{REGISTRY, vocabulary};
use crate::config::confine::is_of_confinement;
use crate::config::{Env, Flags, Project, Settings};
use crate::git::{self, Checkout, Plan};
use crate::platform::threads;
use crate::service::{self, Limits, Progress, Scope, ServiceManager, Shared, retire};
use crate::session::Phase;
use crate::session::store::{self, crash_point};

use super::context::Context;
use super::convoy::convoy_of;
use super::error::{Attempt as _, Class, Error, Result};
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

/// Waits until no other process is about to give a session of this user's a unit.
async fn alone(context: &Context) -> Result<File> {
    store::make_folder(&context.dirs.state)?;
    let path = context.dirs.state.join("units.lock");
    let opened = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
    let shown = path.display().to_string();
    let file = opened.attempt(|| format!("open {shown}"))?;
    let locked = threads::apart_or_here(move || file.lock().map(|()| file)).await;
    locked.unwrap_or_else(Err).attempt(|| format!("lock {shown}"))
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
            Err(Error { class: Class::Usage, ..Error::from(error) })
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

/// How a session is confined is not up to a confined agent: one that is there stays as whoever began it
/// wanted, and a new one is confined as the agent, whatever a unit of its name says that was left behind.
fn settle_confinement(
    environment: &mut Vec<(String, String)>,
    before: &mut service::Recorded,
    folder: &Path,
) {
    let not = |(name, _): &(String, String)| !is_of_confinement(name);
    if before.folder == folder {
        environment.retain(not);
    } else {
        before.environment.retain(not);
    }
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
        // A session that was only run in the foreground keeps the settings it was given there.
        let kept = match before {
            Some(mut before) => {
                if context.caller.is_for_confined() {
                    settle_confinement(&mut environment, &mut before, session.folder.path());
                }
                before.environment
            }
            None if session.exists() => {
                // A journal that cannot be read is reported by what reads it next.
                let chosen = session.state().map(|state| state.chosen).unwrap_or_default();
                chosen.into_iter().collect()
            }
            None => Vec::new(),
        };
        for (name, value) in kept {
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
        let alone = alone(context).await?;
        let _root = Raised::up()?;
        let before = service::recorded(scope, &self.session.instance)?;
        if let Some(before) = before.filter(|before| before.folder != self.session.folder.path()) {
            self.check_free(&before.folder)?;
            // A worker that still runs there works on a folder that no longer exists.
            retire::stop(manager, &self.session.instance, progress).await?;
        }
        spool.create(scope)?;
        manager.install(shared, Some(&session)).await?;
        drop(alone);
        crash_point("the unit is installed");
        manager.watch_spool().await?;
        crash_point("the waker watches");
        manager.enable(&self.session.instance).await?;
        crash_point("the unit is enabled");
        Ok(())
    }

    /// Whether the unit, which was last that of the session in this folder, is no longer. Another
    /// project's may have got the same name since this session chose it.
    fn check_free(&self, folder: &Path) -> Result<()> {
        let at = |path: &Path| path.canonicalize().ok();
        let there = at(folder);
        if there.is_none() || there == at(self.session.folder.path()) {
            return Ok(());
        }
        let Session { name, instance, .. } = self.session;
        let message = format!(
            "cannot start '{name}': the unit {instance} has just become that of the session in {}",
            folder.display()
        );
        let hint = self
            .context
            .caller
            .command(&format!("give it another one with: samocode start {name}"));
        Err(Error::refused(message).hint(hint))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_confined_agent_weakens_no_cage_neither_of_a_session_that_is_there_nor_of_a_new_one() {
        let set = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
        };
        let recorded = || service::Recorded {
            config: "/p/.samocode".into(),
            folder: "/s/lead/workers/impl".into(),
            environment: set(&[("PATH", "/bin"), ("SAMOCODE_CONFINE", "strict")]),
            uid: None,
        };
        let agents = set(&[("SAMOCODE_CONFINE", "standard"), ("SAMOCODE_ALLOW_READ", "/x")]);
        let (mut environment, mut before) = (agents.clone(), recorded());
        settle_confinement(&mut environment, &mut before, Path::new("/s/lead/workers/impl"));
        assert_eq!((environment, before.environment), (Vec::new(), recorded().environment));
        let (mut environment, mut before) = (agents.clone(), recorded());
        settle_confinement(&mut environment, &mut before, Path::new("/s/lead/workers/new"));
        assert_eq!((environment, before.environment), (agents, set(&[("PATH", "/bin")])));
    }
}
