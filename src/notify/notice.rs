//! The wording of notices: short, for a phone's screen, with the command to reply.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::NoticeKind;
use super::asked::Asked;
use super::buttons::plan_key;
use crate::session::{Needs, Phase, WaitsFor, clock, stamp};

/// The session that a notice is about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct About {
    /// An id chosen by the sender, unique among all notices.
    pub id: String,
    /// The session's name as typed in a command.
    pub session: String,
    /// The project's short name, for the second line.
    pub project: String,
    /// The session's phase, if it has one.
    pub phase: Option<Phase>,
}

/// A message to the human. All texts are raw: each notifier sanitizes and escapes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// An id, unique among all notices.
    pub id: String,
    /// The event, which decides the urgency.
    pub kind: NoticeKind,
    /// The session's name; empty if the notice is not about one.
    pub session: String,
    /// The project's short name; may be empty.
    pub project: String,
    /// The session's phase, if it has one.
    pub phase: Option<Phase>,
    /// The message, as a line that follows the session's name: "is waiting for your approval".
    pub text: String,
    /// More text, usually the agent's own.
    pub detail: Option<String>,
    /// The command to reply or to find out more.
    pub command: Option<String>,
    /// The questions that the session is waiting for answers to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<Asked>,
    /// The fingerprint of the plan that is to be approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// When it should have been sent, if it is sent much later.
    #[serde(skip)]
    pub late: Option<Timestamp>,
}

impl Notice {
    fn new(kind: NoticeKind, about: &About, text: String) -> Self {
        let About { id, session, project, phase } = about.clone();
        Self {
            id,
            kind,
            session,
            project,
            phase,
            text,
            detail: None,
            command: None,
            questions: Vec::new(),
            plan: None,
            late: None,
        }
    }

    /// The session's agent writes to the human: `what` it does, and its words, if any.
    #[must_use]
    pub fn mail(about: &About, what: &str, text: Option<&str>, command: &str) -> Self {
        Self::new(NoticeKind::Mail, about, what.to_owned()).with(text, Some(command))
    }

    /// The session is waiting. `waits_for` is the signal's `for`; `count` the number of open
    /// questions; `detail` the agent's reason or summary.
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
                "is waiting for your answer to a question".to_owned()
            }
            (Some(WaitsFor::QaAnswers), Some(n)) if n > 1 => {
                format!("is waiting for your answers to {n} questions")
            }
            (Some(WaitsFor::QaAnswers), _) => "is waiting for your answers".to_owned(),
            (Some(WaitsFor::PlanApproval), _) => {
                "is waiting for your approval of the plan".to_owned()
            }
            (Some(WaitsFor::FileUpdate), _) => "is waiting for you to update a file".to_owned(),
            (Some(WaitsFor::HumanAction), _) => "is waiting for you to do something".to_owned(),
            (Some(WaitsFor::Workers), _) => {
                "is waiting for its workers, but none of them will do anything more".to_owned()
            }
            (Some(WaitsFor::Other(other)), _) if !other.trim().is_empty() => {
                format!("is waiting for: {}", other.replace('_', " "))
            }
            _ => "is waiting for you".to_owned(),
        };
        Self::new(NoticeKind::Waiting, about, text).with(detail, Some(command))
    }

    /// The session is blocked. `needs` is the signal's; `command` explains it or resumes the
    /// session.
    #[must_use]
    pub fn blocked(
        about: &About,
        reason: Option<&str>,
        needs: Option<&Needs>,
        command: &str,
    ) -> Self {
        let text = match needs {
            Some(Needs::HumanDecision) => "is blocked: it needs your decision".to_owned(),
            Some(Needs::Clarification) => "is blocked: it needs clarification from you".to_owned(),
            Some(Needs::ErrorResolution) => "is blocked by an error".to_owned(),
            Some(Needs::Investigation) => "is blocked: it needs someone to investigate".to_owned(),
            Some(Needs::Other(other)) if !other.trim().is_empty() => {
                format!("is blocked; it needs: {}", other.replace('_', " "))
            }
            _ => "is blocked".to_owned(),
        };
        Self::new(NoticeKind::Blocked, about, text).with(reason, Some(command))
    }

    /// The session has finished, with its work on `branch`.
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

    /// The unit failed, and systemd will not restart it.
    #[must_use]
    pub fn failed(about: &About, reason: Option<&str>, command: &str) -> Self {
        let text = "failed and will not restart on its own".to_owned();
        Self::new(NoticeKind::Failed, about, text).with(reason, Some(command))
    }

    /// The session resumes on its own once `reason` is fixed.
    #[must_use]
    pub fn paused(about: &About, reason: &str, command: Option<&str>) -> Self {
        let text = "is paused; it resumes once this is fixed".to_owned();
        Self::new(NoticeKind::Paused, about, text).with(Some(reason), command)
    }

    /// The run makes no progress; `reason` gives the time and what happens next.
    #[must_use]
    pub fn stalled(about: &About, reason: &str, command: Option<&str>) -> Self {
        let text = "is making no progress".to_owned();
        Self::new(NoticeKind::Stalled, about, text).with(Some(reason), command)
    }

    /// A warning that needs no action: `text` follows the session's name.
    #[must_use]
    pub fn warning(about: &About, text: &str, command: Option<&str>) -> Self {
        Self::new(NoticeKind::Warning, about, format!("is still running; {text}"))
            .with(None, command)
    }

    /// The agent's account has reached a usage limit; `reason` says until when.
    #[must_use]
    pub fn limit(about: &About, reason: &str) -> Self {
        let text = "has reached a usage limit; it resumes by itself".to_owned();
        Self::new(NoticeKind::Limit, about, text).with(Some(reason), None)
    }

    /// Most of a budget is used: `text` follows the session's name.
    #[must_use]
    pub fn budget(about: &About, text: &str) -> Self {
        Self::new(NoticeKind::Budget, about, format!("is still running; {text}"))
    }

    /// News of a convoy, whose name is in the text.
    #[must_use]
    pub fn convoy(about: &About, needs_somebody: bool, text: &str, command: &str) -> Self {
        let kind = if needs_somebody { NoticeKind::Member } else { NoticeKind::Convoy };
        Self::new(kind, about, text.to_owned()).with(None, Some(command))
    }

    /// What happened while notices were held back, a line each.
    #[must_use]
    pub fn digest(about: &About, count: usize, lines: &str) -> Self {
        let text = format!("{count} messages from the quiet hours");
        Self::new(NoticeKind::Digest, about, text).with(Some(lines), Some("samocode status"))
    }

    /// A message that proves that messages arrive.
    #[must_use]
    pub fn test(id: &str, host: &str) -> Self {
        let about = About { id: id.to_owned(), ..About::default() };
        let text = match host.trim() {
            "" => "samocode can reach you here".to_owned(),
            host => format!("samocode on {host} can reach you here"),
        };
        Self::new(NoticeKind::Test, &about, text).with(
            Some("You get a message whenever a session is waiting, blocked, done or failed."),
            None,
        )
    }

    /// The same with the questions that are open.
    #[must_use]
    pub fn asking(self, questions: Vec<Asked>) -> Self {
        Self { questions, ..self }
    }

    /// The same for a plan that is to be approved.
    #[must_use]
    pub fn about_plan(self, plan: Option<&str>) -> Self {
        let plan = plan.map(|plan| plan_key(&self.session, plan));
        Self { plan, ..self }
    }

    /// The text below the first lines: the agent's words, then the questions. Raw.
    pub(crate) fn words(&self) -> String {
        let asked = self.questions.iter().map(Asked::in_words);
        let detail = self.detail.as_deref().unwrap_or_default();
        // On a lock screen, a question comes before the file that it is in.
        let (said, file) = match detail.rsplit_once('\n') {
            Some((said, file)) if !self.questions.is_empty() && file.starts_with("Read ") => {
                (said, file)
            }
            _ => (detail, ""),
        };
        let [said, file] = [said, file].map(str::to_owned);
        let parts = std::iter::once(said).chain(asked).chain(std::iter::once(file));
        parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n")
    }

    /// Whose the text is, where it does not say so itself as that of a convoy does.
    pub(crate) fn subject(&self) -> &str {
        match self.kind {
            NoticeKind::Convoy | NoticeKind::Member => "",
            _ => &self.session,
        }
    }

    fn with(mut self, detail: Option<&str>, command: Option<&str>) -> Self {
        let given = |text: Option<&str>| {
            text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
        };
        self.detail = given(detail);
        self.command = given(command);
        self
    }

    /// The project and phase, and since when it is overdue, as far as known, in one line.
    pub(crate) fn place(&self) -> String {
        let late = self.late.map(|since| {
            let since = since.to_zoned(clock::local_zone());
            format!("sent late: since {}", stamp::log(&since))
        });
        let project = super::text::tame_line(&self.project);
        let parts = [Some(project), self.phase.map(|phase| phase.to_string()), late];
        let parts: Vec<String> = parts.into_iter().flatten().filter(|it| !it.is_empty()).collect();
        parts.join(" · ")
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
    fn a_waiting_session_gives_its_reason_and_the_command_to_reply() {
        let command = "samocode answer jwt-login";
        let say = |what, count| Notice::waiting(&about(), what, count, None, command).text;
        assert_eq!(
            say(Some(&WaitsFor::QaAnswers), Some(3)),
            "is waiting for your answers to 3 questions"
        );
        assert_eq!(
            say(Some(&WaitsFor::QaAnswers), Some(1)),
            "is waiting for your answer to a question"
        );
        assert_eq!(say(Some(&WaitsFor::QaAnswers), Some(0)), "is waiting for your answers");
        assert_eq!(
            say(Some(&WaitsFor::PlanApproval), None),
            "is waiting for your approval of the plan"
        );
        let (key, blank) = (WaitsFor::from("a key"), WaitsFor::from(" "));
        assert_eq!(say(Some(&key), None), "is waiting for: a key");
        assert_eq!(say(Some(&blank), None), "is waiting for you");
        assert_eq!(say(None, Some(2)), "is waiting for you");
        let notice =
            Notice::waiting(&about(), Some(&WaitsFor::QaAnswers), Some(3), Some(" "), command);
        assert_eq!(notice.command.as_deref(), Some(command));
        assert_eq!(notice.detail, None);
        assert_eq!(notice.place(), "shop · requirements");
    }

    #[test]
    fn a_question_comes_before_the_file_that_it_is_in() {
        let asked = Asked {
            id: "Q1".to_owned(),
            text: "Which port?".to_owned(),
            options: Vec::new(),
            suggested: None,
        };
        let words = |detail| {
            let wait = Some(&WaitsFor::QaAnswers);
            let notice = Notice::waiting(&about(), wait, Some(1), detail, "samocode answer jwt");
            notice.asking(vec![asked.clone()]).words()
        };
        assert_eq!(
            words(Some("asks\nRead /s/_qa.md")),
            "asks\n\nQ1: Which port?\n\nRead /s/_qa.md"
        );
        assert_eq!(words(Some("asks\nthis")), "asks\nthis\n\nQ1: Which port?");
        assert_eq!(words(None), "Q1: Which port?");
    }

    #[test]
    fn a_blocked_session_gives_its_reason_and_what_it_needs() {
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
