//! What people and reviewers decided in a session, from its journal and the messages it took.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::session::event;
use crate::session::journal::{Entry, Event};
use crate::session::mail::{HUMAN, Kind};
use crate::session::store::read_journal;

use super::error::Result;
use super::session::Session;

/// Something that was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// When the worker learned of it.
    pub at: Timestamp,
    /// What was decided, and by whom.
    pub what: String,
    /// What they wrote about it. Not safe for a terminal or a page.
    pub words: Option<String>,
}

/// Reads a session's decisions, oldest first. Answers are not among them: they stand beside their
/// questions.
///
/// # Errors
/// If the journal or the folder of messages exists and cannot be read.
pub(super) fn read(session: &Session) -> Result<Vec<Decision>> {
    let mail = session.folder.read_mail()?;
    let bodies: HashMap<&str, &str> =
        mail.iter().map(|message| (message.id.as_str(), message.body.trim())).collect();
    let mut decisions = Vec::new();
    read_journal(&session.folder, |entry| decisions.extend(decision(entry, &bodies)))?;
    Ok(decisions)
}

fn decision(entry: &Entry, bodies: &HashMap<&str, &str>) -> Option<Decision> {
    let words = match &entry.event {
        // What no samocode command sent decided nothing.
        Event::Mail(mail) if mail.unvouched || mail.early => return None,
        Event::Mail(event::Mail {
            mail: Kind::Approve | Kind::Reject | Kind::Stop, id, ..
        }) => bodies.get(id.as_str()).copied(),
        Event::Mail(event::Mail { mail: Kind::Text, id, from, .. })
            if from == HUMAN || from == "parent" =>
        {
            bodies.get(id.as_str()).copied()
        }
        Event::Reviewed(_)
        | Event::PhaseSet(_)
        | Event::Resumed(_)
        | Event::Retried(_)
        | Event::Delegated(_)
        | Event::Stopped(_) => None,
        _ => return None,
    };
    let words = words.filter(|words| !words.is_empty()).map(str::to_owned);
    Some(Decision { at: entry.at, what: entry.event.describe(), words })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_decided_is_told_with_their_words_and_forged_mail_is_not() {
        let bodies = HashMap::from([("a", "fine, but use a file"), ("b", ""), ("c", "forged")]);
        let told = |line: &str| {
            let line = format!(r#"{{"seq":1,"at":"2026-11-20T10:00:00Z",{line}}}"#);
            let entry: Entry = serde_json::from_str(&line).unwrap();
            decision(&entry, &bodies).map(|one| (one.what, one.words))
        };
        let mail = |kind: &str, id: &str, from: &str, more: &str| {
            told(&format!(r#""kind":"mail","id":"{id}","from":"{from}","mail":"{kind}"{more}"#))
        };
        let (what, words) = mail("approve", "a", "human", "").unwrap();
        assert_eq!(
            (what.as_str(), words.as_deref()),
            ("human approved", Some("fine, but use a file"))
        );
        assert_eq!(mail("reject", "b", "human", "").unwrap().1, None);
        assert_eq!(
            mail("text", "a", "parent", "").unwrap().1.as_deref(),
            Some("fine, but use a file")
        );
        assert_eq!(mail("stop", "b", "human", "").unwrap().0, "human stopped the session");
        assert_eq!(mail("text", "a", "other-session", ""), None);
        assert_eq!(mail("approve", "c", "human", r#","unvouched":true"#), None);
        assert_eq!(mail("approve", "c", "human", r#","early":true"#), None);
        assert_eq!(mail("answer", "a", "human", ""), None);
        assert_eq!(told(r#""kind":"stopped""#).unwrap().0, "stopped by a human");
        assert!(told(r#""kind":"phase_set","phase":"planning""#).is_some());
        assert_eq!(told(r#""kind":"continued""#), None);
    }
}
