//! Runs `systemd-analyze verify` on the units as they would be installed.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;

use super::files;
use super::units::{self, UnitSet};
use crate::service::{Error, Limits, Scope, Session, Shared, Unfit, Verified};

/// Time limit for systemd-analyze, which needs about a second.
const BOUND: Duration = Duration::from_secs(60);

/// The example instance: systemd-analyze itself uses this name for a template.
const EXAMPLE: &str = "i";

/// Verifies the shared units and an example of a session's, in a temporary folder.
pub(super) async fn verify(scope: Scope, of: Shared<'_>, version: u32) -> Result<Verified, Error> {
    let dir = tempfile::tempdir().map_err(|source| Error::File {
        action: "create",
        path: tempfile::env::temp_dir(),
        source,
    })?;
    let set = units::shared(of, scope, version)?;
    let names: Vec<PathBuf> = set.files.iter().map(|file| dir.path().join(&file.path)).collect();
    files::install(dir.path(), &set.with(example(scope, of.spool, version)?))?;
    let Some(output) = analyze(scope, dir.path(), &names).await? else {
        return Ok(Verified::Skipped(
            "systemd-analyze is not installed (a part of systemd), so nothing was verified."
                .to_owned(),
        ));
    };
    let said = String::from_utf8_lossy(&output.stderr);
    // It also comments on other units that ours refer to.
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("samocode")).collect();
    let found =
        if ours.is_empty() && !output.status.success() { said.lines().collect() } else { ours };
    if found.is_empty() && output.status.success() {
        return Ok(Verified::Sound(format!(
            "systemd-analyze found no problems in the {} {scope} units for systemd {version}.",
            names.len()
        )));
    }
    let folder = format!("{}/", dir.path().display());
    Ok(Verified::Faulty(found.iter().map(|line| line.replace(&folder, "")).collect()))
}

/// Runs systemd-analyze; `None` if it is not installed.
async fn analyze(scope: Scope, dir: &Path, names: &[PathBuf]) -> Result<Option<Output>, Error> {
    let mut command = Command::new("systemd-analyze");
    command
        .arg("verify")
        .arg(format!("--{scope}"))
        .arg("--man=no")
        .args(names)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        // It needs a folder to search for units, which may be missing here.
        command.env("XDG_RUNTIME_DIR", dir);
    }
    let failed = |source| Error::Call { what: "run systemd-analyze".to_owned(), source };
    match tokio::time::timeout(BOUND, command.output()).await {
        Ok(Ok(output)) => Ok(Some(output)),
        Ok(Err(error)) if error.kind() == ErrorKind::NotFound => Ok(None),
        Ok(Err(error)) => Err(failed(error.into())),
        Err(_) => Err(failed(format!("it did not finish within {} s", BOUND.as_secs()).into())),
    }
}

/// An example drop-in, so that those are checked too.
fn example(scope: Scope, spool: &Path, version: u32) -> Result<UnitSet, Unfit> {
    let session = Session {
        instance: EXAMPLE.to_owned(),
        project: "~/project".to_owned(),
        config: PathBuf::from("/home/user/project/.samocode"),
        folder: PathBuf::from("/home/user/project-sessions/26-11-20-i"),
        spool: spool.to_owned(),
        environment: vec![("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned())],
        uid: (scope == Scope::System).then_some(1000),
        limits: Limits {
            tasks_max: Some("4096".to_owned()),
            cpu_weight: Some("100".to_owned()),
            ..Limits::default()
        }
        .with_memory("50%"),
        convoy: None,
    };
    units::session(&session, version)
}
