//! Sending the notices that could not be sent before.

use crate::config::{Dirs, Env, EnvFile};
use crate::control::Result;
use crate::control::channels::resend_all;
use crate::notify::UnsentFolder;
use crate::notify::outbox::Due;
use crate::service::Scope;

/// The result of sending notices again.
#[derive(Debug)]
pub struct Resent {
    /// Why notifiers failed, one line each.
    pub errors: Vec<String>,
    /// Whether none is left. While some are, the path unit would start the service again at once.
    pub all_sent: bool,
}

/// Sends the notices of all projects that are due, and drops those that are too old.
///
/// # Errors
/// If the user's folders are unknown.
pub async fn resend(env: &Env, scope: Scope) -> Result<Resent> {
    let dirs = Dirs::user(env)?;
    let file = EnvFile::read(&dirs).unwrap_or_default();
    let folder = UnsentFolder::of(&dirs.state);
    folder.drop_old();
    let deliveries = resend_all(&dirs, env, &file, scope == Scope::User, Due::AsAsked).await;
    Ok(Resent { errors: super::errors(&deliveries), all_sent: folder.is_empty() })
}
