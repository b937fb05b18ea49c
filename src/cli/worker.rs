//! `samocode worker INSTANCE`: what `samocode@.service` runs.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use tracing::Level;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Dirs, Env, EnvFile, Flags, Project, Settings};
use crate::control::channels::channels;
use crate::control::{Class, Error, whereabouts};
use crate::service::exit::Exit;
use crate::service::{Spool, foreground};
use crate::session::store::Folder;
use crate::worker::{self, Setup};

use super::{failure, front};

/// Works on a session; run by its unit
#[derive(Debug, Args)]
pub(super) struct Worker {
    /// The unit instance
    instance: String,
}

/// Where the unit's drop-in says what to work on.
const CONFIG: &str = "SAMOCODE_CONFIG";
const SESSION_DIR: &str = "SAMOCODE_SESSION_DIR";
const SPOOL: &str = "SAMOCODE_SPOOL";
const FOREGROUND: &str = "SAMOCODE_FOREGROUND";

impl Worker {
    pub(super) async fn exec(self) -> anyhow::Result<ExitCode> {
        // Fails only when the parent that watches over this worker is gone already.
        if foreground::end_with_parent().is_err() {
            return Ok(ExitCode::from(Exit::Interrupted.code()));
        }
        log_to_journald();
        let setup = self.setup().map_err(|error| {
            // A worker's errors before it works are the configuration's: a restart mends nothing.
            let (error, _) = failure::told(error);
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
                "{name} is not set: samocode worker is run by its unit; use samocode enable or run"
            )
        };
        let config = path(CONFIG).with_context(|| missing(CONFIG))?;
        let folder = path(SESSION_DIR).with_context(|| missing(SESSION_DIR))?;
        if let Some(gone) = whereabouts::looked_for(&self.instance, &config, &folder) {
            return Err(Error::from(gone).into());
        }
        let project = Project::read(&config, Some(&dirs.home))?;
        let settings = Settings::load(Some(&project), &env, &Flags::default())?;
        let env_file = EnvFile::read(&dirs)?;
        let spool = path(SPOOL).map(Spool::new);
        let foreground = env.get(FOREGROUND).is_some();
        // In system scope there is no desktop of the user's to reach.
        let desktop = !spool.as_ref().is_some_and(|spool| spool.dir().starts_with("/var/lib"));
        Ok(Setup {
            instance: self.instance,
            folder: Folder::new(folder),
            channels: channels(&settings, &env, &env_file, desktop),
            state_dir: dirs.state.clone(),
            role_folders: crate::agent::roles::folders(&project.root, dirs.config.parent()),
            project,
            settings,
            env_file,
            spool,
            foreground,
            binary: front::own_binary()?,
            env,
        })
    }
}

/// Transitions go to journald with their fields where a unit runs us, else to standard error.
fn log_to_journald() {
    #[cfg(target_os = "linux")]
    if std::env::var_os("JOURNAL_STREAM").is_some()
        && let Ok(layer) = tracing_journald::layer()
    {
        let layer = layer.with_field_prefix(None).with_syslog_identifier("samocode".to_owned());
        let _ = tracing_subscriber::registry().with(layer).try_init();
        return;
    }
    let level = if std::env::var_os(FOREGROUND).is_some() { Level::ERROR } else { Level::INFO };
    let _ = tracing_subscriber::registry()
        .with(tracing_subscriber::filter::Targets::new().with_target("samocode", level))
        .with(
            tracing_subscriber::fmt::layer()
                .with_writer(std::io::stderr)
                .without_time()
                .with_target(false)
                .with_level(false)
                .fmt_fields(tracing_subscriber::fmt::format::debug_fn(|writer, field, value| {
                    if field.name() == "message" { write!(writer, "{value:?}") } else { Ok(()) }
                })),
        )
        .try_init();
}
