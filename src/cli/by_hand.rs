//! What a human edited in the files of a session that waits: its worker takes it as their word.

use std::path::PathBuf;

use crate::session::Overview;
use crate::session::WaitsFor;
use crate::session::hook::Hook;
use crate::session::qa::Qa;
use crate::session::store;

use super::sessions::Session;

/// Whether the next worker finds an answer in the files, so that the session waits no longer.
pub(super) fn is_answered(session: &Session, hook: &Hook) -> bool {
    let text = |path: PathBuf| {
        let bytes = store::read(&path).ok().flatten()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    let phase =
        text(session.folder.overview()).and_then(|text| Overview::parse(text).status().phase);
    if phase.is_some_and(|phase| phase != hook.phase) {
        return true;
    }
    hook.waits_for == Some(WaitsFor::QaAnswers)
        && text(session.folder.qa())
            .map(Qa::parse)
            .is_some_and(|qa| !qa.questions().is_empty() && qa.waiting() == 0)
}
