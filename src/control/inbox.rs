//! A session's mail.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::agent::event::one_line;
use crate::session::mail::Message;

use super::context::Context;
use super::error::{Error, Result};
use super::mail::human_folder;
use super::operation::{Operation, Perform};

/// Asks for the messages sent to a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inbox {
    /// A name, a dated folder name or an instance, as typed; empty for the human's own mail, which
    /// counts as read once it was returned.
    pub session: String,
    /// Include messages that the worker has read.
    pub all: bool,
}

/// A message to a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mail {
    /// The message as it was sent.
    #[serde(flatten)]
    pub message: Message,
    /// Whether the worker has read it.
    pub read: bool,
}

#[async_trait]
impl Perform for Inbox {
    async fn perform(self, on: &Operation<'_>) -> Result<Vec<Mail>> {
        if self.session.is_empty() {
            return self.of_human(on);
        }
        let session = on.resolve(&self.session)?.session;
        let unread = session.folder.unread()?;
        for foreign in &unread.foreign {
            let path = session.folder.inbox().join(&foreign.name);
            let then = match foreign.message() {
                Some(_) => "the agent will get it as text",
                None => "it will be set aside",
            };
            on.warnings.add(format!(
                "{} is not a message ({}): {then}",
                one_line(&path.display().to_string(), 400),
                foreign.why
            ));
        }
        session.hook()?.notes.into_iter().for_each(|note| on.warnings.add(note));
        let mut mail = Vec::new();
        if self.all {
            let read = session.folder.read_mail()?.into_iter();
            mail.extend(read.map(|message| Mail { message, read: true }));
        }
        let unread = unread.messages.into_iter();
        mail.extend(unread.map(|(_, message)| Mail { message, read: false }));
        Ok(mail)
    }
}

impl Inbox {
    fn of_human(&self, on: &Operation<'_>) -> Result<Vec<Mail>> {
        if on.caller.session().is_some() {
            return Err(Error::refused("agents cannot read the human's mail"));
        }
        let folder = human_folder(&Context::here(on.caller, &on.warnings)?.project);
        let mut mail = Vec::new();
        if self.all {
            let read = folder.read_mail()?.into_iter();
            mail.extend(read.map(|message| Mail { message, read: true }));
        }
        for (file, message) in folder.unread()?.messages {
            // One that someone is waiting for at another terminal is shown there.
            if message.reply_to.as_ref().is_some_and(|id| folder.is_asking(id)) {
                continue;
            }
            folder.put_away(&file, &message.file_name())?;
            mail.push(Mail { message, read: false });
        }
        Ok(mail)
    }
}
