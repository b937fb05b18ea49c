//! `samocode notices`, run by `samocode-notices.service` and by `samocode-notices@.service`: sends the
//! notices that could not be sent before.

use std::process::ExitCode;

use clap::Args;
use tracing::Level;

use crate::config::{Dirs, Env, EnvFile};
use crate::control::channels::resend_all;
use crate::notify::UnsentFolder;
use crate::notify::outbox::Due;
use crate::platform::memory;
use crate::service::Scope;
use crate::service::exit::WorkerExit;

use super::{Common, log, output};

/// Send the notices that could not be sent before; run by its unit
#[derive(Debug, Args)]
pub(in crate::cli) struct Notices {}

impl Notices {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        memory::seal();
        log::start(Level::INFO);
        let env = Env::of_process();
        let dirs = Dirs::user(&env)?;
        let file = EnvFile::read(&dirs).unwrap_or_default();
        let folder = UnsentFolder::of(&dirs.state);
        folder.drop_old();
        let desktop = common.scope() == Scope::User;
        for delivery in resend_all(&dirs, &env, &file, desktop, Due::AsAsked).await {
            if let Err(error) = &delivery.result
                && !error.is_quiet()
            {
                output::error(&format!("{}: {error}", delivery.notifier));
            }
        }
        // While the folder is not empty the path unit would start us again at once.
        let code = if folder.is_empty() { 0 } else { WorkerExit::Interrupted.code() };
        Ok(ExitCode::from(code))
    }
}
