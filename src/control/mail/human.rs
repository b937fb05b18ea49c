//! Mail to the human: kept in a folder of their own, `SESSIONS/_human`, and announced at once.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::Project;
use crate::control::channels::{channels, files};
use crate::control::context::Context;
use crate::control::error::Result;
use crate::notify::notice::About;
use crate::notify::{Notice, Shelf};
use crate::service::Scope;
use crate::session::mail::{Kind, Message};
use crate::session::store::{self, Folder};

use super::Error;

/// What became of a message to the human.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToHuman {
    /// The message's id, for `send --reply-to`.
    pub id: String,
    /// The notifiers that announced it.
    pub by: Vec<String>,
}

/// How long announcing it may take, with all notifiers together.
const BOUND: Duration = Duration::from_secs(20);

/// The folder with the human's mail.
pub(in crate::control) fn folder(project: &Project) -> Folder {
    Folder::new(project.sessions.join("_human"))
}

/// Keeps a message for the human and announces it. One that the human is waiting for at a terminal
/// is not announced.
pub(super) async fn write(
    context: &Context,
    text: &str,
    reply_to: Option<&str>,
) -> Result<ToHuman> {
    let from = context.caller.name();
    let message = Message::new(from, "human", Timestamp::now(), Kind::Text, text)
        .and_then(|message| message.in_reply_to(reply_to))
        .map_err(|error| Error::usage(format!("cannot write to the human: {error}")))?;
    let folder = folder(&context.project);
    store::make_folder(folder.path())?;
    folder.deliver(&message)?;
    if reply_to.is_some_and(|id| folder.is_asking(id)) {
        return Ok(ToHuman { id: message.id, by: Vec::new() });
    }
    let by = notify(context, text, reply_to).await;
    Ok(ToHuman { id: message.id, by })
}

/// Announces something to the human through all notifiers; returns those that worked. The others
/// are retried later.
pub(super) async fn notify(context: &Context, text: &str, reply_to: Option<&str>) -> Vec<String> {
    let session = context.caller.session().unwrap_or_default();
    let about = About {
        id: uuid::Uuid::now_v7().to_string(),
        session: session.to_owned(),
        project: context.project.name.clone(),
        phase: None,
    };
    let env = &context.caller.env;
    let file = context.env_file().unwrap_or_default();
    let files = files(&context.dirs, Some(&context.project));
    let is_user = context.scope() == Scope::User;
    let channels = channels(&context.settings, files, env, &file, is_user);
    let shelf = Shelf::new(&context.dirs.state, &context.project.config);
    let outbox = channels.outbox().with_shelf(shelf);
    let command = context.caller.command(&format!("samocode send {session} \"…\""));
    let what = if reply_to.is_some() { "answers you" } else { "writes to you" };
    outbox.post(Notice::mail(&about, what, Some(text), &command));
    let deliveries = outbox.drain(BOUND).await;
    let worked = deliveries.iter().filter(|delivery| delivery.result.is_ok());
    worked.map(|delivery| delivery.notifier.clone()).collect()
}
