//! `samocode failed INSTANCE`, run by `samocode-failed@.service`: notifies the human that a unit has
//! failed for good, even when its worker cannot. Without an instance, run by launchd: of all that have
//! left a token.

use std::process::ExitCode;

use clap::Args;
use tracing::Level;

use crate::config::Env;
use crate::control::jobs::failed;
use crate::platform::memory;

use super::{Common, log, output};

/// Notify the human that a unit has failed; run by its unit
#[derive(Debug, Args)]
pub(in crate::cli) struct Failed {
    /// The session's unit instance [default: all that have left a token for launchd's agent]
    instance: Option<String>,
}

impl Failed {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        memory::seal();
        log::start(Level::INFO);
        let env = Env::of_process();
        let notified = match &self.instance {
            Some(instance) => failed::notify(&env, common.scope(), instance).await?,
            None => failed::notify_of_all(&env, common.scope()).await?,
        };
        notified.errors.iter().for_each(|error| output::error(error));
        Ok(if notified.retry { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}
