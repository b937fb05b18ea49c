//! What the verbs share: the project, what is set, the service manager; and how errors end.

use std::path::Path;

use anyhow::Context as _;

use crate::agent::AgentError;
use crate::config::agent_path::NotFound;
use crate::config::{Dirs, Env, EnvFile, Error as ProjectError, Flags, Project, Settings};
use crate::service::exit::Exit;
use crate::service::{self, ServiceManager, Spool};
use crate::session::names::BadName;

use super::privilege::{Raised, RunAs};
use super::whereabouts::{self, Gone};
use super::{Common, output, sessions};

/// The project a verb works in, and what is set.
pub(super) struct Context {
    pub(super) common: Common,
    pub(super) env: Env,
    pub(super) dirs: Dirs,
    pub(super) project: Project,
    pub(super) settings: Settings,
    /// Whom root works for, in system scope.
    pub(super) run_as: Option<RunAs>,
}

impl Context {
    /// Finds the project and reads what is set.
    pub(super) fn load(common: &Common) -> anyhow::Result<Self> {
        Self::load_with(common, &Flags::default(), None)
    }

    /// The same, with flags that set something, for the user named to run as.
    pub(super) fn load_with(
        common: &Common,
        flags: &Flags,
        run_as: Option<&str>,
    ) -> anyhow::Result<Self> {
        Self::load_owned(common, flags, run_as, None)
    }

    /// The same; `owner` is the user id that the session runs as already.
    pub(super) fn load_owned(
        common: &Common,
        flags: &Flags,
        run_as: Option<&str>,
        owner: Option<u32>,
    ) -> anyhow::Result<Self> {
        let (env, run_as) = act_as(common, run_as, owner)?;
        let project = project_here(common, &env)?;
        Ok(Self { run_as, ..Self::of_project(common, env, project, flags)? })
    }

    /// The context of a session that was typed: its project, or outside of any project the one
    /// its unit knows. An instance with a project in it means that project anywhere.
    pub(super) fn load_for(common: &Common, typed: &str) -> anyhow::Result<Self> {
        let (env, run_as) = act_as(common, None, sessions::owner(common, typed))?;
        let dirs = Dirs::user(&env)?;
        let by_unit =
            || sessions::project_of_instance(common.scope(), typed, Some(dirs.home.as_path()));
        let named = if common.config.is_none() && typed.contains("--") { by_unit() } else { None };
        let project = match named {
            Some(project) => project,
            None => match project_here(common, &env) {
                Err(error)
                    if matches!(error.downcast_ref(), Some(ProjectError::NoProject { .. })) =>
                {
                    match (by_unit(), whereabouts::project_gone(common.scope(), typed)) {
                        (Some(project), _) => project,
                        (None, Some(gone)) => return Err(gone.into()),
                        (None, None) => return Err(error),
                    }
                }
                found => found?,
            },
        };
        Ok(Self { run_as, ..Self::of_project(common, env, project, &Flags::default())? })
    }

    /// The context of a project that is known already.
    pub(super) fn of_project(
        common: &Common,
        env: Env,
        project: Project,
        flags: &Flags,
    ) -> anyhow::Result<Self> {
        let dirs = Dirs::user(&env)?;
        let settings = Settings::load(Some(&project), &env, flags)?;
        for warning in settings.warnings() {
            output::note(&warning.to_string());
        }
        Ok(Self { common: common.clone(), env, dirs, project, settings, run_as: None })
    }

    /// The user's file of credentials.
    pub(super) fn env_file(&self) -> anyhow::Result<EnvFile> {
        Ok(EnvFile::read(&self.dirs)?)
    }

    /// The service manager, which has to be there.
    pub(super) async fn manager(&self) -> anyhow::Result<Box<dyn ServiceManager>> {
        manager(&self.common).await
    }

    /// The waker's spool of the scope.
    pub(super) fn spool(&self) -> anyhow::Result<Spool> {
        Ok(Spool::of(self.common.scope())?)
    }
}

/// The service manager, for verbs that may do without a project.
pub(super) async fn manager(common: &Common) -> anyhow::Result<Box<dyn ServiceManager>> {
    let _root = Raised::up()?;
    Ok(service::connect(common.scope()).await?)
}

/// Puts root's power down where it works for a user; the environment is that user's then.
fn act_as(
    common: &Common,
    run_as: Option<&str>,
    owner: Option<u32>,
) -> anyhow::Result<(Env, Option<RunAs>)> {
    let env = Env::of_process();
    let Some(run_as) = RunAs::choose(common.scope(), run_as, owner)? else {
        return Ok((env, None));
    };
    run_as.lower()?;
    Ok((run_as.environment(env), Some(run_as)))
}

/// The project that `--config` names, else the current folder's.
fn project_here(common: &Common, env: &Env) -> anyhow::Result<Project> {
    let cwd = std::env::current_dir().context("cannot tell the current folder")?;
    Ok(Project::find_with(common.config.as_deref(), &cwd, env)?)
}

/// The notifiers that are set up.
pub(super) fn channels(
    settings: &Settings,
    env: &Env,
    file: &EnvFile,
    desktop: bool,
) -> crate::notify::Channels {
    let look_up = |name: &str| {
        let filed = file.get(name).map(|secret| secret.expose().to_owned());
        filed.or_else(|| env.text(name).map(str::to_owned))
    };
    crate::notify::from_settings(&crate::notify::Settings {
        telegram_token: settings.telegram_bot_token.clone(),
        telegram_chat: settings.telegram_chat_id.clone(),
        telegram_api_url: look_up("TELEGRAM_API_URL"),
        proxies: crate::notify::Proxies::from_variables(look_up),
        desktop,
    })
}

/// The program's own path, as units execute it: absolute, links not resolved away from where an
/// upgrade puts the next version.
pub(super) fn own_binary() -> anyhow::Result<std::path::PathBuf> {
    let named = std::env::args_os().next().map(std::path::PathBuf::from);
    if let Some(path) = named.filter(|path| path.is_absolute() && path.is_file()) {
        return Ok(path);
    }
    let path = std::env::current_exe().context("cannot tell where samocode itself is")?;
    // After an upgrade the running image's file is gone, and the new one has its place.
    let text = path.to_string_lossy();
    Ok(text
        .strip_suffix(" (deleted)")
        .map_or_else(|| path.clone(), |path| Path::new(path).to_owned()))
}

/// An error as one line: what was attempted, and why it failed.
pub(super) fn one_line(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        // A library's error often quotes its own cause.
        if !text.contains(&cause) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&cause);
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The exit code an error stands for.
pub(super) fn exit_code(error: &anyhow::Error) -> u8 {
    if let Some(Coded(exit, _)) = error.downcast_ref::<Coded>() {
        return *exit;
    }
    if error.is::<BadName>() || error.is::<Usage>() || error.is::<Gone>() {
        return Exit::Usage.code();
    }
    // Where a program is, is set: CLAUDE_PATH, SAMOCODE_AGENT, PATH.
    if error.is::<ProjectError>() || error.is::<NotFound>() || error.is::<AgentError>() {
        return Exit::Configuration.code();
    }
    1
}

/// Bad input that clap could not know: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Usage(pub(super) String);

/// An error with an exit code of its own.
#[derive(Debug, thiserror::Error)]
#[error("{1}")]
pub(super) struct Coded(pub(super) u8, pub(super) String);
