//! `samocode notices`, run by `samocode-notices.service` and by `samocode-notices@.service`: sends the
//! notices that could not be sent before.

use std::process::ExitCode;

use clap::Args;
use tracing::Level;

use crate::config::Env;
use crate::control::jobs::notices;
use crate::platform::memory;
use crate::service::exit::WorkerExit;

use super::{Common, log, output};

/// Send the notices that could not be sent before; run by its unit
#[derive(Debug, Args)]
pub(in crate::cli) struct Notices {}

impl Notices {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        memory::seal();
        log::start(Level::INFO);
        let resent = notices::resend(&Env::of_process(), common.scope()).await?;
        resent.errors.iter().for_each(|error| output::error(error));
        let code = if resent.all_sent { 0 } else { WorkerExit::Interrupted.code() };
        Ok(ExitCode::from(code))
    }
}
