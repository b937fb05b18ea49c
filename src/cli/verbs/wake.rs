//! `samocode wake`, run by `samocode-wake.service`: starts the units whose tokens are in the spool.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use futures_util::FutureExt as _;
use tokio::process::Command;
use tracing::Level;

use crate::platform::memory;
use crate::service::{self, Scope, Spool, wake};
use crate::session::Hint as _;
use crate::session::state::Word;
use crate::session::store::Folder;

use super::{Common, front, log, output};

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
        let program = front::own_binary()?;
        let advance = |instance: String| {
            let environment = match registry.recorded(&instance) {
                Ok(Some(recorded)) => recorded.environment,
                // Its session is gone, and with it what it could end.
                _ => return futures_util::future::ready(Ok(())).boxed(),
            };
            advance(&program, scope, instance, environment).boxed()
        };
        let report = wake::run(manager.as_ref(), &spool, is_stopped, &advance).await?;
        for error in report.failed.iter().chain(&report.stuck) {
            output::error(&error.in_one_line());
        }
        Ok(if report.stuck.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Looks after the convoy of a session, in a process of its own: a merge may take hours, and acts
/// with the privileges and the PATH that the session's unit has.
async fn advance(
    program: &Path,
    scope: Scope,
    instance: String,
    environment: Vec<(String, String)>,
) -> Result<(), service::Error> {
    let mut command = Command::new(program);
    if scope == Scope::System {
        command.arg("--system");
    }
    command.arg("advance").arg(&instance).envs(environment).current_dir("/");
    let what = format!("look after the convoy of {instance}");
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| {
        let what = what.clone();
        service::Error::Call { what, source }
    };
    let status = command.kill_on_drop(true).status().await.map_err(|error| failed(error.into()))?;
    match status.code() {
        Some(0) => Ok(()),
        Some(_) => Err(failed(status.to_string().into())),
        None => Err(service::Error::Killed(what)),
    }
}
