//! Mail of a confined agent. It cannot write to others, so its messages lie in its own `_outbox/`
//! until its worker has them sent, outside of the cage: as the agent, which the worker stamps, and
//! never an approval.

use crate::control::calls::is_confined;
use crate::control::context::{Caller, Warnings};
use crate::control::error::{Error, Result};
use crate::control::operation::{Operation, Perform as _};
use crate::service::Progress;
use crate::session::mail::Kind;
use crate::session::store::Folder;

use super::{Write, Written};

/// The folder of the session whose confined agent the caller is.
pub(super) fn own_folder(caller: &Caller) -> Option<Folder> {
    let folder = caller.env.get("SAMOCODE_SESSION_DIR").filter(|_| is_confined(caller))?;
    Some(Folder::new(folder))
}

/// Leaves a message to the worker.
pub(super) fn leave(folder: &Folder, message: &Write) -> Result<Written> {
    let bytes = serde_json::to_vec(message).map_err(Error::usage)?;
    folder.put_out(&bytes)?;
    Ok(Written { left_to_worker: true, ..Written::default() })
}

/// Sends what the caller's session has in its outbox, and returns why the rest could not be sent.
///
/// # Errors
/// If the outbox cannot be read or emptied.
pub async fn send_outgoing(caller: &Caller, progress: Progress<'_>) -> Result<Vec<String>> {
    let Some(folder) = caller.env.get("SAMOCODE_SESSION_DIR") else { return Ok(Vec::new()) };
    let folder = Folder::new(folder);
    let mut failed = Vec::new();
    for (name, bytes) in folder.outgoing()? {
        let on = Operation { caller, warnings: Warnings::default(), progress };
        let sent = match bytes.as_deref().map(read) {
            Ok(Ok(message)) => {
                let to = message.to.as_ref().map(ToString::to_string).unwrap_or_default();
                message.perform(&on).await.map_err(|error| (to, error.in_one_line()))
            }
            Ok(Err(why)) => Err((String::new(), why)),
            Err(error) => Err((String::new(), error.to_string())),
        };
        if let Err((to, why)) = sent {
            let to = to.trim_start_matches("--to ");
            failed.push(format!("a message to {to} was not sent: {why}").replace(" to  ", " "));
        }
        folder.take_out(&name)?;
    }
    Ok(failed)
}

/// A message in the outbox: words only.
fn read(bytes: &[u8]) -> std::result::Result<Write, String> {
    let message: Write = serde_json::from_slice(bytes)
        .map_err(|error| format!("the file in _outbox/ is not a message: {error}"))?;
    match message.kind {
        Kind::Text | Kind::Nudge | Kind::Handoff => Ok(message),
        kind => Err(format!("an agent cannot send mail of kind {kind}")),
    }
}
