//! Mail: out of the inbox into the journal, and to the agent. Each message is journaled first and
//! moved after, so that one that is found twice is known.

use crate::agent::prompt;
use crate::agent::run::Run;
use crate::session::clock;
use crate::session::journal::Event;
use crate::session::mail::{Kind, Message};

use super::{Trouble, Worker};

impl Worker<'_> {
    /// Takes all mail out of the inbox.
    pub(super) fn take_mail(&mut self) -> Result<(), Trouble> {
        let unread = self.writer.folder.unread()?;
        for (file, why) in unread.strange {
            tracing::warn!("_inbox/{file} is no message and was put aside: {why}");
            self.writer.folder.put_away(&file, &file)?;
        }
        let before = self.writer.state().word();
        for (file, message) in unread.messages {
            // One that was read is a word said twice, as an approval by an impatient human: it was
            // for what the session waited for then, not for what it waits for now.
            let known = self.writer.state().unseen.contains(&message.id)
                || self.writer.folder.was_read(&message.id);
            if !known {
                self.writer.record(Event::Mail {
                    id: message.id.clone(),
                    from: message.from.clone(),
                    mail: message.kind,
                })?;
            }
            self.writer.folder.put_away(&file, &message.file_name())?;
        }
        if self.writer.state().word() != before {
            self.writer.settle()?;
        }
        Ok(())
    }

    /// Mail that was taken and not moved is moved before a signal makes the journal forget it, or
    /// it would be taken a second time.
    pub(super) fn put_known_mail_away(&self) -> Result<(), Trouble> {
        for (file, message) in self.writer.folder.unread()?.messages {
            if self.writer.state().unseen.contains(&message.id) {
                self.writer.folder.put_away(&file, &message.file_name())?;
            }
        }
        Ok(())
    }

    /// What agents have not been shown yet; a stop was for the worker alone.
    pub(super) fn unseen_mail(&self) -> Vec<Message> {
        let ids = &self.writer.state().unseen;
        let messages = ids.iter().filter_map(|id| self.writer.folder.message(id));
        messages.filter(|message| message.kind != Kind::Stop).collect()
    }

    /// Says mail to an agent that takes input while it runs. Mail that asks something of the
    /// worker, and mail for an agent that is deaf, waits in the inbox for the iteration's end.
    /// True when a human asks for a handoff.
    pub(super) fn deliver_live(&mut self, run: &mut Run) -> Result<bool, Trouble> {
        let mut handoff = false;
        for (file, message) in self.writer.folder.unread()?.messages {
            if !matches!(message.kind, Kind::Text | Kind::Nudge | Kind::Handoff) {
                continue;
            }
            if !run.say(&prompt::mail(std::slice::from_ref(&message), &clock::local_now())) {
                break;
            }
            handoff |= message.kind == Kind::Handoff;
            self.writer.record(Event::Mail {
                id: message.id.clone(),
                from: message.from.clone(),
                mail: message.kind,
            })?;
            self.writer.folder.put_away(&file, &message.file_name())?;
        }
        Ok(handoff)
    }
}
