//! What is worth knowing of an agent's program: how long it keeps a conversation, and what of its
//! output is unknown.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::session::describe::{local, one_line};
use crate::session::state::State;

use super::Occurrence;

/// The session rests in the middle of an iteration, and the agent's program keeps the conversation
/// only until a certain time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationKept {
    /// The ID of the conversation.
    pub conversation: String,
    /// When the program may delete it.
    pub until: Timestamp,
    /// The program's rule, in a sentence without a full stop.
    pub rule: String,
}

impl ConversationKept {
    /// How long before its end a conversation is worth a word.
    pub const SOON: SignedDuration = SignedDuration::from_hours(7 * 24);

    /// What follows for a session that rests for longer.
    #[must_use]
    pub fn reason(&self) -> String {
        let (until, rule) = (local(self.until), one_line(&self.rule));
        format!(
            "its conversation can be resumed until {until}; after that it starts a fresh one: {rule}"
        )
    }

    /// The same for a session that rests until `wakes`, or until a human starts it, if it is worth
    /// knowing now.
    #[must_use]
    pub fn warning(&self, wakes: Option<Timestamp>, now: Timestamp) -> Option<String> {
        if self.until <= now {
            return Some(format!(
                "its conversation may be gone, and then it starts a fresh one: {}",
                one_line(&self.rule)
            ));
        }
        let is_soon = self.until.duration_since(now) < Self::SOON;
        (is_soon || wakes.is_some_and(|wakes| wakes >= self.until)).then(|| self.reason())
    }
}

impl Occurrence for ConversationKept {
    const MESSAGE_ID: &str = "6b1f0c4d2e9a47d38c5f7a10b3e6d829";

    fn describe(&self) -> String {
        self.reason()
    }

    fn fold(&self, _at: Timestamp, state: &mut State) {
        if let Some(conversation) = state.iteration.as_mut().and_then(|it| it.conversation.as_mut())
            && conversation.id == self.conversation
        {
            conversation.kept = Some(self.clone());
        }
    }
}

/// The agent's program no longer has the conversation that was to be resumed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationLost {
    /// The ID of the conversation.
    pub conversation: String,
    /// The program's rule, in a sentence without a full stop.
    pub rule: String,
}

impl Occurrence for ConversationLost {
    const MESSAGE_ID: &str = "e2a94c7b50d14f6f9a3b8d6c1f027e45";

    fn describe(&self) -> String {
        format!(
            "the conversation no longer exists, so the next run starts a fresh one: {}",
            one_line(&self.rule)
        )
    }

    fn is_warning(&self) -> bool {
        true
    }

    fn fold(&self, _at: Timestamp, state: &mut State) {
        if let Some(iteration) = &mut state.iteration {
            iteration.conversation = None;
            iteration.cut_off = true;
            iteration.asked = None;
        }
        state.notes.file(format!(
            "the conversation of this iteration's earlier runs is lost, so this one starts fresh: {}",
            one_line(&self.rule)
        ));
    }
}

/// The output of an agent's program has parts that are unknown to this version: it is newer than the
/// one that was tested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfamiliar {
    /// The agent's name, such as `claude`.
    pub agent: String,
    /// The version that its program prints.
    pub version: String,
    /// The version that was tested.
    pub tested: String,
    /// What was unknown in the run, and how often it came.
    pub unknown: Vec<(String, u64)>,
}

impl Unfamiliar {
    /// The names of what was unknown.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.unknown.iter().map(|(name, _)| name.as_str())
    }
}

impl Occurrence for Unfamiliar {
    const MESSAGE_ID: &str = "0c5e8d3fb7a64b1e9d2f46a8c7b91e03";

    fn describe(&self) -> String {
        let Self { agent, version, tested, unknown } = self;
        let each = unknown.iter().map(|(name, times)| format!("{name} ({times})"));
        one_line(&format!(
            "{agent} {version} is newer than {tested}, which samocode was tested with, and its output \
             has parts that samocode does not know: {}; the session continues, but update samocode if \
             something looks wrong",
            each.collect::<Vec<_>>().join(", ")
        ))
    }

    fn is_warning(&self) -> bool {
        true
    }

    fn fold(&self, _at: Timestamp, state: &mut State) {
        state.notes.unfamiliar(self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_is_worth_a_word_near_its_end_and_before_a_wait_that_is_longer() {
        let at = |day: i64| Timestamp::from_second(1_800_000_000 + day * 86_400).unwrap();
        let kept =
            ConversationKept { conversation: "c".into(), until: at(30), rule: "the rule".into() };
        assert_eq!(kept.warning(None, at(0)), None);
        assert_eq!(kept.warning(Some(at(29)), at(0)), None);
        let long = kept.warning(Some(at(31)), at(0)).unwrap();
        assert!(long.contains("can be resumed until") && long.ends_with(": the rule"), "{long}");
        assert_eq!(kept.warning(None, at(24)), Some(long));
        let gone = kept.warning(None, at(30)).unwrap();
        assert!(gone.starts_with("its conversation may be gone"), "{gone}");
    }
}
