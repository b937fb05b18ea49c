//! What is told to the human, and how it is put into words: short, for a phone's screen, with the
//! command that answers.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::session::Phase;
use crate::session::{Needs, WaitsFor};

/// What a notice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoticeKind {
    /// The session waits for a human.
    Waiting,
    /// The session cannot go on by itself.
    Blocked,
    /// The session is finished.
    Done,
    /// The unit gave up.
    Failed,
    /// The session goes on when something outside is mended.
    Paused,
    /// A run shows no progress.
    Stalled,
    /// Something the human should know while the session goes on.
    Warning,
    /// Somebody tries whether notices arrive.
    Test,
}

impl NoticeKind {
    /// The kind as it stands in the journal.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Blocked => "blocked",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Paused => "paused",
            Self::Stalled => "stalled",
            Self::Warning => "warning",
            Self::Test => "test",
        }
    }

    /// Whether nothing happens until a human has looked.
    #[must_use]
    pub const fn is_urgent(self) -> bool {
        matches!(self, Self::Blocked | Self::Failed)
    }
}

impl fmt::Display for NoticeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Which session a notice speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct About {
    /// Tells this notice from every other one; the sender's choice.
    pub id: String,
    /// The session, as one types it in a command.
    pub session: String,
    /// The project's short name.
    pub project: String,
    /// The phase the session is in.
    pub phase: Option<Phase>,
}

/// A message to the human. All texts are raw: whoever sends it tames and escapes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Tells this notice from every other one.
    pub id: String,
    /// What it is about.
    pub kind: NoticeKind,
    /// The session's name; empty when it is about none.
    pub session: String,
    /// The project's short name; may be empty.
    pub project: String,
    /// The phase the session is in.
    pub phase: Option<Phase>,
    /// The message in a line, continuing the session's name: "waits for your approval".
    pub text: String,
    /// More, mostly in the agent's words.
    pub detail: Option<String>,
    /// The command that answers.
    pub command: Option<String>,
}

impl Notice {
    fn new(kind: NoticeKind, about: &About, text: String) -> Self {
        let About { id, session, project, phase } = about.clone();
        Self { id, kind, session, project, phase, text, detail: None, command: None }
    }

    /// The session waits. `waits_for` is the signal's `for`; `count` the number of open questions;
    /// `detail` the agent's reason or summary.
    #[must_use]
    pub fn waiting(
        about: &About,
        waits_for: Option<&WaitsFor>,
        count: Option<usize>,
        detail: Option<&str>,
        command: &str,
    ) -> Self {
        let text = match (waits_for, count) {
            (Some(WaitsFor::QaAnswers), Some(1)) => {
                "waits for your answer to a question".to_owned()
            }
            (Some(WaitsFor::QaAnswers), Some(n)) if n > 1 => {
                format!("waits for your answers to {n} questions")
            }
            (Some(WaitsFor::QaAnswers), _) => "waits for your answers".to_owned(),
            (Some(WaitsFor::PlanApproval), _) => "waits for your approval of the plan".to_owned(),
            (Some(WaitsFor::FileUpdate), _) => "waits until you have updated a file".to_owned(),
            (Some(WaitsFor::HumanAction), _) => "waits for you to do something".to_owned(),
            (Some(WaitsFor::Other(other)), _) if !other.trim().is_empty() => {
                format!("waits for: {other}")
            }
            _ => "waits for you".to_owned(),
        };
        Self::new(NoticeKind::Waiting, about, text).with(detail, Some(command))
    }

    /// The session is blocked. `needs` is the signal's; `command` shows more or goes on.
    #[must_use]
    pub fn blocked(
        about: &About,
        reason: Option<&str>,
        needs: Option<&Needs>,
        command: &str,
    ) -> Self {
        let text = match needs {
            Some(Needs::HumanDecision) => "is blocked: it needs your decision".to_owned(),
            Some(Needs::Clarification) => "is blocked: something needs to be made clear".to_owned(),
            Some(Needs::ErrorResolution) => "is blocked by an error".to_owned(),
            Some(Needs::Investigation) => "is blocked: somebody has to look into it".to_owned(),
            Some(Needs::Other(other)) if !other.trim().is_empty() => {
                format!("is blocked, needs: {other}")
            }
            _ => "is blocked".to_owned(),
        };
        Self::new(NoticeKind::Blocked, about, text).with(reason, Some(command))
    }

    /// The session is finished, its work on `branch`.
    #[must_use]
    pub fn done(
        about: &About,
        summary: Option<&str>,
        branch: Option<&str>,
        command: Option<&str>,
    ) -> Self {
        let text = match branch {
            Some(branch) if !branch.trim().is_empty() => format!("is done, on branch {branch}"),
            _ => "is done".to_owned(),
        };
        Self::new(NoticeKind::Done, about, text).with(summary, command)
    }

    /// The unit gave up.
    #[must_use]
    pub fn failed(about: &About, reason: Option<&str>, command: &str) -> Self {
        let text = "has failed and will not restart by itself".to_owned();
        Self::new(NoticeKind::Failed, about, text).with(reason, Some(command))
    }

    /// The session goes on by itself when `reason` is mended.
    #[must_use]
    pub fn paused(about: &About, reason: &str, command: Option<&str>) -> Self {
        let text = "is paused; it goes on when this is mended".to_owned();
        Self::new(NoticeKind::Paused, about, text).with(Some(reason), command)
    }

    /// The run shows no progress; `reason` says since when and what is done about it.
    #[must_use]
    pub fn stalled(about: &About, reason: &str, command: Option<&str>) -> Self {
        let text = "shows no progress".to_owned();
        Self::new(NoticeKind::Stalled, about, text).with(Some(reason), command)
    }

    /// Something the human should know, in passing: `text` continues the session's name.
    #[must_use]
    pub fn warning(about: &About, text: &str, command: Option<&str>) -> Self {
        Self::new(NoticeKind::Warning, about, format!("goes on; {text}")).with(None, command)
    }

    /// A message that shows that messages arrive.
    #[must_use]
    pub fn test(id: &str, host: &str) -> Self {
        let about = About { id: id.to_owned(), ..About::default() };
        let text = match host.trim() {
            "" => "samocode can reach you here".to_owned(),
            host => format!("samocode on {host} can reach you here"),
        };
        Self::new(NoticeKind::Test, &about, text)
            .with(Some("You will hear when a session waits, is blocked, done or failed."), None)
    }

    fn with(mut self, detail: Option<&str>, command: Option<&str>) -> Self {
        let given = |text: Option<&str>| {
            text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
        };
        self.detail = given(detail);
        self.command = given(command);
        self
    }

    /// Where the session is, in a line: project and phase, as far as known.
    pub(crate) fn place(&self) -> String {
        let project = super::text::tame_line(&self.project);
        match (project.is_empty(), self.phase) {
            (false, Some(phase)) => format!("{project} · {phase}"),
            (false, None) => project,
            (true, Some(phase)) => phase.to_string(),
            (true, None) => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about() -> About {
        About {
            id: "jwt-login/7".to_owned(),
            session: "jwt-login".to_owned(),
            project: "shop".to_owned(),
            phase: Some(Phase::Requirements),
        }
    }

    #[test]
    fn a_waiting_session_says_for_what_and_which_command_answers() {
        let command = "samocode answer jwt-login";
        let say = |what, count| Notice::waiting(&about(), what, count, None, command).text;
        assert_eq!(
            say(Some(&WaitsFor::QaAnswers), Some(3)),
            "waits for your answers to 3 questions"
        );
        assert_eq!(say(Some(&WaitsFor::QaAnswers), Some(1)), "waits for your answer to a question");
        assert_eq!(say(Some(&WaitsFor::QaAnswers), Some(0)), "waits for your answers");
        assert_eq!(say(Some(&WaitsFor::PlanApproval), None), "waits for your approval of the plan");
        let (key, blank) = (WaitsFor::from("a key"), WaitsFor::from(" "));
        assert_eq!(say(Some(&key), None), "waits for: a key");
        assert_eq!(say(Some(&blank), None), "waits for you");
        assert_eq!(say(None, Some(2)), "waits for you");
        let notice =
            Notice::waiting(&about(), Some(&WaitsFor::QaAnswers), Some(3), Some(" "), command);
        assert_eq!(notice.command.as_deref(), Some(command));
        assert_eq!(notice.detail, None);
        assert_eq!(notice.place(), "shop · requirements");
    }

    #[test]
    fn a_blocked_session_says_why_and_what_it_needs() {
        let notice = Notice::blocked(
            &about(),
            Some("no database here"),
            Some(&Needs::HumanDecision),
            "samocode why jwt-login",
        );
        assert_eq!(notice.text, "is blocked: it needs your decision");
        assert_eq!(notice.detail.as_deref(), Some("no database here"));
        assert!(notice.kind.is_urgent());
    }

    #[test]
    fn a_finished_session_names_its_branch() {
        let notice = Notice::done(&about(), Some("Login works"), Some("jwt-login"), None);
        assert_eq!(notice.text, "is done, on branch jwt-login");
        assert_eq!(notice.detail.as_deref(), Some("Login works"));
        assert_eq!(Notice::done(&about(), None, None, None).text, "is done");
    }
}
