//! `samocode wake`, run by `samocode-wake.service`: starts the units whose tokens are in the spool.

use std::process::ExitCode;

use clap::Args;
use tracing::Level;

use crate::config::Env;
use crate::control::jobs::wake;
use crate::platform::memory;
use crate::session::Hint as _;

use super::{Common, front, log, output};

/// Process the tokens in the wake spool; run by its unit
#[derive(Debug, Args)]
pub(in crate::cli) struct Wake {}

impl Wake {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        memory::seal();
        log::start(Level::INFO);
        let report =
            wake::process_tokens(&front::own_binary()?, &Env::of_process(), common.scope()).await?;
        for error in report.failed.iter().chain(&report.stuck) {
            output::error(&error.in_one_line());
        }
        Ok(if report.stuck.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
