//! Messages to a session: answers, approvals, rejections, texts. Delivers them and wakes the session
//! to read them.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::session::describe::harmless;
use crate::session::hook::Hook;
use crate::session::mail::{Kind, Message};
use crate::session::qa::Qa;
use crate::session::state::StateName;
use crate::session::{WaitsFor, is_blank};

use super::below::{self, check_gate};
use super::context::Context;
use super::error::{Error, Result};
use super::mail::check_writer;
use super::operation::{Operation, Perform};
use super::pending::Wait;
use super::questions;
use super::request::{deliver_last, deliver_once, message, vouch};
use super::session::Session;
use super::target::Target;
use super::view::unblocking;
use super::wake::rouse;

/// Approves what a session is waiting for. If it is waiting for answers, accepts the suggestions; if
/// it is waiting for the human to do something, tells it that this is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approve {
    /// A name, a dated folder name or an instance, as typed.
    pub session: String,
    /// A message for the agent; may be empty.
    #[serde(default)]
    pub message: String,
}

/// Rejects what a session is waiting to have approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// A name, a dated folder name or an instance, as typed.
    pub session: String,
    /// What to do differently. Must not be empty: the agent needs to know.
    pub reason: String,
}

/// Sends a message to a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Send {
    /// A name, a dated folder name or an instance, as typed.
    pub session: String,
    /// `text`, `nudge` or `handoff`; the other kinds have their own calls.
    pub kind: Kind,
    /// The message; may be empty for a nudge or a handoff.
    pub text: String,
}

/// The error for a session that is not waiting for `what`; says what it is doing instead.
pub(super) fn not_waiting(session: &Session, hook: &Hook, what: &str) -> Error {
    let name = &session.name;
    let place = format!("{} {}", hook.phase, hook.iteration);
    let does = match hook.state {
        StateName::Running if session.is_worked_on() => format!("{place} is running"),
        StateName::New => "it is about to start".to_owned(),
        StateName::Running => format!("{place} was interrupted and resumes at the next start"),
        StateName::Waiting => {
            let waits_for = hook.waits_for.clone().unwrap_or(WaitsFor::HumanAction);
            let command = waits_for.answer_command(&session.instance);
            format!("{place} is waiting for {waits_for}: {command}")
        }
        StateName::Blocked => format!(
            "{place} is blocked ({}): {}",
            hook.reason
                .as_deref()
                .map_or_else(|| "no reason given".to_owned(), |why| harmless(why).into_owned()),
            unblocking(hook, &session.instance)
        ),
        StateName::Done => "it is done".to_owned(),
        word => format!("{place} is {word}"),
    };
    Error::refused(format!("{name} is not waiting{what}: {does}. Nothing done."))
}

/// A message that was sent, and what happens to it next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// The session's name, without date and project.
    pub session: String,
    /// The instance of its unit, which every verb takes as a name.
    pub instance: String,
    /// The message's id, which is also its file's name.
    pub id: String,
    /// The kind of message.
    pub kind: Kind,
    /// The session's state before the message.
    pub state: StateName,
    /// Whether and how the session will read it.
    pub then: Then,
    /// The same as text to print after the session's name: "is running again."
    pub outcome: String,
}

/// An approval or a rejection that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posted {
    /// The message that carries it, and when it will be read.
    #[serde(flatten)]
    pub sent: Sent,
    /// The suggestions that the approval accepted as answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Saved>,
}

/// An answer saved in `_qa.md`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// The question's id: `Q1`.
    pub id: String,
    /// The answer: a letter with its option's text, or free text.
    pub answer: String,
}

/// Whether and how a session will read a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// Its worker has read it.
    Taken,
    /// It is running: the agent sees it now or in its next run.
    AtWork,
    /// Its unit was asked to start but has not read it yet.
    Woken,
    /// It has no unit.
    NoUnit,
    /// Its unit could not be asked to start.
    NotWoken,
    /// It is stopped, failed or paused, and needs a `start` to resume.
    Rests,
    /// It is done, and needs a new task to resume.
    Done,
}

/// Delivers a message and wakes the session to read it. A reply to a `wait` is delivered only once,
/// however often this is called.
///
/// # Errors
/// If the message is too large, the session no longer has this `wait`, or the disk fails.
pub(super) async fn post(
    context: &Context,
    session: &Session,
    kind: Kind,
    body: &str,
    wait: Option<&Wait>,
) -> Result<Sent> {
    let message = message(session, &context.caller, kind, body, None)?;
    deliver(context, session, message, wait).await
}

/// Like [`post`], for a message that exists.
///
/// # Errors
/// As [`post`].
pub(super) async fn deliver(
    context: &Context,
    session: &Session,
    mut message: Message,
    wait: Option<&Wait>,
) -> Result<Sent> {
    let kind = message.kind;
    let hook = session.hook()?;
    let by = if kind.opens_gates() {
        below::voucher(context, session)?
    } else {
        context.caller.sender(&session.instance).map(str::to_owned)
    };
    if let Some(wait) = wait {
        message.id = wait.message_id(&message, &session.folder)?;
    }
    let (then, trouble) = if session.folder.was_read(&message.id) {
        (Then::Taken, None)
    } else if wait.is_some() && session.folder.is_unread(&message.id) {
        // Whoever put it there: these are the words that are said now.
        if let Some(known) = session.folder.message(&message.id) {
            vouch(&context.caller, session, &known, by.as_deref())?;
        }
        rouse(context, session, hook.state, &message).await
    } else if wait.is_some() && Wait::of(&hook).as_ref() != wait {
        return Err(Error::refused(format!(
            "{} has already moved on; nothing was sent",
            session.name
        )));
    } else {
        vouch(&context.caller, session, &message, by.as_deref())?;
        match wait {
            Some(_) => deliver_last(&session.folder, &mut message)?,
            None => {
                let id = message.id.clone();
                deliver_once(&session.folder, &mut message)?;
                if message.id != id {
                    vouch(&context.caller, session, &message, by.as_deref())?;
                }
            }
        }
        rouse(context, session, hook.state, &message).await
    };
    if let Some(trouble) = trouble {
        context.warnings.add(trouble);
    }
    Ok(Sent {
        session: session.name.clone(),
        instance: session.instance.clone(),
        id: message.id,
        kind,
        state: hook.state,
        then,
        outcome: context.caller.command(&in_words(session, &hook, kind, then)),
    })
}

fn in_words(session: &Session, hook: &Hook, kind: Kind, then: Then) -> String {
    let instance = &session.instance;
    let place = format!("{} {}", hook.phase, hook.iteration);
    let rests = matches!(hook.state, StateName::Waiting | StateName::Blocked);
    match then {
        // A handoff does not resume a session that is waiting or blocked.
        Then::Taken if rests && kind != Kind::Handoff => "is running again.".to_owned(),
        Then::Taken => "has read it.".to_owned(),
        Then::AtWork => {
            format!("is running {place}: its agent sees this now or in its next run.")
        }
        Then::Woken => {
            format!("reads this when its unit has started: samocode status {instance}")
        }
        Then::NoUnit => format!(
            "has no unit; it reads this after: samocode start {instance}, or samocode run {instance}"
        ),
        Then::NotWoken => format!("reads this after: samocode start {instance}"),
        Then::Rests => {
            format!("is {}; it reads this after: samocode start {instance}", hook.state)
        }
        Then::Done => format!(
            "is done; it reads this once it has a new task: samocode enable {instance} --task \"…\""
        ),
    }
}

#[async_trait]
impl Perform for Approve {
    async fn perform(self, on: &Operation<'_>) -> Result<Posted> {
        let target = on.resolve(&self.session)?;
        let Target { context, session } = &target;
        check_gate(context, session)?;
        let hook = session.hook()?;
        let Some(wait) = Wait::of(&hook) else {
            return Err(not_waiting(session, &hook, ""));
        };
        let mut body = self.message.trim().to_owned();
        let mut taken = Vec::new();
        if wait.waits_for == WaitsFor::QaAnswers {
            questions::put_back(session);
            taken = take_suggestions(session)?;
            // All answers, not only those accepted now: an approval interrupted after it saved them
            // is given again and must say the same.
            let answers = questions::read(&session.folder).ok().flatten();
            let answers = answers.map(|qa| questions::in_words(&qa)).unwrap_or_default();
            if !answers.is_empty() {
                body = format!("{body}\n\nThe answers are:\n\n{answers}").trim().to_owned();
            }
        }
        let sent = post(context, session, Kind::Approve, &body, Some(&wait)).await?;
        Ok(Posted { sent, answers: taken })
    }
}

#[async_trait]
impl Perform for Reject {
    async fn perform(self, on: &Operation<'_>) -> Result<Posted> {
        let target = on.resolve(&self.session)?;
        let Target { context, session } = &target;
        check_gate(context, session)?;
        let reason = self.reason.trim();
        if reason.is_empty() {
            return Err(Error::usage("a rejection needs a reason")
                .hint(format!("samocode reject {} -m \"…\"", session.name)));
        }
        let hook = session.hook()?;
        let Some(wait) = Wait::of(&hook) else {
            return Err(not_waiting(session, &hook, ""));
        };
        let sent = post(context, session, Kind::Reject, reason, Some(&wait)).await?;
        Ok(Posted { sent, answers: Vec::new() })
    }
}

#[async_trait]
impl Perform for Send {
    async fn perform(self, on: &Operation<'_>) -> Result<Sent> {
        let target = on.resolve(&self.session)?;
        let text = check_words(self.kind, &self.text, &target.session.name)?;
        check_writer(on.caller, &target)?;
        let Target { context, session } = &target;
        let message = message(session, on.caller, self.kind, text, None)?;
        deliver(context, session, message, None).await
    }
}

/// Checks the kind and the text of a message that is sent by hand. Returns the text to send.
pub(super) fn check_words<'t>(kind: Kind, text: &'t str, to: &str) -> Result<&'t str> {
    if !matches!(kind, Kind::Text | Kind::Nudge | Kind::Handoff) {
        return Err(Error::usage(format!("cannot send a message of kind '{kind}'"))
            .hint("use text, nudge or handoff; answer, approve, reject and stop are calls"));
    }
    let text = text.trim();
    if text.chars().all(is_blank) && kind == Kind::Text {
        return Err(Error::usage("there is nothing to send")
            .hint(format!("samocode send {to} \"…\", or pipe it in")));
    }
    Ok(text)
}

/// Saves the suggestions as answers to the open questions, and returns them. If that fails the
/// approval is sent anyway: agents know what an approval means for open questions.
fn take_suggestions(session: &Session) -> Result<Vec<Saved>> {
    match questions::read(&session.folder) {
        Ok(Some(qa)) if qa.waiting() > 0 => {}
        Ok(_) => return Ok(Vec::new()),
        Err(error) => {
            session.warnings.add(format!("the suggestions were not saved as answers: {error}"));
            return Ok(Vec::new());
        }
    }
    let (taken, left) =
        questions::edit(&session.folder, |qa| Ok((fill_suggestions(qa)?, qa.waiting())))?;
    if left > 0 {
        session.warnings.add(format!(
            "{left} of the questions in {} had no suggestion; the agent will decide",
            session.folder.qa().display()
        ));
    }
    Ok(taken)
}

/// Unlike [`Qa::accept_suggestions`], skips questions without a suggestion.
fn fill_suggestions(qa: &mut Qa) -> Result<Vec<Saved>> {
    let open: Vec<Saved> = questions::open(qa)
        .into_iter()
        .filter_map(|question| {
            Some(Saved { id: question.id.clone(), answer: question.suggested()? })
        })
        .collect();
    for Saved { id, answer } in &open {
        qa.fill(id, answer)?;
    }
    Ok(open)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_approval_takes_the_suggestions_there_are() {
        let mut qa = Qa::parse(
            "### Q1: Where?\nA) Here\nB) There\n**Suggestion:** B - far\n**Answer:** _waiting_\n\n\
             ### Q2: When?\n**Answer:** _waiting_\n\n### Q3: Who?\n**Answer:** me\n",
        );
        let taken = fill_suggestions(&mut qa).unwrap();
        assert_eq!(taken, [Saved { id: "Q1".to_owned(), answer: "B - There".to_owned() }]);
        assert_eq!(qa.waiting(), 1);
        assert!(qa.as_str().contains("**Answer:** B - There\n") && qa.as_str().contains("me\n"));
    }
}
