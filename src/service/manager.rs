//! [`ServiceManager`], the seam between samocode and the operating system's supervisor.

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use super::{
    Convoy, Error, Registry, Scope, Session, Shared, Timer, UnitChange, UnitDetail, UnitStatus,
};

/// Called once a job has taken a second, with a line about what it is waiting for.
pub type Progress<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// A [`Progress`] that shows nothing.
pub fn quiet(_: &str) {}

/// A manager's name and limitations, for `doctor`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// As in `systemd 252 of the user`.
    pub name: String,
    /// Features this version lacks, each with the consequence.
    pub lacks: Vec<&'static str>,
}

/// A service manager in terms of sessions: only the manager knows about units and their files. A
/// method that takes an instance does not require its unit to exist.
#[async_trait]
pub trait ServiceManager: Send + Sync {
    /// Whether it is the user's manager or the system's.
    fn scope(&self) -> Scope;

    /// The manager's version, as in 252.
    ///
    /// # Errors
    /// [`Error::TooOld`], [`Error::Call`].
    async fn version(&self) -> Result<u32, Error>;

    /// Describes the manager to a human.
    ///
    /// # Errors
    /// As [`ServiceManager::version`].
    async fn about(&self) -> Result<About, Error>;

    /// The units in the manager's own folder, which may differ from the one the environment gives.
    ///
    /// # Errors
    /// [`Error::Call`].
    async fn registry(&self) -> Result<Box<dyn Registry>, Error>;

    /// The variables that the manager passes to every unit.
    ///
    /// # Errors
    /// [`Error::Call`].
    async fn environment(&self) -> Result<Vec<(String, String)>, Error>;

    /// Whether units survive the user's logout. Always true in system scope.
    ///
    /// # Errors
    /// [`Error::Call`] if there is no logind to ask.
    async fn lingering(&self) -> Result<bool, Error>;

    /// Lets the user's units survive logout.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::Call`].
    async fn enable_linger(&self) -> Result<(), Error>;

    /// Installs the shared units and the unit of `session`, wherever they differ from the installed
    /// ones. Reloads the manager if it would not notice on its own, and returns whether it did.
    ///
    /// # Errors
    /// [`Error::Unfit`], [`Error::File`], [`Error::Call`].
    async fn install(&self, shared: Shared<'_>, session: Option<&Session>) -> Result<bool, Error>;

    /// Installs the units of a convoy and of sessions in it, and the shared ones, wherever they
    /// differ from the installed ones, with at most one reload. Returns whether there was one.
    ///
    /// # Errors
    /// As [`ServiceManager::install`].
    async fn install_convoy(
        &self,
        shared: Shared<'_>,
        convoy: Option<&Convoy>,
        sessions: &[Session],
    ) -> Result<bool, Error>;

    /// Starts a convoy's target, but none of its sessions.
    ///
    /// # Errors
    /// As [`ServiceManager::start`].
    async fn start_convoy(&self, id: &str) -> Result<(), Error>;

    /// Removes the units of a convoy; its sessions keep theirs.
    ///
    /// # Errors
    /// As [`ServiceManager::remove`].
    async fn remove_convoy(&self, id: &str) -> Result<(), Error>;

    /// Sets the timer of a session, now and at boot, and reads back when it is due. Installs the
    /// unit of `session` with it, if given, with at most one reload. Changes nothing if it is set so
    /// already.
    ///
    /// # Errors
    /// As [`ServiceManager::install`] and [`ServiceManager::start`].
    async fn set_timer(
        &self,
        shared: Shared<'_>,
        session: Option<&Session>,
        timer: &Timer,
    ) -> Result<(), Error>;

    /// Stops and removes the timer of a session, if it has one.
    ///
    /// # Errors
    /// As [`ServiceManager::remove`] and [`ServiceManager::stop`].
    async fn remove_timer(&self, instance: &str, progress: Progress<'_>) -> Result<(), Error>;

    /// Removes the unit of a session that is disabled and stopped, and the manager's record of its
    /// failures.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Call`], [`Error::Denied`].
    async fn remove(&self, instance: &str) -> Result<(), Error>;

    /// Makes a session start at boot, or under a user's manager when that starts.
    ///
    /// # Errors
    /// [`Error::Call`], [`Error::Denied`].
    async fn enable(&self, instance: &str) -> Result<(), Error>;

    /// Reverts [`ServiceManager::enable`].
    ///
    /// # Errors
    /// [`Error::Call`], [`Error::Denied`].
    async fn disable(&self, instance: &str) -> Result<(), Error>;

    /// Starts a session and waits until its worker is ready, at most
    /// [`JOB_BOUND`](super::JOB_BOUND).
    ///
    /// # Errors
    /// [`Error::Job`], [`Error::Slow`], [`Error::Denied`], [`Error::Call`].
    async fn start(&self, instance: &str, progress: Progress<'_>) -> Result<(), Error>;

    /// Starts a session that has mail, unless its unit is being stopped: a human asked for that,
    /// and no program overrides it. Returns whether it was started.
    ///
    /// # Errors
    /// As [`ServiceManager::start`].
    async fn wake(&self, instance: &str) -> Result<bool, Error>;

    /// Stops a session's unit and waits until it is down. The caller records that it was stopped.
    ///
    /// # Errors
    /// As [`ServiceManager::start`].
    async fn stop(&self, instance: &str, progress: Progress<'_>) -> Result<(), Error>;

    /// Stops a session if it runs, then starts it.
    ///
    /// # Errors
    /// As [`ServiceManager::start`].
    async fn restart(&self, instance: &str, progress: Progress<'_>) -> Result<(), Error>;

    /// Asks a session's worker, by SIGHUP, to execute the installed samocode at the end of its
    /// iteration. Not a reload job, which would follow a unit file written by an older version.
    ///
    /// # Errors
    /// As [`ServiceManager::kill`].
    async fn reload(&self, instance: &str) -> Result<(), Error> {
        self.kill(instance, libc::SIGHUP).await
    }

    /// Stops a convoy with all of its sessions.
    ///
    /// # Errors
    /// As [`ServiceManager::start`].
    async fn stop_convoy(&self, id: &str) -> Result<(), Error>;

    /// Sends a signal, by number, to the session's worker.
    ///
    /// # Errors
    /// [`Error::Call`], also if no worker is running.
    async fn kill(&self, instance: &str, signal: i32) -> Result<(), Error>;

    /// Makes a session startable again after its unit failed.
    ///
    /// # Errors
    /// [`Error::Call`], [`Error::Denied`].
    async fn reset_failed(&self, instance: &str) -> Result<(), Error>;

    /// All sessions that are running, starting, stopping or failed, in one call. All others are
    /// inactive.
    ///
    /// # Errors
    /// [`Error::Call`].
    async fn units(&self) -> Result<Vec<UnitStatus>, Error>;

    /// The full status of one session's unit.
    ///
    /// # Errors
    /// [`Error::Call`].
    async fn unit(&self, instance: &str) -> Result<UnitDetail, Error>;

    /// Reports changes in the units of `instances` from now on; in those of all sessions if it is
    /// empty. Query their states after this
    /// returns, since earlier changes are not reported. Ends when the manager goes away.
    ///
    /// # Errors
    /// [`Error::Call`].
    async fn watch(&self, instances: &[String]) -> Result<BoxStream<'static, UnitChange>, Error>;

    /// Makes the waker look at the spool now, if the manager might take its time.
    ///
    /// # Errors
    /// [`Error::Call`].
    async fn hurry_waker(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Makes the waker watch the spool, now and at boot.
    ///
    /// # Errors
    /// As [`ServiceManager::enable`] and [`ServiceManager::start`].
    async fn watch_spool(&self) -> Result<(), Error>;

    /// Serves the web page on this port of the loopback interface, now and at boot; from the first
    /// request on, where the manager can listen for it.
    ///
    /// # Errors
    /// As [`ServiceManager::install`] and [`ServiceManager::start`].
    async fn open_web(&self, shared: Shared<'_>, port: u16) -> Result<(), Error>;

    /// Runs the bot that answers from the phone, now and at boot.
    ///
    /// # Errors
    /// As [`ServiceManager::install`] and [`ServiceManager::start`].
    async fn open_bot(&self, shared: Shared<'_>) -> Result<(), Error>;

    /// Keeps a front end up no longer.
    ///
    /// # Errors
    /// As [`ServiceManager::disable`] and [`ServiceManager::stop`].
    async fn close(&self, front: FrontEnd) -> Result<(), Error>;

    /// The status of the unit that keeps a front end up, or starts it.
    ///
    /// # Errors
    /// [`Error::Call`].
    async fn front_end(&self, front: FrontEnd) -> Result<UnitDetail, Error>;

    /// The status of the unit that watches the spool.
    ///
    /// # Errors
    /// [`Error::Call`].
    async fn spool_watch(&self) -> Result<UnitDetail, Error>;
}

/// A front end that the manager keeps up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrontEnd {
    /// The web page.
    Web,
    /// The bot that answers from the phone.
    Bot,
}

/// Connects to the service manager of the user or the system.
///
/// # Errors
/// [`Error::NoManager`].
pub async fn connect(scope: Scope) -> Result<Box<dyn ServiceManager>, Error> {
    // As `launchd::is_used` has it, so that a release for Linux does without.
    #[cfg(any(target_os = "macos", debug_assertions))]
    if super::launchd::is_used() {
        return Ok(Box::new(super::launchd::manager::Launchd::connect(scope).await?));
    }
    #[cfg(target_os = "linux")]
    return Ok(Box::new(super::systemd::manager::Systemd::connect(scope).await?));
    #[cfg(not(target_os = "linux"))]
    Err(Error::NoManager { scope, why: "launchd is not used here".to_owned() })
}
