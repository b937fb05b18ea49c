//! Telling the human: what a notice says, and the ways by which it goes out.
//!
//! Sending is no part of the work. An [`Outbox`] takes notices and sends them in the background; a
//! notice that cannot be sent is reported and changes nothing else.

#[cfg(target_os = "linux")]
pub mod desktop;
pub mod notice;
pub mod outbox;
pub mod setup;
pub mod telegram;
mod text;

use std::time::Duration;

use async_trait::async_trait;

pub use notice::{About, Notice, NoticeKind};
pub use outbox::{Delivery, Outbox};
pub use setup::{Channels, LeftOut, Settings, TestOutcome, TestResult, from_settings, test};
pub use telegram::Proxies;

/// A way to reach the human.
#[async_trait]
pub trait Notifier: Send + Sync {
    /// Its name in reports and in the journal.
    fn name(&self) -> &'static str;

    /// Sends a notice once, within a time that the notifier itself bounds.
    ///
    /// # Errors
    /// Says whether trying again can help. Never holds a secret.
    async fn send(&self, notice: &Notice) -> Result<(), NotifyError>;
}

/// Why a notice was not sent. The message is one line and ends with what to do, where something
/// can be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotifyError {
    /// It may work later: the network, or a server that is busy.
    #[error("{reason}")]
    Retryable {
        /// What happened.
        reason: String,
        /// How long the server asks to wait.
        after: Option<Duration>,
    },
    /// It will not work until somebody changes something.
    #[error("{0}")]
    Final(String),
    /// There is nobody to show it to, such as on a machine without a desktop. Not worth a warning.
    #[error("{0}")]
    Absent(String),
}

impl NotifyError {
    fn retryable(reason: impl Into<String>) -> Self {
        Self::Retryable { reason: reason.into(), after: None }
    }

    /// Whether trying again can help.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Retryable { .. })
    }

    /// Whether it should pass without a warning.
    #[must_use]
    pub const fn is_quiet(&self) -> bool {
        matches!(self, Self::Absent(_))
    }
}
