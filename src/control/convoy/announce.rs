//! Telling the human about a convoy, each thing once, whenever the one who tells is killed.
//!
//! ```text
//! decided      saved in the convoy's state as pending, each with an id of its own
//! written      under that id into the human's inbox, and as a notice that nobody sends yet
//! ready        no longer pending, but to be handed over
//! handed over  to whoever sends notices next: us, or the unit that sends what others could not
//! settled      nothing left to hand over
//! ```
//!
//! A step that is repeated finds the same id and changes nothing.

use std::time::Duration;

use jiff::Timestamp;

use crate::control::channels::{channels, files};
use crate::control::context::Context;
use crate::control::error::{Attempt as _, Error, Result};
use crate::control::mail::human_folder;
use crate::notify::notice::About;
use crate::notify::outbox::Due;
use crate::notify::{Notice, Outbox, Shelf};
use crate::service::Scope;
use crate::session::mail::{Kind, Message};
use crate::session::store::{self, crash_point};

use super::files::Files;
use super::next::{Memory, News};
use super::plan::Plan;

/// How long sending may take, with all notifiers together.
const BOUND: Duration = Duration::from_secs(20);

/// Saves what is remembered, and delivers what is pending in it.
///
/// # Errors
/// Those of the disk.
pub(super) fn settle(
    context: &Context,
    plan: &Plan,
    files: &Files,
    mut memory: Memory,
) -> Result<Memory> {
    files.save(&memory)?;
    if memory.is_settled() {
        return Ok(memory);
    }
    crash_point("the news of a convoy is decided");
    let outbox = outbox(context)?;
    for news in &memory.pending {
        deliver(context, plan, news)?;
        crash_point("the news is in the human's inbox");
        outbox
            .stage(&notice(context, plan, news))
            .attempt(|| "keep a notice for the human".to_owned())?;
        crash_point("the news is staged");
    }
    let pending = std::mem::take(&mut memory.pending);
    memory.ready.extend(pending.into_iter().map(|news| news.id));
    files.save(&memory)?;
    crash_point("the news is ready");
    for id in &memory.ready {
        outbox.release(id).attempt(|| "keep a notice for the human".to_owned())?;
        crash_point("the news is handed over");
    }
    memory.ready.clear();
    files.save(&memory)?;
    Ok(memory)
}

/// Sends what is on the shelf.
pub(super) async fn send(context: &Context) -> Result<()> {
    let outbox = outbox(context)?;
    outbox.resend(Due::Now, |_| true);
    drop(outbox.drain(BOUND).await);
    Ok(())
}

fn deliver(context: &Context, plan: &Plan, news: &News) -> Result<()> {
    let folder = human_folder(&context.project);
    if folder.was_read(&news.id) || folder.is_unread(&news.id) {
        return Ok(());
    }
    let message = Message::new(&plan.id, "human", Timestamp::now(), Kind::Text, news.text.clone())
        .map_err(|error| Error::usage(format!("cannot write to the human: {error}")))?;
    store::make_folder(folder.path())?;
    Ok(folder.deliver(&Message { id: news.id.clone(), ..message })?)
}

fn notice(context: &Context, plan: &Plan, news: &News) -> Notice {
    let about = About {
        id: news.id.clone(),
        session: plan.id.clone(),
        project: context.project.name.clone(),
        phase: None,
    };
    let command = context.caller.command(&format!("samocode convoy status {}", plan.id));
    Notice::convoy(&about, news.needs_somebody, &news.text, &command)
}

fn outbox(context: &Context) -> Result<Outbox> {
    let env = &context.caller.env;
    let file = context.env_file()?;
    let files = files(&context.dirs, Some(&context.project));
    let is_user = context.scope() == Scope::User;
    let channels = channels(&context.settings, files, env, &file, is_user);
    let shelf = Shelf::new(&context.dirs.state, &context.project.config);
    Ok(channels.outbox().with_shelf(shelf))
}

#[cfg(test)]
mod tests;
