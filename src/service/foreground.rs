//! A small parent that acts as the service manager for `samocode run`: it follows
//! `samocode@.service` where there is no systemd to do it.
//!
//! The worker gets `NOTIFY_SOCKET` and `WATCHDOG_USEC` as under systemd and need not know the
//! difference. The child subreaper (prctl(2)) replaces the cgroup: processes that a worker leaves
//! behind become children of ours, and are killed before the next one starts.

mod asked;
mod message;
mod standby;

use std::collections::VecDeque;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::net::UnixDatagram;
use tokio::process::{Child, Command};
use tokio::time::Instant;
use uuid::Uuid;

use crate::platform::{parent, strays, threads};

use asked::{Asked, Wish};
use message::Message;
pub use standby::{Orders, Standby};

/// The socket for a worker's messages, in its folder.
const SOCKET: &str = "notify";

/// Limits for supervising the child. The defaults are those of `samocode@.service`.
#[derive(Debug, Clone)]
pub struct Options {
    /// A child without a keep-alive for this long is considered hung: `WatchdogSec=`.
    pub watchdog: Duration,
    /// Time between SIGABRT and SIGKILL: `TimeoutAbortSec=`.
    pub abort: Duration,
    /// Time between SIGTERM and SIGKILL: `TimeoutStopSec=`.
    pub stop: Duration,
    /// How many starts are allowed in `start_interval`: `StartLimitBurst=`.
    pub start_burst: usize,
    /// The interval for `start_burst`: `StartLimitIntervalSec=`.
    pub start_interval: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            watchdog: Duration::from_secs(30),
            abort: Duration::from_secs(5),
            stop: Duration::from_secs(30),
            start_burst: 50,
            start_interval: Duration::from_secs(10),
        }
    }
}

/// The end of a supervised command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Exit status of the last child.
    pub status: ExitStatus,
    /// How many times the command was restarted.
    pub restarts: u32,
    /// Why it was not restarted again.
    pub ended: Ended,
}

/// Why a child was not restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It has a result, or failed in a way that a restart would not fix.
    Finished,
    /// A signal asked us to stop.
    Stopped,
    /// It was started too often in too short a time.
    StartLimit,
}

/// Decides whether to restart a child, by how it ended: `Restart=on-failure`,
/// `SuccessExitStatus=75`, `RestartForceExitStatus=75 SIGHUP SIGINT SIGTERM`,
/// `RestartPreventExitStatus=2 69 70 78`. `None` means restart.
fn verdict(status: ExitStatus, stopping: bool, hung: bool) -> Option<Ended> {
    if stopping {
        return Some(Ended::Stopped);
    }
    if hung {
        return None;
    }
    match (status.code(), status.signal()) {
        (Some(0 | 2 | 69 | 70 | 78), _) => Some(Ended::Finished),
        // systemd considers SIGPIPE a clean exit, like the three signals that force a restart.
        (None, Some(number)) if number == Signal::PIPE.as_raw() => Some(Ended::Finished),
        _ => None,
    }
}

/// Times of recent starts, to enforce the start limit.
#[derive(Debug, Default)]
struct Starts(VecDeque<Instant>);

impl Starts {
    /// Records a start, unless it exceeds the limit.
    fn may(&mut self, now: Instant, options: &Options) -> bool {
        while self.0.front().is_some_and(|first| now - *first >= options.start_interval) {
            self.0.pop_front();
        }
        if self.0.len() >= options.start_burst {
            return false;
        }
        self.0.push_back(now);
        true
    }
}

/// The stages of a child's life.
#[derive(Debug, Clone, Copy)]
enum Stage {
    /// It is running and must send a keep-alive by `due`.
    Running { due: Instant },
    /// It was sent a signal and must exit.
    Ending { kill_at: Instant },
    /// SIGKILL was sent; nothing is left but to reap it.
    Killed,
}

struct Supervised<'a> {
    child: Child,
    pid: Pid,
    stage: Stage,
    stopping: bool,
    hung: bool,
    options: &'a Options,
}

impl Supervised<'_> {
    fn send(&self, signal: Signal) {
        // It has not been reaped, so the pid is still its own.
        let _ = kill_process(self.pid, signal);
    }

    fn kill(&mut self) {
        self.send(Signal::KILL);
        self.stage = Stage::Killed;
    }

    fn stop(&mut self) {
        if std::mem::replace(&mut self.stopping, true) {
            // A second request means it.
            self.kill();
        } else {
            self.send(Signal::TERM);
            // A stopped child handles no signals until it is continued.
            self.send(Signal::CONT);
            self.stage = Stage::Ending { kill_at: Instant::now() + self.options.stop };
        }
    }

    fn abort(&mut self) {
        self.hung = true;
        self.send(Signal::ABORT);
        self.stage = Stage::Ending { kill_at: Instant::now() + self.options.abort };
    }

    /// Completes when the current deadline passes; never if there is none.
    async fn overdue(stage: Stage) {
        match stage {
            Stage::Running { due } => tokio::time::sleep_until(due).await,
            Stage::Ending { kill_at } => tokio::time::sleep_until(kill_at).await,
            Stage::Killed => std::future::pending().await,
        }
    }

    fn hear(&mut self, message: Message, tell: &mut (dyn FnMut(&str) + Send)) {
        if let Some(status) = message.status {
            tell(&status);
        }
        match &mut self.stage {
            Stage::Running { .. } if message.trigger => self.abort(),
            Stage::Running { .. } if message.ends => {
                self.stage = Stage::Ending { kill_at: Instant::now() + self.options.stop };
            }
            Stage::Running { due } if message.alive => {
                *due = Instant::now() + self.options.watchdog;
            }
            Stage::Ending { kill_at } => {
                if let Some(more) = message.extend {
                    *kill_at = (*kill_at).max(Instant::now() + more);
                }
            }
            _ => {}
        }
    }

    /// Runs until the child has ended.
    async fn end(
        &mut self,
        socket: &UnixDatagram,
        asked: &mut Asked,
        tell: &mut (dyn FnMut(&str) + Send),
    ) -> io::Result<ExitStatus> {
        // The largest message systemd accepts (NOTIFY_BUFFER_MAX).
        let mut buffer = [0; 4096];
        loop {
            let stage = self.stage;
            tokio::select! {
                // Messages first: after a suspend, keep-alives are still in the socket.
                biased;
                // Receiving without room for it closes the descriptor sent with BARRIER=1, and that
                // is the answer the sender waits for.
                received = socket.recv(&mut buffer) => {
                    let message = Message::parse(&buffer[..received?]);
                    self.hear(message, tell);
                }
                status = self.child.wait() => return status,
                wish = asked.next() => match wish {
                    Wish::Stop => self.stop(),
                    Wish::Reload => self.send(Signal::HUP),
                },
                () = Self::overdue(stage) => match stage {
                    Stage::Running { .. } => self.abort(),
                    Stage::Ending { .. } | Stage::Killed => self.kill(),
                },
            }
        }
    }
}

/// The parent of workers. This process becomes a child subreaper and kills every child that is
/// reparented to it, but not those it had before.
#[derive(Debug)]
pub struct Supervisor {
    options: Options,
    spared: Vec<Pid>,
    /// The socket's folder, which is made when there is something to run.
    folder: PathBuf,
}

impl Supervisor {
    /// Makes this process a supervisor.
    ///
    /// # Errors
    /// If `/proc` cannot be read.
    pub fn new(options: Options) -> io::Result<Self> {
        strays::gather();
        let spared = strays::children()?;
        let name = format!("samocode-run-{:012x}", Uuid::new_v4().as_u128() >> 80);
        Ok(Self { options, spared, folder: tempfile::env::temp_dir().join(name) })
    }

    fn equip(&self, command: &mut Command) {
        command
            .env("NOTIFY_SOCKET", self.folder.join(SOCKET))
            .env("WATCHDOG_USEC", self.options.watchdog.as_micros().to_string())
            .env_remove("WATCHDOG_PID")
            .env("SAMOCODE_FOREGROUND", std::process::id().to_string())
            .kill_on_drop(true);
    }

    /// Starts a worker that waits for its [`Orders`].
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn stand_by(&self, mut command: Command) -> io::Result<Standby> {
        self.equip(&mut command);
        Standby::start(command)
    }

    /// Runs `command` and restarts it as `samocode@.service` would, until it has a result, it was
    /// started too often, or we are asked to stop (SIGTERM, SIGINT, a closed terminal; a second
    /// request kills it). A standby with its orders takes the place of the first start. SIGHUP is
    /// forwarded. Status lines go to `tell`.
    ///
    /// A worker leaves our session at its start ([`end_with_parent`]), so that Ctrl-C reaches it
    /// only through us.
    ///
    /// # Errors
    /// If the socket cannot be created, the command cannot be started, or `/proc` cannot be read.
    pub async fn supervise(
        self,
        mut command: Command,
        standby: Option<(Standby, Orders)>,
        mut tell: impl FnMut(&str) + Send,
    ) -> io::Result<Outcome> {
        self.equip(&mut command);
        let Self { options, spared, folder } = self;
        let folder = private(&folder)?;
        let socket = UnixDatagram::bind(folder.path().join(SOCKET))?;
        let mut asked = Asked::listen()?;
        let mut starts = Starts::default();
        starts.may(Instant::now(), &options);
        let mut first = match standby {
            Some((standby, orders)) => Some(standby.begin(&orders).await),
            None => None,
        };
        let mut restarts = 0;
        loop {
            let child = first.take().map_or_else(|| command.spawn(), Ok)?;
            let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
            let pid = pid.ok_or_else(|| io::Error::other("the worker has no process id"))?;
            let stage = Stage::Running { due: Instant::now() + options.watchdog };
            let mut running =
                Supervised { child, pid, stage, stopping: false, hung: false, options: &options };
            let status = running.end(&socket, &mut asked, &mut tell).await?;
            let (stopping, hung) = (running.stopping, running.hung);
            end_strays(&spared).await?;
            let ended = verdict(status, stopping, hung)
                .or_else(|| (!starts.may(Instant::now(), &options)).then_some(Ended::StartLimit));
            if let Some(ended) = ended {
                return Ok(Outcome { status, restarts, ended });
            }
            restarts += 1;
        }
    }
}

/// Makes a folder that is removed with this value.
fn private(folder: &Path) -> io::Result<TempDir> {
    let (parent, name) = (folder.parent().unwrap_or(folder), folder.file_name());
    let made =
        tempfile::Builder::new().prefix(name.unwrap_or_default()).rand_bytes(0).tempdir_in(parent);
    made.map_err(|error| match error.kind() {
        kind @ (io::ErrorKind::NotFound
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::PermissionDenied) => {
            let hint = "set TMPDIR to a folder that you may write to";
            io::Error::new(kind, format!("{error}: {hint}"))
        }
        _ => error,
    })
}

async fn end_strays(spared: &[Pid]) -> io::Result<()> {
    if strays::children()?.iter().all(|child| spared.contains(child)) {
        return Ok(());
    }
    let spared = spared.to_vec();
    let end = move || strays::end_children(&spared, Duration::from_secs(5));
    match threads::apart_or_here(end).await? {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "killed processes that the worker left behind"),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            tracing::warn!("cannot kill processes that the worker left behind");
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Makes this process lead a session of its own, and end when its [`Supervisor`]
/// ends, for whatever reason. The session has no terminal: nothing that this process starts can
/// prompt on the parent's, or put text into the input of the person at it (TIOCSTI). Call it first
/// thing.
///
/// # Errors
/// The system's; [`io::ErrorKind::NotConnected`] if the parent has already ended.
pub fn end_with_parent() -> io::Result<()> {
    // Fails where the process leads a session already, as systemd has it.
    let _ = rustix::process::setsid();
    let Some(pid) =
        std::env::var("SAMOCODE_FOREGROUND").ok().and_then(|pid| pid.parse::<i32>().ok())
    else {
        return Ok(());
    };
    parent::end_with(pid).map_err(|error| match error.kind() {
        io::ErrorKind::NotConnected => io::Error::new(error.kind(), "`samocode run` has ended"),
        _ => error,
    })
}

#[cfg(test)]
mod tests;
