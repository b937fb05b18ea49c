//! The version that a program prints.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use super::{AgentError, Environment, event, process, variable};
use crate::platform::privilege::{hand_over, started};

/// How long a program may take to print its version.
pub const VERSION_TIMEOUT: Duration = Duration::from_secs(10);

/// Whether a variable tells a program that it works for a session.
fn is_of_session(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b"SAMOCODE_")
}

/// Runs `PROGRAM --version` and returns the version it prints.
pub(super) async fn ask(program: &Path, environment: &Environment) -> Result<String, AgentError> {
    let found = process::find_program(program, variable(environment, "PATH"))?;
    let failed =
        |what: String| AgentError::NoVersion { program: found.display().to_string(), what };
    let absolute = std::path::absolute(&found).unwrap_or_else(|_| found.clone());
    let mut command = std::process::Command::new(absolute);
    command
        .arg("--version")
        .env_clear()
        .envs(
            environment
                .iter()
                .filter(|(name, _)| !is_of_session(name))
                .map(|(name, value)| (name, value)),
        )
        // A wrapper may drop its arguments and begin to work: not in somebody's folder, and not on
        // a session.
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // It is a program of the user's, which gets nothing of root's power.
    hand_over(&mut command);
    let mut command = tokio::process::Command::from(command);
    let child = started(|| command.kill_on_drop(true).spawn());
    let child = child.map_err(|error| failed(format!("could not be started ({error})")))?;
    let output = tokio::time::timeout(VERSION_TIMEOUT, child.wait_with_output())
        .await
        .map_err(|_| failed(format!("printed nothing for {} s", VERSION_TIMEOUT.as_secs())))?
        .map_err(|error| failed(format!("could not be started ({error})")))?;
    let said = String::from_utf8_lossy(&output.stdout);
    match said.lines().map(str::trim).find(|line| !line.is_empty()) {
        Some(line) if output.status.success() => Ok(event::cut(line, 200).to_owned()),
        _ => {
            let errors = String::from_utf8_lossy(&output.stderr);
            let why = errors.lines().map(str::trim).find(|line| !line.is_empty());
            let why = why.map_or_else(String::new, |line| format!(": {}", event::cut(line, 200)));
            Err(failed(format!("exited with {}{why}", output.status)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapper_that_drops_its_arguments_does_not_believe_to_be_in_a_session() {
        for (name, is) in [
            ("SAMOCODE_SESSION_DIR", true),
            ("SAMOCODE_RUN", true),
            ("PATH", false),
            ("MY_SAMOCODE_X", false),
        ] {
            assert_eq!(is_of_session(OsStr::new(name)), is, "{name}");
        }
    }
}
