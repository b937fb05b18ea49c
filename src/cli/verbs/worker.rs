//! `samocode worker INSTANCE`, run by `samocode@.service`: works on one session.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use tracing::Level;

use crate::agent::vocabulary;
use crate::config::{Dirs, Env, EnvFile, Flags, Project, Settings};
use crate::control::channels::channels;
use crate::control::{Class, Error, whereabouts};
use crate::platform::memory;
use crate::service::exit::WorkerExit;
use crate::service::{Scope, Spool, foreground};
use crate::session::store::Folder;
use crate::worker::{self, Setup};

use super::{failure, front, log};

/// Work on a session; run by its unit
#[derive(Debug, Args)]
pub(in crate::cli) struct Worker {
    /// The session's unit instance
    instance: String,
}

/// Variables in the unit's drop-in that say what to work on.
const CONFIG: &str = "SAMOCODE_CONFIG";
const SESSION_DIR: &str = "SAMOCODE_SESSION_DIR";
const SPOOL: &str = "SAMOCODE_SPOOL";
const FOREGROUND: &str = "SAMOCODE_FOREGROUND";

impl Worker {
    pub(super) async fn exec(self) -> anyhow::Result<ExitCode> {
        memory::seal();
        // Fails only when the supervising parent is already gone.
        if foreground::end_with_parent().is_err() {
            return Ok(ExitCode::from(WorkerExit::Interrupted.code()));
        }
        let in_foreground = std::env::var_os(FOREGROUND).is_some();
        log::start(if in_foreground { Level::ERROR } else { Level::INFO });
        let setup = self.setup().map_err(|error| {
            // An error this early is a configuration error: a restart would not help.
            let (error, _) = failure::with_exit_code(error);
            Error { class: Class::Configuration, ..error }
        })?;
        let exit = worker::work(&setup).await;
        Ok(ExitCode::from(exit.code()))
    }

    fn setup(self) -> anyhow::Result<Setup> {
        let env = Env::of_process();
        let dirs = Dirs::user(&env)?;
        let path = |name: &str| env.get(name).map(PathBuf::from);
        let missing = |name: &str| {
            format!(
                "{name} is not set: samocode worker is for its unit; use samocode enable or run"
            )
        };
        let config = path(CONFIG).with_context(|| missing(CONFIG))?;
        let folder = path(SESSION_DIR).with_context(|| missing(SESSION_DIR))?;
        if let Some(gone) = whereabouts::looked_for(&self.instance, &config, &folder) {
            return Err(Error::from(gone).into());
        }
        let project = Project::read(&config, Some(&dirs.home))?;
        let settings = Settings::load(&vocabulary(), Some(&project), &env, &Flags::default())?;
        let env_file = EnvFile::read(&dirs)?;
        let spool = path(SPOOL).map(Spool::new);
        let foreground = env.get(FOREGROUND).is_some();
        // A system unit cannot reach the user's desktop.
        let is_system = spool.as_ref().is_some_and(|spool| spool.dir().starts_with("/var/lib"));
        let scope = if is_system { Scope::System } else { Scope::User };
        Ok(Setup {
            instance: self.instance,
            folder: Folder::new(folder),
            channels: channels(&settings, &env, &env_file, !is_system),
            state_dir: dirs.state.clone(),
            role_folders: crate::agent::roles::folders(&project.root, dirs.config.parent()),
            project,
            settings,
            env_file,
            scope,
            spool,
            foreground,
            binary: front::own_binary()?,
            env,
        })
    }
}
