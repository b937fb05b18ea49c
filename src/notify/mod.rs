//! Notifies the human: the wording of notices, and the channels that deliver them.
//!
//! Delivery is not part of the work. An [`Outbox`] takes notices, keeps each on disk for each channel
//! ([`unsent`]), and sends them in the background, in order. What cannot be sent is reported and stays
//! there for the next process to send.
//!
//! A channel is a [`Notifier`] in a file of its own. Which there are, and what each is for, is set by
//! `notify.toml` ([`file`]), by the keys `TELEGRAM_*`, and by whether there is a desktop.

pub mod asked;
pub mod buttons;
mod channel;
mod command;
pub mod desktop;
mod discord;
mod elsewhere;
mod envelope;
mod fields;
pub mod file;
pub mod hours;
pub(crate) mod http;
mod incoming;
pub mod kind;
mod letter;
mod mail;
pub mod notice;
mod ntfy;
pub mod outbox;
mod pass;
pub mod presses;
mod program;
mod proxies;
pub mod setup;
mod slack;
pub mod telegram;
pub mod text;
pub mod unsent;
mod webhook;
pub mod webpush;

use std::time::Duration;

use async_trait::async_trait;

pub use asked::Asked;
pub use file::Files;
pub use hours::{Hours, Quiet};
pub use kind::NoticeKind;
pub use notice::{About, Notice};
pub use outbox::{Delivery, Outbox, Shelf};
pub use proxies::Proxies;
pub use setup::{Channels, LeftOut, Settings, TestOutcome, TestResult, from_settings, test};
pub use telegram::BotAccount;
pub use unsent::UnsentFolder;

/// A channel that reaches the human.
#[async_trait]
pub trait Notifier: Send + Sync {
    /// Identifies the channel in reports and in the journal.
    fn name(&self) -> &str;

    /// Whether it is for notices of this kind.
    fn wants(&self, kind: NoticeKind) -> bool {
        let _ = kind;
        true
    }

    /// Whether a notice is kept on disk until it is sent. Where there is no desktop, nobody will look
    /// for it on one.
    fn keeps(&self) -> bool {
        true
    }

    /// Whether this process can send at all. If not, notices are left on disk for one that can.
    fn sends_here(&self) -> bool {
        true
    }

    /// Sends a notice once, within the notifier's own time limit.
    ///
    /// # Errors
    /// Tells whether a retry can help. Never contains a secret.
    async fn send(&self, notice: &Notice) -> Result<(), NotifyError>;

    /// Whether it could show a notice now, as far as one can know without sending one.
    ///
    /// # Errors
    /// Why it could not.
    async fn check(&self) -> Result<(), NotifyError> {
        Ok(())
    }

    /// The bot that this channel sends through, if people can answer it.
    fn bot(&self) -> Option<BotAccount> {
        None
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
    /// It is kept until the quiet hours are over, or for another process. Not worth a warning.
    #[error("{0}")]
    Held(String),
    /// There is no one to show it to, as on a machine without a desktop. Not worth a warning.
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
        matches!(self, Self::Absent(_) | Self::Held(_))
    }
}
