//! Commands in the machine, one at a time, through its port (`lab-shell` in
//! `image.sh` is the other end).

use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::BOUND;

/// A command's exit code and output.
pub(crate) struct Output {
    line: String,
    /// The exit code; 137 when it was killed, at its bound for one.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Output {
    /// Asserts that the exit code is 0.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert!(self.code == 0, "{self}");
        self
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, code, stdout, stderr } = self;
        write!(f, "{line}\n--- exit {code}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}

/// The port.
pub(super) struct Shell {
    port: BufReader<UnixStream>,
    sent: u32,
}

impl Shell {
    pub(super) fn new(port: UnixStream) -> Self {
        Self { port: BufReader::new(port), sent: 0 }
    }

    /// Waits until the machine has booted; otherwise returns its console's output.
    pub(super) fn ready(&mut self, console: &Path) -> Result<(), String> {
        self.patience(BOUND);
        let mut line = String::new();
        loop {
            line.clear();
            let why = match self.port.read_line(&mut line) {
                Ok(count) if count > 0 => None,
                Err(e) if e.kind() == ErrorKind::WouldBlock => Some("did not boot in time"),
                _ => Some("ended before it had booted"),
            };
            if let Some(why) = why {
                let console = fs::read(console).unwrap_or_default();
                return Err(format!("it {why}; {}", String::from_utf8_lossy(&console).trim()));
            }
            // Before it there may be the answer to the command that made it boot.
            if line == "ready\n" {
                return Ok(());
            }
        }
    }

    /// Runs a line of shell to its end; the machine enforces the time limit.
    #[track_caller]
    pub(super) fn run(&mut self, line: &str, bound: Duration) -> Output {
        self.send(line, bound);
        self.patience(bound + BOUND);
        let mut header = String::new();
        while !header.starts_with(&format!("{} ", self.sent)) {
            header.clear();
            let count = self.port.read_line(&mut header);
            assert!(count.is_ok_and(|count| count > 0), "no answer of the machine to: {line}");
        }
        let mut numbers = header.split_whitespace().skip(1).map(|n| n.parse().expect("a number"));
        let mut next = || numbers.next().expect("three numbers");
        let (code, stdout, stderr) = (next(), next(), next());
        let (stdout, stderr) = (self.text(stdout), self.text(stderr));
        Output {
            line: line.to_owned(),
            code: i32::try_from(code).expect("an exit code"),
            stdout,
            stderr,
        }
    }

    /// Hands a line of shell over.
    #[track_caller]
    pub(super) fn send(&mut self, line: &str, bound: Duration) {
        self.sent += 1;
        let request = format!("{}\0{}\0{line}\0", self.sent, bound.as_secs());
        self.port.get_mut().write_all(request.as_bytes()).expect("the machine reads");
    }

    fn text(&mut self, length: u64) -> String {
        let mut bytes = Vec::new();
        let read = (&mut self.port).take(length).read_to_end(&mut bytes);
        assert!(read.is_ok_and(|count| count as u64 == length), "the answer was cut off");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn patience(&self, bound: Duration) {
        self.port.get_ref().set_read_timeout(Some(bound)).expect("a timeout");
    }
}
