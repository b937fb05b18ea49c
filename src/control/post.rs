//! Words to a session: answers, the word at a gate, messages; delivering them, and having the
//! session take them up.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::session::WaitsFor;
use crate::session::describe::harmless;
use crate::session::hook::Hook;
use crate::session::mail::Kind;
use crate::session::qa::Qa;
use crate::session::state::Word;

use super::context::Context;
use super::error::{Error, Result};
use super::host::{Operation, Perform};
use super::pending::Wait;
use super::questions;
use super::request::{deliver_last, deliver_once, message};
use super::session::Session;
use super::target::Target;
use super::wake::rouse;

/// Opens the gate a session waits at; where it waits with questions, takes what they suggest. A
/// session that waits outside of a gate, for something to be done, hears that it is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approve {
    /// As it was typed.
    pub session: String,
    /// Words for the agent; may be empty.
    #[serde(default)]
    pub message: String,
}

/// Sends back what a session waits for to be approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// As it was typed.
    pub session: String,
    /// What is to be done otherwise; the agent needs to know.
    pub reason: String,
}

/// Sends words to a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Send {
    /// As it was typed.
    pub session: String,
    /// `text`, `nudge` or `handoff`; the others have calls of their own.
    pub kind: Kind,
    /// The words; only a nudge and a handoff need none.
    pub text: String,
}

/// That a session does not wait for `what`, and what it does instead.
pub(super) fn not_waiting(session: &Session, hook: &Hook, what: &str) -> Error {
    let name = &session.name;
    let place = format!("{} {}", hook.phase, hook.iteration);
    let does = match hook.state {
        Word::Running if session.is_worked_on() => format!("{place} is running"),
        Word::New => "it is about to start".to_owned(),
        Word::Running => format!("{place} was interrupted and resumes at the next start"),
        Word::Waiting => {
            let waits_for = hook.waits_for.clone().unwrap_or(WaitsFor::HumanAction);
            let command = waits_for.answer_command(&session.instance);
            format!("{place} waits for {waits_for}: {command}")
        }
        Word::Blocked => format!(
            "{place} is blocked ({}): samocode send {} \"…\"",
            hook.reason
                .as_deref()
                .map_or_else(|| "no reason given".to_owned(), |why| harmless(why).into_owned()),
            session.instance
        ),
        Word::Done => "it is done".to_owned(),
        word => format!("{place} is {word}"),
    };
    Error::refused(format!("{name} is not waiting{what}: {does}. Nothing done."))
}

/// A gate is for somebody else to open.
pub(super) fn check_sender(target: &Target) -> Result<()> {
    let session = &target.session;
    if target.context.caller.session() == Some(&session.instance) {
        return Err(Error::usage(format!("{} cannot answer itself", session.name))
            .hint("leave a waiting signal, and let a human or a parent do it"));
    }
    Ok(())
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// The session's name.
    pub session: String,
    /// Its instance.
    pub instance: String,
    /// The message's id: the name of its file.
    pub id: String,
    /// What kind of message.
    pub kind: Kind,
    /// What the session was before.
    pub state: Word,
    /// What comes next.
    pub then: Then,
    /// The same in words that follow the session's name: "is running again."
    pub outcome: String,
}

/// What became of an approval or a rejection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posted {
    /// The message.
    #[serde(flatten)]
    pub sent: Sent,
    /// The answers that the approval took from the questions' suggestions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Saved>,
}

/// An answer as it stands in `_qa.md` now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// The question's id: `Q1`.
    pub id: String,
    /// The answer, a letter with its option's text.
    pub answer: String,
}

/// How a session comes to its mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// It has taken it.
    Taken,
    /// It is at work, and is shown it live or at its next run.
    AtWork,
    /// Its unit was asked to start and has not taken it yet.
    Woken,
    /// No unit knows it.
    NoUnit,
    /// Its unit could not be asked to start.
    NotWoken,
    /// It was stopped, gave up or is paused, and only `start` brings it back.
    Rests,
    /// It is done, and only a new task brings it back.
    Done,
}

/// Delivers a word and has the session take it up. A word to a `wait` is said once, however often
/// this is called.
///
/// # Errors
/// For a message that is too large, and what is in the way on disk.
pub(super) async fn post(
    context: &Context,
    session: &Session,
    kind: Kind,
    body: &str,
    wait: Option<&Wait>,
) -> Result<Sent> {
    let mut message = message(session, &context.caller, kind, body)?;
    let hook = session.hook()?;
    if let Some(wait) = wait {
        message.id = wait.message_id(&message, &session.folder)?;
    }
    let (then, trouble) = if session.folder.was_read(&message.id) {
        (Then::Taken, None)
    } else if wait.is_some() && session.folder.is_unread(&message.id) {
        rouse(context, session, hook.state, &message).await
    } else if wait.is_some() && Wait::of(&hook).as_ref() != wait {
        return Err(Error::refused(format!(
            "{} has already moved on; nothing was sent",
            session.name
        )));
    } else {
        match wait {
            Some(_) => deliver_last(&session.folder, &mut message)?,
            None => deliver_once(&session.folder, &mut message)?,
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
    let rests = matches!(hook.state, Word::Waiting | Word::Blocked);
    match then {
        // Only a handoff asks nothing of a session that rests.
        Then::Taken if rests && kind != Kind::Handoff => "is running again.".to_owned(),
        Then::Taken => "has taken it up.".to_owned(),
        Then::AtWork => {
            format!("is at work in {place}: its agent is shown it at once or in its next run.")
        }
        Then::Woken => format!("takes it up when its unit has started: samocode status {instance}"),
        Then::NoUnit => format!(
            "has no unit and takes it up with: samocode start {instance}, or samocode run {instance}"
        ),
        Then::NotWoken => format!("takes it up with: samocode start {instance}"),
        Then::Rests => {
            format!("is {} and takes it up after: samocode start {instance}", hook.state)
        }
        Then::Done => format!(
            "is done and takes it up only with a new task: samocode enable {instance} --task \"…\""
        ),
    }
}

#[async_trait]
impl Perform for Approve {
    async fn perform(self, on: &Operation<'_>) -> Result<Posted> {
        let target = on.resolve(&self.session)?;
        check_sender(&target)?;
        let Target { context, session } = &target;
        let hook = session.hook()?;
        let Some(wait) = Wait::of(&hook) else {
            return Err(not_waiting(session, &hook, ""));
        };
        let mut body = self.message.trim().to_owned();
        let mut taken = Vec::new();
        if wait.waits_for == WaitsFor::QaAnswers {
            taken = take_suggestions(session)?;
            // All answers, not those taken just now: an approval that was cut off after it had
            // taken them is given again, and says the same.
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
        check_sender(&target)?;
        let Target { context, session } = &target;
        let reason = self.reason.trim();
        if reason.is_empty() {
            return Err(Error::usage("the agent needs to know why")
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
        let Target { context, session } = on.resolve(&self.session)?;
        if !matches!(self.kind, Kind::Text | Kind::Nudge | Kind::Handoff) {
            return Err(Error::usage(format!("'{}' is no kind of message to be sent", self.kind))
                .hint("send text, nudge or handoff; answer, approve, reject and stop are calls"));
        }
        let text = self.text.trim();
        if text.is_empty() && self.kind == Kind::Text {
            return Err(Error::usage("there is nothing to send")
                .hint(format!("samocode send {} \"…\", or pipe it in", session.name)));
        }
        post(&context, &session, self.kind, text, None).await
    }
}

/// Fills the suggestions in where answers are needed. Where that cannot be done the approval
/// stands all the same: agents know what it means for open questions. What was taken for which
/// question.
fn take_suggestions(session: &Session) -> Result<Vec<Saved>> {
    match questions::read(&session.folder) {
        Ok(Some(qa)) if qa.waiting() > 0 => {}
        Ok(_) => return Ok(Vec::new()),
        Err(error) => {
            session.warnings.add(format!("the questions stay as they are: {error}"));
            return Ok(Vec::new());
        }
    }
    let (taken, left) =
        questions::edit(&session.folder, |qa| Ok((fill_suggestions(qa)?, qa.waiting())))?;
    if left > 0 {
        session.warnings.add(format!(
            "{left} of the questions in {} had no suggestion; the agent decides",
            session.folder.qa().display()
        ));
    }
    Ok(taken)
}

/// Unlike [`Qa::accept_suggestions`] this is content with those there are.
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
