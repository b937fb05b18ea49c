//! The worker: the unit's main process, which runs the loop.
//!
//! Theory of operation. Starting and recovering are the same: take the lock, read the journal,
//! finish whatever an interrupted step left, then take one step after another until there is
//! nothing left to do. Every step journals its intent before its effect and its outcome after it,
//! so that a worker killed between any two lines is followed by one that resumes from there. The
//! worker talks to the service manager only through its notify socket and the waker's spool.

pub(crate) mod account;
mod admission;
mod background;
mod budget;
mod checks;
mod conclude;
mod conclusion;
pub(crate) mod confine;
mod context;
pub(crate) mod decide;
mod ending;
pub(crate) mod family;
mod file_stamp;
mod follow;
mod foreign;
mod head;
mod iterate;
mod journald;
mod ledger;
mod lines;
mod login;
pub(crate) mod mail;
mod missing_signal;
mod notices;
mod obstacles;
mod old_logs;
mod outage;
mod parent;
mod ports;
mod power;
mod prepare;
mod preparing;
mod provision;
mod pulse;
mod queue;
mod recover;
mod reload;
mod repeat;
pub(crate) mod review;
mod room;
mod rules;
mod setup;
mod signal;
mod signals;
pub(crate) mod task;
mod temporary;
mod trouble;
mod under_way;
mod unready;
mod wait;
mod watchdog;
mod writer;

use std::sync::OnceLock;
use std::time::Duration;

use jiff::Timestamp;

use crate::config::secret::redactor;
use crate::config::{EnvFile, Redactor};
use crate::git;
use crate::notify::Outbox;
use crate::platform::cgroup::UnitCgroup;
use crate::platform::strays;
use crate::service::Notify;
use crate::service::exit::WorkerExit;
use crate::session::Needs;
use crate::session::journal::{End, Event};
use crate::session::store::{Lock, LockError, crash_point};
use crate::session::{clock, event};

pub use file_stamp::FileStamp;
pub use ports::base as port_base;
use preparing::Shown;
pub use queue::{Limit, Queue};
pub use setup::Setup;

use admission::Admission;
use decide::{Decision, decide};
use outage::Outages;
use signals::Signals;
use trouble::Trouble;
use watchdog::{pinging, tick};
use writer::Writer;

/// How long to keep trying for a lock that is held.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);

/// Works on a session until there is nothing left to do, then has those started that wait for a
/// place. Returns how the process should exit.
pub async fn work(setup: &Setup) -> WorkerExit {
    let exit = work_until_the_end(setup).await;
    crash_point("the next session is to be started");
    if let Err(error) = setup.pass_on() {
        tracing::warn!("queued sessions may have to be started by hand: {error}");
    }
    exit
}

async fn work_until_the_end(setup: &Setup) -> WorkerExit {
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            return refuse(&format!("cannot handle signals: {error}"), WorkerExit::GaveUp);
        }
    };
    reload::unblock();
    let notify = Notify::from_env();
    let mut handed_on = reload::handed_on_lock(&setup.folder);
    let cgroup = UnitCgroup::enter();
    if cgroup.is_none() {
        strays::gather();
    }
    let mut is_started = false;
    let outages = Outages::new(setup, &notify);
    loop {
        // A folder that existed before may be on a disk that comes back; do not create it again.
        if let Err(error) = setup.folder.find() {
            if !is_started {
                return refuse(&error.to_string(), WorkerExit::Configuration);
            }
            if outages.wait(&mut signals, &error).await {
                return WorkerExit::Interrupted;
            }
            continue;
        }
        let lock = match handed_on.take() {
            Some(lock) => Ok(lock),
            None => take_lock(setup, &mut signals).await,
        };
        let lock = lock.and_then(|lock| confine::keep_record(setup, lock));
        let lock = match lock {
            Ok(lock) => lock,
            // Told to stop while someone held the lock briefly; that need not be another worker.
            Err(LockError::Held(_)) if signals.end => return WorkerExit::Interrupted,
            Err(LockError::Held(holder)) => {
                let path = setup.folder.path().display();
                let why = format!("another worker has the session {path}: {holder}");
                return refuse(&why, WorkerExit::Locked);
            }
            Err(LockError::Store(error)) => {
                if outages.wait(&mut signals, &error).await {
                    return WorkerExit::Interrupted;
                }
                continue;
            }
        };
        notify.ready();
        let opened = Worker::open(setup, &notify, cgroup.as_ref(), &mut signals, &outages, &lock);
        let worked = match opened {
            Ok(mut worker) => worker.work(&mut is_started).await,
            Err(trouble) => Err(trouble),
        };
        match worked {
            Ok(WorkerExit::Reload) => {
                let error = reload::execute(setup, &lock);
                return refuse(&error, WorkerExit::Interrupted);
            }
            Ok(exit) => return exit,
            Err(Trouble::Unusable(why)) => return refuse(&why, WorkerExit::Configuration),
            Err(Trouble::Store(error)) => {
                drop(lock);
                let _ = setup.pass_on();
                if let Some(cgroup) = &cgroup {
                    cgroup.clear();
                }
                if outages.wait(&mut signals, &error).await {
                    return WorkerExit::Interrupted;
                }
            }
        }
    }
}

/// Takes the lock. A process that only looks at the session or records a request holds it briefly.
/// The worker must not exit because of that, as the unit would not be started again.
async fn take_lock(setup: &Setup, signals: &mut Signals) -> Result<Lock, LockError> {
    let deadline = tokio::time::Instant::now() + LOCK_PATIENCE;
    loop {
        match Lock::take(&setup.folder) {
            Err(LockError::Held(_)) if tokio::time::Instant::now() < deadline && !signals.end => {
                tokio::select! {
                    _ = signals.next() => {}
                    () = tokio::time::sleep(LOCK_PATIENCE / 100) => {}
                }
            }
            taken => return taken,
        }
    }
}

fn refuse(why: &str, exit: WorkerExit) -> WorkerExit {
    tracing::error!("{why}");
    exit
}

struct Worker<'a> {
    setup: &'a Setup,
    notify: &'a Notify,
    cgroup: Option<&'a UnitCgroup>,
    signals: &'a mut Signals,
    outages: &'a Outages<'a>,
    writer: Writer,
    outbox: Outbox,
    env_file: EnvFile,
    /// State of the env file when it was last read; `None` before that.
    env_file_read: Option<FileStamp>,
    redactor: Redactor,
    /// Whether it may run now.
    admission: Admission,
    /// Its place among the sessions of its account, while it has one.
    share: Option<account::spare::Share>,
    /// The first of its ports, once known.
    ports: OnceLock<Option<u16>>,
    /// Whether processes could be started when that was last tried.
    may_start: bool,
    /// The worktree as it was before the last run, when git was known to work in it.
    worktree: Option<git::Confirmed>,
    beside: head::Beside,
}

impl<'a> Worker<'a> {
    fn open(
        setup: &'a Setup,
        notify: &'a Notify,
        cgroup: Option<&'a UnitCgroup>,
        signals: &'a mut Signals,
        outages: &'a Outages<'a>,
        lock: &Lock,
    ) -> Result<Self, Trouble> {
        let writer = Writer::open(setup.folder.clone(), setup.instance.clone(), lock)?;
        let outbox = setup.channels.outbox().with_shelf(setup.shelf());
        let redactor = redactor(&setup.env, &setup.env_file);
        let env_file = setup.env_file.clone();
        Ok(Self {
            setup,
            notify,
            cgroup,
            signals,
            outages,
            writer,
            outbox,
            env_file,
            env_file_read: None,
            may_start: false,
            redactor,
            admission: Admission::Unasked,
            share: None,
            ports: OnceLock::new(),
            worktree: None,
            beside: head::Beside::default(),
        })
    }

    /// Recovers, then takes one step after another. `is_started` is set once this process has
    /// journaled its start: a retry after a disk error is not a new start.
    async fn work(&mut self, is_started: &mut bool) -> Result<WorkerExit, Trouble> {
        crash_point("the lock is taken");
        // If the journal was removed in the meantime, start a new one.
        if !*is_started || self.writer.state().seq == 0 {
            self.record_worker_start()?;
            *is_started = true;
        }
        crash_point("the worker's start is recorded");
        if self.gives_up()? {
            return Ok(WorkerExit::GaveUp);
        }
        let delay = self.writer.state().deaths.delay();
        if !delay.is_zero() && self.pause(delay).await {
            return self.interrupted();
        }
        self.recover().await?;
        crash_point("recovered");
        old_logs::compress(self.setup);
        loop {
            self.take_mail()?;
            self.note_deliveries()?;
            self.signals.look().await;
            if self.signals.end {
                return self.interrupted();
            }
            if self.signals.reload {
                self.writer.keep_hook_up()?;
                self.writer
                    .record(Event::WorkerEnded(event::WorkerEnded { end: End::Reloaded }))?;
                return Ok(WorkerExit::Reload);
            }
            let retries = self.setup.settings.max_retries;
            let spread = account::spread(&self.setup.instance);
            let decision = decide(self.writer.state(), Timestamp::now(), retries, spread);
            if !matches!(decision, Decision::Run(_)) {
                self.writer.keep_hook_up()?;
            }
            match decision {
                Decision::Rest => return self.rest().await,
                Decision::SleepUntil(until) => self.sleep_until(until).await?,
                Decision::Block { reason, needs } => self.give_up_on(reason, needs)?,
                Decision::Prepare => self.prepare().await?,
                Decision::Run(_) => self.iterate().await?,
            }
            if matches!(self.admission, Admission::Queued) {
                return self.rest().await;
            }
        }
    }

    async fn prepare(&mut self) -> Result<(), Trouble> {
        // A checkout and a setup command are work for the machine, too.
        if !self.ask_to_run()? {
            return self.queue().await;
        }
        let floor = self.setup.settings.disk_floor;
        if let Some(pause) = obstacles::no_space(&self.space(), floor, &clock::local_now()) {
            return self.hold_back(pause).await;
        }
        self.notify.status("init · creating worktree and branch");
        let ground = self.ground();
        let programs = git::Programs::of(&self.setup.state_dir);
        let (project, settings) = (&self.setup.project, &self.setup.settings);
        let shown = Shown { notify: self.notify, redactor: &self.redactor };
        let work = prepare::prepare(&mut self.writer, project, settings, &programs, ground, shown);
        // Checking out a large repository can take longer than the watchdog or a stop allows. An
        // interrupted checkout is completed at the next start.
        let prepared = tokio::select! {
            prepared = pinging(self.notify, work) => prepared?,
            () = self.signals.end() => return Ok(()),
        };
        match prepared {
            Ok(()) => Ok(self.writer.settle()?),
            Err(unready) => self.hold_unready(unready).await,
        }
    }

    fn block(&mut self, reason: String, needs: Needs) -> Result<(), Trouble> {
        self.end_outage()?;
        let reason = self.redactor.redact(&reason).into_owned();
        self.writer.record(Event::Blocked(event::Blocked { reason, needs }))?;
        Ok(self.writer.settle()?)
    }

    /// Waits for `how_long`, feeding the watchdog. Returns true if the worker was asked to stop.
    async fn pause(&mut self, how_long: Duration) -> bool {
        let until = tokio::time::Instant::now() + how_long;
        while tokio::time::Instant::now() < until && !self.signals.end {
            self.notify.watchdog();
            tokio::select! {
                _ = self.signals.next() => {}
                () = tokio::time::sleep_until(until.min(tokio::time::Instant::now() + tick(self.notify))) => {}
            }
        }
        self.signals.end
    }
}

#[cfg(test)]
mod tests;
