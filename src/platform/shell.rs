//! A command line of a project, run by the shell: with its output in a log, a time limit, and no
//! process left behind.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, PipeReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anstream::adapter::strip_str;
use tokio::process::Command;
use tokio::sync::oneshot;

use super::cage::Cage;
use super::cgroup::RunCgroup;
use super::privilege::{hand_over, started};
use super::{child, strays};

/// The shell that runs it.
const SHELL: &str = "/bin/sh";
/// How many lines of the output are kept.
const LINES: usize = 15;
/// How many bytes of it are read for that.
const TAIL: u64 = 16 << 10;
/// How long to wait for processes that it left to end.
const ENDING: Duration = Duration::from_secs(5);

/// A command, and how it is run.
#[derive(Debug)]
pub struct Shell<'a> {
    /// The command line that `sh -c` runs.
    pub command: &'a str,
    /// The folder in which it runs.
    pub folder: &'a Path,
    /// Its complete environment; nothing is inherited.
    pub env: Vec<(OsString, OsString)>,
    /// Marks its processes, as `SAMOCODE_RUN` in their environment.
    pub run: &'a str,
    /// The file that its output is added to.
    pub log: &'a Path,
    /// The time it gets.
    pub limit: Duration,
    /// The cage it is locked into.
    pub cage: Option<Cage>,
    /// What hides secrets in its output, if there are any.
    pub filter: Option<Box<dyn Filter>>,
}

/// Changes a stream of output, which comes in pieces, before it is logged.
pub trait Filter: std::fmt::Debug + Send {
    /// What is logged now, with this piece.
    fn pass(&mut self, piece: &[u8]) -> Vec<u8>;
    /// What was held back, at the end.
    fn rest(&mut self) -> Vec<u8>;
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// With exit code 0.
    Well,
    /// Otherwise: how, and its last lines.
    Badly {
        /// As in `exit status: 1`.
        how: String,
        /// Without the codes of a terminal.
        lines: Vec<String>,
    },
}

impl Shell<'_> {
    /// Runs it to its end, in a cgroup if there is one. If this is dropped, its processes end.
    ///
    /// # Errors
    /// If it cannot be started or logged.
    pub async fn run(mut self, cgroup: Option<RunCgroup>) -> io::Result<Ended> {
        let (mut log, begins) = self.open_log()?;
        let cage = self.cage.take();
        let mut command = match &cage {
            Some(cage) => cage.command(Path::new(SHELL)),
            None => std::process::Command::new(SHELL),
        };
        command.args(["-c", self.command]).current_dir(self.folder).env_clear();
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.env("SAMOCODE_RUN", self.run);
        let (output, logged) = match self.filter.take() {
            Some(filter) => {
                let (reader, writer) = io::pipe()?;
                let logged = filtered(reader, filter, log.try_clone()?);
                ((Stdio::from(writer.try_clone()?), Stdio::from(writer)), Some(logged))
            }
            None => ((log.try_clone()?.into(), log.try_clone()?.into()), None),
        };
        command.stdin(Stdio::null()).stdout(output.0).stderr(output.1);
        if let Some(cgroup) = &cgroup {
            child::join(&mut command, cgroup.procs().try_clone()?);
        }
        child::own_session(&mut command);
        hand_over(&mut command);
        if let Some(cage) = cage {
            child::confine(&mut command, cage);
        }
        let mut command = Command::from(command);
        command.kill_on_drop(true);
        let leftovers = Leftovers { run: self.run, cgroup };
        let mut child = started(|| command.spawn())?;
        // Its ends of the pipe.
        drop(command);
        let ended = tokio::time::timeout(self.limit, child.wait()).await;
        let _ = child.start_kill();
        drop(leftovers);
        if let Some(logged) = logged {
            // Nobody is left to write; this is not to depend on it.
            let _ = tokio::time::timeout(ENDING, logged).await;
        }
        let how = match ended {
            Ok(status) => {
                let status = status?;
                if status.success() {
                    return Ok(Ended::Well);
                }
                status.to_string()
            }
            Err(_) => {
                let how = format!("killed after {} s", self.limit.as_secs());
                let _ = writeln!(log, "{how}");
                how
            }
        };
        Ok(Ended::Badly { how, lines: last_lines(&mut log, begins) })
    }

    fn open_log(&self) -> io::Result<(File, u64)> {
        let mut log = OpenOptions::new().read(true).append(true).create(true).open(self.log)?;
        writeln!(log, "$ {}", self.command)?;
        let begins = log.metadata()?.len();
        Ok((log, begins))
    }
}

/// Logs what comes through a pipe, by way of a filter. What is returned resolves at its end.
fn filtered(
    mut reader: PipeReader,
    mut filter: Box<dyn Filter>,
    mut log: File,
) -> oneshot::Receiver<()> {
    let (done, ended) = oneshot::channel();
    std::thread::spawn(move || {
        let mut piece = [0; 8192];
        while let Ok(read @ 1..) = reader.read(&mut piece) {
            let _ = log.write_all(&filter.pass(&piece[..read]));
        }
        let _ = log.write_all(&filter.rest());
        let _ = done.send(());
    });
    ended
}

/// Ends what the command left, when dropped.
struct Leftovers<'a> {
    run: &'a str,
    cgroup: Option<RunCgroup>,
}

impl Drop for Leftovers<'_> {
    fn drop(&mut self) {
        if let Some(cgroup) = self.cgroup.take() {
            let _ = cgroup.end();
        } else {
            let _ = strays::end_run(self.run, ENDING);
        }
    }
}

/// The last lines written since `begins` that are not empty.
fn last_lines(log: &mut File, begins: u64) -> Vec<String> {
    let mut text = Vec::new();
    let end = log.metadata().map_or(begins, |meta| meta.len());
    let from = end.saturating_sub(TAIL).max(begins);
    if log.seek(SeekFrom::Start(from)).is_ok() {
        let _ = log.take(TAIL).read_to_end(&mut text);
    }
    let text = String::from_utf8_lossy(&text);
    let text = strip_str(&text).to_string();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(LINES)..].iter().map(|&line| line.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn run(folder: &Path, command: &str, seconds: u64) -> Ended {
        let mark = format!("shell-{}", uuid::Uuid::new_v4());
        let shell = Shell {
            command,
            folder,
            env: vec![("PATH".into(), "/usr/bin:/bin".into())],
            run: &mark,
            log: &folder.join("log"),
            limit: Duration::from_secs(seconds),
            cage: None,
            filter: None,
        };
        shell.run(None).await.unwrap()
    }

    /// Shows nothing that looks like a digit.
    #[derive(Debug)]
    struct NoDigits;

    impl Filter for NoDigits {
        fn pass(&mut self, piece: &[u8]) -> Vec<u8> {
            piece.iter().map(|byte| if byte.is_ascii_digit() { b'#' } else { *byte }).collect()
        }

        fn rest(&mut self) -> Vec<u8> {
            b"end\n".to_vec()
        }
    }

    #[tokio::test]
    async fn its_output_is_filtered_before_it_is_logged_and_nothing_is_lost() {
        let root = tempfile::tempdir().unwrap();
        let shell = Shell {
            command: "echo a1; echo b2 >&2; sleep 1000 & exit 3",
            folder: root.path(),
            env: vec![("PATH".into(), "/usr/bin:/bin".into())],
            run: &format!("shell-{}", uuid::Uuid::new_v4()),
            log: &root.path().join("log"),
            limit: Duration::from_secs(60),
            cage: None,
            filter: Some(Box::new(NoDigits)),
        };
        let ended = shell.run(None).await.unwrap();
        let Ended::Badly { lines, .. } = ended else { panic!("well") };
        assert_eq!(lines, ["a#", "b#", "end"]);
    }

    #[tokio::test]
    async fn it_runs_in_its_folder_and_its_last_lines_are_kept() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(run(root.path(), "echo earlier >made", 60).await, Ended::Well);
        assert!(root.path().join("made").exists());
        let red = "seq 1 40; echo; printf '\\033[31mred\\n' >&2; exit 3";
        let Ended::Badly { how, lines } = run(root.path(), red, 60).await else { panic!("well") };
        assert_eq!(how, "exit status: 3");
        assert_eq!((lines[0].as_str(), lines[14].as_str()), ("27", "red"));
        assert_eq!(lines.len(), 15);
        let log = std::fs::read_to_string(root.path().join("log")).unwrap();
        assert!(log.starts_with("$ echo earlier >made\n$ seq"), "{log}");
    }

    #[tokio::test]
    async fn one_that_hangs_is_killed_with_what_it_started() {
        let root = tempfile::tempdir().unwrap();
        let hangs = "setsid flock held sh -c 'touch started; sleep 1000' & sleep 1000";
        let Ended::Badly { how, .. } = run(root.path(), hangs, 1).await else { panic!("well") };
        assert_eq!(how, "killed after 1 s");
        assert!(root.path().join("started").exists(), "it had no time to start");
        let held = File::open(root.path().join("held")).unwrap();
        assert!(held.try_lock().is_ok(), "it still runs");
    }
}
