//! What mail a session's agent may send.

use std::path::Path;

use crate::control::context::{Caller, Context};
use crate::control::error::{Error, Result};
use crate::control::target::Target;
use crate::session::store::Folder;

use super::human;

/// Refuses an agent that writes to a session of another project.
pub(in crate::control) fn check_writer(caller: &Caller, target: &Target) -> Result<()> {
    let own = caller.env.get("SAMOCODE_SESSION_DIR").filter(|_| caller.session().is_some());
    let Some(own) = own else { return Ok(()) };
    let sessions = &target.context.project.sessions;
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if real(Path::new(own)).starts_with(real(sessions)) {
        return Ok(());
    }
    let name = &target.session.name;
    Err(Error::refused(format!("{name} is a session of another project"))
        .hint("agents write to sessions of their own project; ask the human: samocode send --to human \"…\""))
}

/// Counts a message that a session's agent sends, and refuses it if it has sent too many in this
/// run: two agents that only answer each other would not end by themselves. The human is told once.
pub(super) async fn count(caller: &Caller, context: &Context) -> Result<()> {
    let (Some(session), Some(folder)) = (caller.session(), caller.env.get("SAMOCODE_SESSION_DIR"))
    else {
        return Ok(());
    };
    let run = caller.env.text("SAMOCODE_RUN").unwrap_or("unknown");
    let most = u64::from(context.settings.mail_budget);
    let sent = Folder::new(folder).count_sent(run)?;
    if sent <= most {
        return Ok(());
    }
    if sent == most + 1 {
        let text = format!(
            "{session} has sent {most} messages in one run, the most allowed (SAMOCODE_MAIL_BUDGET)"
        );
        human::notify(context, &text, None).await;
    }
    Err(Error::refused(format!(
        "you have already sent {most} messages in this run, the most allowed"
    ))
    .hint(
        "continue with your own work, and end the iteration with a signal; the human was notified",
    ))
}
