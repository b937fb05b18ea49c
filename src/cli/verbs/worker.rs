//! `samocode worker INSTANCE`, run by `samocode@.service` or a session's agent of launchd: works on one
//! session.

use std::process::ExitCode;

use clap::Args;
use tracing::Level;

use crate::config::Env;
use crate::control::jobs::worker as job;
use crate::platform::{limits, memory};
use crate::service::exit::WorkerExit;
use crate::service::foreground;
use crate::service::launchd::supervised::Reporter;
use crate::worker;

use super::{failure, front, log, output};

/// Work on a session; run by its unit
#[derive(Debug, Args)]
pub(in crate::cli) struct Worker {
    /// The session's unit instance
    instance: String,
}

impl Worker {
    pub(super) async fn exec(self) -> anyhow::Result<ExitCode> {
        let Some(reporter) = Reporter::of_env() else {
            return self.work().await.map(|exit| ExitCode::from(exit.code()));
        };
        // launchd restarts after every code but 0, so it does not always get to see the worker's.
        let code = match self.work().await {
            Ok(exit) => exit.code(),
            Err(error) => {
                let (error, code) = failure::with_exit_code(error);
                output::failure(&error);
                code
            }
        };
        Ok(ExitCode::from(reporter.end(code)))
    }

    async fn work(self) -> anyhow::Result<WorkerExit> {
        memory::seal();
        limits::leave_no_cores();
        // Fails only when the supervising parent is already gone.
        if foreground::end_with_parent().is_err() {
            return Ok(WorkerExit::Interrupted);
        }
        let env = Env::of_process();
        log::start(if job::is_in_foreground(&env) { Level::ERROR } else { Level::INFO });
        let binary = front::own_binary()?;
        let Some((instance, env)) = job::assignment(self.instance, env)? else {
            return Ok(WorkerExit::Interrupted);
        };
        let setup = job::setup(instance, env, binary)?;
        Ok(worker::work(&setup).await)
    }
}
