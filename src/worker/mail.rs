//! Mail: from the inbox to the journal and the agent. Each message is journaled before it is moved,
//! so that a duplicate is recognized.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};

use jiff::Timestamp;

use crate::agent::prompt;
use crate::session::clock;
use crate::session::event;
use crate::session::journal::Event;
use crate::session::mail::{Kind, Message, foreign};
use crate::session::state::{Standing, State};
use crate::session::store::{Folder, Vouchers};

use super::{Trouble, Worker};

/// Prefix of the names that messages without a voucher get in `_mail/`.
const UNVOUCHED: &str = "unvouched-";

/// How many messages an agent gets at once, stops, gate words and the like not counted.
const PORTION: usize = 100;

/// How many bytes of text an agent gets at once, unless the first message alone is longer.
const PORTION_BYTES: usize = 128 << 10;

impl Worker<'_> {
    /// Processes all mail in the inbox.
    pub(super) fn take_mail(&mut self) -> Result<(), Trouble> {
        self.take_foreign(|_| true)?;
        let unread = self.writer.folder.unread()?.messages;
        let before = self.writer.state().name();
        let mut has_reused = false;
        for (file, message) in portion(self.writer.state(), &self.writer.folder, unread) {
            if self.take_reused(&file, &message)? {
                has_reused = true;
                continue;
            }
            // A message that was read before is a repetition, such as an approval sent twice. It
            // was meant for what the session was waiting on then, not for what it is waiting on
            // now.
            let known = self.writer.state().unseen.contains(&message.id)
                || self.writer.folder.was_read(&message.id);
            let vouchers = Vouchers::of(&self.setup.state_dir, &self.setup.instance);
            let event = vouched(self.writer.state(), &message, &vouchers);
            let unvouched = event.unvouched;
            if !known {
                self.writer.record(Event::Mail(event))?;
            }
            // Under another name, or the human's own word would count as said already.
            let prefix = if unvouched && !known { UNVOUCHED } else { "" };
            let kept = format!("{prefix}{}", message.file_name());
            self.writer.folder.put_away(&file, &kept)?;
            vouchers.forget(&message);
        }
        if self.writer.state().name() != before {
            self.writer.settle()?;
        }
        if has_reused { self.take_mail() } else { Ok(()) }
    }

    /// Gives a message an ID of its own that has the one of another message, as what a script writes
    /// may: it would count as a repetition, and take the other's place in `_mail/`. Returns whether it
    /// was one.
    fn take_reused(&self, file: &OsStr, message: &Message) -> Result<bool, Trouble> {
        let folder = &self.writer.folder;
        if !is_reused(folder, message) {
            return Ok(false);
        }
        let own = message.with_own_id();
        if !folder.is_unread(&own.id) && !folder.was_read(&own.id) {
            folder.deliver(&own)?;
        }
        folder.put_away(file, &format!("reused-{}", own.file_name()))?;
        Ok(true)
    }

    /// Records the mail that is there when a run ends and that may be the agent's own, whomever it names
    /// as its sender: it must not wake itself. Verbs vouch for what they send.
    pub(super) fn note_left(&mut self) -> Result<(), Trouble> {
        self.take_foreign(|_| true)?;
        let vouchers = Vouchers::of(&self.setup.state_dir, &self.setup.instance);
        let (state, folder) = (self.writer.state(), &self.writer.folder);
        let mut earlier: Vec<Message> = Vec::new();
        let mut ids = Vec::new();
        for (_, message) in folder.unread()?.messages {
            let is_same_id = |known: &Message| known.id == message.id;
            let is_reused = is_reused(folder, &message)
                || earlier
                    .iter()
                    .filter(|known| is_same_id(known))
                    .any(|it| !it.says_the_same(&message));
            let id = if is_reused { message.with_own_id().id } else { message.id.clone() };
            let is_known = state.unseen.contains(&id) || state.left.contains(&id);
            if wakes(message.kind) && vouchers.by(&message).is_none() && !is_known {
                ids.push(id);
            }
            earlier.push(message);
        }
        if !ids.is_empty() {
            self.writer.record(Event::MailLeft(event::MailLeft { ids }))?;
        }
        Ok(())
    }

    /// Moves mail that was journaled but not moved. After the next signal the state no longer lists
    /// it, and it would be processed a second time.
    pub(super) fn put_known_mail_away(&self) -> Result<(), Trouble> {
        for (file, message) in self.writer.folder.unread()?.messages {
            let folder = &self.writer.folder;
            if self.writer.state().unseen.contains(&message.id) && !is_reused(folder, &message) {
                folder.put_away(&file, &message.file_name())?;
            }
        }
        Ok(())
    }

    /// Passes mail to an agent that accepts input while it runs, through `send`, which returns
    /// false if the agent took nothing. Mail for the worker, and mail for an agent that does not
    /// accept input, stays in the inbox until the iteration ends. Returns true if a human asks for
    /// a handoff.
    pub(super) fn deliver_live(
        &mut self,
        say: &mut dyn FnMut(&str) -> bool,
    ) -> Result<bool, Trouble> {
        let (mut handoff, mut live) = (false, 0);
        // Whoever writes a file in place may not be done yet.
        self.take_foreign(|foreign| foreign.is_settled(Timestamp::now()))?;
        let vouchers = Vouchers::of(&self.setup.state_dir, &self.setup.instance);
        for (file, message) in self.writer.folder.unread()?.messages {
            if !matches!(message.kind, Kind::Text | Kind::Question | Kind::Nudge | Kind::Handoff)
                || is_awaited(&self.writer.folder, &message)
            {
                continue;
            }
            live += 1;
            if live > PORTION {
                break;
            }
            let event = vouched(self.writer.state(), &message, &vouchers);
            let unsigned = if event.unsigned { vec![message.id.clone()] } else { Vec::new() };
            let letter = std::slice::from_ref(&message);
            if !say(&prompt::mail(letter, &unsigned, &clock::local_now())) {
                break;
            }
            handoff |= message.kind == Kind::Handoff;
            self.writer.record(Event::Mail(event))?;
            self.writer.folder.put_away(&file, &message.file_name())?;
            vouchers.forget(&message);
        }
        Ok(handoff)
    }
}

/// The event of a message that the worker takes: one that decides something counts only with its
/// voucher, and any other without one is marked.
pub(crate) fn vouched(state: &State, message: &Message, vouchers: &Vouchers) -> event::Mail {
    let by = vouchers.by(message);
    let (decides, lacks) = (message.kind.needs_voucher(), by.is_none());
    event::Mail {
        by: by.filter(|_| decides),
        unvouched: decides && lacks,
        unsigned: !decides && is_unsigned(message, vouchers),
        ..mail(state, message)
    }
}

/// Whether another message that was read has the ID of this one.
fn is_reused(folder: &Folder, message: &Message) -> bool {
    let read = || folder.read_message(&message.id);
    !message.kind.needs_voucher() && read().is_some_and(|read| !read.says_the_same(message))
}

/// Whether a message names a sender for whom no verb vouches.
fn is_unsigned(message: &Message, vouchers: &Vouchers) -> bool {
    message.from != foreign::SENDER && vouchers.by(message).is_none()
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
        unsigned: false,
    }
}

/// Whether mail of this kind wakes a session although no verb vouches for it.
const fn wakes(kind: Kind) -> bool {
    matches!(kind, Kind::Text | Kind::Question | Kind::Nudge)
}

/// How many messages are left in the inbox for later iterations. Zero where it cannot be read.
pub(super) fn left(state: &State, folder: &Folder) -> usize {
    if folder.count_unread() == 0 {
        return 0;
    }
    let unread = folder.unread().map(|unread| unread.messages).unwrap_or_default();
    let taken = |message: &Message| state.unseen.contains(&message.id);
    unread.iter().filter(|(_, message)| !taken(message) && !is_awaited(folder, message)).count()
}

/// Whether the inbox has mail that would be taken now: not only what is left for later iterations.
pub(crate) fn has_more(state: &State, folder: &Folder) -> bool {
    folder.has_unread()
        && folder.unread().is_ok_and(|unread| {
            !unread.foreign.is_empty() || !portion(state, folder, unread.messages).is_empty()
        })
}

/// The mail to take now, in the order in which it is taken. The rest stays in the inbox for later
/// iterations: together with what was taken and not seen yet, it would be too much for one prompt.
pub(crate) fn portion(
    state: &State,
    folder: &Folder,
    unread: Vec<(OsString, Message)>,
) -> Vec<(OsString, Message)> {
    let unread = unread.into_iter().filter(|(_, message)| !is_awaited(folder, message));
    let (texts, mut taken): (Vec<_>, Vec<_>) =
        unread.partition(|(_, message)| matches!(message.kind, Kind::Text | Kind::Question));
    // What opens a gate or stops the session does not wait behind other mail.
    let words = taken.len();
    let unseen = state.unseen.iter().filter_map(|id| folder.message(id));
    let mut bytes = unseen.map(|message| message.body.len()).sum::<usize>();
    let mut texts = texts.into_iter().peekable();
    while let Some(text) = texts.next_if(|(_, message)| {
        let count = state.unseen.len() + taken.len() - words;
        count == 0 || count < PORTION && bytes + message.body.len() <= PORTION_BYTES
    }) {
        bytes += text.1.body.len();
        taken.push(text);
    }
    // Nor does what wakes a session that rests wait behind mail that wakes nobody.
    if matches!(state.standing, Standing::Waiting { .. } | Standing::Blocked { .. }) {
        let left: HashSet<&str> = state.left.iter().map(String::as_str).collect();
        let rouses = |(_, message): &(OsString, Message)| !left.contains(message.id.as_str());
        if !taken.iter().any(rouses) {
            taken.extend(texts.find(rouses));
        }
    }
    taken
}

/// Whether someone waits for this answer, and will show it to the agent.
fn is_awaited(folder: &Folder, message: &Message) -> bool {
    message.reply_to.as_ref().is_some_and(|id| folder.is_asking(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::WaitsFor;

    fn message(number: i64, kind: Kind, body: String) -> Message {
        let at = Timestamp::from_second(number).unwrap();
        Message::new("search", "jwt", at, kind, body).unwrap()
    }

    /// Takes portion after portion until the inbox is empty.
    fn portions(folder: &Folder) -> Vec<Vec<Message>> {
        let mut all = Vec::new();
        loop {
            let taken = portion(&State::default(), folder, folder.unread().unwrap().messages);
            if taken.is_empty() {
                return all;
            }
            for (file, message) in &taken {
                folder.put_away(file, &message.file_name()).unwrap();
            }
            all.push(taken.into_iter().map(|(_, message)| message).collect());
        }
    }

    #[test]
    fn much_mail_comes_in_portions_in_order_each_once_and_gate_words_first() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path());
        for number in 0..250 {
            folder.deliver(&message(number, Kind::Text, number.to_string())).unwrap();
        }
        folder.deliver(&message(900, Kind::Approve, String::new())).unwrap();
        let taken = portions(&folder);
        assert_eq!(taken.iter().map(Vec::len).collect::<Vec<_>>(), [101, 100, 50]);
        assert_eq!(taken[0][0].kind, Kind::Approve);
        let texts: Vec<i64> =
            taken.iter().flatten().filter_map(|message| message.body.parse().ok()).collect();
        assert_eq!(texts, (0..250).collect::<Vec<_>>());
    }

    #[test]
    fn long_messages_come_a_few_at_a_time_and_the_longest_alone() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path());
        for (number, length) in [(0, 200 << 10), (1, 60 << 10), (2, 60 << 10), (3, 60 << 10)] {
            folder.deliver(&message(number, Kind::Text, "x".repeat(length))).unwrap();
        }
        assert_eq!(portions(&folder).iter().map(Vec::len).collect::<Vec<_>>(), [1, 2, 1]);
    }

    /// A session that rests with this mail taken, and with this mail left that wakes nobody.
    fn at_rest(unseen: &[&Message], left: &[&Message]) -> State {
        let ids = |of: &[&Message]| of.iter().map(|message| message.id.clone()).collect();
        let standing = Standing::Waiting { waits_for: WaitsFor::QaAnswers, reason: None };
        State { standing, unseen: ids(unseen), left: ids(left), ..State::default() }
    }

    #[test]
    fn what_was_taken_but_not_seen_counts_and_what_wakes_does_not_wait_behind_what_does_not() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path());
        let unread = || folder.unread().unwrap().messages;
        let mail: Vec<Message> =
            (0..250).map(|number| message(number, Kind::Text, number.to_string())).collect();
        mail.iter().for_each(|message| folder.deliver(message).unwrap());
        let (left, new) = (mail[..249].iter().collect::<Vec<_>>(), &mail[249]);
        // The run ended while most of it was there: the last alone wakes the session.
        let taken = portion(&at_rest(&[], &left), &folder, unread());
        assert_eq!((taken.len(), &taken[100].1), (101, new));
        for (file, message) in &taken {
            folder.put_away(file, &message.file_name()).unwrap();
        }
        // The rest is for later iterations, whether the session rests or not.
        let (seen, rest) = left.split_at(100);
        let state = at_rest(seen, rest);
        assert!(!has_more(&state, &folder) && folder.has_unread());
        let late = message(900, Kind::Text, "late".to_owned());
        folder.deliver(&late).unwrap();
        let taken = portion(&state, &folder, unread());
        assert_eq!((taken.len(), &taken[0].1), (1, &late));
        assert!(!has_more(&State { standing: Standing::Running, ..state }, &folder));
    }

    #[test]
    fn an_answer_is_left_to_whoever_waits_for_it() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path());
        let asking = folder.ask("q-1").unwrap();
        let answer = message(1, Kind::Text, "8080".into()).in_reply_to(Some("q-1")).unwrap();
        folder.deliver(&answer).unwrap();
        assert_eq!(portions(&folder), Vec::<Vec<Message>>::new());
        drop(asking);
        assert_eq!(portions(&folder), [[answer]]);
    }
}
