//! `samocode advance INSTANCE`, run by the waker when the worker of a convoy's session has come to
//! rest.

use std::process::ExitCode;

use clap::Args;
use tracing::Level;

use crate::control::convoy;

use super::{Common, log};

/// Start what may start in the convoy of a session, and announce what changed; run by the waker
#[derive(Debug, Args)]
pub(in crate::cli) struct Advance {
    /// The instance that has come to rest
    instance: String,
}

impl Advance {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        log::start(Level::INFO);
        let advanced = common.call(convoy::Advance { session: self.instance }).await?;
        for name in &advanced.started {
            tracing::info!("started {name}");
        }
        for text in &advanced.announced {
            tracing::info!("{text}");
        }
        Ok(ExitCode::SUCCESS)
    }
}
