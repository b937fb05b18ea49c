//! What keeps a session from running, and the end of it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::session::describe::{local, more, one_line};
use crate::session::restored::Restored;
use crate::session::state::{Standing, State};
use crate::session::vocabulary::{Cause, Needs};

use super::Occurrence;

/// The worker blocked the session itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Blocked {
    /// Why the session is blocked, as shown to the human.
    pub reason: String,
    /// What kind of help the session needs.
    pub needs: Needs,
}

impl Occurrence for Blocked {
    const MESSAGE_ID: &str = "c8b02739e7d64dc6bb8f0b5e593e4005";

    fn describe(&self) -> String {
        format!("blocked: {}", one_line(&self.reason))
    }

    fn is_warning(&self) -> bool {
        true
    }

    fn fold(&self, _at: Timestamp, state: &mut State) {
        state.iteration = None;
        state.unsettled = true;
        state.standing =
            Standing::Blocked { reason: self.reason.clone(), needs: self.needs.clone() };
    }
}

/// The account's usage limit was reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Limited {
    /// When the limit resets and runs may start again.
    pub until: Timestamp,
    /// Which limit it is, in the agent's words: `five_hour`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
    /// The error message of the run that reached it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<String>,
}

impl Occurrence for Limited {
    const MESSAGE_ID: &str = "50d2246c9304443a94161d5831e29be2";

    fn describe(&self) -> String {
        let which = self
            .what
            .as_deref()
            .map_or_else(String::new, |what| format!(" ({})", one_line(what).replace('_', " ")));
        format!("usage limit until {}{which}{}", local(self.until), more(self.said.as_deref()))
    }

    fn is_warning(&self) -> bool {
        true
    }

    fn fold(&self, _at: Timestamp, state: &mut State) {
        state.standing = Standing::Limited { until: self.until, said: self.said.clone() };
        state.unsettled = false;
    }
}

/// An outside cause prevents runs: disk, credentials, network or budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Paused {
    /// Which of these it is.
    pub cause: Cause,
    /// What is wrong and how to fix it.
    pub detail: String,
    /// When to retry; absent if only a human can resume the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Whether another session of the same account has already notified the human.
    #[serde(default)]
    pub quiet: bool,
}

impl Occurrence for Paused {
    const MESSAGE_ID: &str = "67d35b1618bb432f99f6dd457709295d";

    fn describe(&self) -> String {
        format!("paused: {}", one_line(&self.detail))
    }

    fn is_warning(&self) -> bool {
        true
    }

    fn fold(&self, _at: Timestamp, state: &mut State) {
        state.standing = Standing::Paused {
            cause: self.cause.clone(),
            detail: self.detail.clone(),
            until: self.until,
        };
        state.unsettled = false;
    }
}

/// The maximum number of sessions is running already.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Queued {
    /// How many sessions may run at once.
    pub cap: u32,
}

impl Occurrence for Queued {
    const MESSAGE_ID: &str = "a0a8ae67298d47cc8e73f54fcd3418ea";

    fn describe(&self) -> String {
        format!("queued: {} already running, the limit of SAMOCODE_MAX_RUNNING", self.cap)
    }

    fn fold(&self, _at: Timestamp, state: &mut State) {
        state.standing = Standing::Queued;
        state.unsettled = false;
    }
}

/// The session belongs to a convoy, and others of it come first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Held {
    /// The id of the convoy that it belongs to.
    pub convoy: String,
    /// The sessions that have to be done before; empty if it only waits for a place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
}

impl Held {
    /// What it waits for.
    #[must_use]
    pub fn reason(&self) -> String {
        match self.after.as_slice() {
            [] => format!("it starts when convoy {} has room for it", self.convoy),
            after => format!("it starts after {} (convoy {})", after.join(", "), self.convoy),
        }
    }
}

impl Occurrence for Held {
    const MESSAGE_ID: &str = "c2a7e9ff8a1a4daf9e02c80856386f86";

    fn describe(&self) -> String {
        format!("queued: {}", one_line(&self.reason()))
    }

    fn fold(&self, _at: Timestamp, state: &mut State) {
        if state.place.is_none() {
            state.standing = Standing::Held(self.clone());
        }
    }
}

/// The session was requested for a later time. Changes nothing once it has begun.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scheduled {
    /// When it begins.
    pub begins: Timestamp,
}

impl Scheduled {
    /// What it waits for.
    #[must_use]
    pub fn reason(&self) -> String {
        format!("it starts at {}", local(self.begins))
    }
}

impl Occurrence for Scheduled {
    const MESSAGE_ID: &str = "4f0c5b7e2a8d4d1f9b36c7a0e95d1842";

    fn describe(&self) -> String {
        format!("scheduled: {}", self.reason())
    }

    fn fold(&self, _at: Timestamp, state: &mut State) {
        if state.place.is_none() {
            state.standing = Standing::Scheduled(self.clone());
        }
    }
}

/// The session's turn in its convoy or its time has come, or a human starts it anyway.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Released {}

impl Occurrence for Released {
    const MESSAGE_ID: &str = "c0917150f6cd479fbe10ccbeac0a8d18";

    fn describe(&self) -> String {
        "its turn has come".to_owned()
    }

    fn fold(&self, _at: Timestamp, state: &mut State) {
        if matches!(state.standing, Standing::Held(_) | Standing::Scheduled(_)) {
            state.proceed();
        }
    }
}

/// Whatever prevented runs has cleared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Continued {}

impl Occurrence for Continued {
    const MESSAGE_ID: &str = "ce3cb0693b5848349bf110ec6b656601";

    fn describe(&self) -> String {
        "resumes".to_owned()
    }

    fn fold(&self, _at: Timestamp, state: &mut State) {
        if !state.standing.awaits_human() {
            state.proceed();
        }
    }
}

/// The session's folder was not writable for a while, and is again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outage {
    /// When the folder became unwritable.
    pub since: Timestamp,
    /// The error, with the path it concerns.
    pub what: String,
}

impl Occurrence for Outage {
    const MESSAGE_ID: &str = "e07a60ea2f3d4c388a72b8bfac2b1103";

    fn describe(&self) -> String {
        format!("resumes; had been paused since {}: {}", local(self.since), one_line(&self.what))
    }

    fn fold(&self, _at: Timestamp, _state: &mut State) {}
}

/// 80 % of a budget is used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BudgetWarned {
    /// Which budget, and how much of it.
    pub text: String,
}

impl Occurrence for BudgetWarned {
    const MESSAGE_ID: &str = "7a4d90e25f3b4a1c8b6e1d2c9f057ae8";

    fn describe(&self) -> String {
        one_line(&self.text)
    }

    fn is_warning(&self) -> bool {
        true
    }

    fn fold(&self, _at: Timestamp, _state: &mut State) {}
}

impl Occurrence for Restored {
    const MESSAGE_ID: &str = "9d6f3b0c5a1e4f7e8c2d47a1b6e05f38";

    fn describe(&self) -> String {
        one_line(&Self::describe(self))
    }

    fn fold(&self, _at: Timestamp, state: &mut State) {
        state.machine.restored(self);
    }
}
