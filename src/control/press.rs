//! What a person decides by a button of a message: it names what was asked by its fingerprint, so that
//! a press on an old message does nothing.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::notify::buttons::{Press as Button, plan_key, question_key};
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
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pressed {
    /// The instance of the session; `None` if what was asked is settled.
    pub instance: Option<String>,
    /// What was done, in a sentence.
    pub said: String,
}

impl Pressed {
    fn settled() -> Self {
        Self { instance: None, said: "This is settled already.".to_owned() }
    }
}

#[async_trait]
impl Perform for Press {
    async fn perform(self, on: &Operation<'_>) -> Result<Pressed> {
        match Button::parse(&self.button) {
            Some(Button::Answer { key, letter }) => choose(on, &key, letter).await,
            Some(Button::Approve(key)) => {
                let Some(session) = planned(on, &key).await? else { return Ok(Pressed::settled()) };
                let sent = Approve { session, message: String::new() }.perform(on).await?.sent;
                let said = format!("{}: the plan is approved. It {}", sent.session, sent.outcome);
                Ok(Pressed { instance: Some(sent.instance), said })
            }
            Some(Button::Reject(key)) => {
                let Some(session) = planned(on, &key).await? else { return Ok(Pressed::settled()) };
                let sent = Reject { session, reason: self.reason }.perform(on).await?.sent;
                let said = format!("{}: the plan is rejected. It {}", sent.session, sent.outcome);
                Ok(Pressed { instance: Some(sent.instance), said })
            }
            Some(Button::ShowPlan(_)) | None => {
                Err(Error::usage("this button decides nothing").hint("use samocode web"))
            }
        }
    }
}

/// Answers the question with this key.
async fn choose(on: &Operation<'_>, key: &str, letter: char) -> Result<Pressed> {
    for view in waiting(on).await? {
        let asked = Questions { session: view.instance.clone() }.perform(on).await?;
        let is_it = |one: &&super::answers::Question| {
            question_key(&view.instance, &one.id, &one.text) == key
        };
        let Some(question) = asked.questions.iter().find(is_it) else { continue };
        if let Some(answer) = &question.answer {
            let said = format!("{} is settled: {answer}", question.id);
            return Ok(Pressed { instance: None, said });
        }
        let (id, to) = (question.id.clone(), Some(question.text.clone()));
        let answers = vec![Answer { id, answer: letter.to_string(), to }];
        let session = view.instance.clone();
        let answered = Answers { session, answers, ..Answers::default() }.perform(on).await?;
        let saved = answered.saved.iter().map(|saved| format!("{}: {}", saved.id, saved.answer));
        let then = match &answered.sent {
            Some(sent) => format!("It {}", sent.outcome),
            None => format!("Still open: {}.", answered.open.join(", ")),
        };
        let saved = saved.collect::<Vec<_>>().join(", ");
        let said = format!("{}: {saved}. {then}", answered.session);
        return Ok(Pressed { instance: Some(view.instance), said });
    }
    Ok(Pressed::settled())
}

/// The session that waits for approval of the plan with this key.
async fn planned(on: &Operation<'_>, key: &str) -> Result<Option<String>> {
    for view in waiting(on).await? {
        let waits_for = view.needs.as_ref().map(|needs| &needs.waits_for);
        if waits_for != Some(&WaitsFor::PlanApproval) {
            continue;
        }
        let read = Read { session: view.instance.clone(), topic: Some(Topic::Plan) };
        let Ok(plan) = read.perform(on).await else { continue };
        if plan_key(&view.instance, &plan.text) == key {
            return Ok(Some(view.instance));
        }
    }
    Ok(None)
}

async fn waiting(on: &Operation<'_>) -> Result<Vec<View>> {
    let mut views = List {}.perform(on).await?;
    views.retain(|view| view.state == StateName::Waiting);
    Ok(views)
}
