//! How much of each account's windows is used, as the last runs that reported it saw it.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::Dirs;
use crate::service::Scope;
use crate::worker::account;

use super::error::Result;
use super::operation::{Operation, Perform};

/// Asks how much of the accounts is used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {}

/// An account: what sessions with the same agent, configuration and credentials share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Tells it from others.
    pub account: String,
    /// When this was seen.
    pub seen: Option<Timestamp>,
    /// Its windows by name.
    pub windows: Vec<Window>,
}

/// A span of time in which an account may use so much and no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// As the agent calls it: `five_hour`, `seven_day`, …
    pub name: String,
    /// How much of it was used, in percent; 0 if it has been reset since.
    pub percent: u8,
    /// When it resets; `None` if that is not known, or over.
    pub resets_at: Option<Timestamp>,
}

#[async_trait]
impl Perform for Usage {
    async fn perform(self, on: &Operation<'_>) -> Result<Vec<Account>> {
        let dirs = Dirs::user(&on.caller.env)?;
        let dirs = if on.caller.scope == Scope::System { dirs.in_system_scope() } else { dirs };
        let now = Timestamp::now();
        let known = account::known(&dirs.accounts()).into_iter().map(|known| Account {
            account: known.name,
            seen: known.seen,
            windows: known
                .windows
                .into_iter()
                .map(|window| {
                    let is_over = window.resets_at.is_some_and(|at| at <= now);
                    Window {
                        name: window.kind,
                        percent: if is_over { 0 } else { window.percent },
                        resets_at: window.resets_at.filter(|_| !is_over),
                    }
                })
                .collect(),
        });
        Ok(known.collect())
    }
}
