//! Mail: from the inbox to the journal and the agent. Each message is journaled before it is moved,
//! so that a duplicate is recognized.

use jiff::Timestamp;

use crate::agent::prompt;
use crate::session::clock;
use crate::session::event;
use crate::session::journal::Event;
use crate::session::mail::{Kind, Message};
use crate::session::state::State;
use crate::session::store::Vouchers;

use super::{Trouble, Worker};

/// Prefix of the names that words get in `_mail/` for which nobody vouches.
const UNVOUCHED: &str = "unvouched-";

impl Worker<'_> {
    /// Processes all mail in the inbox.
    pub(super) fn take_mail(&mut self) -> Result<(), Trouble> {
        self.take_foreign(|_| true)?;
        let unread = self.writer.folder.unread()?;
        let before = self.writer.state().word();
        for (file, message) in unread.messages {
            // A message that was read before is a repetition, such as an approval sent twice. It
            // was meant for what the session was waiting on then, not for what it is waiting on
            // now.
            let known = self.writer.state().unseen.contains(&message.id)
                || self.writer.folder.was_read(&message.id);
            let vouchers = Vouchers::of(&self.setup.state_dir, &self.setup.instance);
            let by = vouchers.by(&message).filter(|_| message.kind.opens_gates());
            let unvouched = message.kind.opens_gates() && by.is_none();
            if !known {
                let event = event::Mail { by, unvouched, ..mail(self.writer.state(), &message) };
                self.writer.record(Event::Mail(event))?;
            }
            // Under another name, or the human's own word would count as said already.
            let prefix = if unvouched && !known { UNVOUCHED } else { "" };
            let kept = format!("{prefix}{}", message.file_name());
            self.writer.folder.put_away(&file, &kept)?;
            vouchers.forget(&message);
        }
        if self.writer.state().word() != before {
            self.writer.settle()?;
        }
        Ok(())
    }

    /// Moves mail that was journaled but not moved. After the next signal the state no longer lists
    /// it, and it would be processed a second time.
    pub(super) fn put_known_mail_away(&self) -> Result<(), Trouble> {
        for (file, message) in self.writer.folder.unread()?.messages {
            if self.writer.state().unseen.contains(&message.id) {
                self.writer.folder.put_away(&file, &message.file_name())?;
            }
        }
        Ok(())
    }

    /// Messages that no agent has seen yet, except stops, which concern only the worker.
    pub(super) fn unseen_mail(&self) -> Vec<Message> {
        let ids = &self.writer.state().unseen;
        let messages = ids.iter().filter_map(|id| self.writer.folder.message(id));
        messages.filter(|message| message.kind != Kind::Stop).collect()
    }

    /// Passes mail to an agent that accepts input while it runs, through `say`, which returns false
    /// if the agent took nothing. Mail for the worker, and mail for an agent that does not accept
    /// input, stays in the inbox until the iteration ends. Returns true if a human asks for a
    /// handoff.
    pub(super) fn deliver_live(
        &mut self,
        say: &mut dyn FnMut(&str) -> bool,
    ) -> Result<bool, Trouble> {
        let mut handoff = false;
        // Whoever writes a file in place may not be done yet.
        self.take_foreign(|foreign| foreign.is_settled(Timestamp::now()))?;
        for (file, message) in self.writer.folder.unread()?.messages {
            if !matches!(message.kind, Kind::Text | Kind::Nudge | Kind::Handoff) {
                continue;
            }
            if !say(&prompt::mail(std::slice::from_ref(&message), &clock::local_now())) {
                break;
            }
            handoff |= message.kind == Kind::Handoff;
            let event = mail(self.writer.state(), &message);
            self.writer.record(Event::Mail(event))?;
            self.writer.folder.put_away(&file, &message.file_name())?;
        }
        Ok(handoff)
    }
}

/// The event of a message that is read now.
fn mail(state: &State, message: &Message) -> event::Mail {
    let asked = state.visit.asked.as_ref();
    event::Mail {
        id: message.id.clone(),
        from: message.from.clone(),
        mail: message.kind,
        early: asked.is_some_and(|asked| asked.unread.contains(&message.id)),
        by: None,
        unvouched: false,
    }
}
