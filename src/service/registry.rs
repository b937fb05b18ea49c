//! The installed units as their files describe them. Readable without a running service manager,
//! and written only by [`ServiceManager`](super::ServiceManager).

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Error, Scope};

/// Values that all sessions' units have in common.
#[derive(Debug, Clone, Copy)]
pub struct Shared<'a> {
    /// Absolute path of the samocode program, symbolic links not resolved.
    pub binary: &'a Path,
    /// The wake spool: `Spool::dir`.
    pub spool: &'a Path,
}

/// Resource limits of one session, in systemd's syntax. `None` keeps the manager's default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Above this much memory the kernel slows the session down: bytes with an optional K, M, G or
    /// T, a percentage of the machine's, or `infinity`.
    pub memory_high: Option<String>,
    /// The most memory it may use, in the same syntax.
    pub memory_max: Option<String>,
    /// The most processes and threads: a number, a percentage, or `infinity`.
    pub tasks_max: Option<String>,
    /// Its share of the processors relative to others: 1 to 10000.
    pub cpu_weight: Option<String>,
}

impl Limits {
    /// Sets `max` as the session's memory limit, and `memory_high` just below it. The worker keeps
    /// its runs below both: throttling would slow down the worker too, and let a leaking build
    /// crawl for hours. An invalid amount is left for the manager's check to reject.
    #[must_use]
    pub fn with_memory(self, max: &str) -> Self {
        let number = max.trim_end_matches(['K', 'M', 'G', 'T', '%']);
        let unit = match &max[number.len()..] {
            "" | "%" => Some(1.0),
            "K" => Some(1024_f64),
            "M" => Some(1024_f64.powi(2)),
            "G" => Some(1024_f64.powi(3)),
            "T" => Some(1024_f64.powi(4)),
            _ => None,
        };
        let high = number.parse::<f64>().ok().filter(|number| number.is_finite()).zip(unit);
        let suffix = if max.ends_with('%') { "%" } else { "" };
        Self {
            // Whole numbers, since old managers accept no others.
            memory_high: high.map(|(number, unit)| {
                format!("{:.0}{suffix}", (number * unit * 0.98).floor().max(1.0))
            }),
            memory_max: Some(max.to_owned()),
            ..self
        }
    }
}

/// Everything the unit of one session contains.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Session {
    /// The instance of the unit, as in `jwt-login`.
    pub instance: String,
    /// The project's name, for people who list the units.
    pub project: String,
    /// The project's `.samocode`: `SAMOCODE_CONFIG`.
    pub config: PathBuf,
    /// The session's folder: `SAMOCODE_SESSION_DIR`.
    pub folder: PathBuf,
    /// The wake spool, for the worker's tokens: `SAMOCODE_SPOOL`.
    pub spool: PathBuf,
    /// PATH and the non-secret settings recorded by `enable`; never a secret.
    pub environment: Vec<(String, String)>,
    /// For `--system`: the id of the user the session runs as.
    pub uid: Option<u32>,
    /// Memory, process and CPU limits.
    pub limits: Limits,
    /// The convoy that the session belongs to.
    pub convoy: Option<String>,
}

/// Everything the units of a convoy contain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Convoy {
    /// Its id, as in `login`.
    pub id: String,
    /// The `.samocode` of its project.
    pub config: PathBuf,
    /// The instances of its sessions.
    pub members: Vec<String>,
    /// Limits for all of them together.
    pub limits: Limits,
}

/// Everything the timer of a session contains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timer {
    /// The instance of the session's unit.
    pub instance: String,
    /// The next time at which it is due, in whole seconds.
    pub at: Timestamp,
    /// What it is for, for people who list the timers.
    pub what: String,
}

/// A session's whereabouts, as its unit records them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The project's `.samocode`, by its absolute path.
    pub config: PathBuf,
    /// The session's own folder.
    pub folder: PathBuf,
    /// The recorded environment, except variables that have a field here.
    pub environment: Vec<(String, String)>,
    /// The id of the user it runs as, in system scope.
    pub uid: Option<u32>,
}

/// A file that a service manager reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitFile {
    /// Relative to [`Registry::dir`]: `samocode@.service`,
    /// `samocode@NAME.service.d/session.conf`.
    pub path: PathBuf,
    /// The complete contents of the file.
    pub text: String,
}

/// The result of comparing installed units with the wanted ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Installed {
    /// Everything is installed and up to date.
    Current,
    /// No unit of samocode is installed in this scope.
    No,
    /// The units start this program, which no longer exists.
    Gone(String),
    /// The units start this program, which is not the current one.
    Other(String),
    /// These files are missing or differ.
    Outdated(Vec<String>),
}

/// The result of the manager's own check of the units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verified {
    /// No checker is installed; a sentence for a human.
    Skipped(String),
    /// No problems were found; a sentence for a human.
    Sound(String),
    /// Problems were found, in the checker's own lines.
    Faulty(Vec<String>),
}

/// The sessions' units as their files describe them.
#[async_trait]
pub trait Registry: Send + Sync {
    /// The folder that holds the unit files.
    fn dir(&self) -> &Path;

    /// The instances that have a unit, in no particular order.
    ///
    /// # Errors
    /// [`Error::File`] when the folder cannot be read.
    fn instances(&self) -> Result<Vec<String>, Error>;

    /// The settings recorded in the unit of `instance`; `None` if it has no unit, or one that is
    /// not ours.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be read.
    fn recorded(&self, instance: &str) -> Result<Option<Recorded>, Error>;

    /// The `.samocode` of the project whose convoy has this id; `None` if it has no units.
    ///
    /// # Errors
    /// [`Error::File`] when they cannot be read.
    fn convoy(&self, id: &str) -> Result<Option<PathBuf>, Error>;

    /// Whether a session starts at boot, or under a user's manager when that starts.
    fn starts_at_boot(&self, instance: &str) -> bool;

    /// All instances with the settings recorded in their units, in no particular order. Unreadable
    /// units are left out.
    ///
    /// # Errors
    /// As [`Registry::instances`].
    fn all(&self) -> Result<Vec<(String, Recorded)>, Error> {
        let known = |instance: String| {
            let recorded = self.recorded(&instance).ok().flatten()?;
            Some((instance, recorded))
        };
        Ok(self.instances()?.into_iter().filter_map(known).collect())
    }

    /// The shared units, as they would be installed for this version of the manager.
    ///
    /// # Errors
    /// [`Error::Unfit`] where a path cannot be written into them.
    fn shared(&self, of: Shared<'_>, version: u32) -> Result<Vec<UnitFile>, Error>;

    /// Compares the installed units with [`Registry::shared`].
    ///
    /// # Errors
    /// As [`Registry::shared`].
    fn compare(&self, of: Shared<'_>, version: u32) -> Result<Installed, Error>;

    /// Runs the manager's own checker on the shared units and an example of a session's, without
    /// installing anything.
    ///
    /// # Errors
    /// As [`Registry::shared`]; [`Error::Call`] when the checker cannot be run.
    async fn verify(&self, of: Shared<'_>, version: u32) -> Result<Verified, Error>;
}

/// The registry of this machine's service manager, located by the environment. If a manager runs,
/// `ServiceManager::registry` is more reliable.
///
/// # Errors
/// [`Error::NoHome`].
pub fn registry(scope: Scope) -> Result<Box<dyn Registry>, Error> {
    if super::launchd::is_used() {
        return Ok(Box::new(super::launchd::folder::AgentFolder::of_env()?));
    }
    Ok(Box::new(super::systemd::registry::UnitFolder::of(scope)?))
}

/// The settings recorded in the unit of `instance`, found through [`registry`].
///
/// # Errors
/// As [`registry`] and [`Registry::recorded`].
pub fn recorded(scope: Scope, instance: &str) -> Result<Option<Recorded>, Error> {
    registry(scope)?.recorded(instance)
}
