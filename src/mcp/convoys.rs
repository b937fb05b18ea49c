//! The tools for convoys: sessions that work towards one goal.

use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::control::{Host, Result, convoy};

use super::about::{About, Described, Effect};
use super::calls::forward;
use super::tools::{Arguments, Output};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Create {
    /// Its id, short and lower case
    pub(super) convoy: String,
    /// All its sessions, those that exist too
    pub(super) sessions: Vec<Session>,
    /// What all of them together may spend, in US dollars; then no other one starts
    pub(super) budget_usd: Option<f64>,
    /// How many of them may run at once
    pub(super) cap: Option<usize>,
    /// Merge and test their branches when all are done
    #[serde(default)]
    pub(super) merge: bool,
}

/// A session of a convoy.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Session {
    /// Its name; names the branch too
    pub(super) session: String,
    /// What a new session is to do, which files it may edit, and which sessions work beside it. All
    /// that its agent will know of your conversation
    #[serde(default)]
    pub(super) task: String,
    /// The sessions of this convoy that must be done before it starts; it begins with their work
    #[serde(default)]
    pub(super) after: Vec<String>,
    /// The agent that does the work, if not the project's
    pub(super) agent: Option<String>,
    /// The most this session may spend, in US dollars
    pub(super) budget_usd: Option<f64>,
}

impl Described for Create {
    const ABOUT: About = About::new(
        "convoy_create",
        "Start several sessions for one goal",
        Effect::Adds,
        "Starts sessions that work towards one goal, each when those that it comes after are done. Split \
         by files, so that no two edit the same ones; first what all of them need. Only when the human \
         asked for it and approved the split: each session costs money, and its questions and plan wait \
         for the human like any other. With the id of a convoy that exists it adds sessions: name all.",
    );
}

#[async_trait]
impl Arguments for Create {
    async fn perform(self, host: Arc<dyn Host>) -> Result<Output> {
        let planned = self.sessions.into_iter().map(|session| convoy::Planned {
            name: session.session,
            task: session.task,
            agent: session.agent,
            budget: session.budget_usd,
            after: session.after,
        });
        let call = convoy::Create {
            id: Some(self.convoy),
            planned: planned.collect(),
            budget: self.budget_usd,
            cap: self.cap,
            merge: self.merge,
            ..convoy::Create::default()
        };
        forward(host, call).await
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Status {
    /// The convoy's id; all convoys of the project if absent
    pub(super) convoy: Option<String>,
}

impl Described for Status {
    const ABOUT: About = About::new(
        "convoy_status",
        "Look at convoys",
        Effect::Looks,
        "Shows how a convoy is doing, or all of the project: the state of each session, what it waits for \
         and holds up, and the cost. Looks once; to watch, use session_wait with its sessions.",
    );
}

#[async_trait]
impl Arguments for Status {
    async fn perform(self, host: Arc<dyn Host>) -> Result<Output> {
        if let Some(id) = self.convoy {
            return forward(host, convoy::Status { id }).await;
        }
        let output = forward(host, convoy::List {}).await?;
        Ok(Output { value: json!({ "convoys": output.value }), ..output })
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Start {
    /// The convoy's id
    pub(super) convoy: String,
}

impl Described for Start {
    const ABOUT: About = About::new(
        "convoy_start",
        "Resume a convoy",
        Effect::Adds,
        "Resumes the sessions of a convoy that were stopped, are blocked or failed, and starts those whose \
         turn has come. What a human stopped stays stopped until they want it.",
    );
}

#[async_trait]
impl Arguments for Start {
    async fn perform(self, host: Arc<dyn Host>) -> Result<Output> {
        forward(host, convoy::Start { id: self.convoy }).await
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Stop {
    /// The convoy's id
    pub(super) convoy: String,
    /// Interrupt the runs instead of waiting for the end of their iterations
    #[serde(default)]
    pub(super) now: bool,
}

impl Described for Stop {
    const ABOUT: About = About::new(
        "convoy_stop",
        "Stop a convoy",
        Effect::Undoes,
        "Stops all sessions of a convoy at the end of their iterations, which may take half an hour, or \
         with `now` at once. They stay stopped until convoy_start. Only when the human wants them stopped.",
    );
}

#[async_trait]
impl Arguments for Stop {
    async fn perform(self, host: Arc<dyn Host>) -> Result<Output> {
        let output = forward(host, convoy::Stop { id: self.convoy, now: self.now }).await?;
        Ok(Output { value: json!({ "sessions": output.value }), ..output })
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Remove {
    /// The convoy's id
    pub(super) convoy: String,
}

impl Described for Remove {
    const ABOUT: About = About::new(
        "convoy_remove",
        "Take a convoy apart",
        Effect::Undoes,
        "Removes a convoy; its sessions stay as they are. Those in `held` have not begun, and only \
         session_start starts them now. Only when the human wants it.",
    );
}

#[async_trait]
impl Arguments for Remove {
    async fn perform(self, host: Arc<dyn Host>) -> Result<Output> {
        forward(host, convoy::Remove { id: self.convoy }).await
    }
}
