//! [`ServiceManager`], the seam between samocode and what the operating system supervises with.

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use super::{Error, Registry, Scope, Session, Shared, UnitChange, UnitDetail, UnitStatus};

/// Called after the first second of a job, with a line that says what it is waiting for.
pub type Progress<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// A [`Progress`] that shows nothing.
pub fn quiet(_: &str) {}

/// A manager as `doctor` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// `systemd 252 of the user`.
    pub name: String,
    /// What this version lacks, each with what that means.
    pub lacks: Vec<&'static str>,
}

/// A service manager, in words of sessions: what a unit is, and which files it is made of, only
/// the manager knows. Methods that name an instance need no unit of that instance to exist.
#[async_trait]
pub trait ServiceManager: Send + Sync {
    /// Whose manager it is.
    fn scope(&self) -> Scope;

    /// The manager's version: 252.
    ///
    /// # Errors
    /// [`Error::TooOld`], [`Error::Call`].
    async fn version(&self) -> Result<u32, Error>;

    /// The manager, for people.
    ///
    /// # Errors
    /// As [`ServiceManager::version`].
    async fn about(&self) -> Result<About, Error>;

    /// What is installed where the manager looks, which may not be where the environment says.
    ///
    /// # Errors
    /// [`Error::Call`].
    async fn registry(&self) -> Result<Box<dyn Registry>, Error>;

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

    /// Installs what all sessions share, and the unit of `session`, as far as they differ from
    /// what is there. Has the manager take notice if it would not by itself; returns whether that
    /// was needed.
    ///
    /// # Errors
    /// [`Error::Unfit`], [`Error::File`], [`Error::Call`].
    async fn install(&self, shared: Shared<'_>, session: Option<&Session>) -> Result<bool, Error>;

    /// Removes the unit of a session that is disabled and stopped, and the manager's memory of its
    /// failures.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Call`], [`Error::Denied`].
    async fn remove(&self, instance: &str) -> Result<(), Error>;

    /// Has a session started at boot, or for a user's manager when it starts.
    ///
    /// # Errors
    /// [`Error::Call`], [`Error::Denied`].
    async fn enable(&self, instance: &str) -> Result<(), Error>;

    /// Undoes [`ServiceManager::enable`].
    ///
    /// # Errors
    /// [`Error::Call`], [`Error::Denied`].
    async fn disable(&self, instance: &str) -> Result<(), Error>;

    /// Starts a session, and waits until its worker is ready, at most
    /// [`JOB_BOUND`](super::JOB_BOUND).
    ///
    /// # Errors
    /// [`Error::Job`], [`Error::Slow`], [`Error::Denied`], [`Error::Call`].
    async fn start(&self, instance: &str, progress: Progress<'_>) -> Result<(), Error>;

    /// Starts a session that has mail, unless its unit is being stopped: that was a human's word,
    /// and the job of a program does not take its place. Returns whether it was started.
    ///
    /// # Errors
    /// As [`ServiceManager::start`].
    async fn wake(&self, instance: &str) -> Result<bool, Error>;

    /// Stops a session's unit, and waits for that. That this is remembered is the caller's part.
    ///
    /// # Errors
    /// As [`ServiceManager::start`].
    async fn stop(&self, instance: &str, progress: Progress<'_>) -> Result<(), Error>;

    /// Stops a session if it runs, then starts it.
    ///
    /// # Errors
    /// As [`ServiceManager::start`].
    async fn restart(&self, instance: &str, progress: Progress<'_>) -> Result<(), Error>;

    /// Asks a session's worker to execute the installed samocode at the end of its iteration:
    /// SIGHUP. Not a reload job, which would do what a unit file says that an older version wrote.
    ///
    /// # Errors
    /// As [`ServiceManager::kill`].
    async fn reload(&self, instance: &str) -> Result<(), Error> {
        self.kill(instance, libc::SIGHUP).await
    }

    /// Stops a convoy, with all of its sessions.
    ///
    /// # Errors
    /// As [`ServiceManager::start`].
    async fn stop_convoy(&self, id: &str) -> Result<(), Error>;

    /// Sends a signal, by number, to the session's worker.
    ///
    /// # Errors
    /// [`Error::Call`], also when no worker runs.
    async fn kill(&self, instance: &str, signal: i32) -> Result<(), Error>;

    /// Makes a session whose unit has failed startable again.
    ///
    /// # Errors
    /// [`Error::Call`], [`Error::Denied`].
    async fn reset_failed(&self, instance: &str) -> Result<(), Error>;

    /// All sessions that run, start, stop or have failed, in one call. One that is not in it is
    /// inactive.
    ///
    /// # Errors
    /// [`Error::Call`].
    async fn units(&self) -> Result<Vec<UnitStatus>, Error>;

    /// Everything about one session's unit.
    ///
    /// # Errors
    /// [`Error::Call`].
    async fn unit(&self, instance: &str) -> Result<UnitDetail, Error>;

    /// Reports changes in the units of `instances`, from now on. Look at their states after this
    /// returned: what happened before is not reported. Ends when the manager goes away.
    ///
    /// # Errors
    /// [`Error::Call`].
    async fn watch(&self, instances: &[String]) -> Result<BoxStream<'static, UnitChange>, Error>;

    /// Has the waker watch the spool, now and at boot.
    ///
    /// # Errors
    /// As [`ServiceManager::enable`] and [`ServiceManager::start`].
    async fn watch_spool(&self) -> Result<(), Error>;

    /// The unit that watches the spool.
    ///
    /// # Errors
    /// [`Error::Call`].
    async fn spool_watch(&self) -> Result<UnitDetail, Error>;
}

/// Connects to the service manager.
///
/// # Errors
/// [`Error::NoManager`].
pub async fn connect(scope: Scope) -> Result<Box<dyn ServiceManager>, Error> {
    #[cfg(target_os = "linux")]
    {
        Ok(Box::new(super::systemd::manager::Systemd::connect(scope).await?))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let why = "systemd runs on Linux only".to_owned();
        Err(Error::NoManager { scope, why })
    }
}
