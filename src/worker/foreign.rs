//! Files in the inbox that are not messages: each becomes a message for the agent, or is set aside
//! and reported.

use crate::session::event;
use crate::session::journal::Event;
use crate::session::mail::foreign::Foreign;

use super::{Trouble, Worker};

impl Worker<'_> {
    /// Handles files that are complete. The message is in the inbox before its file is removed, and
    /// has the same ID each time, so a crash in between neither loses nor repeats anything.
    pub(super) fn take_foreign(
        &mut self,
        is_ready: impl Fn(&Foreign) -> bool,
    ) -> Result<(), Trouble> {
        let foreign = self.writer.folder.unread()?.foreign;
        for foreign in foreign.into_iter().filter(is_ready) {
            let message = foreign.message();
            let is_handed_over = message.is_some_and(|message| {
                self.writer.folder.is_unread(&message.id)
                    || self.writer.folder.was_read(&message.id)
            });
            if !is_handed_over {
                let problem = foreign.is_doubtful().then(|| foreign.why.clone());
                self.writer.record(Event::ForeignMail(event::ForeignMail {
                    file: foreign.name.to_string_lossy().into_owned(),
                    kept: foreign.kept.clone(),
                    message: message.map(|message| message.id.clone()),
                    problem,
                }))?;
                if let Some(message) = message {
                    self.writer.folder.deliver(message)?;
                }
            }
            self.writer.folder.put_away(&foreign.name, &foreign.kept)?;
        }
        Ok(())
    }
}
