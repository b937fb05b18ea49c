//! Starting the units whose tokens are in the wake spool.

use crate::control::Result;
use crate::service::wake::{self, Report};
use crate::service::{self, Scope, Spool};
use crate::session::state::StateName;
use crate::session::store::Folder;

/// Processes the tokens in the spool. A stopped session is left alone.
///
/// # Errors
/// If there is no manager, or the spool cannot be read.
pub async fn process_tokens(scope: Scope) -> Result<Report> {
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
    Ok(wake::run(manager.as_ref(), &spool, is_stopped).await?)
}
