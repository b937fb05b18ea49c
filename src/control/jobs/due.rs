//! What the timer of a session runs: has the waker look whether it is time.

use std::time::Duration;

use jiff::Timestamp;

use crate::control::{Error, Result};
use crate::service::launchd;
use crate::service::{self, Action, Scope, Spool, Token};

/// How far before its time an agent may be started: launchd knows no seconds.
const MINUTE: i64 = 60;

/// How long to sleep before looking at the clock again, which may be set meanwhile.
const LOOK: Duration = Duration::from_millis(500);

/// Leaves a token for the waker. If the time is given, and within a minute, waits for it first.
///
/// # Errors
/// For a name that no session has, and if the token cannot be written.
pub async fn leave(scope: Scope, instance: &str, at: Option<Timestamp>) -> Result<()> {
    let ahead = |at: Timestamp| at.as_second() - Timestamp::now().as_second();
    while at.is_some_and(|at| Timestamp::now() < at && ahead(at) <= MINUTE) {
        tokio::time::sleep(LOOK).await;
    }
    let token = Token::new(Action::Tick, instance)
        .ok_or_else(|| Error::usage(format!("no session has the name {instance:?}")))?;
    Spool::of(scope)?.leave(&token)?;
    if launchd::is_used() {
        service::connect(scope).await?.hurry_waker().await?;
    }
    Ok(())
}
