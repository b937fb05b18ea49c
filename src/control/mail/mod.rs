//! Mail to anyone: a session, the parent, the human; and asking a session something.
//!
//! Agents send with the same verbs as people. What they may do is decided here: a session's agent writes
//! to sessions of its own project only, and not without end.

mod allowed;
mod ask;
mod human;
mod outbox;
mod recipient;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::session::mail::Kind;

use super::context::Context;
use super::error::{Error, Result};
use super::operation::{Operation, Perform};
use super::post::{self, Sent, check_words};
use super::request::message;
use super::target::Target;

pub(super) use allowed::check_writer;
pub use ask::{Ask, Asked};
pub use human::ToHuman;
pub(super) use human::folder as human_folder;
pub use outbox::send_outgoing;
pub use recipient::Recipient;

/// Writes to a session, the parent or the human.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Write {
    /// Who it is for; `None` for the sender of the message that this one answers.
    #[serde(default)]
    pub to: Option<Recipient>,
    /// `text`, `nudge` or `handoff`.
    pub kind: Kind,
    /// The message; may be empty for a nudge or a handoff.
    pub text: String,
    /// The id of the message that this one answers.
    #[serde(default)]
    pub reply_to: Option<String>,
}

/// What became of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// For each session it was for.
    pub sessions: Vec<Sent>,
    /// If it was for the human.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub human: Option<ToHuman>,
    /// Whether it lies in the session's outbox, for the worker to send.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub left_to_worker: bool,
}

#[async_trait]
impl Perform for Write {
    async fn perform(self, on: &Operation<'_>) -> Result<Written> {
        if let Some(folder) = outbox::own_folder(on.caller) {
            check_words(self.kind, &self.text, "SESSION")?;
            return outbox::leave(&folder, &self);
        }
        let to = match (self.to, &self.reply_to) {
            (Some(to), _) => to,
            (None, Some(id)) => recipient::sender_of(on, id)?,
            (None, None) => {
                let hint = "samocode send SESSION \"…\", or samocode send --to WHO \"…\"";
                return Err(Error::usage("no recipient was given").hint(hint));
            }
        };
        let text = check_words(self.kind, &self.text, &to.to_string())?;
        let reply_to = self.reply_to.as_deref();
        let found = recipient::find(on, &to)?;
        for target in &found {
            check_writer(on.caller, target)?;
        }
        let mut written = Written::default();
        if found.is_empty() {
            let context = Context::here(on.caller, &on.warnings)?;
            allowed::count(on.caller, &context).await?;
            written.human = Some(human::write(&context, text, reply_to).await?);
            return Ok(written);
        }
        for Target { context, session } in &found {
            allowed::count(on.caller, context).await?;
            let message = message(session, on.caller, self.kind, text, reply_to)?;
            written.sessions.push(post::deliver(context, session, message, None).await?);
        }
        Ok(written)
    }
}

#[cfg(test)]
mod tests;
