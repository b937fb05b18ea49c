//! The tools for words: what humans say to sessions, passed on.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::control::{Error, Host, Result, answers, post};
use crate::session::mail::Kind;

use super::Audience;
use super::about::{About, Described, Effect};
use super::calls::forward;
use super::tools::{Arguments, Output};

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

impl Described for Answer {
    const ABOUT: About = About::new(
        "session_answer",
        "Pass on the human's answers",
        Effect::Adds,
        "Answers a waiting session's questions. This gate is the human's: show them the questions with \
        options and suggestions, and pass on what they say, in their words. Never answer a question \
        that they did not.",
    )
    .from(Audience::Coordinator);
}

#[async_trait]
impl Arguments for Answer {
    async fn perform(self, host: Arc<dyn Host>) -> Result<Output> {
        if self.answers.is_empty() && !self.accept_suggestions {
            return Err(Error::usage(format!("no answers for {} were given", self.session)).hint(
                "pass `answers` such as {\"Q1\": \"A\"}, or `accept_suggestions` if the human said so",
            ));
        }
        let answers = self.answers.into_iter();
        let answers = answers.map(|(id, answer)| answers::Answer { id, answer, to: None });
        let call = answers::Answers {
            session: self.session,
            answers: answers.collect(),
            accept_suggestions: self.accept_suggestions,
            hold: false,
        };
        forward(host, call).await
    }
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

impl Described for Approve {
    const ABOUT: About = About::new(
        "session_approve",
        "Pass on the human's yes",
        Effect::Adds,
        "Approves the plan that a session waits with. This gate is the human's: show them the plan, and \
        call this only after they said yes to it. Your own opinion is not a yes.",
    )
    .from(Audience::Coordinator);
}

#[async_trait]
impl Arguments for Approve {
    async fn perform(self, host: Arc<dyn Host>) -> Result<Output> {
        forward(host, post::Approve { session: self.session, message: self.message }).await
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reject {
    /// The session that waits
    pub(super) session: String,
    /// Everything that must change, in the human's words
    pub(super) reason: String,
}

impl Described for Reject {
    const ABOUT: About = About::new(
        "session_reject",
        "Pass on the human's no",
        Effect::Undoes,
        "Sends the plan back with the reason; the session changes it and asks again. This gate is the \
        human's: only after they said no, with everything that must change, in their words.",
    )
    .from(Audience::Coordinator);
}

#[async_trait]
impl Arguments for Reject {
    async fn perform(self, host: Arc<dyn Host>) -> Result<Output> {
        forward(host, post::Reject { session: self.session, reason: self.reason }).await
    }
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

impl Described for Send {
    const ABOUT: About = About::new(
        "session_send",
        "Write to a session",
        Effect::Adds,
        "Sends a session's agent a message, which it reads at once or in its next run. It tells a \
        blocked session what to do. It does not open a gate.",
    )
    .from(Audience::Run);
}

#[async_trait]
impl Arguments for Send {
    async fn perform(self, host: Arc<dyn Host>) -> Result<Output> {
        let kind = self.kind.into();
        forward(host, post::Send { session: self.session, kind, text: self.text }).await
    }
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
