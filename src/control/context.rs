//! What a call works with: the caller, the project, its settings and the service manager.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::agent::vocabulary;
use crate::config::{Dirs, Env, EnvFile, Flags, Project, Settings};
use crate::service::{self, Reader, Scope, ServiceManager, Spool};
use crate::session::mail::HUMAN;
use crate::session::store::Folder;

use super::error::{Error, Result};
use super::origin::Origin;
use super::privilege::{Raised, RunAs};

/// Who is calling, and from where. `control` must not look this up itself: a front end may serve
/// many people from one process.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The environment: HOME, PATH, settings, credentials, and `SAMOCODE_SESSION`, which is set if
    /// the caller is a session's agent.
    pub env: Env,
    /// Without `config`, the project is the nearest one in this folder or above it.
    pub cwd: PathBuf,
    /// The project file, if the caller gave one.
    pub config: Option<PathBuf>,
    /// The user's service manager or the system's.
    pub scope: Scope,
    /// Where the call comes from: a message that opens a gate counts only from outside of a run.
    pub origin: Origin,
    /// The samocode program for units to execute: an absolute path that stays valid after an
    /// upgrade.
    pub binary: PathBuf,
}

impl Caller {
    /// The instance of the session whose agent is calling; `None` for a human.
    #[must_use]
    pub fn session(&self) -> Option<&str> {
        self.env.text("SAMOCODE_SESSION")
    }

    /// Completes the samocode commands in a text so that they work when pasted by this caller.
    #[must_use]
    pub fn command(&self, text: &str) -> String {
        let is_root = rustix::process::getuid().is_root();
        // A confined agent's samocode is told the project by its worker.
        let config = self.config.as_deref().filter(|_| !self.is_for_confined());
        let reader = Reader { scope: self.scope, config, is_root };
        reader.pasteable(text)
    }

    /// Like [`Caller::command`], for an error and its hint.
    #[must_use]
    pub(crate) fn pasteable(&self, error: Error) -> Error {
        let hint = error.hint.as_deref().map(|hint| self.command(hint));
        Error { message: self.command(&error.message), hint, ..error }
    }

    /// Who sends a message that opens a gate, and from where; `None` in a run of an agent, which
    /// may not.
    #[must_use]
    pub fn voucher(&self) -> Option<&str> {
        match &self.origin {
            Origin::Outside(by) if self.session().is_none() => Some(by),
            _ => None,
        }
    }

    /// Who sends mail of any other kind to a session, for its voucher; `None` for an agent that writes to
    /// itself, which must not wake it.
    #[must_use]
    pub(crate) fn sender(&self, to: &str) -> Option<&str> {
        let agent = self.session().filter(|own| *own != to).map(|_| "in a run");
        self.voucher().or(agent)
    }

    /// Whether the caller is the agent of a session that coordinates others.
    #[must_use]
    pub fn coordinates(&self) -> bool {
        let folder = self.env.text("SAMOCODE_SESSION_DIR").filter(|_| self.session().is_some());
        folder.is_some_and(|folder| Folder::new(folder).coordinates())
    }

    /// Whether the call is performed for a confined agent, outside of its cage.
    #[must_use]
    pub const fn is_for_confined(&self) -> bool {
        matches!(self.origin, Origin::Confined { .. })
    }

    /// The sender of the caller's mail: `human`, or the session's instance.
    #[must_use]
    pub fn name(&self) -> &str {
        self.session().unwrap_or(HUMAN)
    }
}

/// Collects the warnings of a call. Clones share one list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    /// Adds a warning, unless the list has it already.
    pub(crate) fn add(&self, text: impl Into<String>) {
        let text = text.into();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.contains(&text) {
            all.push(text);
        }
    }

    /// Takes all warnings out of the list.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The result of a call, and its warnings. A failed call can have warnings too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer<T> {
    /// The reply, or the reason the call failed.
    pub result: Result<T>,
    /// What the caller should show a person, one sentence each.
    pub warnings: Vec<String>,
}

/// The project a call works in, with its settings.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    /// The caller, with the environment of the user the session runs as.
    pub(crate) caller: Caller,
    pub(crate) dirs: Dirs,
    pub(crate) project: Project,
    pub(crate) settings: Settings,
    /// In system scope: the user that root acts as.
    pub(crate) run_as: Option<RunAs>,
    pub(crate) warnings: Warnings,
}

impl Context {
    /// The context of the project in the caller's `config`, else of the caller's folder. `flags`
    /// override settings for this call, `run_as` is the user asked for with `--run-as`, and `owner`
    /// the id of the user that the session's unit runs as already.
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

    /// The context of the caller's project, without overrides.
    pub(crate) fn here(caller: &Caller, warnings: &Warnings) -> Result<Self> {
        Self::load(caller, warnings, &Flags::default(), None, project_owner(caller))
    }

    /// The context of a project that has been found already.
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

    /// The user's service manager or the system's.
    pub(crate) const fn scope(&self) -> Scope {
        self.caller.scope
    }

    /// The file with the user's credentials, `~/.config/samocode/env`.
    pub(crate) fn env_file(&self) -> Result<EnvFile> {
        Ok(EnvFile::read(&self.dirs)?)
    }

    /// Connects to the service manager; an error if there is none.
    pub(crate) async fn manager(&self) -> Result<Box<dyn ServiceManager>> {
        manager(self.scope()).await
    }

    /// The folder in which tokens for the waker are left.
    pub(crate) fn spool(&self) -> Result<Spool> {
        Ok(Spool::of(self.scope())?)
    }
}

/// Connects to the service manager, for calls that need no project.
pub(crate) async fn manager(scope: Scope) -> Result<Box<dyn ServiceManager>> {
    let _root = Raised::up()?;
    Ok(service::connect(scope).await?)
}

/// If root acts for a user, drops root's privileges and switches to that user's environment.
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

/// In system scope: the id of the user who owns the project. `~` in its file means that user's home
/// folder, not root's.
pub(crate) fn project_owner(caller: &Caller) -> Option<u32> {
    if caller.scope != Scope::System {
        return None;
    }
    let config = project_here(caller).ok()?.config;
    std::fs::metadata(config).ok().map(|meta| meta.uid())
}

/// The project in the caller's `config`, else that of the caller's folder; `~` in it is the caller's
/// home. Regains root's privileges meanwhile: root's own folder may be closed to the user.
pub(super) fn project_here(caller: &Caller) -> Result<Project, crate::config::Error> {
    let _root = Raised::up().ok();
    Project::find_with(caller.config.as_deref(), &caller.cwd, &caller.env)
}

/// Whether the caller is outside any project and has not named one.
pub(crate) fn is_outside(caller: &Caller) -> bool {
    // A confined agent cannot read its project's file.
    !super::calls::is_confined(caller)
        && matches!(project_here(caller), Err(crate::config::Error::NoProject { .. }))
}
