//! Runs a program that delivers a notice, with the notice on its standard input.

use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use super::NotifyError;
use super::text::{clip, tame_line};
use crate::platform::privilege;

/// Time limit for a program.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How much of what it prints is read, in bytes.
const MAX_OUTPUT: u64 = 16 * 1024;

/// The variables that a program gets. Others may be secrets of an agent or of another channel.
const VARIABLES: [&str; 10] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "TZ",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "DBUS_SESSION_BUS_ADDRESS",
];

/// The exit codes for failures that may pass, of sysexits.h: `EX_NOHOST`, as where no name can be
/// resolved, `EX_OSERR`, `EX_IOERR`, as for a connection that broke, and `EX_TEMPFAIL`.
const TEMPORARY: [i32; 4] = [68, 71, 74, 75];

/// Runs the program. `channel` is what errors begin with.
pub(super) async fn run(
    channel: &str,
    program: &Path,
    arguments: &[String],
    input: &[u8],
) -> Result<(), NotifyError> {
    let shown = program.display();
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(VARIABLES.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let failed = |why: String| NotifyError::Final(format!("{channel}: cannot run {shown}: {why}"));
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    // It leads its group.
    let group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
    let ended = tokio::time::timeout(TIMEOUT, talk(&mut child, input)).await;
    drop(group);
    let (status, said) = match ended {
        Ok(result) => result.map_err(|error| failed(error.to_string()))?,
        Err(_) => {
            let seconds = TIMEOUT.as_secs();
            return Err(NotifyError::retryable(format!(
                "{channel}: {shown} did not finish within {seconds} s and was killed"
            )));
        }
    };
    if status.success() {
        return Ok(());
    }
    let said = clip(&tame_line(&said), 200);
    let said = if said.is_empty() { String::new() } else { format!(": {said}") };
    let reason = format!("{channel}: {shown} failed ({status}){said}{}", privileges_note());
    Err(match status.code() {
        Some(code) if TEMPORARY.contains(&code) => NotifyError::retryable(reason),
        _ => NotifyError::Final(reason),
    })
}

/// Why a local mailer may have failed that works in a shell.
fn privileges_note() -> &'static str {
    if privilege::are_never_gained() {
        "; in this unit no program gains privileges, so use one that needs none, such as msmtp"
    } else {
        ""
    }
}

/// The processes of a program, killed when this is dropped.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Writes its input and reads what it says, until it ends.
async fn talk(child: &mut Child, input: &[u8]) -> io::Result<(ExitStatus, String)> {
    let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
    let write = async {
        let Some(mut stdin) = stdin else { return };
        // A program need not read its input.
        let _ = stdin.write_all(input).await;
        let _ = stdin.shutdown().await;
    };
    let read = async {
        let mut said = Vec::new();
        if let Some(stderr) = stderr {
            let _ = stderr.take(MAX_OUTPUT).read_to_end(&mut said).await;
        }
        String::from_utf8_lossy(&said).into_owned()
    };
    // What it left running may hold its pipes, which its end does not wait for.
    let (mut written, mut said) = (Box::pin(write), Box::pin(read));
    let (mut is_written, mut words) = (false, None);
    let status = loop {
        tokio::select! {
            biased;
            () = &mut written, if !is_written => is_written = true,
            text = &mut said, if words.is_none() => words = Some(text),
            status = child.wait() => break status?,
        }
    };
    let words = match words {
        Some(words) => words,
        None => tokio::time::timeout(Duration::from_millis(200), said).await.unwrap_or_default(),
    };
    Ok((status, words))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sh(script: &str) -> Result<(), NotifyError> {
        let arguments = ["-c".to_owned(), script.to_owned()];
        run("hook", Path::new("/bin/sh"), &arguments, b"{\"a\":1}").await
    }

    #[tokio::test]
    async fn a_program_gets_its_input_and_its_exit_code_decides() {
        sh("read line || [ \"$line\" = '{\"a\":1}' ]").await.unwrap();
        sh("exit 0").await.unwrap();
        let error = sh("echo no such user >&2; exit 67").await.unwrap_err();
        assert!(!error.is_retryable());
        // Where this runs, no program may gain privileges, which is added.
        let said = error.to_string();
        assert!(said.starts_with("hook: /bin/sh failed (exit status: 67): no such user"), "{said}");
        for code in [68, 71, 74, 75] {
            assert!(sh(&format!("exit {code}")).await.unwrap_err().is_retryable(), "{code}");
        }
        let missing = run("hook", Path::new("/no/such"), &[], b"").await.unwrap_err();
        assert!(missing.to_string().starts_with("hook: cannot run /no/such: "), "{missing}");
    }

    #[tokio::test]
    async fn what_a_program_leaves_running_holds_nobody_up_and_is_killed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        sh(&format!("sleep 1000 & echo $! >{}", file.display())).await.unwrap();
        let pid = std::fs::read_to_string(&file).unwrap();
        let is_gone = || {
            let mut ps = std::process::Command::new("ps");
            let stat = ps.args(["-o", "stat=", "-p", pid.trim()]).output().unwrap().stdout;
            stat.is_empty() || stat.starts_with(b"Z")
        };
        let start = std::time::Instant::now();
        while !is_gone() {
            assert!(start.elapsed() < Duration::from_secs(10), "{pid} still runs");
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn secrets_in_the_environment_stay_here() {
        sh("[ -n \"$PATH\" ] && [ -z \"$CARGO_MANIFEST_DIR\" ]").await.unwrap();
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    }
}
