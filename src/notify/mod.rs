//! Notifies the human: the wording of notices, and the channels that deliver them.
//!
//! Delivery is not part of the work. An [`Outbox`] takes notices and sends them in the background.
//! One that cannot be sent is reported and kept on disk ([`unsent`]) for whoever runs next.

pub mod desktop;
pub mod notice;
pub mod outbox;
mod proxies;
pub mod setup;
pub mod telegram;
mod text;
pub mod unsent;

use std::time::Duration;

use async_trait::async_trait;

pub use notice::{About, Notice, NoticeKind};
pub use outbox::{Delivery, Outbox, Shelf};
pub use proxies::Proxies;
pub use setup::{Channels, LeftOut, Settings, TestOutcome, TestResult, from_settings, test};
pub use unsent::UnsentFolder;

/// A channel that reaches the human.
#[async_trait]
pub trait Notifier: Send + Sync {
    /// Identifies the channel in reports and in the journal.
    fn name(&self) -> &'static str;

    /// Sends a notice once, within the notifier's own time limit.
    ///
    /// # Errors
    /// Tells whether a retry can help. Never contains a secret.
    async fn send(&self, notice: &Notice) -> Result<(), NotifyError>;

    /// Whether it could show a notice now, as far as that can be told without sending one.
    ///
    /// # Errors
    /// Why it could not.
    async fn check(&self) -> Result<(), NotifyError> {
        Ok(())
    }

    /// What someone should change although notices arrive: one line, known after sending.
    fn remark(&self) -> Option<String> {
        None
    }
}

/// Why a notice was not sent. The message is one line and ends with the remedy, if there is one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotifyError {
    /// It may work later: a network problem, or a busy server.
    #[error("{reason}")]
    Retryable {
        /// The failure, with the server's own words.
        reason: String,
        /// The delay the server asks for.
        after: Option<Duration>,
    },
    /// It will not work until someone changes something.
    #[error("{0}")]
    Final(String),
    /// There is nobody to show it to, as on a machine without a desktop. Not worth a warning.
    #[error("{0}")]
    Absent(String),
}

impl NotifyError {
    fn retryable(reason: impl Into<String>) -> Self {
        Self::Retryable { reason: reason.into(), after: None }
    }

    /// Whether a retry can help.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Retryable { .. })
    }

    /// Whether to skip the warning about it.
    #[must_use]
    pub const fn is_quiet(&self) -> bool {
        matches!(self, Self::Absent(_))
    }
}
