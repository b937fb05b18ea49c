//! A small parent that plays the service manager, for `samocode run`: what `samocode@.service`
//! says, where there is no systemd to do it.
//!
//! The worker gets `NOTIFY_SOCKET` and `WATCHDOG_USEC` as under systemd and need not know the
//! difference. Instead of a cgroup there is the child subreaper (prctl(2)): what a worker leaves
//! behind becomes a child of ours, and is ended before the next one starts.

use std::collections::VecDeque;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::net::UnixDatagram;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use crate::platform::{parent, strays};

/// How the child is supervised. The defaults are those of `samocode@.service`.
#[derive(Debug, Clone)]
pub struct Options {
    /// Without a sign of life for so long the child is taken for hung: `WatchdogSec=`.
    pub watchdog: Duration,
    /// What SIGABRT gives it before SIGKILL: `TimeoutAbortSec=`.
    pub abort: Duration,
    /// What SIGTERM gives it before SIGKILL: `TimeoutStopSec=`.
    pub stop: Duration,
    /// So many starts …
    pub start_burst: usize,
    /// … within so long are too many: `StartLimitBurst=`, `StartLimitIntervalSec=`.
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

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// How the last child ended.
    pub status: ExitStatus,
    /// How many times it was started again.
    pub restarts: u32,
    /// Why it was not started again.
    pub ended: Ended,
}

/// Why a child was not started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It has a result, or nothing that a restart would mend.
    Finished,
    /// We were asked to stop, by signal.
    Stopped,
    /// It was started too often in too short a time.
    StartLimit,
}

/// What follows from how a child ended: `Restart=on-failure`, `SuccessExitStatus=75`,
/// `RestartForceExitStatus=75 SIGHUP SIGINT SIGTERM`, `RestartPreventExitStatus=2 69 70 78`.
/// `None` is a restart.
fn verdict(status: ExitStatus, stopping: bool, hung: bool) -> Option<Ended> {
    if stopping {
        return Some(Ended::Stopped);
    }
    if hung {
        return None;
    }
    match (status.code(), status.signal()) {
        (Some(0 | 2 | 69 | 70 | 78), _) => Some(Ended::Finished),
        // To systemd SIGPIPE is a clean end, as the three signals are that are forced to restart.
        (None, Some(number)) if number == Signal::PIPE.as_raw() => Some(Ended::Finished),
        _ => None,
    }
}

/// When starts are too many.
#[derive(Debug, Default)]
struct Starts(VecDeque<Instant>);

impl Starts {
    /// Notes a start, unless it is one too many.
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

/// What a message on the notify socket says, as far as it concerns us.
#[derive(Debug, Default, PartialEq, Eq)]
struct Message {
    status: Option<String>,
    alive: bool,
    trigger: bool,
    ends: bool,
    extend: Option<Duration>,
}

impl Message {
    fn parse(bytes: &[u8]) -> Self {
        let mut message = Self::default();
        for line in String::from_utf8_lossy(bytes).lines() {
            match line.split_once('=') {
                Some(("READY", "1")) | Some(("WATCHDOG", "1")) => message.alive = true,
                Some(("STOPPING", "1")) => message.ends = true,
                Some(("WATCHDOG", "trigger")) => message.trigger = true,
                Some(("STATUS", status)) => message.status = Some(status.to_owned()),
                Some(("EXTEND_TIMEOUT_USEC", usec)) => {
                    message.extend = usec.parse().ok().map(Duration::from_micros);
                }
                _ => {}
            }
        }
        message
    }
}

/// The signals a person or a script sends us.
struct Asked {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
    on_terminal: bool,
}

/// What they want.
#[derive(Debug, PartialEq, Eq)]
enum Wish {
    Stop,
    Reload,
}

impl Asked {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            on_terminal: rustix::termios::isatty(io::stdin()),
        })
    }

    async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => Wish::Stop,
            _ = self.interrupt.recv() => Wish::Stop,
            _ = self.hangup.recv() => {
                // A terminal that has gone sends the same signal as `kill -HUP`.
                if self.on_terminal && !rustix::termios::isatty(io::stdin()) {
                    Wish::Stop
                } else {
                    Wish::Reload
                }
            }
        }
    }
}

/// Where a child is in its life.
#[derive(Debug, Clone, Copy)]
enum Stage {
    /// It runs and must show a sign of life.
    Running { due: Instant },
    /// It has been sent a signal and must end.
    Ending { kill_at: Instant },
    /// SIGKILL has been sent.
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
        // It has not been reaped, so the number is still its own.
        let _ = kill_process(self.pid, signal);
    }

    fn kill(&mut self) {
        self.send(Signal::KILL);
        self.stage = Stage::Killed;
    }

    fn stop(&mut self) {
        if std::mem::replace(&mut self.stopping, true) {
            // A second time is meant.
            self.kill();
        } else {
            self.send(Signal::TERM);
            // A stopped child hears nothing until it goes on.
            self.send(Signal::CONT);
            self.stage = Stage::Ending { kill_at: Instant::now() + self.options.stop };
        }
    }

    fn abort(&mut self) {
        self.hung = true;
        self.send(Signal::ABORT);
        self.stage = Stage::Ending { kill_at: Instant::now() + self.options.abort };
    }

    /// The moment at which something must be done, and never while none must.
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

    /// Until the child has ended.
    async fn end(
        &mut self,
        socket: &UnixDatagram,
        asked: &mut Asked,
        tell: &mut (dyn FnMut(&str) + Send),
    ) -> io::Result<ExitStatus> {
        // The largest message systemd takes (NOTIFY_BUFFER_MAX).
        let mut buffer = [0; 4096];
        loop {
            let stage = self.stage;
            tokio::select! {
                // Messages first: after a suspension the signs of life are in the socket.
                biased;
                // A descriptor sent along (BARRIER=1) is closed by being received without room
                // for it, and that is the answer its sender waits for.
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

/// Runs `command` and starts it again as `samocode@.service` would, until it has a result, we are
/// asked to stop (SIGTERM, SIGINT, a terminal that goes away; the second time it is killed), or it
/// was started too often. SIGHUP is handed on. Status lines go to `tell`.
///
/// The command gets a process group of its own, so that Ctrl-C reaches it only through us. This
/// process becomes a child subreaper and ends every child that comes to it; those it had before
/// are spared.
///
/// # Errors
/// When the command cannot be started, no socket can be made, or `/proc` cannot be read.
pub async fn supervise(
    mut command: Command,
    options: &Options,
    mut tell: impl FnMut(&str) + Send,
) -> io::Result<Outcome> {
    strays::gather();
    let spared = strays::children()?;
    let folder = tempfile::Builder::new().prefix("samocode-run-").tempdir()?;
    let address = folder.path().join("notify");
    let socket = UnixDatagram::bind(&address)?;
    command
        .env("NOTIFY_SOCKET", &address)
        .env("WATCHDOG_USEC", options.watchdog.as_micros().to_string())
        .env_remove("WATCHDOG_PID")
        .env("SAMOCODE_FOREGROUND", std::process::id().to_string())
        .process_group(0)
        .kill_on_drop(true);
    let mut asked = Asked::listen()?;
    let mut starts = Starts::default();
    starts.may(Instant::now(), options);
    let mut restarts = 0;
    loop {
        let child = command.spawn()?;
        let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let pid = pid.ok_or_else(|| io::Error::other("the worker has no process id"))?;
        let stage = Stage::Running { due: Instant::now() + options.watchdog };
        let mut running = Supervised { child, pid, stage, stopping: false, hung: false, options };
        let status = running.end(&socket, &mut asked, &mut tell).await?;
        let (stopping, hung) = (running.stopping, running.hung);
        end_strays(&spared).await?;
        let ended = verdict(status, stopping, hung)
            .or_else(|| (!starts.may(Instant::now(), options)).then_some(Ended::StartLimit));
        if let Some(ended) = ended {
            return Ok(Outcome { status, restarts, ended });
        }
        restarts += 1;
    }
}

async fn end_strays(spared: &[Pid]) -> io::Result<()> {
    let spared = spared.to_vec();
    let ended =
        tokio::task::spawn_blocking(move || strays::end_children(&spared, Duration::from_secs(5)));
    match ended.await.map_err(io::Error::other)? {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "ended processes that the worker left behind"),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            tracing::warn!("processes that the worker left behind could not be ended");
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Has this process end when the parent that [`supervise`]s it ends, however that
/// happens. Does nothing in a process that is not supervised so. To be called first thing.
///
/// # Errors
/// The system's; [`io::ErrorKind::NotConnected`] when the parent has ended already.
pub fn end_with_parent() -> io::Result<()> {
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
