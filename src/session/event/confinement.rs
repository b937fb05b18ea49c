//! What confinement kept a run from, and what became of its work.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::session::describe::one_line;
use crate::session::state::State;

use super::Occurrence;

/// The cage of an agent refused it something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptOut {
    /// The ID of the run.
    pub run: String,
    /// What it was refused, as far as its output tells.
    pub refused: Vec<Refusal>,
}

/// Something that an agent was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// A path, or sockets.
    pub what: String,
    /// The key that opens it, with its value.
    pub opened_by: String,
    /// How often.
    pub times: u32,
}

impl Occurrence for KeptOut {
    const MESSAGE_ID: &str = "b1d6c2f0a7e94c3f8d5a61e2c94b7f08";

    fn describe(&self) -> String {
        let refused = self.refused.iter().map(|Refusal { what, opened_by, times }| {
            let times = if *times > 1 { format!("{times} times, ") } else { String::new() };
            format!("{} ({times}{} opens it)", one_line(what), one_line(opened_by))
        });
        format!("confinement kept the agent out of {}", refused.collect::<Vec<_>>().join(", "))
    }

    fn fold(&self, _at: Timestamp, state: &mut State) {
        state.notes.file(self.describe());
    }
}

/// A message that a confined agent left in its outbox could not be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotSent {
    /// Why not, with its recipient.
    pub why: String,
}

impl Occurrence for NotSent {
    const MESSAGE_ID: &str = "4f0a9b7c2d8e4a16b3c5d7e9f1a2b3c4";

    fn describe(&self) -> String {
        one_line(&self.why)
    }

    fn is_warning(&self) -> bool {
        true
    }

    fn fold(&self, _at: Timestamp, state: &mut State) {
        state.notes.mail(self.describe());
    }
}

/// Whether the project's repository has the work of a session that has a repository of its own. Recorded
/// when that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetched {
    /// Why the session's branch there lacks it, with the command that helps; `None` if it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lacking: Option<String>,
}

impl Occurrence for Fetched {
    const MESSAGE_ID: &str = "6d2c8f14b7a34e0f9c51a0e83b6f27d9";

    fn describe(&self) -> String {
        match &self.lacking {
            Some(why) => one_line(why),
            None => "the session's work is on its branch in the project's repository".to_owned(),
        }
    }

    fn is_warning(&self) -> bool {
        self.lacking.is_some()
    }

    fn fold(&self, _at: Timestamp, state: &mut State) {
        state.notes.fetched(self.lacking.as_ref().map(|_| self.describe()));
    }
}
