//! All that is known of a session's work, for a report of it.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::git::{self, Commit};
use crate::session::qa::{Answer, Qa};
use crate::session::store;

use super::cost::{Bill, Cost};
use super::decisions::{self, Decision};
use super::documents::{self, Read, Topic};
use super::error::{Class, Result};
use super::inspect::{Detail, Show};
use super::operation::{Operation, Perform};
use super::own_repository;
use super::target::Target;
use super::timeline::{History, Item};

/// Asks for everything that was done in a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// A name, a dated folder name or an instance, as typed.
    pub session: String,
}

/// Everything that was done in a session. Agents wrote its texts: they are not safe for a terminal
/// or a page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Story {
    /// When it was put together.
    pub at: Timestamp,
    /// Where the session stands, and its task.
    pub detail: Detail,
    /// Its iterations, and what happened between them, oldest first.
    pub history: Vec<Item>,
    /// What it cost, by phase.
    pub bill: Bill,
    /// What it asked, and was answered.
    pub questions: Vec<Question>,
    /// What people and reviewers decided.
    #[serde(default)]
    pub decisions: Vec<Decision>,
    /// The newest plan, in Markdown.
    pub plan: Option<String>,
    /// The newest summary, in Markdown.
    pub summary: Option<String>,
    /// The commits of its branch, oldest first: at most the newest 1,000.
    pub commits: Vec<Commit>,
    /// What its branch changed, as git prints it; `None` without a branch.
    pub diff: Option<String>,
}

/// A question of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Its id, such as `Q1`.
    pub id: String,
    /// What was asked.
    pub text: String,
    /// What was answered; `None` while it is open.
    pub answer: Option<String>,
}

#[async_trait]
impl Perform for Report {
    async fn perform(self, on: &Operation<'_>) -> Result<Box<Story>> {
        let Target { context, session } = on.resolve(&self.session)?;
        let named = || session.instance.clone();
        let detail = Show { session: named() }.perform(on).await?;
        let history = History { session: named() }.perform(on).await?;
        let bills = Cost { sessions: vec![named()], by: None }.perform(on).await?.sessions;
        let questions = store::read(&session.folder.qa())?.unwrap_or_default();
        let commits = match &detail.view.branch {
            Some(branch) => {
                own_repository::take_over(&context, &session).await;
                let base = documents::base(&context.project, &session)?;
                git::commits(&context.project.main_repo, &base, branch).await?
            }
            None => Vec::new(),
        };
        Ok(Box::new(Story {
            at: Timestamp::now(),
            bill: bills.into_iter().next().unwrap_or_else(|| Bill::empty(&session.name)),
            questions: asked(&questions),
            decisions: decisions::read(&session)?,
            plan: text(on, named(), Topic::Plan).await?,
            summary: text(on, named(), Topic::Summary).await?,
            diff: text(on, named(), Topic::Diff).await?,
            detail,
            history,
            commits,
        }))
    }
}

/// A document; `None` if there is none yet.
async fn text(on: &Operation<'_>, session: String, topic: Topic) -> Result<Option<String>> {
    match (Read { session, topic: Some(topic) }).perform(on).await {
        Ok(read) => Ok(Some(read.text)),
        Err(error) if error.class == Class::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn asked(bytes: &[u8]) -> Vec<Question> {
    let qa = Qa::parse(String::from_utf8_lossy(bytes));
    let questions = qa.questions().iter().map(|question| Question {
        id: question.id.clone(),
        text: question.text.clone(),
        answer: match &question.answer {
            Answer::Waiting => None,
            Answer::Given(answer) => Some(answer.clone()),
        },
    });
    questions.collect()
}
