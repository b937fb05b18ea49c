//! Conversations that an agent's program deletes after a while. A session that rests for longer starts a
//! fresh one: people are warned before, and the prompt gives the reason.

use std::path::Path;

use jiff::Timestamp;

use crate::agent::environment::RunIds;
use crate::agent::{Agent, Kept, REGISTRY};
use crate::session::event::{self, ConversationKept};
use crate::session::journal::Event;

use super::super::{Trouble, Worker};

/// What follows from how long a conversation is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It can be resumed until then.
    Until(Timestamp),
    /// The program has no file of it, and it was not used for so long that none is to be expected.
    Lost,
    /// Nobody knows: the program may keep it elsewhere.
    Unknown,
}

fn fate(kept: &Kept, last_progress: Option<Timestamp>, now: Timestamp) -> Fate {
    let ends = |used: Timestamp| used.checked_add(kept.unused).unwrap_or(Timestamp::MAX);
    match (kept.used, last_progress) {
        (Some(used), _) => Fate::Until(ends(used)),
        (None, Some(last)) if ends(last) <= now => Fate::Lost,
        (None, _) => Fate::Unknown,
    }
}

/// Whether it is worth a note that a conversation ends then: it does before the session `wakes`, soon,
/// or the session rests until a human starts it.
fn matters(ends: Timestamp, wakes: Option<Timestamp>, now: Timestamp) -> bool {
    ends > now
        && wakes
            .is_none_or(|wakes| wakes >= ends || ends.duration_since(now) < ConversationKept::SOON)
}

impl Worker<'_> {
    /// Gives up a conversation that the agent's program has deleted, so that no run fails to resume
    /// it.
    pub(in crate::worker) fn forget_lost(&mut self, agent: &Agent) -> Result<(), Trouble> {
        let now = Timestamp::now();
        let Some((conversation, kept)) = self.kept() else { return Ok(()) };
        if fate(&kept, self.writer.state().last_progress, now) != Fate::Lost {
            return Ok(());
        }
        tracing::info!("{} has no conversation {conversation}", agent.word());
        let lost = event::ConversationLost { conversation, rule: kept.rule };
        Ok(self.writer.record(Event::ConversationLost(lost))?)
    }

    /// Notes until when the conversation of the iteration can be resumed, before the session rests
    /// until it `wakes`, or until a human starts it.
    pub(in crate::worker) fn note_kept(&mut self, wakes: Option<Timestamp>) -> Result<(), Trouble> {
        let now = Timestamp::now();
        let Some((conversation, kept)) = self.kept() else { return Ok(()) };
        let state = self.writer.state();
        let Fate::Until(until) = fate(&kept, state.last_progress, now) else { return Ok(()) };
        let known = state.conversation().and_then(|known| known.kept.as_ref());
        if !matters(until, wakes, now) || known.is_some_and(|known| known.until == until) {
            return Ok(());
        }
        let noted = event::ConversationKept { conversation, until, rule: kept.rule };
        Ok(self.writer.record(Event::ConversationKept(noted))?)
    }

    /// The conversation that the next run would resume, and how long it is kept.
    fn kept(&self) -> Option<(String, Kept)> {
        let state = self.writer.state();
        let conversation = state.conversation().filter(|known| known.resumable)?;
        let name = self.setup.settings.agent(state.phase());
        let spec = REGISTRY.spec(name.word()).filter(|_| conversation.agent == name.word())?;
        let env = REGISTRY.environment(&self.setup.env, &self.env_file, name, &RunIds::default());
        let folder = spec.manifest().credentials.folder(&env)?;
        let kept = spec.kept(&folder, Path::new(state.working_dir()?), &conversation.id)?;
        Some((conversation.id.clone(), kept))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    #[test]
    fn a_conversation_without_a_file_is_lost_only_after_the_time_it_is_kept() {
        let at = |day: i64| Timestamp::from_second(1_800_000_000 + day * 86_400).unwrap();
        let unused = SignedDuration::from_hours(30 * 24);
        let kept = |used| Kept { used, unused, rule: String::new() };
        assert_eq!(fate(&kept(Some(at(1))), Some(at(0)), at(99)), Fate::Until(at(31)));
        assert_eq!(fate(&kept(None), Some(at(0)), at(29)), Fate::Unknown, "a wrapper's own folder");
        assert_eq!(fate(&kept(None), Some(at(0)), at(30)), Fate::Lost);
        assert_eq!(fate(&kept(None), None, at(99)), Fate::Unknown);
        assert!(matters(at(30), None, at(0)), "a human stopped it");
        assert!(matters(at(30), Some(at(40)), at(0)) && matters(at(30), Some(at(29)), at(24)));
        assert!(!matters(at(30), Some(at(2)), at(0)) && !matters(at(30), None, at(31)));
    }
}
