//! Runs the project's tests on what was merged: with a time limit, and leaving no process behind.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anstream::adapter::strip_str;
use tokio::process::Command;

use crate::config::Env;
use crate::control::error::{Attempt as _, Result};
use crate::platform::privilege::{hand_over, started};
use crate::platform::{child, strays};
use crate::session::describe::harmless;

use super::series::Verdict;

/// How many lines of the tests' output are kept.
const LINES: usize = 15;
/// How many bytes of it are read for that.
const TAIL: u64 = 16 << 10;
/// How long to wait for processes that the tests left to end.
const ENDING: Duration = Duration::from_secs(5);

/// The tests, and how they are run.
#[derive(Debug, Clone)]
pub(super) struct Trial {
    /// `SAMOCODE_TEST_COMMAND`, for the shell.
    pub(super) command: String,
    /// Where it runs.
    pub(super) folder: PathBuf,
    /// `SAMOCODE_TEST_TIMEOUT`.
    pub(super) limit: Duration,
    /// The file that gets its output.
    pub(super) log: PathBuf,
    /// The caller's environment.
    pub(super) env: Env,
    /// Marks its processes, as `SAMOCODE_RUN` marks those of an agent.
    pub(super) run: String,
}

impl Trial {
    /// Runs the tests once.
    ///
    /// # Errors
    /// If they cannot be started, or their processes do not end.
    pub(super) async fn run(&self) -> Result<Verdict> {
        let (mut log, begins) = self.log()?;
        let mut command = std::process::Command::new("/bin/sh");
        let output = || log.try_clone().attempt(|| format!("write {}", self.log.display()));
        command.args(["-c", &self.command]).current_dir(&self.folder).env_clear();
        command.envs(self.env.iter()).env("SAMOCODE_RUN", &self.run);
        // It may be an agent who merges, and the tests are not its run.
        command.env_remove("SAMOCODE_SESSION").env_remove("SAMOCODE_SESSION_DIR");
        command.stdin(Stdio::null()).stdout(output()?).stderr(output()?);
        child::own_session(&mut command);
        hand_over(&mut command);
        let mut command = Command::from(command);
        command.kill_on_drop(true);
        let started = started(|| command.spawn());
        let mut child =
            started.attempt(|| format!("run the tests in {}", self.folder.display()))?;
        let ended = tokio::time::timeout(self.limit, child.wait()).await;
        let _ = child.start_kill();
        self.end_leftovers()?;
        let status = match ended {
            Ok(status) => status.attempt(|| "wait for the tests".to_owned())?,
            Err(_) => {
                let seconds = self.limit.as_secs();
                let line = format!("the tests did not end within {seconds} s and were killed\n");
                let _ = log.write_all(line.as_bytes());
                return Ok(Verdict::Red(last_lines(&mut log, begins)));
            }
        };
        if status.success() {
            return Ok(Verdict::Green);
        }
        let lines = last_lines(&mut log, begins);
        let said_nothing = || format!("{} ended with {status} and wrote nothing", self.command);
        Ok(Verdict::Red(if lines.is_empty() { said_nothing() } else { lines }))
    }

    /// Empties the log, unless a merge is resumed.
    pub(super) fn begin_log(&self, is_new: bool) -> Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(is_new);
        options.open(&self.log).map(drop).attempt(|| format!("write {}", self.log.display()))
    }

    /// Ends the processes that the tests left behind.
    fn end_leftovers(&self) -> Result<()> {
        end_processes(&self.run)
    }

    fn log(&self) -> Result<(File, u64)> {
        let mut options = OpenOptions::new();
        let opened = options.read(true).append(true).create(true).open(&self.log);
        let written = opened.and_then(|mut log| {
            let begins = log.metadata()?.len();
            writeln!(log, "$ {}", self.command)?;
            Ok((log, begins + self.command.len() as u64 + 3))
        });
        written.attempt(|| format!("write {}", self.log.display()))
    }
}

/// Ends all processes with this mark.
pub(super) fn end_processes(run: &str) -> Result<()> {
    strays::end_run(run, ENDING)
        .map(drop)
        .attempt(|| "end the processes that an interrupted merge left".to_owned())
}

/// The last lines written since `begins`, safe for a terminal.
fn last_lines(log: &mut File, begins: u64) -> String {
    let mut text = Vec::new();
    let end = log.metadata().map_or(begins, |meta| meta.len());
    let from = end.saturating_sub(TAIL).max(begins);
    if log.seek(SeekFrom::Start(from)).is_ok() {
        let _ = log.take(TAIL).read_to_end(&mut text);
    }
    let text = String::from_utf8_lossy(&text);
    let text = strip_str(&text).to_string();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(LINES)..];
    last.iter().map(|line| harmless(line)).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(folder: &std::path::Path, command: &str) -> Trial {
        Trial {
            command: command.to_owned(),
            folder: folder.to_owned(),
            limit: Duration::from_secs(60),
            log: folder.join("log"),
            env: Env::from_iter([("PATH", "/usr/bin:/bin"), ("SAMOCODE_SESSION", "jwt")]),
            run: format!("trial-{}", uuid::Uuid::new_v4()),
        }
    }

    #[tokio::test]
    async fn the_last_lines_of_red_tests_are_kept_and_those_of_earlier_ones_are_not_mixed_in() {
        let root = tempfile::tempdir().unwrap();
        let first = trial(root.path(), "echo earlier; exit 3");
        assert_eq!(first.run().await.unwrap(), Verdict::Red("earlier".into()));
        let later = trial(root.path(), "seq 1 40; echo; printf '\\033[31mred\\n' >&2; exit 1");
        let Verdict::Red(lines) = later.run().await.unwrap() else { panic!("green") };
        assert!(lines.starts_with("27\n") && lines.ends_with("red"), "{lines}");
        assert!(!lines.contains('\u{1b}'), "{lines}");
        let silent = trial(root.path(), "exit 1").run().await.unwrap();
        assert_eq!(
            silent,
            Verdict::Red("exit 1 ended with exit status: 1 and wrote nothing".into())
        );
        let green = trial(root.path(), "test -z \"$SAMOCODE_SESSION\"").run().await.unwrap();
        assert_eq!(green, Verdict::Green);
        let log = std::fs::read_to_string(root.path().join("log")).unwrap();
        assert!(log.starts_with("$ echo earlier; exit 3\nearlier\n$ seq"), "{log}");
    }

    #[tokio::test]
    async fn tests_that_hang_are_killed_with_what_they_started() {
        let root = tempfile::tempdir().unwrap();
        let hangs = "setsid flock held sh -c 'touch started; sleep 1000' & sleep 1000";
        let trial = Trial { limit: Duration::from_secs(1), ..trial(root.path(), hangs) };
        let Verdict::Red(lines) = trial.run().await.unwrap() else { panic!("green") };
        assert!(lines.contains("did not end within"), "{lines}");
        assert!(root.path().join("started").exists(), "it had no time to start");
        let held = File::open(root.path().join("held")).unwrap();
        assert!(held.try_lock().is_ok(), "it still runs");
    }
}
