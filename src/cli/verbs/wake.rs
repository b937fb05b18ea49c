//! `samocode wake`, run by `samocode-wake.service`: starts the units whose tokens are in the spool.

use std::process::ExitCode;

use clap::Args;
use tracing::Level;

use crate::platform::memory;
use crate::service::{self, Spool, wake};
use crate::session::Hint as _;
use crate::session::state::Word;
use crate::session::store::Folder;

use super::{Common, log, output};

/// Process the tokens in the wake spool; run by its unit
#[derive(Debug, Args)]
pub(in crate::cli) struct Wake {}

impl Wake {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        memory::seal();
        log::start(Level::INFO);
        let scope = common.scope();
        let manager = service::connect(scope).await?;
        let spool = Spool::of(scope)?;
        let registry = manager.registry().await?;
        let is_stopped = |instance: &str| match registry.recorded(instance) {
            Ok(Some(recorded)) => Folder::new(recorded.folder)
                .read_hook()
                .is_some_and(|hook| hook.state == Word::Stopped),
            // The token outlived its session, and the unit would only fail.
            Ok(None) => true,
            Err(_) => false,
        };
        let report = wake::run(manager.as_ref(), &spool, is_stopped).await?;
        for error in report.failed.iter().chain(&report.stuck) {
            output::error(&error.in_one_line());
        }
        Ok(if report.stuck.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
