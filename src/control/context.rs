//! What a call works in: who asks, the project, what is set there, the service manager.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::agent::vocabulary;
use crate::config::{Dirs, Env, EnvFile, Flags, Project, Settings};
use crate::service::{self, Reader, Scope, ServiceManager, Spool};

use super::error::{Error, Result};
use super::privilege::{Raised, RunAs};

/// Who asks, and from where: all that `control` must not find out by itself, since a front end may
/// serve many people from one process.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The environment. HOME, PATH, settings and credentials are taken from it, and
    /// `SAMOCODE_SESSION`, by which a session's agent is recognised.
    pub env: Env,
    /// The folder the project is looked for in, and above, if `config` names none.
    pub cwd: PathBuf,
    /// The project's file, where it was named.
    pub config: Option<PathBuf>,
    /// Whose service manager.
    pub scope: Scope,
    /// The samocode program, as units execute it: absolute, where an upgrade puts the next version.
    pub binary: PathBuf,
}

impl Caller {
    /// The instance of the session whose agent asks; `None` for a human.
    #[must_use]
    pub fn session(&self) -> Option<&str> {
        self.env.text("SAMOCODE_SESSION")
    }

    /// A text of ours in which every command can be pasted where the caller is.
    #[must_use]
    pub fn command(&self, text: &str) -> String {
        let is_root = rustix::process::getuid().is_root();
        let reader = Reader { scope: self.scope, config: self.config.as_deref(), is_root };
        reader.pasteable(text)
    }

    /// The same of an error and its hint.
    #[must_use]
    pub(crate) fn pasteable(&self, error: Error) -> Error {
        let hint = error.hint.as_deref().map(|hint| self.command(hint));
        Error { message: self.command(&error.message), hint, ..error }
    }

    /// The caller as mail names its sender: `human`, or the session's instance.
    #[must_use]
    pub fn name(&self) -> &str {
        self.session().unwrap_or("human")
    }
}

/// What is worth a look but hindered nothing, gathered during a call. Clones add to the same list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    /// Adds one, unless it was said before.
    pub(crate) fn add(&self, text: impl Into<String>) {
        let text = text.into();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.contains(&text) {
            all.push(text);
        }
    }

    /// Takes what has been gathered so far.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What came of a call, with what is worth a look besides. A call that failed may have warnings, too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer<T> {
    /// The reply, or why there is none.
    pub result: Result<T>,
    /// A sentence each.
    pub warnings: Vec<String>,
}

/// The project a call works in, and what is set there.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    /// Who asks. The environment is that of the user the session runs as.
    pub(crate) caller: Caller,
    pub(crate) dirs: Dirs,
    pub(crate) project: Project,
    pub(crate) settings: Settings,
    /// Whom root works for, in system scope.
    pub(crate) run_as: Option<RunAs>,
    pub(crate) warnings: Warnings,
}

impl Context {
    /// The context of the project that `config` names, else the one of the caller's folder. `flags`
    /// set something for this call; `owner` is the user id that the session runs as already,
    /// `run_as` the name of another that was asked for.
    pub(crate) fn load(
        caller: &Caller,
        warnings: &Warnings,
        flags: &Flags,
        run_as: Option<&str>,
        owner: Option<u32>,
    ) -> Result<Self> {
        let (caller, run_as) = act_as(caller, run_as, owner)?;
        let project = project_here(&caller)?;
        Ok(Self { run_as, ..Self::of_project(caller, warnings, project, flags)? })
    }

    /// The context of the project the caller is in.
    pub(crate) fn here(caller: &Caller, warnings: &Warnings) -> Result<Self> {
        Self::load(caller, warnings, &Flags::default(), None, project_owner(caller))
    }

    /// The context of a project that is known already.
    pub(crate) fn of_project(
        caller: Caller,
        warnings: &Warnings,
        project: Project,
        flags: &Flags,
    ) -> Result<Self> {
        let dirs = Dirs::user(&caller.env)?;
        let settings = Settings::load(&vocabulary(), Some(&project), &caller.env, flags)?;
        settings.warnings().iter().for_each(|warning| warnings.add(warning.to_string()));
        Ok(Self { caller, dirs, project, settings, run_as: None, warnings: warnings.clone() })
    }

    /// Whose service manager.
    pub(crate) const fn scope(&self) -> Scope {
        self.caller.scope
    }

    /// The user's file of credentials.
    pub(crate) fn env_file(&self) -> Result<EnvFile> {
        Ok(EnvFile::read(&self.dirs)?)
    }

    /// The service manager, which has to be there.
    pub(crate) async fn manager(&self) -> Result<Box<dyn ServiceManager>> {
        manager(self.scope()).await
    }

    /// The waker's spool of the scope.
    pub(crate) fn spool(&self) -> Result<Spool> {
        Ok(Spool::of(self.scope())?)
    }
}

/// The service manager, for calls that may do without a project.
pub(crate) async fn manager(scope: Scope) -> Result<Box<dyn ServiceManager>> {
    let _root = Raised::up()?;
    Ok(service::connect(scope).await?)
}

/// Puts root's power down where it works for a user; the environment is that user's then.
pub(super) fn act_as(
    caller: &Caller,
    run_as: Option<&str>,
    owner: Option<u32>,
) -> Result<(Caller, Option<RunAs>)> {
    let mut caller = caller.clone();
    let Some(run_as) = RunAs::choose(&caller, run_as, owner)? else {
        return Ok((caller, None));
    };
    run_as.lower()?;
    caller.env = run_as.environment(caller.env);
    Ok((caller, Some(run_as)))
}

/// The user id that a project belongs to, for root in system scope: `~` in its file is that user's
/// home folder, not root's.
pub(crate) fn project_owner(caller: &Caller) -> Option<u32> {
    if caller.scope != Scope::System {
        return None;
    }
    let config = project_here(caller).ok()?.config;
    std::fs::metadata(config).ok().map(|meta| meta.uid())
}

/// The project that `config` names, else that of the caller's folder; `~` in it is the caller's
/// home. Root's own folder is looked at with root's power, even while it works for a user.
pub(super) fn project_here(caller: &Caller) -> Result<Project, crate::config::Error> {
    let _root = Raised::up().ok();
    Project::find_with(caller.config.as_deref(), &caller.cwd, &caller.env)
}

/// Whether the caller is in no project, and has named none.
pub(crate) fn is_outside(caller: &Caller) -> bool {
    matches!(project_here(caller), Err(crate::config::Error::NoProject { .. }))
}
