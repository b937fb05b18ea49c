//! `samocode units`: the unit files, as they are generated for a service manager's version.

use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde_json::json;
use tokio::process::Command;

use crate::service::systemd::units::{self, OLDEST};
use crate::service::systemd::{WAKE_PATH, files};
use crate::service::{self, Scope, ServiceManager, Session, Shared, Spool, UnitSet};

use super::context::own_binary;
use super::{Common, output};

/// Show, install or check the unit files
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode units print --for-version 239\n  samocode units install\n  samocode units verify\n\nsamocode enable installs them by itself; each session adds a drop-in of its own."
)]
pub(super) struct Units {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Print the unit files as they would be installed
    #[command(
        after_help = "Examples:\n  samocode units print\n  samocode units print --for-version 239"
    )]
    Print {
        /// For this version of systemd instead of the manager's
        #[arg(long, value_name = "N", value_parser = supported)]
        for_version: Option<u32>,
        /// Print them as JSON
        #[arg(long)]
        json: bool,
    },
    /// Write the unit files, and have the wake spool watched now and at boot
    #[command(
        after_help = "Examples:\n  samocode units install\n  sudo samocode units install --system"
    )]
    Install {
        /// Print what was done as JSON
        #[arg(long)]
        json: bool,
    },
    /// Have systemd-analyze look for mistakes in the unit files
    #[command(after_help = "Example:\n  samocode units verify\n\nExit code 1 when it finds some.")]
    Verify {
        /// For this version of systemd instead of the manager's
        #[arg(long, value_name = "N", value_parser = supported)]
        for_version: Option<u32>,
    },
}

/// A version of systemd that is supported.
fn supported(text: &str) -> Result<u32, String> {
    match text.trim_start_matches('v').parse() {
        Ok(version) if version >= OLDEST => Ok(version),
        Ok(_) => Err(format!("systemd before {OLDEST} is not supported")),
        Err(_) => Err(format!("use a version of systemd, as in {OLDEST} or 257")),
    }
}

/// What is printed for where no manager says its version: everything, as of this one.
const NEWEST: u32 = 257;

impl Units {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        let scope = common.scope();
        match self.verb {
            Verb::Print { for_version, json } => {
                let version = version(scope, for_version).await;
                let printed = print(scope, version, json).map(|()| ExitCode::SUCCESS);
                return output::until_closed(printed);
            }
            Verb::Install { json } => {
                let manager = service::connect(scope).await?;
                let reloaded = install(manager.as_ref()).await?;
                let dir = manager.unit_dir().await?;
                if json {
                    output::json(&json!({ "dir": dir, "reloaded": reloaded }))?;
                } else {
                    say!("Installed in {}; {WAKE_PATH} watches for mail.", dir.display());
                }
            }
            Verb::Verify { for_version } => {
                let version = version(scope, for_version).await;
                return verify(scope, version).await;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The version that is asked for, else the manager's, else the newest.
async fn version(scope: Scope, asked: Option<u32>) -> u32 {
    if let Some(version) = asked {
        return version;
    }
    let of_manager = async { service::connect(scope).await?.version().await };
    match of_manager.await {
        Ok(version) => version,
        Err(error) => {
            output::note(&format!("these are the units for systemd {NEWEST}: {error}"));
            NEWEST
        }
    }
}

/// The units that every manager gets once, for this program.
pub(super) fn shared(scope: Scope, version: u32) -> anyhow::Result<UnitSet> {
    let (binary, spool) = (own_binary()?, Spool::of(scope)?);
    Ok(units::shared(&Shared { scope, version, binary: &binary, spool: spool.dir() })?)
}

/// Writes the shared units and has the spool watched; returns whether the manager was reloaded.
pub(super) async fn install(manager: &dyn ServiceManager) -> anyhow::Result<bool> {
    let scope = manager.scope();
    if scope == Scope::System && !rustix::process::geteuid().is_root() {
        bail!("the system's units are root's to write: sudo samocode units install --system");
    }
    let set = shared(scope, manager.version().await?)?;
    Spool::of(scope)?.create(scope)?;
    let reloaded = manager.install(&set).await?;
    manager.watch_spool().await?;
    Ok(reloaded)
}

fn print(scope: Scope, version: u32, as_json: bool) -> anyhow::Result<()> {
    let set = shared(scope, version)?;
    let dir = files::unit_dir(scope)?;
    if as_json {
        let files: Vec<_> = set
            .files
            .iter()
            .map(|file| json!({ "path": dir.join(&file.path), "text": file.text }))
            .collect();
        return output::json(&json!({ "version": version, "dir": dir, "files": files }));
    }
    for (index, file) in set.files.iter().enumerate() {
        if index > 0 {
            output::line("")?;
        }
        let path = format!("# {}", dir.join(&file.path).display());
        output::line(output::painted(output::DIM, path))?;
        output::line(file.text.trim_end())?;
    }
    Ok(())
}

/// How long systemd-analyze may take; it does in a second.
const BOUND: Duration = Duration::from_secs(60);

/// Instance names `verify` takes for a template's: systemd-analyze's own choice.
const EXAMPLE: &str = "i";

async fn verify(scope: Scope, version: u32) -> anyhow::Result<ExitCode> {
    let dir = tempfile::tempdir().context("cannot make a folder for the unit files")?;
    let set = shared(scope, version)?;
    let names: Vec<PathBuf> = set.files.iter().map(|file| dir.path().join(&file.path)).collect();
    files::install(dir.path(), &set.with(example(scope, version)?))?;
    let mut command = Command::new("systemd-analyze");
    command
        .arg("verify")
        .arg(format!("--{scope}"))
        .arg("--man=no")
        .args(&names)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        // It wants one to look for units in, and there need be none.
        command.env("XDG_RUNTIME_DIR", dir.path());
    }
    let ran = tokio::time::timeout(BOUND, command.output());
    let output = match ran.await {
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => {
            say!(
                "Skipped: systemd-analyze is not installed (a part of systemd), so nothing was verified."
            );
            return Ok(ExitCode::SUCCESS);
        }
        Ok(ran) => ran.context("cannot run systemd-analyze")?,
        Err(_) => bail!("systemd-analyze did not end within {} s", BOUND.as_secs()),
    };
    let said = String::from_utf8_lossy(&output.stderr);
    // It also has a word on units of others that ours lead to.
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("samocode")).collect();
    let found =
        if ours.is_empty() && !output.status.success() { said.lines().collect() } else { ours };
    if found.is_empty() && output.status.success() {
        say!(
            "systemd-analyze finds nothing wrong with the {} {scope} units for systemd {version}.",
            names.len()
        );
        return Ok(ExitCode::SUCCESS);
    }
    for line in found {
        output::error(&line.replace(&format!("{}/", dir.path().display()), ""));
    }
    Ok(ExitCode::FAILURE)
}

/// A session's drop-in, so that it is looked at too.
fn example(scope: Scope, version: u32) -> anyhow::Result<UnitSet> {
    let session = Session {
        instance: EXAMPLE.to_owned(),
        project: "~/project".to_owned(),
        config: PathBuf::from("/home/user/project/.samocode"),
        folder: PathBuf::from("/home/user/project-sessions/26-11-20-i"),
        spool: Spool::of(scope)?.dir().to_owned(),
        environment: vec![("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned())],
        uid: (scope == Scope::System).then_some(1000),
        limits: service::Limits {
            tasks_max: Some("4096".to_owned()),
            cpu_weight: Some("100".to_owned()),
            ..service::Limits::default()
        }
        .with_memory("50%"),
        convoy: None,
    };
    Ok(units::session(&session, version)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_versions_that_are_supported_are_taken() {
        assert_eq!(supported("239"), Ok(239));
        assert_eq!(supported("v257"), Ok(257));
        assert!(supported("238").unwrap_err().contains("239"));
        assert!(supported("new").unwrap_err().contains("257"));
    }
}
