//! `samocode units`: the unit files, as generated for a version of the service manager.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::control::unit_files::{Install, Print, Printed, Verify};
use crate::service::{Verified, parse_version};

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
        match self.verb {
            Verb::Print { for_version, json } => {
                let printed = common.call(Print { for_version }).await?;
                let shown = if json { output::json(&printed) } else { print(&printed) };
                output::until_closed(shown.map(|()| ExitCode::SUCCESS))
            }
            Verb::Install { json } => {
                let installed = common.call(Install {}).await?;
                if json {
                    let (dir, reloaded) = (&installed.dir, installed.reloaded);
                    output::json(&json!({ "dir": dir, "reloaded": reloaded }))?;
                } else {
                    let (dir, watch) = (installed.dir.display(), &installed.watch);
                    outln!("Installed in {dir}; {watch} watches for mail.");
                }
                Ok(ExitCode::SUCCESS)
            }
            Verb::Verify { for_version } => {
                match common.call(Verify { for_version }).await? {
                    Verified::Skipped(why) => dataln!("Skipped: {why}"),
                    Verified::Sound(what) => dataln!("{what}"),
                    Verified::Faulty(lines) => {
                        lines.iter().for_each(|line| output::error(line));
                        return Ok(ExitCode::FAILURE);
                    }
                }
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

fn print(printed: &Printed) -> anyhow::Result<()> {
    for (index, file) in printed.files.iter().enumerate() {
        if index > 0 {
            output::line("")?;
        }
        let path = format!("# {}", file.path.display());
        output::line(output::painted(output::DIM, path))?;
        output::line(file.text.trim_end())?;
    }
    Ok(())
}
