//! `samocode units`: the unit files, as generated for a version of the service manager.

use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, Subcommand};
use serde_json::json;

use crate::service::{self, NEWEST, Scope, ServiceManager, Shared, Spool, Verified, parse_version};

use super::front::own_binary;
use super::{Common, output};

/// Show, install or check the unit files
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode units print --for-version 239\n  samocode units install\n  samocode units verify\n\nsamocode enable installs them for you, and adds a drop-in for each session."
)]
pub(in crate::cli) struct Units {
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
        #[arg(long, value_name = "N", value_parser = parse_version)]
        for_version: Option<u32>,
        /// Print them as JSON
        #[arg(long)]
        json: bool,
    },
    /// Install the unit files and watch the wake spool, now and at boot
    #[command(
        after_help = "Examples:\n  samocode units install\n  sudo samocode units install --system"
    )]
    Install {
        /// Print what was done as JSON
        #[arg(long)]
        json: bool,
    },
    /// Check the unit files with systemd-analyze
    #[command(
        after_help = "Example:\n  samocode units verify\n\nExit code 1 when it finds mistakes."
    )]
    Verify {
        /// For this version of systemd instead of the manager's
        #[arg(long, value_name = "N", value_parser = parse_version)]
        for_version: Option<u32>,
    },
}

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
                let registry = manager.registry().await?;
                let dir = registry.dir();
                if json {
                    output::json(&json!({ "dir": dir, "reloaded": reloaded }))?;
                } else {
                    let watch = manager.spool_watch().await?.status.name;
                    say!("Installed in {}; {watch} watches for mail.", dir.display());
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

/// The requested version, else the running manager's, else the newest one we know.
async fn version(scope: Scope, asked: Option<u32>) -> u32 {
    if let Some(version) = asked {
        return version;
    }
    let of_manager = async { service::connect(scope).await?.version().await };
    match of_manager.await {
        Ok(version) => version,
        Err(error) => {
            output::note(&format!("using units for systemd {NEWEST}: {error}"));
            NEWEST
        }
    }
}

/// Installs the shared units and watches the spool. Returns whether the manager was reloaded.
pub(super) async fn install(manager: &dyn ServiceManager) -> anyhow::Result<bool> {
    let scope = manager.scope();
    if scope == Scope::System && !rustix::process::geteuid().is_root() {
        bail!("only root can install system units: sudo samocode units install --system");
    }
    let (binary, spool) = (own_binary()?, Spool::of(scope)?);
    spool.create(scope)?;
    let shared = Shared { binary: &binary, spool: spool.dir() };
    let reloaded = manager.install(shared, None).await?;
    manager.watch_spool().await?;
    Ok(reloaded)
}

fn print(scope: Scope, version: u32, as_json: bool) -> anyhow::Result<()> {
    let (binary, spool) = (own_binary()?, Spool::of(scope)?);
    let registry = service::registry(scope)?;
    let files = registry.shared(Shared { binary: &binary, spool: spool.dir() }, version)?;
    let dir = registry.dir();
    if as_json {
        let files: Vec<_> = files
            .iter()
            .map(|file| json!({ "path": dir.join(&file.path), "text": file.text }))
            .collect();
        return output::json(&json!({ "version": version, "dir": dir, "files": files }));
    }
    for (index, file) in files.iter().enumerate() {
        if index > 0 {
            output::line("")?;
        }
        let path = format!("# {}", dir.join(&file.path).display());
        output::line(output::painted(output::DIM, path))?;
        output::line(file.text.trim_end())?;
    }
    Ok(())
}

async fn verify(scope: Scope, version: u32) -> anyhow::Result<ExitCode> {
    let (binary, spool) = (own_binary()?, Spool::of(scope)?);
    let of = Shared { binary: &binary, spool: spool.dir() };
    match service::registry(scope)?.verify(of, version).await? {
        Verified::Skipped(why) => say!("Skipped: {why}"),
        Verified::Sound(what) => say!("{what}"),
        Verified::Faulty(lines) => {
            for line in lines {
                output::error(&line);
            }
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}
