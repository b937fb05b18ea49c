//! Telling the human that a timer began nothing.

use std::time::Duration;

use crate::control::channels::{channels, files};
use crate::control::context::Context;
use crate::control::session::Session;
use crate::notify::notice::About;
use crate::notify::{Notice, Shelf};
use crate::service::Scope;

/// How long sending may take, with all notifiers together. The rest is sent later.
const BOUND: Duration = Duration::from_secs(20);

/// Announces it through all notifiers.
pub(super) async fn tell(context: &Context, session: &Session, why: &str) {
    let about = About {
        id: uuid::Uuid::now_v7().to_string(),
        session: session.instance.clone(),
        project: context.project.name.clone(),
        phase: None,
    };
    let env = &context.caller.env;
    let env_file = context.env_file().unwrap_or_default();
    let is_user = context.scope() == Scope::User;
    let all = files(&context.dirs, Some(&context.project));
    let channels = channels(&context.settings, all, env, &env_file, is_user);
    let shelf = Shelf::new(&context.dirs.state, &context.project.config);
    let outbox = channels.outbox().with_shelf(shelf);
    let command = context.caller.command(&format!("samocode why {}", session.instance));
    outbox.post(Notice::mail(&about, "was not started by its timer", Some(why), &command));
    drop(outbox.drain(BOUND).await);
}
