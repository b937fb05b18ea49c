//! `disable`, `start`, `restart`, `reload`: as users of systemctl expect them.

use std::process::ExitCode;

use clap::Args;

use crate::control::many::Action;
use crate::control::unit::{self, Started};

use super::each::Sessions;
use super::{Common, output};

/// Resume sessions that were stopped, blocked or failed
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode start jwt-login\n  samocode start jwt-login search-index\n  samocode start --all"
)]
pub(in crate::cli) struct Start {
    #[command(flatten)]
    sessions: Sessions,
    /// Print what was done as JSON, a line for each session
    #[arg(long)]
    json: bool,
}

impl Start {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        let report = |started: &Started| {
            let name = output::painted(output::BOLD, &started.session);
            match started {
                _ if self.json => output::json(started)?,
                Started { waits: Some(waits), .. } => {
                    outln!("{name} is waiting for {}: {}", waits.waits_for, waits.command);
                }
                _ => outln!("{name} started."),
            }
            Ok(())
        };
        self.sessions.each::<unit::Start>(common, Action::Start, report).await?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Stop starting sessions at boot; a current run continues
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  samocode disable jwt-login\n\nIf a session's folder or project no longer exists, its unit is stopped and removed."
)]
pub(in crate::cli) struct Disable {
    #[command(flatten)]
    sessions: Sessions,
    /// Print what was done as JSON, a line for each session
    #[arg(long)]
    json: bool,
}

impl Disable {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        let report = |disabled: &unit::Disabled| {
            let name = output::painted(output::BOLD, &disabled.instance);
            if self.json {
                output::json(disabled)?;
            } else if disabled.removed {
                outln!("{name} no longer exists; its unit was removed.");
            } else {
                outln!("{name} no longer starts at boot.");
                if let Some(upcoming) = &disabled.upcoming {
                    outln!("{name} no longer starts {}.", upcoming.when());
                }
            }
            Ok(())
        };
        self.sessions.each::<unit::Disable>(common, Action::Disable, report).await?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Interrupt the run and resume it in the same conversation
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  samocode restart jwt-login\n  samocode restart --all")]
pub(in crate::cli) struct Restart {
    #[command(flatten)]
    sessions: Sessions,
    /// Print what was done as JSON, a line for each session
    #[arg(long)]
    json: bool,
}

impl Restart {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        let report = |restarted: &unit::Named| {
            if self.json {
                output::json(restarted)?;
            } else {
                outln!("{} restarted.", output::painted(output::BOLD, &restarted.session));
            }
            Ok(())
        };
        self.sessions.each::<unit::Restart>(common, Action::Restart, report).await?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Switch to the installed samocode at the end of the iteration
#[derive(Debug, Args)]
#[command(after_help = "Example, after an upgrade:\n  samocode reload --all")]
pub(in crate::cli) struct Reload {
    #[command(flatten)]
    sessions: Sessions,
    /// How long to wait for the iterations to end, in seconds
    #[arg(long, default_value_t = 3600, value_name = "SECONDS")]
    timeout: u64,
    /// Print what was done as JSON, a line for each session
    #[arg(long)]
    json: bool,
}

impl Reload {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        let action = Action::Reload { timeout_s: self.timeout };
        let report = |reloaded: &unit::Named| {
            if self.json {
                output::json(reloaded)?;
            } else {
                outln!("{} reloaded.", output::painted(output::BOLD, &reloaded.session));
            }
            Ok(())
        };
        self.sessions.each::<unit::Reload>(common, action, report).await?;
        Ok(ExitCode::SUCCESS)
    }
}
