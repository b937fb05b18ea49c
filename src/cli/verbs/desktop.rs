//! `samocode desktop`, run by `samocode-desktop.service`: shows desktop notices with buttons, and does
//! what a press on one means.

use std::process::ExitCode;

use clap::Args;
use tracing::Level;

use crate::control::jobs::desktop;

use super::{Common, log};

/// Show desktop notices with buttons; run by its unit
#[derive(Debug, Args)]
pub(in crate::cli) struct Desktop {}

impl Desktop {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        log::start(Level::INFO);
        desktop::listen(common.caller()?).await?;
        Ok(ExitCode::SUCCESS)
    }
}
