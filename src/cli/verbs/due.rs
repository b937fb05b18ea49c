//! `samocode due INSTANCE`, run by `samocode-timer@.service`: has the waker look whether it is time for
//! the session. Under launchd, whose timers know no seconds, with the time to wait for.

use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use tracing::Level;

use crate::control::jobs::due;

use super::{Common, log};

/// Have the waker look whether it is time for a session; run by its timer
#[derive(Debug, Args)]
pub(in crate::cli) struct Due {
    /// The instance whose timer it is
    instance: String,
    /// The time, for which it waits if that is less than a minute ahead
    at: Option<Timestamp>,
}

impl Due {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        log::start(Level::INFO);
        due::leave(common.scope(), &self.instance, self.at).await?;
        Ok(ExitCode::SUCCESS)
    }
}
