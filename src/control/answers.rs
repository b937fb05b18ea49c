//! The questions a session has asked, and the answers to them.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::session::WaitsFor;
use crate::session::hook::Hook;
use crate::session::mail::Kind;
use crate::session::qa::{Answer as Given, Qa};
use crate::session::state::Word;

use super::error::{Error, Result};
use super::host::{Operation, Perform};
use super::pending::Wait;
use super::post::{Saved, Sent, check_sender, not_waiting, post};
use super::questions;
use super::session::Session;
use super::target::Target;

/// What a session has asked, and whether it waits for answers now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Questions {
    /// As it was typed.
    pub session: String,
}

/// All of a session's questions, answered or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The session's name.
    pub session: String,
    /// Its instance.
    pub instance: String,
    /// Its state.
    pub state: Word,
    /// Whether answers would let it continue.
    pub waiting: bool,
    /// How many answers are missing, of questions or elsewhere in `_qa.md`.
    pub open: usize,
    /// In the order of the file.
    pub questions: Vec<Question>,
    /// Why it does not wait for answers, where it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Error>,
}

/// A question of `_qa.md`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// `Q1`.
    pub id: String,
    /// What is asked; may be several lines.
    pub text: String,
    /// What can be chosen.
    pub options: Vec<Choice>,
    /// What the agent would choose.
    pub suggestion: Option<Suggestion>,
    /// The answer, if there is one.
    pub answer: Option<String>,
}

/// An option of a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// Its letter, by which it is chosen.
    pub letter: char,
    /// What it stands for.
    pub text: String,
}

/// What an agent suggests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suggestion {
    /// The letter of the option it means; `None` where it has words of its own.
    pub letter: Option<char>,
    /// Its reason.
    pub why: String,
    /// The answer that accepting it gives.
    pub answer: Option<String>,
}

/// Fills in answers, all of them or none, and sends them once none is missing. Without any: sends
/// what is there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Answers {
    /// As it was typed.
    pub session: String,
    /// Answers by their questions.
    pub answers: Vec<Answer>,
    /// Take what is suggested for every open question that is not among them.
    pub accept_suggestions: bool,
    /// Only fill them in, and send nothing yet.
    pub hold: bool,
}

/// An answer to one question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The question's id: `Q1`.
    pub id: String,
    /// A letter of its options, or words.
    pub answer: String,
    /// The question's text as it was shown: the answer is refused if it is another by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// What became of answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// The session's name.
    pub session: String,
    /// Its instance.
    pub instance: String,
    /// What was filled in.
    pub saved: Vec<Saved>,
    /// The questions that are still open.
    pub open: Vec<String>,
    /// How many answers are missing outside of any question.
    pub elsewhere: usize,
    /// The file they stand in.
    pub file: String,
    /// What became of sending them; `None` while some are missing.
    pub sent: Option<Sent>,
}

#[async_trait]
impl Perform for Questions {
    async fn perform(self, on: &Operation<'_>) -> Result<Asked> {
        let session = on.resolve(&self.session)?.session;
        let hook = session.hook()?;
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
        let qa = questions::read(&session.folder)?.unwrap_or_else(|| Qa::parse(""));
        let wait = wait_for_answers(session, &hook, &qa)?;
        check_sender(&target)?;
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
    /// Fills in what was given, all of it or nothing.
    fn save(&self, session: &Session) -> Result<Vec<Saved>> {
        questions::edit(&session.folder, |qa| {
            let mut saved = Vec::new();
            for Answer { id, answer, to } in &self.answers {
                if let Some(text) = to
                    && !qa.questions().iter().any(|asked| asked.id == *id && asked.text == *text)
                {
                    let file = session.folder.qa();
                    let message = format!("{id} was changed in {} meanwhile", file.display());
                    return Err(Error::refused(message)
                        .hint(format!("look at it with: samocode answer {}", session.instance)));
                }
                saved.push(Saved { id: id.to_uppercase(), answer: qa.fill(id, answer)? });
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
/// Why there is none.
fn wait_for_answers(session: &Session, hook: &Hook, qa: &Qa) -> Result<Wait> {
    let Some(wait) = Wait::of(hook) else {
        return Err(not_waiting(session, hook, " for answers"));
    };
    // An answer would open any gate, so at another one than that of the questions it is refused.
    let elsewhere = !wait.phase.is_gate() && !questions::open(qa).is_empty();
    if wait.waits_for != WaitsFor::QaAnswers && !elsewhere {
        return Err(not_waiting(session, hook, " for answers"));
    }
    if qa.questions().is_empty() && qa.waiting() == 0 {
        return Err(Error::refused(format!(
            "{} waits for answers, but there is no question in {}. Nothing done.",
            session.name,
            session.folder.qa().display()
        ))
        .hint(format!("say it with: samocode send {} \"…\"", session.instance)));
    }
    Ok(wait)
}
