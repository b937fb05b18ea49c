//! Handing over in time: a conversation that fills its model's context is asked for a handoff; one
//! that ends without gets a handoff made from what was last seen of it.

use serde_json::{Value, json};

use crate::agent::event::cut;

/// Tokens of a context, until the agent has said how many its model has.
pub(super) const DEFAULT_WINDOW: u64 = 200_000;

/// How much of the agent's last words is kept, in bytes.
const LAST_WORDS: usize = 4 * 1024;

/// How many of its last tools are kept.
const LAST_TOOLS: usize = 8;

/// What the agent is told when its context fills up, or a human asks for a handoff.
pub(super) const ASK: &str = "Your context is nearly full, or a handoff was asked for. Bring the \
    work to a safe state now: commit what is good, update _overview.md, then write _signal.json \
    with status \"handoff\", a reason, and in \"state\" everything the next conversation needs to \
    go on: what is done, what is not, what you learned, the next step. Then end.";

/// Whether it is time to hand over.
pub(super) const fn is_full(used: u64, window: Option<u64>, percent: u8) -> bool {
    let window = match window {
        Some(window) if window > 0 => window,
        _ => DEFAULT_WINDOW,
    };
    used.saturating_mul(100) >= window.saturating_mul(percent as u64)
}

/// What was last seen of a run.
#[derive(Debug, Default)]
pub(super) struct LastSeen {
    words: String,
    tools: Vec<String>,
}

impl LastSeen {
    pub(super) fn said(&mut self, text: &str) {
        cut(text, LAST_WORDS).clone_into(&mut self.words);
    }

    pub(super) fn did(&mut self, summary: &str) {
        if self.tools.len() == LAST_TOOLS {
            self.tools.remove(0);
        }
        self.tools.push(summary.to_owned());
    }

    /// A handoff made in the agent's place.
    pub(super) fn handoff(&self) -> Value {
        json!({
            "made_by": "samocode, since the conversation ended without a handoff",
            "last_words": self.words,
            "last_tools": self.tools,
            "advice": "git status, git log and the session's files show what was done",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_full_at_its_share_of_the_models_window() {
        assert!(is_full(160_000, None, 80));
        assert!(!is_full(159_999, None, 80));
        assert!(!is_full(160_000, Some(1_000_000), 80));
        assert!(is_full(8, Some(10), 80));
        assert!(is_full(160_000, Some(0), 80));
    }

    #[test]
    fn only_the_last_tools_are_kept() {
        let mut seen = LastSeen::default();
        (0..20).for_each(|n| seen.did(&n.to_string()));
        seen.said(&"ü".repeat(10_000));
        let handoff = seen.handoff();
        assert_eq!(handoff["last_tools"].as_array().unwrap().len(), LAST_TOOLS);
        assert_eq!(handoff["last_tools"][LAST_TOOLS - 1], "19");
        assert!(handoff["last_words"].as_str().unwrap().len() <= LAST_WORDS);
    }
}
