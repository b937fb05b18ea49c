//! What a person decides by a button of a message: it names what was asked by its fingerprint, so that
//! a press on an old message does nothing.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::notify::buttons::{Press as Button, plan_key, question_key};
use crate::notify::text::tame_line;
use crate::session::WaitsFor;
use crate::session::state::StateName;

use super::answers::{Answer, Answers, Questions};
use super::documents::{Read, Topic};
use super::error::{Error, Result};
use super::inspect::List;
use super::operation::{Operation, Perform};
use super::post::{Approve, Reject};
use super::view::View;

/// A button that somebody pressed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Press {
    /// What the button carries, as [`Button::data`] wrote it.
    pub button: String,
    /// Why a plan is rejected.
    pub reason: String,
    /// Whether this very press was taken before, by a process that may have been killed while it did
    /// what the button says: then an answer that is there may be its own.
    #[serde(default)]
    pub again: bool,
}

impl Press {
    /// A press on this button.
    #[must_use]
    pub fn on(button: &Button) -> Self {
        Self { button: button.data(), reason: String::new(), again: false }
    }
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pressed {
    /// The instance of the session; `None` if what was asked is settled.
    pub instance: Option<String>,
    /// What was done, in a sentence.
    pub said: String,
    /// Whether the session resumes because of it.
    #[serde(default)]
    pub resumes: bool,
    /// The plan, if the button shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
}

impl Pressed {
    fn settled(said: String) -> Self {
        Self { instance: None, said, resumes: false, plan: None }
    }

    fn done(instance: String, said: String, resumes: bool) -> Self {
        Self { instance: Some(instance), said, resumes, plan: None }
    }
}

#[async_trait]
impl Perform for Press {
    async fn perform(self, on: &Operation<'_>) -> Result<Pressed> {
        let button = Button::parse(&self.button);
        let button = button
            .ok_or_else(|| Error::usage("this button decides nothing").hint("use samocode web"))?;
        let (key, letter) = match &button {
            Button::Answer { key, letter } => (key, Some(*letter)),
            Button::Approve(key) | Button::Reject(key) | Button::ShowPlan(key) => (key, None),
        };
        let done = match letter {
            Some(letter) => choose(on, key, letter, self.again).await?,
            None => match planned(on, key).await? {
                Some(found) => Some(self.about_plan(on, &button, found).await?),
                None => None,
            },
        };
        Ok(done.unwrap_or_else(|| Pressed::settled("This is settled already.".to_owned())))
    }
}

impl Press {
    async fn about_plan(
        self,
        on: &Operation<'_>,
        button: &Button,
        (session, plan): (String, String),
    ) -> Result<Pressed> {
        let (sent, became) = match button {
            Button::Approve(_) => {
                let approve = Approve { session, message: String::new() };
                (approve.perform(on).await?.sent, "approved")
            }
            Button::Reject(_) => {
                let reject = Reject { session, reason: self.reason };
                (reject.perform(on).await?.sent, "rejected")
            }
            Button::Answer { .. } | Button::ShowPlan(_) => {
                let said = format!("The plan of {session}.");
                return Ok(Pressed { plan: Some(plan), ..Pressed::done(session, said, false) });
            }
        };
        let said = format!("{}: the plan is {became}. It {}", sent.session, sent.outcome);
        Ok(Pressed::done(sent.instance, said, true))
    }
}

/// Answers the question with this key, if it is still asked.
async fn choose(
    on: &Operation<'_>,
    key: &str,
    letter: char,
    again: bool,
) -> Result<Option<Pressed>> {
    for view in waiting(on).await? {
        let asked = Questions { session: view.instance.clone() }.perform(on).await?;
        let is_it = |one: &&super::answers::Question| {
            question_key(&view.instance, &one.id, &one.text) == key
        };
        let Some(question) = asked.questions.iter().find(is_it) else { continue };
        if let Some(answer) = question.answer.as_ref().filter(|_| !again) {
            let said = format!("{} is settled: {}", question.id, tame_line(answer));
            return Ok(Some(Pressed::settled(said)));
        }
        let (id, to) = (question.id.clone(), Some(question.text.clone()));
        let answers = vec![Answer { id, answer: letter.to_string(), to }];
        let session = view.instance.clone();
        let answered = Answers { session, answers, ..Answers::default() }.perform(on).await?;
        let saved = answered.saved.iter().map(|saved| format!("{}: {}", saved.id, saved.answer));
        let saved = tame_line(&saved.collect::<Vec<_>>().join(", "));
        let then = match &answered.sent {
            Some(sent) => format!("It {}", sent.outcome),
            None => format!("Still open: {}.", answered.open.join(", ")),
        };
        let said = format!("{}: {saved}. {then}", answered.session);
        return Ok(Some(Pressed::done(view.instance, said, answered.sent.is_some())));
    }
    Ok(None)
}

/// The session that waits for approval of the plan with this key, and the plan.
async fn planned(on: &Operation<'_>, key: &str) -> Result<Option<(String, String)>> {
    for view in waiting(on).await? {
        let waits_for = view.needs.as_ref().map(|needs| &needs.waits_for);
        if waits_for != Some(&WaitsFor::PlanApproval) {
            continue;
        }
        let read = Read { session: view.instance.clone(), topic: Some(Topic::Plan) };
        let Ok(plan) = read.perform(on).await else { continue };
        if plan_key(&view.instance, &plan.text) == key {
            return Ok(Some((view.instance, plan.text)));
        }
    }
    Ok(None)
}

async fn waiting(on: &Operation<'_>) -> Result<Vec<View>> {
    let mut views = List {}.perform(on).await?;
    views.retain(|view| view.state == StateName::Waiting);
    Ok(views)
}
