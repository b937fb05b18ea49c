//! Reading the questions a session has asked, and answering them.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::session::WaitsFor;
use crate::session::hook::Hook;
use crate::session::mail::Kind;
use crate::session::qa::{Answer as Given, Qa};
use crate::session::state::StateName;

use super::below::check_gate;
use super::error::{Error, Result};
use super::operation::{Operation, Perform};
use super::pending::Wait;
use super::post::{Saved, Sent, not_waiting, post};
use super::questions;
use super::session::Session;
use super::target::Target;

/// Asks for a session's questions, and whether it is waiting for answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Questions {
    /// A name, a dated folder name or an instance, as typed.
    pub session: String,
}

/// All of a session's questions, open and answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The session's name, without date and project.
    pub session: String,
    /// The instance of its unit, which every verb takes as a name.
    pub instance: String,
    /// The session's state when the call was made.
    pub state: StateName,
    /// Whether it is waiting for answers: it resumes when it gets them.
    pub waiting: bool,
    /// How many answers are missing in `_qa.md`, including any outside the questions.
    pub open: usize,
    /// In the order of the file.
    pub questions: Vec<Question>,
    /// Why answers would be refused now; `None` if it is waiting for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Error>,
}

/// A question in `_qa.md`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Its id in `_qa.md`, such as `Q1`.
    pub id: String,
    /// The question itself; may have several lines.
    pub text: String,
    /// The options to choose from; may be empty.
    pub options: Vec<Choice>,
    /// The agent's suggested answer.
    pub suggestion: Option<Suggestion>,
    /// The answer, if there is one.
    pub answer: Option<String>,
}

/// One option of a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// The letter to answer with.
    pub letter: char,
    /// The option in words.
    pub text: String,
}

/// The answer an agent suggests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suggestion {
    /// The letter of the suggested option; `None` if the suggestion is free text.
    pub letter: Option<char>,
    /// The agent's reason, or the free text.
    pub why: String,
    /// The answer that is saved when the suggestion is accepted.
    pub answer: Option<String>,
}

/// Saves answers, all of them or none, and sends them once no question is open. Without new answers
/// it sends those already in the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Answers {
    /// A name, a dated folder name or an instance, as typed.
    pub session: String,
    /// The answers saved by this call; earlier ones are not in it.
    pub answers: Vec<Answer>,
    /// Accept the suggestion for every open question not answered here.
    pub accept_suggestions: bool,
    /// Save the answers but do not send them yet.
    pub hold: bool,
}

/// An answer to one question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The question's id: `Q1`.
    pub id: String,
    /// The letter of an option, or free text.
    pub answer: String,
    /// The question's text as the human saw it, open. If it has changed since, or somebody else has
    /// answered it, the answer is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// The result of saving and sending answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// The session's name, without date and project.
    pub session: String,
    /// The instance of its unit, which every verb takes as a name.
    pub instance: String,
    /// The answers saved by this call.
    pub saved: Vec<Saved>,
    /// The ids of the questions still open.
    pub open: Vec<String>,
    /// How many answers are missing outside the questions.
    pub elsewhere: usize,
    /// The path of `_qa.md`.
    pub file: String,
    /// The message that was sent; `None` while answers are missing.
    pub sent: Option<Sent>,
}

#[async_trait]
impl Perform for Questions {
    async fn perform(self, on: &Operation<'_>) -> Result<Asked> {
        let session = on.resolve(&self.session)?.session;
        let hook = session.hook()?;
        questions::put_back(&session);
        let qa = questions::read(&session.folder)?.unwrap_or_else(|| Qa::parse(""));
        let refusal = wait_for_answers(&session, &hook, &qa).err();
        Ok(Asked {
            session: session.name,
            instance: session.instance,
            state: hook.state,
            waiting: refusal.is_none(),
            open: qa.waiting(),
            questions: qa.questions().iter().map(question).collect(),
            refusal,
        })
    }
}

/// The answer that a question has.
fn given(qa: &Qa, id: &str) -> Option<String> {
    let mut all = qa.questions().iter();
    match &all.find(|asked| asked.id.eq_ignore_ascii_case(id))?.answer {
        Given::Waiting => None,
        Given::Given(words) => Some(words.clone()),
    }
}

fn question(of: &crate::session::qa::Question) -> Question {
    let options = of.options.iter();
    Question {
        id: of.id.clone(),
        text: of.text.clone(),
        options: options
            .map(|(letter, text)| Choice { letter: *letter, text: text.clone() })
            .collect(),
        suggestion: of.suggestion.as_ref().map(|(letter, why)| Suggestion {
            letter: *letter,
            why: why.clone(),
            answer: of.suggested(),
        }),
        answer: match &of.answer {
            Given::Waiting => None,
            Given::Given(words) => Some(words.clone()),
        },
    }
}

#[async_trait]
impl Perform for Answers {
    async fn perform(self, on: &Operation<'_>) -> Result<Answered> {
        let target = on.resolve(&self.session)?;
        let Target { context, session } = &target;
        let hook = session.hook()?;
        questions::put_back(session);
        let qa = questions::read(&session.folder)?.unwrap_or_else(|| Qa::parse(""));
        let wait = wait_for_answers(session, &hook, &qa)?;
        check_gate(context, session)?;
        let saved = if self.answers.is_empty() && !self.accept_suggestions {
            Vec::new()
        } else {
            self.save(session)?
        };
        let qa = questions::read(&session.folder)?.unwrap_or_else(|| Qa::parse(""));
        let open: Vec<String> =
            questions::open(&qa).iter().map(|question| question.id.clone()).collect();
        let sent = if qa.waiting() == 0 && !self.hold {
            let body = questions::in_words(&qa);
            Some(post(context, session, Kind::Answer, &body, Some(&wait)).await?)
        } else {
            None
        };
        Ok(Answered {
            session: session.name.clone(),
            instance: session.instance.clone(),
            saved,
            elsewhere: qa.waiting().saturating_sub(open.len()),
            open,
            file: session.folder.qa().display().to_string(),
            sent,
        })
    }
}

impl Answers {
    /// Saves the given answers, all or none.
    fn save(&self, session: &Session) -> Result<Vec<Saved>> {
        questions::edit(&session.folder, |qa| {
            let mut saved = Vec::new();
            for Answer { id, answer, to } in &self.answers {
                if let Some(text) = to
                    && !qa.questions().iter().any(|asked| asked.id == *id && asked.text == *text)
                {
                    let file = session.folder.qa();
                    let message =
                        format!("{id} in {} has changed since you saw it", file.display());
                    return Err(Error::refused(message)
                        .hint(format!("see it with: samocode answer {}", session.instance)));
                }
                let before = given(qa, id).filter(|_| to.is_some());
                let answer = qa.fill(id, answer)?;
                // Somebody else was first. Who names no text means to replace what is there.
                if let Some(before) = before.filter(|before| *before != answer) {
                    let message = format!("{id} is settled: {}", before.trim());
                    return Err(Error::refused(message).hint(format!(
                        "see what is open with: samocode answer {}",
                        session.instance
                    )));
                }
                saved.push(Saved { id: id.to_uppercase(), answer });
            }
            if self.accept_suggestions {
                let accepted = qa.accept_suggestions()?.into_iter();
                saved.extend(accepted.map(|(id, answer)| Saved { id, answer }));
            }
            Ok(saved)
        })
    }
}

/// The wait that answers would end.
///
/// # Errors
/// If the session is not waiting for answers, or has no questions.
fn wait_for_answers(session: &Session, hook: &Hook, qa: &Qa) -> Result<Wait> {
    let Some(wait) = Wait::of(hook) else {
        return Err(not_waiting(session, hook, " for answers"));
    };
    // An answer would open any gate, so refuse it at a gate that asked no questions.
    let elsewhere = !wait.phase.is_gate() && !questions::open(qa).is_empty();
    if wait.waits_for != WaitsFor::QaAnswers && !elsewhere {
        return Err(not_waiting(session, hook, " for answers"));
    }
    if qa.questions().is_empty() && qa.waiting() == 0 {
        return Err(Error::refused(format!(
            "{} is waiting for answers, but {} has no questions. Nothing done.",
            session.name,
            session.folder.qa().display()
        ))
        .hint(format!(
            "ask it to write them down: samocode send {0} \"…\"; or let it decide: samocode approve {0}",
            session.instance
        )));
    }
    Ok(wait)
}
