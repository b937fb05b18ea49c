//! Starting the units whose tokens are in the wake spool.

use std::path::Path;

use futures_util::FutureExt as _;
use tokio::process::Command;

use crate::config::{Dirs, Env};
use crate::control::{Result, whereabouts};
use crate::service::wake::{self, Report};
use crate::service::{self, Action, Scope, Spool};
use crate::session::state::StateName;
use crate::session::store::Folder;
use crate::worker::Queue;

/// Processes the tokens in the spool. A stopped session is left alone. `program` is samocode's own
/// path, for the processes that look after convoys.
///
/// # Errors
/// If there is no manager, or the spool cannot be read.
pub async fn process_tokens(program: &Path, env: &Env, scope: Scope) -> Result<Report> {
    let manager = service::connect(scope).await?;
    let spool = Spool::of(scope)?;
    let registry = manager.registry().await?;
    let is_stopped = |instance: &str| match registry.recorded(instance) {
        Ok(Some(recorded)) => Folder::new(recorded.folder)
            .read_hook()
            .is_some_and(|hook| hook.state == StateName::Stopped),
        // The token outlived its session, and the unit would only fail.
        Ok(None) => true,
        Err(_) => false,
    };
    let helper = |action: Action, instance: String| {
        let environment = match registry.recorded(&instance) {
            Ok(Some(recorded))
                if whereabouts::looked_for(&instance, &recorded.config, &recorded.folder)
                    .is_none() =>
            {
                recorded.environment
            }
            // Its session no longer exists or was moved, so nothing can wait for it here.
            _ => return futures_util::future::ready(Ok(())).boxed(),
        };
        help(program, scope, action, instance, environment).boxed()
    };
    let report = wake::run(manager.as_ref(), &spool, is_stopped, &helper).await?;
    // Root does not write into a user's folder: there, `status` and `start` notice.
    if scope == Scope::User
        && let Err(error) = Queue::of(&Dirs::user(env)?.state).recover()
    {
        tracing::warn!("queued sessions may have to be started by hand: {error}");
    }
    Ok(report)
}

/// Looks after the convoy of a session or its timer, in a process of its own: a merge may take hours,
/// and acts with the privileges and the PATH that the session's unit has.
async fn help(
    program: &Path,
    scope: Scope,
    action: Action,
    instance: String,
    environment: Vec<(String, String)>,
) -> std::result::Result<(), service::Error> {
    let mut command = Command::new(program);
    if scope == Scope::System {
        command.arg("--system");
    }
    let (verb, of) = match action {
        Action::Tick => ("tick", "timer"),
        _ => ("advance", "convoy"),
    };
    command.arg(verb).arg(&instance).envs(environment).current_dir("/");
    let what = format!("update the {of} of {instance}");
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
