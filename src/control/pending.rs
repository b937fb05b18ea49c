//! What a session is waiting for, and the ids of the messages that end the wait.

use jiff::Timestamp;

use crate::session::hook::Hook;
use crate::session::mail::{Kind, Message};
use crate::session::state::StateName;
use crate::session::store::Folder;
use crate::session::{Phase, WaitsFor};

use super::error::Result;

/// What a session is waiting for a human to do. A session stopped while waiting still has one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wait {
    /// `qa_answers`, `plan_approval`, `file_update`, `human_action`.
    pub(super) waits_for: WaitsFor,
    /// The phase it is waiting in.
    pub(super) phase: Phase,
    since: Timestamp,
}

impl Wait {
    /// What a session is waiting for; `None` if it is not waiting.
    pub(super) fn of(hook: &Hook) -> Option<Self> {
        let waits = matches!(hook.state, StateName::Waiting | StateName::Stopped);
        let waits_for = hook.waits_for.clone().filter(|_| waits)?;
        Some(Self { waits_for, phase: hook.phase, since: hook.since })
    }

    /// The id of a reply to this wait. Sending it twice makes one message, and a reply to one gate
    /// can never open the next. After a different reply that is still unread it becomes a new
    /// message: the last one counts.
    pub(super) fn message_id(&self, message: &Message, folder: &Folder) -> Result<String> {
        let id = |kind: Kind| format!("{kind}-{}", self.since.as_microsecond());
        let first = id(message.kind);
        let is_to_it = |known: &Message| {
            known.kind.is_verdict() && known.id.starts_with(id(known.kind).as_str())
        };
        let unread = folder.unread()?.messages.into_iter().map(|(_, known)| known);
        match unread.rev().find(is_to_it) {
            None => Ok(first),
            Some(last) if last.says_the_same(message) => Ok(last.id),
            Some(_) => {
                let more = (2..).map(|number: u64| format!("{first}-{number}"));
                let mut ids = std::iter::once(first.clone()).chain(more);
                let is_free = |id: &String| !folder.is_unread(id) && !folder.was_read(id);
                Ok(ids.find(is_free).unwrap_or(first))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::request::deliver_last;
    use crate::session::state::{Standing, State};

    fn hook(standing: Standing, stopped: bool, since: i64) -> Hook {
        let since = Timestamp::from_second(since).unwrap();
        Hook::of(&State { standing, stopped, since, ..State::default() })
    }

    #[test]
    fn a_word_to_one_wait_is_one_message_and_none_to_the_next_wait() {
        let waiting = Standing::Waiting { waits_for: WaitsFor::PlanApproval, reason: None };
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path());
        let id = |since| {
            let now = Timestamp::UNIX_EPOCH;
            let message = Message::new("human", "x", now, Kind::Approve, "").unwrap();
            let wait = Wait::of(&hook(waiting.clone(), false, since)).unwrap();
            Message { id: wait.message_id(&message, &folder).unwrap(), ..message }
        };
        let first = id(7);
        folder.deliver(&first).unwrap();
        assert_eq!(id(7), first);
        assert_ne!(id(8).id, first.id, "though it says the same and nobody has read the first");
        folder.put_away(first.file_name(), &first.file_name()).unwrap();
        assert_eq!(id(7), first, "it was read");
    }

    #[test]
    fn the_last_of_several_unread_words_is_the_last_one_said() {
        let waiting = Standing::Waiting { waits_for: WaitsFor::PlanApproval, reason: None };
        let wait = Wait::of(&hook(waiting, false, 7)).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path());
        // The clock is set back after each word.
        for (second, kind) in [(3, Kind::Approve), (2, Kind::Reject), (1, Kind::Approve)] {
            let at = Timestamp::from_second(second).unwrap();
            let mut message = Message::new("human", "x", at, kind, "").unwrap();
            message.id = wait.message_id(&message, &folder).unwrap();
            deliver_last(&folder, &mut message).unwrap();
        }
        let kinds: Vec<Kind> =
            folder.unread().unwrap().messages.iter().map(|(_, known)| known.kind).collect();
        assert_eq!(kinds, [Kind::Approve, Kind::Reject, Kind::Approve]);
    }

    #[test]
    fn a_session_that_was_stopped_while_it_waited_still_waits() {
        let waiting = Standing::Waiting { waits_for: WaitsFor::QaAnswers, reason: None };
        assert!(Wait::of(&hook(waiting, true, 7)).is_some());
        assert_eq!(Wait::of(&hook(Standing::Running, true, 7)), None);
        assert_eq!(Wait::of(&hook(Standing::Running, false, 7)), None);
    }
}
