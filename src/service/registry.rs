//! What is installed for the sessions, as files have it: readable without a service manager that
//! runs, and written only by [`ServiceManager`](super::ServiceManager).

use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::{Error, Scope};

/// What all sessions' units have in common.
#[derive(Debug, Clone, Copy)]
pub struct Shared<'a> {
    /// Absolute path of the samocode program, links not resolved.
    pub binary: &'a Path,
    /// The wake spool: `Spool::dir`.
    pub spool: &'a Path,
}

/// Limits of one session, in systemd's syntax. `None` leaves the manager's default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Above it the kernel slows the session down: bytes with an optional K, M, G or T, per cent
    /// of the machine, or `infinity`.
    pub memory_high: Option<String>,
    /// The most memory it may use, likewise.
    pub memory_max: Option<String>,
    /// Processes and threads: a number, per cent, or `infinity`.
    pub tasks_max: Option<String>,
    /// Its share of the processors, beside others: 1 to 10000.
    pub cpu_weight: Option<String>,
}

impl Limits {
    /// With `max` as the most a session may use, and `memory_high` just below it. The worker keeps
    /// its runs below both: throttling would hit the worker too, and let a build that leaks crawl
    /// for hours. What is no amount is left for the manager's check to refuse.
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
            // Whole numbers: old managers take no others.
            memory_high: high.map(|(number, unit)| {
                format!("{:.0}{suffix}", (number * unit * 0.98).floor().max(1.0))
            }),
            memory_max: Some(max.to_owned()),
            ..self
        }
    }
}

/// What the unit of one session says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Session {
    /// The unit instance.
    pub instance: String,
    /// The project's name, for people who list the units.
    pub project: String,
    /// The project's `.samocode`: `SAMOCODE_CONFIG`.
    pub config: PathBuf,
    /// The session's folder: `SAMOCODE_SESSION_DIR`.
    pub folder: PathBuf,
    /// The wake spool, for the tokens the worker leaves: `SAMOCODE_SPOOL`.
    pub spool: PathBuf,
    /// PATH and the non-secret settings recorded by `enable`; never a secret.
    pub environment: Vec<(String, String)>,
    /// For `--system`: the user id the session runs as.
    pub uid: Option<u32>,
    /// Limits.
    pub limits: Limits,
    /// The convoy it belongs to.
    pub convoy: Option<String>,
}

/// What a session's unit says of where the session is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The project's `.samocode`.
    pub config: PathBuf,
    /// The session's folder.
    pub folder: PathBuf,
    /// The recorded environment, without what has a field here.
    pub environment: Vec<(String, String)>,
    /// The user id it runs as, in system scope.
    pub uid: Option<u32>,
}

/// A file that a service manager reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitFile {
    /// Relative to [`Registry::dir`]: `samocode@.service`,
    /// `samocode@NAME.service.d/session.conf`.
    pub path: PathBuf,
    /// The whole text.
    pub text: String,
}

/// What is installed beside what should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Installed {
    /// All of it, and as it should be.
    Current,
    /// Nothing.
    No,
    /// The units start this program, which is gone.
    Gone(String),
    /// The units start this program, which is not this one.
    Other(String),
    /// These files are missing or say something else.
    Outdated(Vec<String>),
}

/// What the manager's own checker says of the units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verified {
    /// There is no checker; a sentence for people.
    Skipped(String),
    /// Nothing is wrong; a sentence for people.
    Sound(String),
    /// The checker's lines.
    Faulty(Vec<String>),
}

/// The units of the sessions, as their files have them.
#[async_trait]
pub trait Registry: Send + Sync {
    /// The folder they are in.
    fn dir(&self) -> &Path;

    /// The instances that have a unit, in no order.
    ///
    /// # Errors
    /// [`Error::File`] when the folder cannot be read.
    fn instances(&self) -> Result<Vec<String>, Error>;

    /// What the unit of `instance` recorded; `None` when there is none, or none of ours.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be read.
    fn recorded(&self, instance: &str) -> Result<Option<Recorded>, Error>;

    /// All instances with what their units recorded, in no order; those that cannot be read are
    /// left out.
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

    /// The shared units, as they would be installed for a manager of this version.
    ///
    /// # Errors
    /// [`Error::Unfit`] where a path cannot be written into them.
    fn shared(&self, of: Shared<'_>, version: u32) -> Result<Vec<UnitFile>, Error>;

    /// What is installed beside [`Registry::shared`].
    ///
    /// # Errors
    /// As [`Registry::shared`].
    fn compare(&self, of: Shared<'_>, version: u32) -> Result<Installed, Error>;

    /// Has the manager's own checker look for mistakes in the shared units and an example of a
    /// session's, without installing anything.
    ///
    /// # Errors
    /// As [`Registry::shared`]; [`Error::Call`] when the checker cannot be run.
    async fn verify(&self, of: Shared<'_>, version: u32) -> Result<Verified, Error>;
}

/// The registry of this machine's service manager, found by the environment. A manager knows
/// better, if there is one: `ServiceManager::registry`.
///
/// # Errors
/// [`Error::NoHome`].
pub fn registry(scope: Scope) -> Result<Box<dyn Registry>, Error> {
    Ok(Box::new(super::systemd::registry::UnitFolder::of(scope)?))
}

/// What the unit of `instance` recorded, by [`registry`].
///
/// # Errors
/// As [`registry`] and [`Registry::recorded`].
pub fn recorded(scope: Scope, instance: &str) -> Result<Option<Recorded>, Error> {
    registry(scope)?.recorded(instance)
}
