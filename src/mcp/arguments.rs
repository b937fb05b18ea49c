//! The arguments of the tools. Their descriptions are what an agent reads about each.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::control::documents::Topic;
use crate::session::mail::Kind;
use crate::session::state::Word;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Enable {
    /// Short and lower case, of letters, digits and hyphens; names the branch too
    pub(super) session: String,
    /// What to do. All that the session's agent will know of your conversation: what is wanted and
    /// why, what must not change, how to tell that it is done, the decisions made. Needed for a new
    /// session, and to continue one that is done
    pub(super) task: Option<String>,
    /// What a new session investigates first
    pub(super) dive: Option<String>,
    /// The agent that does the work, if not the project's: claude, codex, command:PROGRAM ARGS, …
    pub(super) agent: Option<String>,
    /// The most the session may spend, in US dollars
    pub(super) budget_usd: Option<f64>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Status {
    /// The session; all sessions of the project if absent
    pub(super) session: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wait {
    /// The sessions; the first to get there ends the wait
    pub(super) sessions: Vec<String>,
    /// The states to wait for; if absent, those a session does not leave on its own
    #[serde(default)]
    #[schemars(schema_with = "states")]
    pub(super) until: Vec<Word>,
    /// The longest to wait, at most and by default 45
    pub(super) timeout_s: Option<u64>,
    /// From the last result: states that it reported do not end this wait again
    pub(super) cursor: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Answer {
    /// The session that asks
    pub(super) session: String,
    /// The human's answers by question: {"Q1": "A", "Q2": "B, but only for admins"}. A letter chooses
    /// an option, other words count as they are
    #[serde(default)]
    pub(super) answers: BTreeMap<String, String>,
    /// Take the suggestion for every question not answered here; only if the human said so
    #[serde(default)]
    pub(super) accept_suggestions: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Approve {
    /// The session that waits
    pub(super) session: String,
    /// The human's comment for the agent
    #[serde(default)]
    pub(super) message: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reject {
    /// The session that waits
    pub(super) session: String,
    /// Everything that must change, in the human's words
    pub(super) reason: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Send {
    /// The session to write to
    pub(super) session: String,
    /// What it should know
    #[serde(default)]
    pub(super) text: String,
    /// text: part of its task from now on. nudge: it seems stuck. handoff: start a fresh
    /// conversation
    #[serde(default)]
    pub(super) kind: Letter,
}

/// The kinds of mail without a call of their own.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Letter {
    #[default]
    Text,
    Nudge,
    Handoff,
}

impl From<Letter> for Kind {
    fn from(letter: Letter) -> Self {
        match letter {
            Letter::Text => Self::Text,
            Letter::Nudge => Self::Nudge,
            Letter::Handoff => Self::Handoff,
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Stop {
    /// The session to stop
    pub(super) session: String,
    /// Interrupt the run instead of waiting for the end of its iteration
    #[serde(default)]
    pub(super) now: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Start {
    /// The session to resume
    pub(super) session: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Why {
    /// The session to explain
    pub(super) session: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Merge {
    /// The sessions whose branches to merge
    pub(super) sessions: Vec<String>,
    /// The branch to merge into; if absent, the one that sessions start from
    pub(super) into: Option<String>,
    /// Only predict conflicts
    #[serde(default)]
    pub(super) dry_run: bool,
    /// Begin a session for each conflict, to resolve it
    #[serde(default)]
    pub(super) resolve: bool,
    /// Also merge sessions that are not done
    #[serde(default)]
    pub(super) unfinished: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Logs {
    /// The session
    pub(super) session: String,
    /// How many of the last lines, 40 by default and at most 400
    pub(super) lines: Option<usize>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Read {
    /// The session
    pub(super) session: String,
    /// Which document; if absent, the one its state calls for: the questions or the plan at a gate,
    /// the summary at the end
    pub(super) document: Option<Document>,
}

/// What can be read of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Document {
    Overview,
    Plan,
    Questions,
    Summary,
    Diff,
}

impl From<Document> for Topic {
    fn from(document: Document) -> Self {
        match document {
            Document::Overview => Self::Overview,
            Document::Plan => Self::Plan,
            Document::Questions => Self::Questions,
            Document::Summary => Self::Summary,
            Document::Diff => Self::Diff,
        }
    }
}

/// The states by name, for clients that check arguments themselves.
fn states(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let names = Word::ALL.map(Word::as_str);
    let described = "The states to wait for; if absent, those a session does not leave on its own";
    let items = json!({"type": "string", "enum": names});
    schemars::json_schema!({"type": "array", "description": described, "items": items})
}
