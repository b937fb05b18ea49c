//! `samocode worker INSTANCE`, run by `samocode@.service`: works on one session.

use std::process::ExitCode;

use clap::Args;
use tracing::Level;

use crate::config::Env;
use crate::control::jobs::worker as job;
use crate::platform::memory;
use crate::service::exit::WorkerExit;
use crate::service::foreground;
use crate::worker;

use super::{front, log};

/// Work on a session; run by its unit
#[derive(Debug, Args)]
pub(in crate::cli) struct Worker {
    /// The session's unit instance
    instance: String,
}

impl Worker {
    pub(super) async fn exec(self) -> anyhow::Result<ExitCode> {
        memory::seal();
        // Fails only when the supervising parent is already gone.
        if foreground::end_with_parent().is_err() {
            return Ok(ExitCode::from(WorkerExit::Interrupted.code()));
        }
        let env = Env::of_process();
        log::start(if job::is_in_foreground(&env) { Level::ERROR } else { Level::INFO });
        let setup = job::setup(self.instance, env, front::own_binary()?)?;
        let exit = worker::work(&setup).await;
        Ok(ExitCode::from(exit.code()))
    }
}
