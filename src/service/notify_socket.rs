//! What a worker tells its manager: readiness, a status line, signs of life (sd_notify(3)).

use std::io;
use std::time::Duration;

use sd_notify::NotifyState;

use crate::session::describe::harmless;

/// How long a barrier may take.
const BARRIER_BOUND: Duration = Duration::from_secs(5);

/// The way to the manager that started this process, if one did. Every method does nothing where
/// none listens. A message that cannot be sent is lost: the manager has gone, and the kernel or
/// the next manager deals with us.
///
/// `NOTIFY_SOCKET` stays in this process's environment, where a re-executed worker finds it; an
/// agent gets an environment built anew.
#[derive(Debug, Clone)]
pub struct Notify {
    listens: bool,
    watchdog: Option<Duration>,
}

impl Notify {
    /// What the environment says: `NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`.
    #[must_use]
    pub fn from_env() -> Self {
        let listens = std::env::var_os("NOTIFY_SOCKET").is_some_and(|path| !path.is_empty());
        Self { listens, watchdog: sd_notify::watchdog_enabled().filter(|_| listens) }
    }

    fn send(&self, states: &[NotifyState<'_>]) {
        if self.listens
            && let Err(error) = sd_notify::notify(states)
        {
            tracing::debug!(%error, "the service manager does not listen");
        }
    }

    /// Start-up is over. Again after a re-execution, where it does no harm.
    pub fn ready(&self) {
        self.send(&[NotifyState::Ready]);
    }

    /// The line `systemctl status` shows, as it is: nothing in it steers the terminal. Line breaks
    /// would end the message, so they are blanked.
    pub fn status(&self, line: &str) {
        let line = harmless(&line.replace(['\n', '\r'], " ")).into_owned();
        self.send(&[NotifyState::Status(&line)]);
    }

    /// A sign of life.
    pub fn watchdog(&self) {
        self.send(&[NotifyState::Watchdog]);
    }

    /// The worker is about to end.
    pub fn stopping(&self) {
        self.send(&[NotifyState::Stopping]);
    }

    /// Asks for what a missed watchdog brings: kill everything, restart.
    pub fn trigger(&self) {
        self.send(&[NotifyState::WatchdogTrigger]);
    }

    /// Asks for at least `more` from now on before start or stop time out.
    pub fn extend_timeout(&self, more: Duration) {
        let usec = u32::try_from(more.as_micros()).unwrap_or(u32::MAX);
        self.send(&[NotifyState::ExtendTimeoutUsec(usec)]);
    }

    /// How often a sign of life is due at the latest; `None` where nobody waits for it. A third
    /// of it is a good interval.
    #[must_use]
    pub fn watchdog_interval(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Waits until the manager has processed all that was sent before, at most 5 s. A message that
    /// is still queued when its sender has ended is thrown away.
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
        // The manager closes its copy when it comes to the message: then ours hangs up.
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
