//! The operating system's service manager: units, jobs, signals; and what stands in where there
//! is none.
//!
//! [`ServiceManager`] is the seam. systemd, of a user or of the system, is behind it on Linux;
//! [`foreground`] plays the manager for `samocode run`. [`spool`] and [`wake`] are how a worker,
//! which makes no D-Bus calls, has something changed in the manager.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;

pub mod exit;
#[cfg(target_os = "linux")]
pub mod foreground;
pub mod notify_socket;
pub mod spool;
#[cfg(target_os = "linux")]
pub mod strays;
pub mod systemd;
pub mod wake;

pub use notify_socket::Notify;
pub use spool::{Action, Spool, Token};
pub use systemd::units::{Limits, Recorded, Session, Shared, UnitFile, UnitSet};

/// How long a job may take before we say so. Longer than `TimeoutStopSec=` and `TimeoutAbortSec=`
/// together, and systemd's own default for a start.
pub const JOB_BOUND: Duration = Duration::from_secs(90);

/// Whose service manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The calling user's.
    User,
    /// The machine's.
    System,
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::User => "user",
            Self::System => "system",
        })
    }
}

/// What a job is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Start; nothing happens to an active unit, a deactivating one is started afterwards.
    Start,
    /// Stop.
    Stop,
    /// Stop if active, then start.
    Restart,
}

impl std::fmt::Display for Verb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
        })
    }
}

/// What can go wrong with a service manager.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no manager to talk to.
    #[error(
        "no {scope} service manager is reachable ({why}): use `samocode run SESSION`, which needs none"
    )]
    NoManager {
        /// Whose.
        scope: Scope,
        /// What was tried.
        why: String,
    },
    /// The manager is older than [`systemd::units::OLDEST`].
    #[error("systemd {0} is too old, samocode needs {oldest} or later: use `samocode run SESSION`, which needs none", oldest = systemd::units::OLDEST)]
    TooOld(u32),
    /// The manager will not do it for this user.
    #[error("the {scope} service manager does not let this user {what}: {hint}")]
    Denied {
        /// Whose.
        scope: Scope,
        /// What was asked.
        what: String,
        /// What to do.
        hint: &'static str,
    },
    /// A call failed.
    #[error("cannot {what}: {source}")]
    Call {
        /// What was asked.
        what: String,
        /// The manager's answer.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A job ended otherwise than done.
    #[error("{verb} of {unit} failed: {why}", why = job_words(result, unit))]
    Job {
        /// What the job was to do.
        verb: Verb,
        /// Full unit name.
        unit: String,
        /// The manager's word: `failed`, `dependency`, `timeout`, `canceled`, `skipped`, …
        result: String,
    },
    /// A job is not done after [`JOB_BOUND`]. It goes on.
    #[error("{verb} of {unit} is still under way after {} s: `samocode status` shows how it goes on", JOB_BOUND.as_secs())]
    Slow {
        /// What the job was to do.
        verb: Verb,
        /// Full unit name.
        unit: String,
    },
    /// The manager went away while we waited for it.
    #[error("the service manager closed the connection during {0}: try again")]
    Gone(String),
    /// A unit file, or the folder it is in.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// `read`, `write`, `create`, `remove`, `take`.
        action: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Neither XDG_CONFIG_HOME nor HOME say where the user's files are.
    #[error("HOME is not set: set it to your home folder")]
    NoHome,
    /// A value that no unit file can hold.
    #[error(transparent)]
    Unfit(#[from] systemd::escape::Unfit),
}

/// A job's result in words, with the command that tells more.
fn job_words(result: &str, unit: &str) -> String {
    let instance = systemd::instance_of(unit);
    let ask = instance.map_or_else(
        || format!("`systemctl status {unit}` says why"),
        |name| format!("`samocode why {name}` and `samocode logs {name}` say why"),
    );
    match result {
        "canceled" => "another job for the unit took its place: look with `samocode status`".into(),
        "timeout" => format!("it took too long; {ask}"),
        "dependency" => format!("a unit it needs could not be started; {ask}"),
        "failed" => format!("it ended before it was ready, or systemd gave it up; {ask}"),
        other => format!("systemd says '{other}'; {ask}"),
    }
}

/// A unit as the manager's list has it. The words are systemd's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitStatus {
    /// The instance.
    pub instance: String,
    /// Full unit name.
    pub name: String,
    /// `loaded`, `not-found`, `bad-setting`, `masked`, …
    pub load: String,
    /// `active`, `inactive`, `failed`, `activating`, `deactivating`, `reloading`.
    pub active: String,
    /// `running`, `dead`, `auto-restart`, …
    pub sub: String,
    /// The job under way: `start`, `stop`, …
    pub job: Option<String>,
}

impl UnitStatus {
    /// Whether it runs, starts or stops: there is, or soon will be, a process.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.job.is_some() || !matches!(self.active.as_str(), "inactive" | "failed")
    }
}

/// Everything about one unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitDetail {
    /// What the list has.
    pub status: UnitStatus,
    /// `enabled`, `disabled`, `static`, …; empty when there is no such file.
    pub enabled: String,
    /// Automatic restarts since it was last started by hand.
    pub restarts: u32,
    /// Why it ended: `success`, `exit-code`, `signal`, `watchdog`, `start-limit-hit`, …
    pub result: String,
    /// The line the worker set.
    pub status_text: String,
    /// The worker's process id, when there is one.
    pub main_pid: Option<u32>,
    /// The exit code of the last worker that exited, or the number of the signal that ended it.
    pub exit_status: i32,
    /// When it came into its present state, µs since 1970; 0 when it never left the first.
    pub since: u64,
    /// The cgroup below the cgroup root; empty when it does not run.
    pub cgroup: String,
    /// Unit files changed since they were loaded.
    pub needs_reload: bool,
    /// The drop-ins it was loaded with.
    pub drop_ins: Vec<PathBuf>,
}

/// Something changed about a watched unit; `None` for what did not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitChange {
    /// The instance.
    pub instance: String,
    /// New active state.
    pub active: Option<String>,
    /// New sub-state.
    pub sub: Option<String>,
    /// New status line.
    pub status_text: Option<String>,
}

/// Called after the first second of a job, with a line that says what is waited for.
pub type Progress<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// A [`Progress`] that tells nobody.
pub fn quiet(_: &str) {}

/// A service manager. Its methods take instances; a job or an enablement takes a full unit name
/// where units other than sessions are meant.
#[async_trait]
pub trait ServiceManager: Send + Sync {
    /// Whose manager it is.
    fn scope(&self) -> Scope;

    /// The manager's version: 252.
    ///
    /// # Errors
    /// [`Error::TooOld`], [`Error::Call`].
    async fn version(&self) -> Result<u32, Error>;

    /// The folder that unit files belong in, as the manager has it.
    ///
    /// # Errors
    /// [`Error::Call`].
    async fn unit_dir(&self) -> Result<PathBuf, Error>;

    /// Whether units outlive the user's logout. Always so in system scope.
    ///
    /// # Errors
    /// [`Error::Call`] where there is no logind that could tell.
    async fn lingering(&self) -> Result<bool, Error>;

    /// Lets the user's units outlive their logout.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::Call`].
    async fn enable_linger(&self) -> Result<(), Error>;

    /// Writes the unit files that differ and reloads the manager if one of its loaded units needs
    /// that; returns whether it did.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Call`].
    async fn install(&self, set: &UnitSet) -> Result<bool, Error>;

    /// Removes the unit files of a session that is disabled and stopped.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Call`].
    async fn remove(&self, instance: &str) -> Result<(), Error>;

    /// Reloads the manager if the unit's files are not those it was loaded with; returns whether
    /// it did. The unit need not be loaded.
    ///
    /// # Errors
    /// [`Error::Call`].
    async fn reload_if_needed(&self, unit: &str) -> Result<bool, Error>;

    /// Has units started at boot, or for a user's manager when it starts.
    ///
    /// # Errors
    /// [`Error::Call`], [`Error::Denied`].
    async fn enable_units(&self, units: &[String]) -> Result<(), Error>;

    /// Undoes [`ServiceManager::enable_units`].
    ///
    /// # Errors
    /// [`Error::Call`], [`Error::Denied`].
    async fn disable_units(&self, units: &[String]) -> Result<(), Error>;

    /// Runs a job for a unit and waits until the manager says how it ended, at most [`JOB_BOUND`].
    ///
    /// # Errors
    /// [`Error::Job`], [`Error::Slow`], [`Error::Denied`], [`Error::Call`].
    async fn job(&self, verb: Verb, unit: &str, progress: Progress<'_>) -> Result<(), Error>;

    /// Sends a signal, by number, to the session's worker.
    ///
    /// # Errors
    /// [`Error::Call`], also when no worker runs.
    async fn kill(&self, instance: &str, signal: i32) -> Result<(), Error>;

    /// Makes a unit that failed startable again. One that is not loaded is no error.
    ///
    /// # Errors
    /// [`Error::Call`], [`Error::Denied`].
    async fn reset_failed(&self, unit: &str) -> Result<(), Error>;

    /// All sessions that run, start, stop or have failed, in one call. One that is not in it is
    /// inactive.
    ///
    /// # Errors
    /// [`Error::Call`].
    async fn units(&self) -> Result<Vec<UnitStatus>, Error>;

    /// Everything about one unit, by its full name. One never heard of has `load` `not-found`.
    ///
    /// # Errors
    /// [`Error::Call`].
    async fn detail(&self, unit: &str) -> Result<UnitDetail, Error>;

    /// Whether a unit is active, by its full name. One never heard of is not.
    ///
    /// # Errors
    /// [`Error::Call`].
    async fn is_active(&self, unit: &str) -> Result<bool, Error>;

    /// Tells of changes in the units of `instances`, from now on. Look at their states after this
    /// returned: what happened before is not told. Ends when the manager goes away.
    ///
    /// # Errors
    /// [`Error::Call`].
    async fn watch(&self, instances: &[String]) -> Result<BoxStream<'static, UnitChange>, Error>;

    /// Everything about one session's unit.
    ///
    /// # Errors
    /// As [`ServiceManager::detail`].
    async fn unit(&self, instance: &str) -> Result<UnitDetail, Error> {
        self.detail(&systemd::service(instance)).await
    }

    /// Starts a session.
    ///
    /// # Errors
    /// As [`ServiceManager::job`].
    async fn start(&self, instance: &str, progress: Progress<'_>) -> Result<(), Error> {
        self.job(Verb::Start, &systemd::service(instance), progress).await
    }

    /// Stops a session's unit. That this is remembered is the caller's part.
    ///
    /// # Errors
    /// As [`ServiceManager::job`].
    async fn stop(&self, instance: &str, progress: Progress<'_>) -> Result<(), Error> {
        self.job(Verb::Stop, &systemd::service(instance), progress).await
    }

    /// Restarts a session.
    ///
    /// # Errors
    /// As [`ServiceManager::job`].
    async fn restart(&self, instance: &str, progress: Progress<'_>) -> Result<(), Error> {
        self.job(Verb::Restart, &systemd::service(instance), progress).await
    }

    /// Asks the worker to execute the installed program at its iteration's end: SIGHUP. Not a
    /// reload job, which would run the `ExecReload=` of a unit file that an older version wrote.
    ///
    /// # Errors
    /// As [`ServiceManager::kill`].
    async fn reload_unit(&self, instance: &str) -> Result<(), Error> {
        self.kill(instance, libc::SIGHUP).await
    }

    /// Has a session started at boot.
    ///
    /// # Errors
    /// As [`ServiceManager::enable_units`].
    async fn enable(&self, instance: &str) -> Result<(), Error> {
        self.enable_units(&[systemd::service(instance)]).await
    }

    /// Undoes [`ServiceManager::enable`].
    ///
    /// # Errors
    /// As [`ServiceManager::disable_units`].
    async fn disable(&self, instance: &str) -> Result<(), Error> {
        self.disable_units(&[systemd::service(instance)]).await
    }

    /// Has the waker watch the spool, now and at boot.
    ///
    /// # Errors
    /// As [`ServiceManager::enable_units`] and [`ServiceManager::job`].
    async fn watch_spool(&self) -> Result<(), Error> {
        self.enable_units(&[systemd::WAKE_PATH.to_owned()]).await?;
        self.reset_failed(systemd::WAKE_PATH).await?;
        self.job(Verb::Start, systemd::WAKE_PATH, &quiet).await
    }
}

/// Connects to the service manager.
///
/// # Errors
/// [`Error::NoManager`].
pub async fn connect(scope: Scope) -> Result<Box<dyn ServiceManager>, Error> {
    #[cfg(target_os = "linux")]
    {
        Ok(Box::new(systemd::manager::Systemd::connect(scope).await?))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let why = "systemd runs on Linux only".to_owned();
        Err(Error::NoManager { scope, why })
    }
}

#[cfg(test)]
mod tests;
