//! Commands in the lab: run to the end, or alongside the test.

use std::fmt;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::secs;

/// Joins a cgroup of the lab before anything else, or the command would sit in
/// a cgroup that the lab cannot name.
const ENTER: &str = r#"echo 0 >/sys/fs/cgroup/lab-commands/cgroup.procs; exec "$@""#;

/// The stdin of a command.
enum Input {
    /// `/dev/null`
    Nothing,
    Whole(Vec<u8>),
    Open,
}

/// A command in the lab, built step by step. Its environment holds nothing but
/// what is set here; its stdin is `/dev/null` unless given.
#[must_use = "nothing runs before output(), ok() or spawn()"]
pub(crate) struct LabCommand {
    pid: u32,
    uid: Option<u32>,
    argv: Vec<String>,
    env: Vec<(String, String)>,
    cwd: String,
    stdin: Input,
    bound: Duration,
    terminal: bool,
}

impl LabCommand {
    pub(super) fn new<S: AsRef<str>>(
        pid: u32,
        uid: Option<u32>,
        argv: impl IntoIterator<Item = S>,
    ) -> Self {
        Self {
            pid,
            uid,
            argv: argv.into_iter().map(|a| a.as_ref().to_string()).collect(),
            env: Vec::new(),
            cwd: "/".into(),
            stdin: Input::Nothing,
            bound: secs(60),
            terminal: false,
        }
    }

    /// One more argument.
    pub(crate) fn arg(mut self, arg: impl Into<String>) -> Self {
        self.argv.push(arg.into());
        self
    }

    /// Sets a variable; the last one of a name wins.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.into(), value.as_ref().into()));
        self
    }

    /// Takes a variable out again.
    pub(crate) fn env_remove(mut self, name: &str) -> Self {
        self.env.retain(|(known, _)| known != name);
        self
    }

    /// The working folder, a path in the lab.
    pub(crate) fn cwd(mut self, dir: impl AsRef<Path>) -> Self {
        self.cwd = dir.as_ref().display().to_string();
        self
    }

    /// The input of the command; its stdin is closed after it.
    pub(crate) fn stdin(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.stdin = Input::Whole(text.into());
        self
    }

    /// Leaves stdin open, for [`Running::send`].
    pub(crate) fn stdin_open(mut self) -> Self {
        self.stdin = Input::Open;
        self
    }

    /// How long [`Self::output`] waits before it fails the test; 60 s unless set.
    pub(crate) fn within(mut self, bound: Duration) -> Self {
        self.bound = bound;
        self
    }

    /// Gives the command a terminal, by way of script(1): stdout and stderr
    /// come as one, with CR LF; what is given as stdin is typed.
    pub(crate) fn on_a_terminal(mut self) -> Self {
        self.terminal = true;
        self
    }

    /// Runs to the end and asserts that the exit code is 0.
    #[track_caller]
    pub(crate) fn ok(self) -> Outcome {
        let outcome = self.output();
        assert!(outcome.code == 0, "{outcome}");
        outcome
    }

    /// Runs to the end.
    #[track_caller]
    pub(crate) fn output(self) -> Outcome {
        let bound = self.bound;
        let mut running = self.spawn();
        running.wait(bound)
    }

    /// Starts it and leaves it running; ended with SIGKILL when dropped.
    #[track_caller]
    pub(crate) fn spawn(self) -> Running {
        let what = self.argv.join(" ");
        let stdin = match self.stdin {
            Input::Nothing => Stdio::null(),
            Input::Whole(_) | Input::Open => Stdio::piped(),
        };
        let mut child = self
            .command()
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{what}: {e}"));
        if let Input::Whole(text) = self.stdin
            && let Some(mut pipe) = child.stdin.take()
        {
            // A command that does not read must not stop the test.
            std::thread::spawn(move || pipe.write_all(&text));
        }
        let stdout = Collected::from(child.stdout.take());
        let stderr = Collected::from(child.stderr.take());
        Running { what, child, stdout, stderr }
    }

    fn command(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={}", self.pid));
        command.args(["-m", "-u", "-i", "-p", "-C", "-r", "-w", "--"]);
        command.args(["sh", "-c", ENTER, "sh"]);
        if let Some(uid) = self.uid {
            command.args(["setpriv", "--init-groups"]);
            command.arg(format!("--reuid={uid}")).arg(format!("--regid={uid}"));
            command.arg("--");
        }
        command.args(["env", "-i", "-C"]).arg(&self.cwd);
        command.args(self.env.iter().map(|(name, value)| format!("{name}={value}")));
        if self.terminal {
            let line: Vec<String> = self.argv.iter().map(|a| quoted(a)).collect();
            command.args(["script", "-qefc"]).arg(line.join(" ")).arg("/dev/null");
        } else {
            command.args(&self.argv);
        }
        command
    }
}

/// `word` as one word of shell.
pub(crate) fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A command that runs alongside the test.
pub(crate) struct Running {
    what: String,
    child: Child,
    stdout: Collected,
    stderr: Collected,
}

impl Running {
    /// What it has written to stdout up to now.
    pub(crate) fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What it has written to stderr up to now.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Writes to its stdin, which [`LabCommand::stdin_open`] has left open.
    #[track_caller]
    pub(crate) fn send(&mut self, text: &str) {
        let stdin = self.child.stdin.as_mut().expect("stdin_open() before spawn()");
        stdin.write_all(text.as_bytes()).and_then(|()| stdin.flush()).expect("it reads");
    }

    /// Ends its stdin.
    pub(crate) fn close_stdin(&mut self) {
        self.child.stdin = None;
    }

    /// Whether it has not ended yet.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|ended| ended.is_none())
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(pid) = self.inner() {
            let _ = kill_process(pid, signal);
        }
    }

    /// Waits until stdout contains `text`.
    #[track_caller]
    pub(crate) fn wait_for_stdout(&mut self, text: &str, bound: Duration) {
        self.wait_for(Self::stdout, text, bound);
    }

    /// Waits until stderr contains `text`, for notes and progress.
    #[track_caller]
    pub(crate) fn wait_for_stderr(&mut self, text: &str, bound: Duration) {
        self.wait_for(Self::stderr, text, bound);
    }

    #[track_caller]
    fn wait_for(&mut self, printed: fn(&Self) -> String, text: &str, bound: Duration) {
        let mut end = Instant::now() + bound;
        loop {
            // Asked first: what it printed before it ended may still be on its way here.
            if !self.is_running() {
                end = end.min(Instant::now() + QUIET);
            }
            if printed(self).contains(text) {
                break;
            }
            assert!(
                Instant::now() < end,
                "{} did not print {text:?} within {bound:?}\n{}\n{}",
                self.what,
                self.stdout(),
                self.stderr()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for it to exit; fails the test after the time limit.
    #[track_caller]
    pub(crate) fn wait(&mut self, bound: Duration) -> Outcome {
        let end = Instant::now() + bound;
        let mut pause = Duration::from_micros(500);
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("wait") {
                break status;
            }
            if Instant::now() > end {
                self.signal(Signal::KILL);
                let (out, err) = (self.stdout(), self.stderr());
                panic!("{} did not end within {bound:?}\n{out}\n{err}", self.what);
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(10));
        };
        Outcome {
            what: self.what.clone(),
            code: status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
            status,
            stdout: self.stdout.finished(),
            stderr: self.stderr.finished(),
        }
    }

    /// nsenter forks to enter the PID namespace; its only child is the command.
    fn inner(&self) -> Option<Pid> {
        let nsenter = self.child.id();
        let children = format!("/proc/{nsenter}/task/{nsenter}/children");
        let pid = std::fs::read_to_string(children).ok()?;
        Pid::from_raw(pid.trim().parse().ok()?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How long nothing may come before a command that has ended has said all.
const QUIET: Duration = Duration::from_secs(1);

/// A pipe that is read as it fills.
struct Collected {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Collected {
    fn from(pipe: Option<impl Read + Send + 'static>) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&bytes);
        let reader = pipe.map(|mut pipe| {
            std::thread::spawn(move || {
                let mut buffer = [0; 64 * 1024];
                while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                    sink.lock().expect("no reader panics").extend_from_slice(&buffer[..count]);
                }
            })
        });
        Self { bytes, reader }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().expect("no reader panics")).into_owned()
    }

    /// All of it; waits until nothing came for a second, since something that the
    /// command left in the background may hold the pipe.
    fn finished(&mut self) -> String {
        let length = |all: &Self| all.bytes.lock().expect("no reader panics").len();
        let (mut known, mut end) = (length(self), Instant::now() + QUIET);
        if let Some(reader) = self.reader.take() {
            while !reader.is_finished() && Instant::now() < end {
                std::thread::sleep(Duration::from_micros(200));
                if length(self) != known {
                    (known, end) = (length(self), Instant::now() + QUIET);
                }
            }
        }
        self.text()
    }
}

/// A command's exit code and output.
pub(crate) struct Outcome {
    what: String,
    /// The exit code; 128 and the signal's number when it was killed.
    pub(crate) code: i32,
    /// The same, as reported by the kernel.
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// Its stdout as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("no JSON ({e}): {self}"))
    }

    /// Whether stderr is one error in one line, with a hint in a second one at most.
    pub(crate) fn is_one_error(&self) -> bool {
        let mut lines = self.stderr.trim_end().lines();
        let is_error = lines
            .next()
            .is_some_and(|line| line.starts_with("error: ") || line.starts_with("samocode: "));
        is_error
            && lines.next().is_none_or(|line| line.starts_with("hint: "))
            && lines.next().is_none()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, code, stdout, stderr, .. } = self;
        write!(f, "{what}\n--- exit {code}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}
