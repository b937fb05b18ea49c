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
        let tell = |started: &Started| {
            let name = output::painted(output::BOLD, &started.session);
            match started {
                _ if self.json => output::json(started)?,
                Started { waits: Some(waits), .. } => {
                    say!("{name} is waiting for {}: {}", waits.waits_for, waits.command);
                }
                _ => say!("{name} started."),
            }
            Ok(())
        };
        self.sessions.each::<unit::Start>(common, Action::Start, tell).await?;
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
        let tell = |disabled: &unit::Disabled| {
            let name = output::painted(output::BOLD, &disabled.instance);
            if self.json {
                output::json(disabled)?;
            } else if disabled.removed {
                say!("{name} no longer exists; its unit was removed.");
            } else {
                say!("{name} no longer starts at boot.");
            }
            Ok(())
        };
        self.sessions.each::<unit::Disable>(common, Action::Disable, tell).await?;
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
        let tell = |restarted: &unit::Named| {
            if self.json {
                output::json(restarted)?;
            } else {
                say!("{} restarted.", output::painted(output::BOLD, &restarted.session));
            }
            Ok(())
        };
        self.sessions.each::<unit::Restart>(common, Action::Restart, tell).await?;
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
        let tell = |reloaded: &unit::Named| {
            if self.json {
                output::json(reloaded)?;
            } else {
                say!("{} reloaded.", output::painted(output::BOLD, &reloaded.session));
            }
            Ok(())
        };
        self.sessions.each::<unit::Reload>(common, action, tell).await?;
        Ok(ExitCode::SUCCESS)
    }
}
