//! Messages from a worker to its manager: readiness, a status line, keep-alives (sd_notify(3)).

use std::io;
use std::time::Duration;

use sd_notify::NotifyState;

use super::launchd::supervised::Reporter;
use crate::session::describe::harmless;

/// How long to wait for the manager to process a barrier.
const BARRIER_BOUND: Duration = Duration::from_secs(5);

/// The connection to the manager that started this process, if any. Without one, every method does
/// nothing. A message that cannot be sent is lost: the manager has exited, and the kernel or the
/// next manager deals with us.
///
/// `NOTIFY_SOCKET` stays in this process's environment for a re-executed worker; an agent gets an
/// environment of its own.
#[derive(Debug, Clone)]
pub struct Notify {
    listens: bool,
    watchdog: Option<Duration>,
    /// Under launchd, which has no socket.
    reporter: Option<Reporter>,
}

impl Notify {
    /// Reads the environment: `NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`; under launchd,
    /// `SAMOCODE_STATUS_FILE`.
    #[must_use]
    pub fn from_env() -> Self {
        let listens = std::env::var_os("NOTIFY_SOCKET").is_some_and(|path| !path.is_empty());
        let reporter = Reporter::of_env().filter(|_| !listens);
        let watchdog = match &reporter {
            Some(reporter) => Some(reporter.watchdog()),
            None => sd_notify::watchdog_enabled().filter(|_| listens),
        };
        Self { listens, watchdog, reporter }
    }

    fn send(&self, states: &[NotifyState<'_>]) {
        if self.listens
            && let Err(error) = sd_notify::notify(states)
        {
            tracing::info!(%error, "cannot send to the service manager");
        }
    }

    /// Reports that start-up is complete. Sent again after a re-execution, which is harmless.
    pub fn ready(&self) {
        self.send(&[NotifyState::Ready]);
        self.reporter.iter().for_each(Reporter::ready);
    }

    /// Sets the line that `systemctl status` shows. Terminal control characters are made harmless;
    /// line breaks would end the message, so they become spaces.
    pub fn status(&self, line: &str) {
        let line = harmless(&line.replace(['\n', '\r'], " ")).into_owned();
        self.send(&[NotifyState::Status(&line)]);
        self.reporter.iter().for_each(|reporter| reporter.status(&line));
    }

    /// Sends the status line of a run that has started, and a keep-alive with it.
    pub fn run_started(&self, line: &str) {
        let line = harmless(&line.replace(['\n', '\r'], " ")).into_owned();
        self.send(&[NotifyState::Watchdog, NotifyState::Status(&line)]);
        self.reporter.iter().for_each(|reporter| {
            reporter.keep_alive();
            reporter.status(&line);
        });
    }

    /// Sends `WATCHDOG=1`, the keep-alive that the service manager expects in time.
    pub fn watchdog(&self) {
        self.send(&[NotifyState::Watchdog]);
        self.reporter.iter().for_each(Reporter::keep_alive);
    }

    /// Reports that the worker is about to exit.
    pub fn stopping(&self) {
        self.send(&[NotifyState::Stopping]);
        // It may take as long to end as it may take between two keep-alives.
        self.reporter.iter().for_each(Reporter::keep_alive);
    }

    /// Asks the manager to do what it does after a missed keep-alive: kill everything and restart.
    pub fn trigger(&self) {
        self.send(&[NotifyState::WatchdogTrigger]);
        self.reporter.iter().for_each(Reporter::give_up);
    }

    /// Asks for at least `more` time, from now, before start or stop time out.
    pub fn extend_timeout(&self, more: Duration) {
        let usec = u32::try_from(more.as_micros()).unwrap_or(u32::MAX);
        self.send(&[NotifyState::ExtendTimeoutUsec(usec)]);
    }

    /// The longest allowed time between keep-alives; `None` if the manager expects none. A third of
    /// it is a good interval.
    #[must_use]
    pub fn watchdog_interval(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Waits until the manager has processed everything sent so far, at most 5 s. A message still
    /// in the queue when its sender exits is discarded.
    ///
    /// # Errors
    /// The system's; [`io::ErrorKind::TimedOut`] after 5 s.
    pub fn barrier(&self) -> io::Result<()> {
        use std::os::fd::AsFd as _;

        use rustix::event::{PollFd, PollFlags, Timespec, poll};

        if !self.listens {
            return Ok(());
        }
        let (ours, theirs) = io::pipe()?;
        sd_notify::notify_with_fds(&[NotifyState::Custom("BARRIER=1")], &[theirs.as_fd()])?;
        drop(theirs);
        // The manager closes its copy when it reaches the message: then ours hangs up.
        let bound = Timespec { tv_sec: BARRIER_BOUND.as_secs().cast_signed(), tv_nsec: 0 };
        let deadline = std::time::Instant::now() + BARRIER_BOUND;
        loop {
            match poll(&mut [PollFd::new(&ours, PollFlags::empty())], Some(&bound)) {
                Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
                Ok(_) => return Ok(()),
                Err(rustix::io::Errno::INTR) if std::time::Instant::now() < deadline => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
