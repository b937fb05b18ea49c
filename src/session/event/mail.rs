//! Messages to the session, and notifications from it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::session::describe::{more, one_line};
use crate::session::mail::Kind;
use crate::session::state::{Standing, State};

use super::Occurrence;

/// A message was taken out of the inbox; its kind decides what it does to the session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mail {
    /// ID of the message, also its file name.
    pub id: String,
    /// Who sent it: `human`, `parent` or a session.
    pub from: String,
    /// What the message is for.
    pub mail: Kind,
    /// Whether it was written before the session began the wait that it would answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub early: bool,
    /// Who sent a message that decides something, and from where, as the verb that sent it recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Whether no verb recorded that: it decides nothing, and the agent does not get it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unvouched: bool,
    /// Whether no verb sent other mail: the agent gets it, with the remark that its sender is not certain.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unsigned: bool,
}

impl Occurrence for Mail {
    const MESSAGE_ID: &str = "607d0421eb7341afb306543cd8f6120f";

    fn describe(&self) -> String {
        let from = match &self.by {
            Some(by) => format!("{} ({})", self.from, one_line(by)),
            None => self.from.clone(),
        };
        match self.mail {
            _ if self.unvouched => {
                let word = self.mail.as_str();
                format!(
                    "ignored a message of kind '{word}' in _inbox/ that no samocode command sent, as an agent might forge it"
                )
            }
            Kind::Text => format!("message from {from}"),
            Kind::Question => format!("question from {from}"),
            Kind::Answer if self.early => {
                format!("{from} answered before the session waited; waiting for new answers")
            }
            Kind::Approve if self.early => {
                format!("{from} approved before the session waited; waiting for a new approval")
            }
            Kind::Answer => format!("{from} answered"),
            Kind::Approve => format!("{from} approved"),
            Kind::Reject => format!("{from} rejected it"),
            Kind::Nudge => format!("{from} nudged"),
            Kind::Stop => format!("{from} stopped the session"),
            Kind::Handoff => format!("{from} asked for a handoff"),
        }
    }

    fn fold(&self, _at: Timestamp, state: &mut State) {
        if self.unvouched {
            state.notes.mail(self.describe());
            return;
        }
        if state.unseen.contains(&self.id) {
            return;
        }
        state.unseen.push(self.id.clone());
        if self.unsigned {
            state.unsigned.push(self.id.clone());
        }
        if let Some(at) = state.left.iter().position(|id| *id == self.id) {
            state.left.swap_remove(at);
            return;
        }
        match self.mail {
            Kind::Stop => {
                state.stopped = true;
                return;
            }
            Kind::Handoff => return,
            Kind::Approve | Kind::Answer if self.early => return,
            Kind::Approve | Kind::Answer => state.visit.answered(),
            Kind::Reject => state.visit.rejected(),
            Kind::Text | Kind::Question | Kind::Nudge => {}
        }
        match &state.standing {
            Standing::Waiting { .. } => state.end_wait(),
            Standing::Blocked { .. } => state.retry(),
            _ => {}
        }
    }
}

/// A file in the inbox was not a message. The agent gets it as text, or it was set aside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ForeignMail {
    /// Name of the file in the inbox.
    pub file: String,
    /// Its name in `_mail/`, where it is kept as it was.
    pub kept: String,
    /// ID of the message that the agent gets in its place; absent if it was set aside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Why it is not a message; absent for plain text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl Occurrence for ForeignMail {
    const MESSAGE_ID: &str = "9f1d1a3c6b524e04a2f8d7c05e9b6a41";

    fn describe(&self) -> String {
        let Self { file, kept, message, problem } = self;
        let file = one_line(file);
        let became = match message {
            Some(_) => "the agent gets it as text".to_owned(),
            None => format!("it was set aside as _mail/{}", one_line(kept)),
        };
        match problem {
            None => format!("_inbox/{file} is plain text: {became}"),
            Some(problem) => {
                format!("_inbox/{file} could not be read as mail ({}): {became}", one_line(problem))
            }
        }
    }

    fn is_warning(&self) -> bool {
        self.problem.is_some()
    }

    fn fold(&self, _at: Timestamp, state: &mut State) {
        if self.problem.is_some() {
            state.notes.mail(self.describe());
        }
    }
}

/// When a run ended, the inbox had messages that no verb sent. The agent may have put them there itself:
/// it gets them in its next run, but they do not cause one. Otherwise it could wake itself for ever.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MailLeft {
    /// The IDs of the messages.
    pub ids: Vec<String>,
}

impl Occurrence for MailLeft {
    const MESSAGE_ID: &str = "fe3dbb132c50476e8258f95298ace8a8";

    fn describe(&self) -> String {
        let (what, which) = match self.ids.len() {
            1 => ("a message".to_owned(), "it alone does"),
            count => (format!("{count} messages"), "they alone do"),
        };
        format!(
            "the run left {what} in _inbox/ that no samocode command sent: read in the next run, which {which} not start"
        )
    }

    fn fold(&self, _at: Timestamp, state: &mut State) {
        state.left.extend(self.ids.iter().cloned());
    }
}

/// A notification was sent, or could not be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notified {
    /// The subject: a state of the session, or a short text.
    pub what: String,
    /// Whether it reported the session's state, not some passing event.
    #[serde(default)]
    pub standing: bool,
    /// The notifier that sent it.
    pub by: String,
    /// Why sending failed; absent if it worked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What someone should change although it arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
}

impl Occurrence for Notified {
    const MESSAGE_ID: &str = "3acfb4540d3f4698af1676444ca3ee3e";

    fn describe(&self) -> String {
        let Self { what, by, .. } = self;
        match &self.error {
            None => {
                let remark = self.remark.as_deref();
                format!("notified you via {by}: {what}{}", more(remark))
            }
            Some(error) => format!("could not notify you via {by}: {what}: {}", one_line(error)),
        }
    }

    fn is_warning(&self) -> bool {
        self.error.is_some() || self.remark.is_some()
    }

    fn fold(&self, _at: Timestamp, state: &mut State) {
        state.notified |= self.standing;
        state.notes.notified(&self.by, self.remark.as_deref());
        state.unsettled = false;
    }
}
