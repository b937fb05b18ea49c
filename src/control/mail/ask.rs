//! Asking a session something, and waiting for its answer.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::control::error::{Error, Result};
use crate::control::folders::FolderWatch;
use crate::control::operation::{Operation, Perform};
use crate::control::post::{self, Sent};
use crate::control::request::message;
use crate::control::target::Target;
use crate::session::mail::{Kind, Message};
use crate::session::state::StateName;
use crate::session::store::{self, Folder};

use super::allowed::{self, check_writer};
use super::recipient::own_folder;

/// Sends a session a question and waits for its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// A name, a dated folder name or an instance, as typed.
    pub session: String,
    /// The question, as it is sent.
    pub text: String,
    /// The longest to wait, in seconds; `None` for as long as it takes.
    #[serde(default)]
    pub timeout_s: Option<u64>,
}

/// A question, and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// What became of the question.
    pub question: Sent,
    /// The answer; `None` if the time ran out. It is then delivered like any other mail.
    pub answer: Option<Message>,
}

#[async_trait]
impl Perform for Ask {
    async fn perform(self, on: &Operation<'_>) -> Result<Asked> {
        let target = on.resolve(&self.session)?;
        check_writer(on.caller, &target)?;
        let Target { context, session } = &target;
        let (name, instance) = (&session.name, &session.instance);
        if on.caller.session() == Some(instance.as_str()) {
            return Err(Error::usage(format!("{name} cannot ask itself")));
        }
        let text = self.text.trim();
        if text.is_empty() {
            return Err(Error::usage("there is nothing to ask")
                .hint(format!("samocode ask {instance} \"…\"")));
        }
        let state = session.hook()?.state;
        if matches!(
            state,
            StateName::Done | StateName::Stopped | StateName::Failed | StateName::Paused
        ) {
            return Err(Error::refused(format!("{name} is {state} and would not answer"))
                .hint(format!("leave it a message instead: samocode send {instance} \"…\"")));
        }
        allowed::count(on.caller, context).await?;
        let question = message(session, on.caller, Kind::Question, text, None)?;
        let own = own_folder(on.caller, context);
        store::make_folder(own.path())?;
        let _asking = own.ask(&question.id)?;
        let watch = FolderWatch::new(&own.inbox())?;
        let id = question.id.clone();
        let question = post::deliver(context, session, question, None).await?;
        // The same question may be there already, from one who was interrupted.
        let _again = if question.id == id { None } else { Some(own.ask(&question.id)?) };
        (on.progress)(&format!("waiting for the answer of {name}"));
        let answered = watch.until(|| answer_in(&own, &question.id).is_some());
        match self.timeout_s.map(Duration::from_secs) {
            Some(bound) => drop(tokio::time::timeout(bound, answered).await),
            None => answered.await,
        }
        let answer = answer_in(&own, &question.id);
        if let Some((file, message)) = &answer {
            own.put_away(file, &message.file_name())?;
        }
        Ok(Asked { question, answer: answer.map(|(_, message)| message) })
    }
}

/// The first unread answer to a question, with its file's name.
fn answer_in(folder: &Folder, id: &str) -> Option<(std::ffi::OsString, Message)> {
    let unread = folder.unread().ok()?.messages;
    unread.into_iter().find(|(_, message)| message.reply_to.as_deref() == Some(id))
}
