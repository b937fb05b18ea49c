//! Handoffs before the context is full. The worker asks the agent for one; if the conversation ends
//! without it, the worker writes one from the last output.

mod canaries;
mod kept;

use serde_json::{Value, json};

use crate::agent::event::cut;

/// Assumed size of the context window in tokens, until the agent reports the real one.
pub(super) const DEFAULT_WINDOW: u64 = 200_000;

/// How much of the agent's last text to keep, in bytes.
const LAST_WORDS: usize = 4 * 1024;

/// How many of its last tool calls to keep.
const LAST_TOOLS: usize = 8;

/// The message to an agent whose context is filling up, or for whom a human wants a handoff.
pub(super) const ASK: &str = "Your context is nearly full, or a handoff was requested. Bring the \
    work to a safe state now: commit what is good, update _overview.md, then write _signal.json \
    with status \"handoff\", a reason, and in \"state\" everything the next conversation needs to \
    continue: what is done, what is not, what you learned, the next step. Then exit.";

/// Whether the context is full enough for a handoff.
pub(super) const fn is_full(used: u64, window: Option<u64>, percent: u8) -> bool {
    let window = match window {
        Some(window) if window > 0 => window,
        _ => DEFAULT_WINDOW,
    };
    used.saturating_mul(100) >= window.saturating_mul(percent as u64)
}

/// The last text and tool calls of a run.
#[derive(Debug, Default)]
pub(super) struct LastSeen {
    words: String,
    tools: Vec<String>,
}

impl LastSeen {
    pub(super) fn push(&mut self, text: &str) {
        cut(text, LAST_WORDS).clone_into(&mut self.words);
    }

    pub(super) fn did(&mut self, summary: &str) {
        if self.tools.len() == LAST_TOOLS {
            self.tools.remove(0);
        }
        self.tools.push(summary.to_owned());
    }

    /// Whether the agent has said and done nothing.
    pub(super) const fn is_empty(&self) -> bool {
        self.words.is_empty() && self.tools.is_empty()
    }

    /// The end of what the agent has said, for a handoff in its place.
    pub(super) fn text(&self) -> &str {
        &self.words
    }

    /// A handoff on behalf of the agent, as the JSON given to the next conversation.
    pub(super) fn handoff(&self) -> Value {
        json!({
            "made_by": "samocode, because the conversation ended without a handoff",
            "missing_signal": self.words,
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
        seen.push(&"ü".repeat(10_000));
        let handoff = seen.handoff();
        assert_eq!(handoff["last_tools"].as_array().unwrap().len(), LAST_TOOLS);
        assert_eq!(handoff["last_tools"][LAST_TOOLS - 1], "19");
        assert!(handoff["missing_signal"].as_str().unwrap().len() <= LAST_WORDS);
    }
}
