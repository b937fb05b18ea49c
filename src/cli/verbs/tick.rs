//! `samocode tick INSTANCE`, run by the waker when the timer of a session may be due.

use std::process::ExitCode;

use clap::Args;
use tracing::Level;

use crate::control::timer;

use super::{Common, log};

/// Begin a session if its time has come, and set its timer again; run by the waker
#[derive(Debug, Args)]
pub(in crate::cli) struct Tick {
    /// The instance whose timer it is
    instance: String,
}

impl Tick {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        log::start(Level::INFO);
        let ticked = common.call(timer::Tick { session: self.instance.clone() }).await?;
        if let Some(began) = &ticked.began {
            tracing::info!("{}: its timer started {began}", self.instance);
        }
        if let Some(why) = &ticked.skipped {
            tracing::warn!("{}: its timer started nothing: {why}", self.instance);
        }
        Ok(ExitCode::SUCCESS)
    }
}
