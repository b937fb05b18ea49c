//! Runs git as a child process: in an environment where it cannot prompt, with limits on time and
//! output, and with its messages cleaned up for display.

use std::ffi::OsString;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use super::Error;
use super::progress::{Progress, Told};
use crate::platform::child;
use crate::platform::privilege::{hand_over, started};

/// Variables that tie git to one repository or index. When a git hook calls samocode, they are set
/// for the hook's repository, not ours (`git rev-parse --local-env-vars`, and the quarantine of
/// receive hooks). `GIT_CONFIG_COUNT` stays: containers set it on purpose.
const INHERITED: [&str; 17] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_QUARANTINE_PATH",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_GRAFT_FILE",
    "GIT_SHALLOW_FILE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_REPLACE_REF_BASE",
    "GIT_INTERNAL_SUPER_PREFIX",
];

/// Variables through which a password dialogue could open.
const DIALOGUES: [&str; 4] = ["DISPLAY", "WAYLAND_DISPLAY", "GPG_TTY", "SSH_ASKPASS"];

/// Hooks are programs that an agent can put into the repository.
pub(super) const WITHOUT_HOOKS: [&str; 2] = ["-c", "core.hooksPath=/dev/null"];

/// How many bytes of a child's stdout are kept, from its start.
pub(super) const STDOUT_KEPT: usize = 4 << 20;
/// How many bytes of a child's stderr are kept, from its end.
const STDERR_KEPT: usize = 64 << 10;
/// A helper that outlives git may hold its pipes open, but git has written everything by the time
/// it exits.
const DRAIN_LIMIT: Duration = Duration::from_secs(1);

/// `git -C FOLDER`, in an environment where it never prompts: no terminal prompt, no askpass
/// program, no dialogue, nothing on stdin, and nothing that a surrounding git hook set for its own
/// repository. For short local reads; anything that may take time uses [`git_command`].
pub(super) fn git_for_reading(folder: &Path) -> std::process::Command {
    let mut command = bare_git();
    command.args(WITHOUT_HOOKS).arg("-C").arg(folder);
    // A read must not hold index.lock while an agent commits, nor fetch what a partial clone lacks.
    command.env("GIT_OPTIONAL_LOCKS", "0").env("GIT_NO_LAZY_FETCH", "1");
    command
}

/// `git -C FOLDER` as an asynchronous child that can never prompt, in a session of its own, killed
/// when dropped.
///
/// Runs no hooks. Use it wherever samocode runs git.
pub fn git_command(folder: &Path) -> Command {
    let mut command = bare_git();
    command.args(WITHOUT_HOOKS);
    detached(command, folder)
}

/// The same with the repository's hooks, for making a worktree: projects set things up in
/// post-checkout, and LFS relies on it.
pub(super) fn git_with_hooks(folder: &Path) -> Command {
    detached(bare_git(), folder)
}

fn detached(mut command: std::process::Command, folder: &Path) -> Command {
    // Without a terminal, no hook and no helper can prompt or write into someone's shell, and the
    // group can be killed together with all of them.
    child::own_session(&mut command);
    command.arg("-C").arg(folder);
    let mut command = Command::from(command);
    command.kill_on_drop(true);
    command
}

pub(super) fn bare_git() -> std::process::Command {
    let mut command = std::process::Command::new("git");
    for name in INHERITED.iter().chain(&DIALOGUES) {
        command.env_remove(name);
    }
    command
        // Whatever git reports as done must survive a power cut (git-config(1)).
        .args(["-c", "core.fsync=all"])
        // A setting in the repository could name any program here.
        .args(["-c", "core.fsmonitor=false"])
        .env("GIT_TERMINAL_PROMPT", "0")
        // Set but empty, so that git ignores both core.askPass and SSH_ASKPASS.
        .env("GIT_ASKPASS", "")
        .env("SSH_ASKPASS_REQUIRE", "never")
        .env("GCM_INTERACTIVE", "never")
        .env("GIT_EDITOR", ":")
        .env("GIT_PAGER", "cat")
        // Messages in English, without changing the character set for hooks and filters as LC_ALL=C
        // would.
        .env("LANGUAGE", "en")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // Filters and hooks of a user's repository are the user's programs.
    hand_over(&mut command);
    command
}

/// The `GIT_SSH_COMMAND` that makes ssh fail instead of prompting, and keeps the user's own
/// options. `None` if theirs is not plain ssh (plink, a wrapper); it is left alone.
pub(super) fn batch_ssh(command: Option<&str>, program: Option<&str>) -> Option<String> {
    let given = match (command, program) {
        (Some(command), _) if !command.trim().is_empty() => command,
        (_, Some(program)) if !program.is_empty() => return None,
        _ => "ssh",
    };
    let word = given.split_whitespace().next()?.trim_matches(['"', '\'']);
    let name = word.rsplit('/').next()?;
    // ssh uses the first value it sees, so the user's own options win.
    matches!(name, "ssh" | "ssh.exe")
        .then(|| format!("{given} -o BatchMode=yes -o ConnectTimeout=10"))
}

/// A child process that has exited.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) status: ExitStatus,
    pub(super) stdout: Vec<u8>,
    /// The line of its stderr that explains the failure.
    pub(super) said: String,
}

impl Finished {
    /// The first line of stdout, or an error if git failed.
    pub(super) fn line(self, doing: impl Into<String>) -> Result<String, Error> {
        let finished = self.checked(doing)?;
        Ok(first_line(&finished.stdout))
    }

    /// Turns a failed exit status into an error.
    pub(super) fn checked(self, doing: impl Into<String>) -> Result<Self, Error> {
        if self.status.success() {
            Ok(self)
        } else {
            Err(Error::Git { doing: doing.into(), said: self.said })
        }
    }
}

impl From<std::process::Output> for Finished {
    fn from(output: std::process::Output) -> Self {
        let said = telling_line(&output.stderr, output.status);
        Self { said, status: output.status, stdout: output.stdout }
    }
}

/// Runs a short local read to completion.
pub(super) fn read(command: &mut std::process::Command) -> Result<Finished, Error> {
    let child = started(|| command.spawn()).map_err(Error::NoGit)?;
    Ok(child.wait_with_output().map_err(Error::NoGit)?.into())
}

/// Runs git for at most `limit`, then kills it with every helper it started.
pub(super) async fn run(command: Command, doing: &str, limit: Duration) -> Result<Finished, Error> {
    run_and_tell(command, doing, limit, &|_| {}).await
}

/// The same, and tells what git says of its progress.
pub(super) async fn run_and_tell(
    mut command: Command,
    doing: &str,
    limit: Duration,
    told: Told<'_>,
) -> Result<Finished, Error> {
    let mut child = started(|| command.spawn()).map_err(Error::NoGit)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    // Declared after the child, so dropped before it: the group is still ours when it is killed.
    let mut group = Group::of(&child);
    let (mut kept_out, mut kept_err) = (Vec::new(), Vec::new());
    let ended = tokio::time::timeout(limit, async {
        let drained = async {
            tokio::join!(keep_head(stdout, &mut kept_out), keep_tail(stderr, &mut kept_err, told))
        };
        tokio::pin!(drained);
        tokio::select! {
            status = child.wait() => {
                let _ = tokio::time::timeout(DRAIN_LIMIT, &mut drained).await;
                status
            }
            _ = &mut drained => child.wait().await,
        }
    })
    .await;
    let Ok(ended) = ended else {
        return Err(Error::TimedOut { doing: doing.to_owned(), seconds: limit.as_secs() });
    };
    group.0 = None;
    let status = ended.map_err(Error::NoGit)?;
    Ok(Finished { said: telling_line(&kept_err, status), status, stdout: kept_out })
}

/// Kills a process group unless it was disarmed.
struct Group(Option<rustix::process::Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed())))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

async fn keep_head(pipe: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    drain(pipe, |bytes| {
        let room = STDOUT_KEPT - kept.len();
        kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
    })
    .await;
}

async fn keep_tail(pipe: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>, told: Told<'_>) {
    let mut progress = Progress::default();
    drain(pipe, |bytes| {
        kept.extend_from_slice(bytes);
        if let Some(step) = progress.read(bytes) {
            told(&step);
        }
        if kept.len() > 2 * STDERR_KEPT {
            kept.drain(..kept.len() - STDERR_KEPT);
        }
    })
    .await;
}

async fn drain(pipe: Option<impl AsyncRead + Unpin>, mut take: impl FnMut(&[u8])) {
    let Some(mut pipe) = pipe else { return };
    let mut buffer = vec![0; 16 << 10];
    while let Ok(count @ 1..) = pipe.read(&mut buffer).await {
        take(&buffer[..count]);
    }
}

/// Whether git merely reports that ssh, the other side, a hook or a filter (such as git-lfs) failed.
fn failed_elsewhere(line: &str) -> bool {
    [
        "Could not read from remote repository.",
        "the remote end hung up unexpectedly",
        "smudge filter",
        "adding files failed",
        "initialization for subprocess",
        "Could not write client identification",
        "packet write",
        "Not committing merge",
        "from promisor remote",
        "into submodule path",
        "Failed to clone",
        "Cloning into",
        "Please make sure you have the correct access rights",
        "and the repository exists.",
    ]
    .iter()
    .any(|words| line.contains(words))
}

/// Whether a line before git's own names a cause.
fn is_cause(line: &str) -> bool {
    let words = line.to_lowercase();
    ["error", "missing", "not found", "denied"].iter().any(|word| words.contains(word))
        && !failed_elsewhere(line)
        && !line.contains("external filter")
}

pub(super) fn first_line(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).lines().next().unwrap_or_default().to_owned()
}

/// The line of git's stderr that explains the failure: the last `fatal:` or `error:`, else the last
/// line. If that only reports that another program failed, the line that program wrote before it.
/// Credentials and control characters are removed, and it is cut to 300 characters.
fn telling_line(stderr: &[u8], status: ExitStatus) -> String {
    let text = String::from_utf8_lossy(stderr);
    let raw: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let lines: Vec<&str> = raw.iter().map(|line| line.trim()).collect();
    let is_gits = |line: &str| line.starts_with("fatal:") || line.starts_with("error:");
    let bare =
        |line: &str| line.trim_start_matches("fatal: ").trim_start_matches("error: ").to_owned();
    let line = match lines.iter().rposition(|line| is_gits(line)) {
        Some(at) => {
            let helps =
                |line: &&&str| !failed_elsewhere(line) && !line.starts_with("Preparing worktree");
            // A filter has more to say after what went wrong, and git repeats that it failed.
            let of_filter = lines[..at].iter().find(|line| is_cause(line));
            let of_filter = of_filter.filter(|_| lines[at].contains("filter"));
            let before = of_filter.or_else(|| lines[..at].iter().rfind(helps));
            match before.filter(|_| failed_elsewhere(lines[at])) {
                Some(before)
                    if ["filter", "promisor"].iter().any(|word| lines[at].contains(word)) =>
                {
                    format!("{} ({})", bare(lines[at]), bare(before))
                }
                Some(before) => bare(before),
                // "unknown repository extension found:", with the names on lines of their own.
                None if lines[at].ends_with(':') => {
                    let indented = raw[at + 1..].iter().take_while(|line| line.starts_with('\t'));
                    let names: Vec<&str> = indented.map(|line| line.trim()).collect();
                    format!("{} {}", bare(lines[at]), names.join(", ")).trim_end().to_owned()
                }
                None => bare(lines[at]),
            }
        }
        None => match lines.iter().rfind(|line| !failed_elsewhere(line)).or(lines.last()) {
            Some(line) => bare(line),
            None => return format!("no message ({status})"),
        },
    };
    without_credentials(&line).chars().filter(|c| !c.is_control()).take(300).collect()
}

/// Removes credentials from addresses: `scheme://user:secret@host` becomes `scheme://host`.
pub(super) fn without_credentials(line: &str) -> String {
    let mut clean = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        clean.push_str(before);
        let authority = after
            .find(|c: char| c == '/' || c.is_whitespace() || "'\"?#".contains(c))
            .unwrap_or(after.len());
        rest = match after[..authority].rfind('@') {
            Some(end) => &after[end + 1..],
            None => after,
        };
    }
    clean.push_str(rest);
    clean
}

/// A git version, ordered as releases are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The first number: 2 in 2.47.3.
    pub major: u32,
    /// The second number: 47 in 2.47.3.
    pub minor: u32,
    /// The third number: 3 in 2.47.3; 0 if there is none.
    pub patch: u32,
}

/// The oldest git that has both `git worktree remove` and `git worktree add --lock`.
pub const MINIMUM_VERSION: Version = Version { major: 2, minor: 17, patch: 0 };

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// Asks the git program on PATH for its version.
pub fn version() -> Result<Version, Error> {
    let doing = "ask git for its version";
    let line = read(bare_git().arg("version"))?.line(doing)?;
    parse_version(&line).ok_or(Error::Git { doing: doing.to_owned(), said: line })
}

/// Also reads `git version 2.39.5 (Apple Git-154)` and `git version 2.47.0.windows.1`.
fn parse_version(line: &str) -> Option<Version> {
    let mut numbers = line.split_whitespace().nth(2)?.split('.').map(|part| {
        let digits: &str = &part[..part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len())];
        digits.parse().ok()
    });
    Some(Version {
        major: numbers.next()??,
        minor: numbers.next()??,
        patch: numbers.next().flatten().unwrap_or(0),
    })
}

/// A one-off setting, as the two arguments `-c KEY=VALUE`.
pub(super) fn setting(key: &str, value: &str) -> [OsString; 2] {
    ["-c".into(), format!("{key}={value}").into()]
}

#[cfg(test)]
mod tests;
