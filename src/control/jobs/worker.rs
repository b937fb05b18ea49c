//! What a unit's worker works on, from the variables in the unit's drop-in.

use std::path::PathBuf;

use crate::agent::{roles, vocabulary};
use crate::config::{Dirs, Env, EnvFile, Flags, Project, Settings};
use crate::control::channels::{channels, files};
use crate::control::{Class, Error, Result, whereabouts};
use crate::service::foreground::Orders;
use crate::service::{Scope, Spool};
use crate::session::store::Folder;
use crate::worker::Setup;

/// The project file.
pub(in crate::control) const CONFIG: &str = "SAMOCODE_CONFIG";
/// The session's folder.
pub(in crate::control) const SESSION_DIR: &str = "SAMOCODE_SESSION_DIR";
const SPOOL: &str = "SAMOCODE_SPOOL";

/// Set if the worker is a child of `samocode run` instead of a unit's main process.
const FOREGROUND: &str = "SAMOCODE_FOREGROUND";

/// Whether the worker with this environment is a child of `samocode run`.
#[must_use]
pub fn is_in_foreground(env: &Env) -> bool {
    env.get(FOREGROUND).is_some()
}

/// What the worker with this instance and environment works on: they say it, or its standard input
/// does if it was started ahead. `None` if `samocode run` has ended without a word.
///
/// # Errors
/// If standard input cannot be read.
pub fn assignment(instance: String, mut env: Env) -> Result<Option<(String, Env)>> {
    if !is_in_foreground(&env) || env.get(SESSION_DIR).is_some() {
        return Ok(Some((instance, env)));
    }
    let received = Orders::receive()
        .map_err(|error| Error::unavailable(format!("cannot learn what to work on: {error}")))?;
    Ok(received.map(|orders| {
        env.set(CONFIG, orders.config);
        env.set(SESSION_DIR, orders.folder);
        (orders.instance, env)
    }))
}

/// Reads everything that the worker of an instance needs. `binary` is the program's own path.
///
/// # Errors
/// All are of [`Class::Configuration`]: a restart would not help.
pub fn setup(instance: String, env: Env, binary: PathBuf) -> Result<Setup> {
    read(instance, env, binary).map_err(|error| Error { class: Class::Configuration, ..error })
}

fn read(instance: String, env: Env, binary: PathBuf) -> Result<Setup> {
    let dirs = Dirs::user(&env)?;
    let path = |name: &str| env.get(name).map(PathBuf::from);
    let required = |name: &str| {
        let missing = || {
            let message = format!("{name} is not set: samocode worker is run by a session's unit");
            Error::new(Class::Configuration, message)
                .hint("use samocode enable SESSION, or samocode run SESSION")
        };
        path(name).ok_or_else(missing)
    };
    let config = required(CONFIG)?;
    let folder = required(SESSION_DIR)?;
    if let Some(gone) = whereabouts::looked_for(&instance, &config, &folder) {
        return Err(gone.into());
    }
    let project = Project::read(&config, Some(&dirs.home))?;
    let settings = Settings::load(&vocabulary(), Some(&project), &env, &Flags::default())?;
    let env_file = EnvFile::read(&dirs)?;
    let spool = path(SPOOL).map(Spool::new);
    // A system unit cannot reach the user's desktop.
    let is_system = spool.as_ref().is_some_and(|spool| spool.dir().starts_with("/var/lib"));
    let scope = if is_system { Scope::System } else { Scope::User };
    Ok(Setup {
        instance,
        folder: Folder::new(folder),
        channels: channels(&settings, files(&dirs, Some(&project)), &env, &env_file, !is_system),
        state_dir: dirs.state.clone(),
        role_folders: roles::folders(&project.root, dirs.config.parent()),
        project,
        settings,
        env_file,
        scope,
        spool,
        foreground: is_in_foreground(&env),
        binary,
        env,
    })
}
