//! `disable`, `start`, `restart`, `reload`: as users of systemctl expect them.

use std::process::ExitCode;

use clap::Args;

use crate::control::look::Find;
use crate::control::unit::{self, Started};

use super::{Common, complete, output};

/// Resume sessions that were stopped, blocked or failed
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode start jwt-login\n  samocode start jwt-login search-index"
)]
pub(in crate::cli) struct Start {
    /// Names, dated folder names, or instances
    #[arg(required = true, add = complete::sessions())]
    sessions: Vec<String>,
    /// Print what was done as JSON, a line for each session
    #[arg(long)]
    json: bool,
}

impl Start {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        for session in all_of(common, self.sessions).await? {
            let started = common.call(unit::Start { session }).await?;
            let name = output::painted(output::BOLD, &started.session);
            match &started {
                _ if self.json => output::json(&started)?,
                Started { waits: Some(waits), .. } => {
                    say!("{name} is waiting for {}: {}", waits.waits_for, waits.command);
                }
                _ => say!("{name} started."),
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Checks all names first, so that a typo fails before anything happens to the other sessions.
pub(super) async fn all_of(common: &Common, sessions: Vec<String>) -> anyhow::Result<Vec<String>> {
    if sessions.len() > 1 {
        common.call(Find { sessions: sessions.clone() }).await?;
    }
    Ok(sessions)
}

/// Stop starting sessions at boot; a current run continues
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  samocode disable jwt-login\n\nIf a session's folder or project no longer exists, its unit is stopped and removed."
)]
pub(in crate::cli) struct Disable {
    /// Names, dated folder names, or instances
    #[arg(required = true, add = complete::sessions())]
    sessions: Vec<String>,
    /// Print what was done as JSON, a line for each session
    #[arg(long)]
    json: bool,
}

impl Disable {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        for session in self.sessions {
            let disabled = common.call(unit::Disable { session }).await?;
            let name = output::painted(output::BOLD, &disabled.instance);
            if self.json {
                output::json(&disabled)?;
            } else if disabled.removed {
                say!("{name} no longer exists; its unit was removed.");
            } else {
                say!("{name} no longer starts at boot.");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Interrupt the run and resume it in the same conversation
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  samocode restart jwt-login")]
pub(in crate::cli) struct Restart {
    /// Names, dated folder names, or instances
    #[arg(required = true, add = complete::sessions())]
    sessions: Vec<String>,
    /// Print what was done as JSON, a line for each session
    #[arg(long)]
    json: bool,
}

impl Restart {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        for session in all_of(common, self.sessions).await? {
            let restarted = common.call(unit::Restart { session }).await?;
            if self.json {
                output::json(&restarted)?;
            } else {
                say!("{} restarted.", output::painted(output::BOLD, &restarted.session));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Switch to the installed samocode at the end of the iteration
#[derive(Debug, Args)]
#[command(after_help = "Example, after an upgrade:\n  samocode reload --all")]
pub(in crate::cli) struct Reload {
    /// Names, dated folder names, or instances
    #[arg(required_unless_present = "all", add = complete::sessions())]
    sessions: Vec<String>,
    /// All running sessions of the project
    #[arg(long, conflicts_with = "sessions")]
    all: bool,
    /// How long to wait for each iteration to end, in seconds
    #[arg(long, default_value_t = 3600, value_name = "SECONDS")]
    timeout: u64,
    /// Print what was done as JSON, a line for each session
    #[arg(long)]
    json: bool,
}

impl Reload {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        let chosen = if self.all {
            let all = common.call(Find::default()).await?.into_iter();
            all.filter(|found| found.is_worked_on).map(|found| found.instance).collect()
        } else {
            all_of(common, self.sessions).await?
        };
        if chosen.is_empty() && !self.json {
            say!("No session is running.");
        }
        for session in chosen {
            let call = unit::Reload { session, timeout_s: self.timeout };
            let reloaded = common.call(call).await?;
            if self.json {
                output::json(&reloaded)?;
            } else {
                say!("{} reloaded.", output::painted(output::BOLD, &reloaded.session));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
