//! One process of an agent, from its start to its end, as a worker drives it.

mod emit;
mod feed;
mod files;
mod pipe;

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::time::{Instant, sleep_until};

use super::event::{Decoder, Event};
use super::process::{Start, StartError, Stdin};
use super::stream::{CHUNK, Lines, Log, Tail};
use super::unknown::Unknown;
use super::{Environment, Input, Launch};
use crate::config::Veil;
use crate::platform::cage::Cage;
use emit::emitter;
use feed::Feed;
use pipe::{is_passing, lying_in, readable};

/// How long a process may take to exit after its [`Event::Finished`].
pub const GRACE: Duration = Duration::from_secs(30);
/// How long it may take to exit after SIGTERM: Claude Code needs about 1.6 s for its children.
pub const TERM_GRACE: Duration = Duration::from_secs(15);

/// How long it may take to end its turn, where it can be asked to, before SIGTERM.
pub const CANCEL_GRACE: Duration = Duration::from_secs(3);

/// How many chunks to read before yielding, so that endless output starves no timer or signal.
const CHUNKS_PER_TURN: u32 = 8;

/// Everything needed to start a run, besides its [`Launch`].
#[derive(Debug)]
pub struct Setting<'a> {
    /// The agent's complete environment; the launch's defaults are added.
    pub environment: Environment,
    /// The folder it starts in.
    pub working_dir: &'a Path,
    /// `cgroup.procs` of the run's cgroup, open for writing, where there is one.
    pub cgroup: Option<File>,
    /// The cage it is locked into, where there is one.
    pub cage: Option<Cage>,
    /// The log of its standard output.
    pub log: File,
    /// The log of its standard error output.
    pub stderr_log: Log,
    /// Keeps secrets out of both.
    pub veil: Veil,
    /// How long it may take to exit after it finished, usually [`GRACE`].
    pub grace: Duration,
    /// How long it may take to exit after SIGTERM, usually [`TERM_GRACE`].
    pub term_grace: Duration,
}

/// One step of a run.
#[derive(Debug)]
pub enum Step {
    /// The agent reported an event.
    Event(Event),
    /// The agent closed its standard output; it should exit now.
    ClosedStdout,
    /// It did not exit in time after it reported its end, or after SIGTERM. It was sent this
    /// signal: "SIGTERM" or "SIGKILL".
    Overstayed(&'static str),
    /// The process has exited and all of its output was read. This is the last step.
    Exited(ExitStatus),
}

/// The facts about a run at its end, besides the exit status.
#[derive(Debug)]
pub struct Summary {
    /// The end of its standard error output.
    pub stderr_tail: String,
    /// How many bytes it wrote to standard output.
    pub bytes: u64,
    /// Why the log is incomplete, if it is.
    pub log_error: Option<io::Error>,
    /// What was in its output that the decoder does not know.
    pub unknown: Unknown,
}

/// A run in progress. Dropping it before its end kills the process group.
pub struct Run {
    child: tokio::process::Child,
    group: Option<Pid>,
    pid: u32,
    input: Feed,
    stdout: Option<Receiver>,
    stderr: Option<Receiver>,
    chunk: Vec<u8>,
    lines: Lines,
    decoder: Box<dyn Decoder>,
    events: VecDeque<Event>,
    bytes: u64,
    /// Chunks read since the last yield.
    chunks: u32,
    log: Log,
    stderr_log: Log,
    tail: Tail,
    grace: Duration,
    term_grace: Duration,
    deadline: Option<(Instant, Signal)>,
    /// Whether it was asked to exit: whatever it does now, the deadline holds.
    ending: bool,
    exited: Option<ExitStatus>,
    /// `ClosedStdout` has yet to be reported.
    closed: bool,
}

impl Run {
    /// Starts the process.
    ///
    /// # Errors
    /// A [`StartError`] that names the cause. Must be called in a tokio runtime with I/O and time.
    pub fn start(
        launch: Launch,
        decoder: Box<dyn Decoder>,
        mut setting: Setting<'_>,
    ) -> Result<Self, StartError> {
        launch.prepare(&mut setting.environment)?;
        let other =
            |error| StartError::Other { program: launch.program.display().to_string(), error };
        let (feed, input) = match launch.input {
            Input::Null => (Feed::default(), Stdin::Nothing),
            Input::Text(text) => (Feed::default(), Stdin::File(feed::whole(&text).map_err(other)?)),
            Input::Feed(first) => (Feed::open(first), Stdin::Pipe),
        };
        let process = Start {
            program: &launch.program,
            args: &launch.args,
            environment: &setting.environment,
            working_dir: setting.working_dir,
            cgroup: setting.cgroup,
            cage: setting.cage,
            input,
        }
        .start()?;
        let pid = process.child.id().unwrap_or_default();
        let mut run = Self {
            child: process.child,
            group: i32::try_from(pid).ok().and_then(Pid::from_raw),
            pid,
            input: feed,
            stdout: None,
            stderr: None,
            chunk: vec![0; CHUNK],
            lines: Lines::default(),
            decoder,
            events: VecDeque::new(),
            bytes: 0,
            chunks: 0,
            log: Log::new(setting.log).behind(setting.veil.clone()),
            stderr_log: setting.stderr_log.behind(setting.veil),
            tail: Tail::default(),
            grace: setting.grace,
            term_grace: setting.term_grace,
            deadline: None,
            ending: false,
            exited: None,
            closed: false,
        };
        // From here on a failure drops the run, which kills the process.
        run.attach(process.stdin, process.stdout, process.stderr).map_err(|error| {
            StartError::Other { program: launch.program.display().to_string(), error }
        })?;
        Ok(run)
    }

    fn attach(&mut self, stdin: Option<OwnedFd>, out: OwnedFd, err: OwnedFd) -> io::Result<()> {
        self.input.attach(stdin.map(Sender::from_owned_fd).transpose()?);
        self.stdout = Some(Receiver::from_owned_fd(out)?);
        self.stderr = Some(Receiver::from_owned_fd(err)?);
        Ok(())
    }

    /// The process's id, which is also the id of its process group.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends a message to the agent while it works. It is written while [`Run::next`] is awaited.
    /// Returns whether the agent takes messages and its input is still open.
    pub fn send(&mut self, text: &str) -> bool {
        let Some(message) = self.decoder.message(text) else { return false };
        let open = self.input.add(&message);
        if open {
            // It keeps working: the end it reported was not final.
            self.deadline =
                self.deadline.filter(|(_, signal)| self.ending || *signal != Signal::TERM);
        }
        open
    }

    /// Closes the input once everything is written; an agent that is fed then exits. Call it on
    /// [`Event::Finished`] unless there is more to send.
    pub fn close_input(&mut self) {
        self.input.close();
    }

    /// Asks the agent to end its turn, if it can be asked, or the process group to exit (SIGTERM), and
    /// goes one step further each time that takes too long.
    pub fn terminate(&mut self) {
        if let Some(cancel) = self.decoder.cancel().filter(|_| !self.ending)
            && self.input.add(&cancel)
        {
            self.ending = true;
            self.deadline = Some((Instant::now() + CANCEL_GRACE, Signal::TERM));
            return;
        }
        self.ending = true;
        self.signal(Signal::TERM);
        self.deadline = Some((Instant::now() + self.term_grace, Signal::KILL));
    }

    /// Kills the process group. Processes that left the group are left to the cgroup.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.deadline = None;
    }

    fn signal(&self, signal: Signal) {
        // Once the process has been reaped, its id may belong to another.
        if let Some(group) = self.group.filter(|_| self.exited.is_none()) {
            let _ = kill_process_group(group, signal);
        }
    }

    /// Waits for the next step. No source is favoured, so that a flood of output delays neither
    /// input nor deadlines. It can be cancelled at any time without loss. After [`Step::Exited`] it
    /// returns that again.
    pub async fn next(&mut self) -> Step {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Step::Event(event);
            }
            self.events.shrink_to(256);
            if std::mem::take(&mut self.closed) {
                return Step::ClosedStdout;
            }
            if let Some(status) = self.exited {
                return Step::Exited(status);
            }
            if self.chunks >= CHUNKS_PER_TURN {
                self.chunks = 0;
                tokio::task::yield_now().await;
            }
            let (deadline, signal) = self.deadline.unwrap_or((Instant::now(), Signal::TERM));
            tokio::select! {
                () = readable(self.stdout.as_ref()) => self.read_stdout(),
                () = readable(self.stderr.as_ref()) => self.read_stderr(),
                () = self.input.writable() => self.input.write(),
                status = self.child.wait() => self.ended(status),
                () = sleep_until(deadline), if self.deadline.is_some() => {
                    self.signal(signal);
                    let kill = signal == Signal::KILL;
                    self.deadline = (!kill).then(|| (Instant::now() + self.term_grace, Signal::KILL));
                    return Step::Overstayed(if kill { "SIGKILL" } else { "SIGTERM" });
                }
            }
        }
    }

    fn read_stdout(&mut self) {
        let Some(pipe) = &self.stdout else { return };
        match pipe.try_read(&mut self.chunk) {
            Ok(count) if count > 0 => self.take(count),
            Err(error) if is_passing(&error) => {}
            Ok(_) | Err(_) => self.close_stdout(),
        }
    }

    /// Logs and decodes the first `count` bytes of the chunk. The number of events is bounded by
    /// the chunk, as repeated signs of life without details are reported once.
    fn take(&mut self, count: usize) {
        let chunk = &self.chunk[..count];
        self.bytes += count as u64;
        self.chunks += 1;
        self.log.write(chunk);
        let mut emit = emitter(&mut self.events, &mut self.deadline, self.grace, self.ending);
        self.lines.feed(chunk, &mut *self.decoder, &mut emit);
        let replies = self.decoder.take_replies();
        if !replies.is_empty() {
            self.input.add(&replies);
        }
    }

    fn close_stdout(&mut self) {
        if self.stdout.take().is_some() {
            let mut emit = emitter(&mut self.events, &mut self.deadline, self.grace, self.ending);
            self.lines.finish(&mut *self.decoder, &mut emit);
            self.closed = true;
        }
    }

    fn read_stderr(&mut self) {
        let Some(pipe) = &self.stderr else { return };
        match pipe.try_read(&mut self.chunk) {
            Ok(count) if count > 0 => self.take_stderr(count),
            Err(error) if is_passing(&error) => {}
            Ok(_) | Err(_) => self.stderr = None,
        }
    }

    fn take_stderr(&mut self, count: usize) {
        self.chunks += 1;
        self.stderr_log.write(&self.chunk[..count]);
        self.tail.feed(&self.chunk[..count]);
    }

    /// The process has exited. The bytes in the pipes now are its own. Processes that it left
    /// behind may write more later, which is not read.
    fn ended(&mut self, status: io::Result<ExitStatus>) {
        let left = self.stdout.as_ref().map_or(0, lying_in);
        self.drain(left, |run| run.stdout.as_ref(), Self::take);
        self.close_stdout();
        let left = self.stderr.as_ref().map_or(0, lying_in);
        self.drain(left, |run| run.stderr.as_ref(), Self::take_stderr);
        self.stderr = None;
        self.input = Feed::default();
        // Waiting fails only if someone else has reaped the process: then nothing is known but its
        // end.
        self.exited = Some(status.unwrap_or_default());
    }

    fn drain(
        &mut self,
        mut left: u64,
        of: fn(&Self) -> Option<&Receiver>,
        take: fn(&mut Self, usize),
    ) {
        let mut chunk = std::mem::take(&mut self.chunk);
        while left > 0 {
            let most = chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            // Bypass tokio, whose view of the pipe may be older than the process's exit.
            let count =
                match of(self).map(|pipe| rustix::io::read(pipe.as_fd(), &mut chunk[..most])) {
                    Some(Err(rustix::io::Errno::INTR)) => continue,
                    Some(Ok(count)) if count > 0 => count,
                    _ => break,
                };
            left = left.saturating_sub(count as u64);
            std::mem::swap(&mut self.chunk, &mut chunk);
            take(self, count);
            std::mem::swap(&mut self.chunk, &mut chunk);
        }
        self.chunk = chunk;
    }

    /// The facts about the run at its end.
    #[must_use]
    pub fn summary(&mut self) -> Summary {
        self.log.end();
        self.stderr_log.end();
        Summary {
            stderr_tail: self.tail.text(),
            bytes: self.bytes,
            unknown: self.decoder.unknown().cloned().unwrap_or_default(),
            log_error: self.log.error.take().or_else(|| self.stderr_log.error.take()),
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run")
            .field("pid", &self.pid)
            .field("exited", &self.exited)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
