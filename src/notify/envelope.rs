//! A notice as JSON, for programs: what webhooks and commands get.

use jiff::Timestamp;
use serde::Serialize;

use super::asked::Asked;
use super::text::{tame_block, tame_line};
use super::{Notice, NoticeKind, letter};
use crate::session::Phase;

/// A notice for a program. Its texts have no control characters; nothing is escaped or cut.
#[derive(Debug, Serialize)]
pub(super) struct Envelope<'a> {
    /// The same each time that this notice is sent.
    id: &'a str,
    event: NoticeKind,
    session: &'a str,
    project: &'a str,
    phase: Option<Phase>,
    /// One line for a person.
    title: String,
    /// What follows the session's name in it.
    text: String,
    detail: Option<String>,
    command: Option<&'a str>,
    questions: &'a [Asked],
    sent_at: Timestamp,
    /// When it happened, if it is sent late.
    late_since: Option<Timestamp>,
}

impl<'a> Envelope<'a> {
    pub(super) fn of(notice: &'a Notice) -> Self {
        Self {
            id: &notice.id,
            event: notice.kind,
            session: &notice.session,
            project: &notice.project,
            phase: notice.phase,
            title: letter::title(notice, 1000),
            text: tame_line(&notice.text),
            detail: notice.detail.as_deref().map(tame_block),
            command: notice.command.as_deref(),
            questions: &notice.questions,
            sent_at: Timestamp::now(),
            late_since: notice.late,
        }
    }
}
