//! Starting and stopping a session's agent, one operation at a time per session.
//!
//! launchctl returns before an agent is ready and may return before it has ended, so both are read
//! back.

use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

use super::folder::{AgentFolder, remove};
use super::job::Exit;
use super::label;
use super::launchctl::Launchctl;
use super::status::Status;
use crate::service::unit_files::fault;
use crate::service::{Error, JOB_BOUND, JobResult, Progress, Verb};
use crate::session::store::crash_point;

/// How often to look at files.
const LOOK: Duration = Duration::from_millis(50);

/// How often to ask launchctl, and when to report what the wait is for.
const ASK: Duration = Duration::from_secs(1);

/// What is done to one agent.
pub(super) struct Operation<'a> {
    pub(super) launchctl: &'a Launchctl,
    pub(super) folder: &'a AgentFolder,
    pub(super) instance: &'a str,
}

/// A lock that is held until this is dropped.
struct Held(#[expect(dead_code, reason = "held, not read")] File);

impl Operation<'_> {
    fn label(&self) -> String {
        label(self.instance)
    }

    fn status_file(&self) -> PathBuf {
        self.folder.places.status_of(self.instance)
    }

    fn lock_file(&self, kind: &str) -> Result<File, Error> {
        let dir = &self.folder.places.locks;
        std::fs::create_dir_all(dir).map_err(fault("create", dir))?;
        let path = dir.join(format!("{}.{kind}", self.instance));
        let options = File::options().write(true).create(true).truncate(false).open(&path);
        options.map_err(fault("open", &path))
    }

    /// Waits for its turn.
    async fn turn(&self, verb: Verb) -> Result<Held, Error> {
        let file = self.lock_file("turn")?;
        let deadline = Instant::now() + JOB_BOUND;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Held(file)),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    tokio::time::sleep(LOOK).await;
                }
                Err(TryLockError::WouldBlock) => return Err(self.slow(verb)),
                Err(TryLockError::Error(error)) => {
                    return Err(fault("lock", &self.folder.places.locks)(error));
                }
            }
        }
    }

    fn slow(&self, verb: Verb) -> Error {
        Error::Slow { verb, unit: self.label() }
    }

    fn not_done(&self, verb: Verb, result: JobResult) -> Error {
        let log = self.folder.places.log_of(self.instance);
        let ask = format!(
            "to find out why: samocode why {}; tail {}",
            self.instance,
            crate::service::quoted(&log)
        );
        Error::Job { verb, unit: self.label(), result, ask }
    }

    /// Starts the agent and waits until its worker is ready.
    pub(super) async fn start(&self, progress: Progress<'_>) -> Result<(), Error> {
        let _turn = self.turn(Verb::Start).await?;
        self.up(progress).await
    }

    /// Starts the agent, unless it is being stopped.
    pub(super) async fn wake(&self, progress: Progress<'_>) -> Result<bool, Error> {
        let stopping = self.lock_file("stopping")?;
        if matches!(stopping.try_lock_shared(), Err(TryLockError::WouldBlock)) {
            return Ok(false);
        }
        drop(stopping);
        self.start(progress).await.map(|()| true)
    }

    /// Ends and unloads the agent, and waits until it is gone.
    pub(super) async fn stop(&self, progress: Progress<'_>) -> Result<(), Error> {
        let stopping = self.lock_file("stopping")?;
        // Others that stop it at the same time hold it too.
        let _ = stopping.try_lock();
        let _turn = self.turn(Verb::Stop).await?;
        self.down(progress).await
    }

    /// Ends the agent if it runs, then starts it.
    pub(super) async fn restart(&self, progress: Progress<'_>) -> Result<(), Error> {
        let _turn = self.turn(Verb::Restart).await?;
        self.down(progress).await?;
        self.up(progress).await
    }

    /// Forgets a failure.
    pub(super) async fn reset(&self) -> Result<(), Error> {
        let _turn = self.turn(Verb::Start).await?;
        if Status::read(&self.status_file()).is_some_and(|status| status.has_failed()) {
            remove(&self.status_file())?;
        }
        remove(&self.folder.places.failed.join(self.instance))
    }

    async fn up(&self, progress: Progress<'_>) -> Result<(), Error> {
        let label = self.label();
        let Some(file) = self.folder.file_of(&label) else {
            let what = format!("start {label}");
            return Err(Error::Call { what, source: "its agent is not installed".into() });
        };
        match self.launchctl.job(&label).await? {
            Some(job) if job.pid.is_some() => {}
            // Loaded again, so that launchd reads the file as it is now and waits for nothing.
            Some(_) => {
                self.down(progress).await?;
                self.load(&label, &file).await?;
            }
            None => self.load(&label, &file).await?,
        }
        self.ready(progress).await
    }

    async fn load(&self, label: &str, file: &std::path::Path) -> Result<(), Error> {
        remove(&self.status_file())?;
        crash_point("the agent is to be loaded");
        self.launchctl.bootstrap(label, file).await?;
        crash_point("the agent is loaded");
        Ok(())
    }

    async fn down(&self, progress: Progress<'_>) -> Result<(), Error> {
        unload(self.launchctl, &self.label(), progress)
            .await?
            .then_some(())
            .ok_or_else(|| self.slow(Verb::Stop))
    }

    /// Waits until the worker has reported that it is ready, or has ended well.
    async fn ready(&self, progress: Progress<'_>) -> Result<(), Error> {
        let began = Instant::now();
        let mut asked = began;
        loop {
            let status = Status::read(&self.status_file());
            match &status {
                Some(status) if status.has_failed() => {
                    return Err(self.not_done(Verb::Start, JobResult::Failed));
                }
                Some(Status { ready: true, .. } | Status { exit: Some(_), .. }) => return Ok(()),
                _ => {}
            }
            if asked.elapsed() >= ASK {
                progress(&format!("waiting for {} to be ready", self.label()));
                asked = Instant::now();
                match self.launchctl.job(&self.label()).await? {
                    None => return Err(self.not_done(Verb::Start, JobResult::Canceled)),
                    Some(job) if job.pid.is_some() => {}
                    Some(job) if job.exit.is_none() && job.runs == 0 => {
                        self.launchctl.kickstart(&self.label()).await?;
                    }
                    Some(job) if job.exit.is_some_and(Exit::is_failure) => {
                        return Err(self.not_done(Verb::Start, JobResult::Failed));
                    }
                    Some(_) => return Ok(()),
                }
            }
            if began.elapsed() >= JOB_BOUND {
                return Err(self.slow(Verb::Start));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Ends and unloads an agent, and waits until launchd no longer knows it. Returns whether that was so
/// within [`JOB_BOUND`].
pub(super) async fn unload(
    launchctl: &Launchctl,
    label: &str,
    progress: Progress<'_>,
) -> Result<bool, Error> {
    let began = Instant::now();
    let mut has_told = false;
    if launchctl.job(label).await?.is_none() {
        return Ok(true);
    }
    launchctl.bootout(label).await?;
    while launchctl.job(label).await?.is_some() {
        if began.elapsed() >= JOB_BOUND {
            return Ok(false);
        }
        if began.elapsed() >= ASK && !std::mem::replace(&mut has_told, true) {
            progress(&format!("waiting for {label} to end"));
        }
        tokio::time::sleep(LOOK * 2).await;
    }
    Ok(true)
}
