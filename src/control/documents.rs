//! The documents of a session that a human reads: its overview, plan, questions and summary, and its
//! diff.

use std::fmt;
use std::path::PathBuf;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::config::Project;
use crate::git;
use crate::service::quoted;
use crate::session::hook::Hook;
use crate::session::state::StateName;
use crate::session::store::{self, Document};

use super::context::Context;
use super::error::{Class, Error, Result};
use super::operation::{Operation, Perform};
use super::own_repository;
use super::questions;
use super::session::Session;
use super::target::Target;

/// A document of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Topic {
    /// The task, where the session stands, and its flow log.
    Overview,
    /// The newest `*-plan-*.md` of the session.
    Plan,
    /// The questions, with their answers.
    Questions,
    /// The newest `*-summary-*.md`, which a finished session leaves.
    Summary,
    /// The changes on its branch.
    Diff,
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Overview => "overview",
            Self::Plan => "plan",
            Self::Questions => "questions",
            Self::Summary => "summary",
            Self::Diff => "diff",
        })
    }
}

/// Reads a document. Without a topic: the one the session's state calls for, else the latest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Read {
    /// A name, a dated folder name or an instance, as typed.
    pub session: String,
    /// Which document to read.
    #[serde(default)]
    pub topic: Option<Topic>,
}

/// A document that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// The session's name, without date and project.
    pub session: String,
    /// Which document it is.
    pub topic: Topic,
    /// Its file; `None` for a diff.
    pub file: Option<PathBuf>,
    /// The text. An agent wrote it: not safe for a terminal.
    pub text: String,
}

#[async_trait]
impl Perform for Read {
    async fn perform(self, on: &Operation<'_>) -> Result<Text> {
        let Target { context, session } = on.resolve(&self.session)?;
        let hook = session.hook()?;
        let topic = self.topic.unwrap_or_else(|| due(&session, &hook));
        let (file, text) = match topic {
            Topic::Overview => read(session.folder.overview(), || no(&session, "overview"))?,
            Topic::Plan => file(&session, Document::Plan)?,
            Topic::Questions => file(&session, Document::Questions)?,
            Topic::Summary => file(&session, Document::Summary)?,
            Topic::Diff => (None, difference(on, &context, &session, &hook).await?),
        };
        Ok(Text { session: session.name, topic, file, text })
    }
}

/// The document that the session's state calls for, else the latest one that exists.
fn due(session: &Session, hook: &Hook) -> Topic {
    let topic = |document| match document {
        Document::Plan => Topic::Plan,
        Document::Questions => Topic::Questions,
        Document::Summary => Topic::Summary,
    };
    let is_there = |document: &Document| session.folder.document(*document).is_some();
    Document::due(hook.state, hook.waits_for.as_ref())
        .or_else(|| {
            let latest_first = [Document::Summary, Document::Plan, Document::Questions];
            latest_first.into_iter().find(is_there)
        })
        .map_or(Topic::Plan, topic)
}

fn file(session: &Session, which: Document) -> Result<(Option<PathBuf>, String)> {
    if which == Document::Questions {
        questions::put_back(session);
    }
    let none = || {
        let what = match which {
            Document::Plan => "plan",
            Document::Questions => "questions",
            Document::Summary => "summary",
        };
        no(session, what)
    };
    read(session.folder.document(which).ok_or_else(none)?, none)
}

fn read(path: PathBuf, none: impl Fn() -> Error) -> Result<(Option<PathBuf>, String)> {
    let bytes = store::read(&path)?.ok_or_else(none)?;
    Ok((Some(path), String::from_utf8_lossy(&bytes).into_owned()))
}

/// The error for a document that does not exist yet.
fn no(session: &Session, what: &str) -> Error {
    Error::new(Class::NotFound, format!("{} has no {what} yet", session.name))
        .hint(format!("see its progress with: samocode status {}", session.instance))
}

async fn difference(
    on: &Operation<'_>,
    context: &Context,
    session: &Session,
    hook: &Hook,
) -> Result<String> {
    let project = &context.project;
    let name = &session.name;
    let Some(branch) = &hook.branch else {
        let why = format!("{name} has no branch: it is new, or its project has no git repository");
        return Err(Error::new(Class::NotFound, why));
    };
    own_repository::take_over(context, session).await;
    let base = base(project, session)?;
    let diff = git::diff(&project.main_repo, &base, branch).await?;
    if diff.is_cut {
        on.warnings.add(format!(
            "only the beginning is shown; see all of it with: git -C {} diff {base}...{branch}",
            quoted(&project.main_repo)
        ));
    }
    // An agent that asks could change meanwhile which programs git runs there.
    let may_look = !on.caller.is_for_confined() || !session.is_worked_on();
    if let Some(worktree) =
        hook.worktree.as_ref().filter(|worktree| may_look && PathBuf::from(worktree).is_dir())
        && let Ok(files @ 1..) = git::changed_files(worktree.as_ref()).await
    {
        let files = if files == 1 { "1 file".to_owned() } else { format!("{files} files") };
        on.warnings.add(format!("uncommitted changes in {worktree}: {files}"));
    }
    Ok(diff.text)
}

/// What the session's branch began at: a commit, or else the default branch.
pub(super) fn base(project: &Project, session: &Session) -> Result<String> {
    Ok(match session.state()?.base() {
        Some(base) => base.to_owned(),
        None => git::default_branch(&project.main_repo)?.unwrap_or_default(),
    })
}

/// The command that merges a finished session's branch; `None` if the session is not done.
pub(super) fn merge_command(
    project: &Project,
    state: StateName,
    branch: Option<&str>,
    session: &str,
) -> Option<String> {
    let branch = branch.filter(|_| state == StateName::Done)?;
    Some(git::merge_command(&project.main_repo, branch, session))
}
