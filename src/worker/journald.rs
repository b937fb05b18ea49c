//! Messages for journald: transitions with searchable fields and stable message IDs, never an
//! agent's output.

use tracing::{info, warn};

use crate::session::describe::harmless;
use crate::session::event::Event;
use crate::session::state::State;

/// Sends journald an event that is already in the session's journal.
pub(super) fn log(instance: &str, state: &State, event: &Event) {
    let message = event.describe();
    let message = harmless(&message);
    macro_rules! line {
        ($level:ident) => {
            $level!(
                samocode_session = instance,
                samocode_phase = state.phase().as_str(),
                samocode_iteration = state.total,
                samocode_event = event.kind(),
                samocode_state = state.name().as_str(),
                message_id = event.message_id(),
                "{instance}: {message}"
            )
        };
    }
    if event.is_warning() { line!(warn) } else { line!(info) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::session::event::Event;

    /// The catalog that `install.sh` installs for `journalctl -x`.
    const CATALOG: &str = include_str!("../../units/samocode.catalog");

    /// The entries of the catalog: ID, headers, text.
    fn entries() -> Vec<(&'static str, &'static str, &'static str)> {
        let entries = CATALOG.split("\n\n-- ").skip(1);
        entries
            .map(|entry| {
                let (head, text) = entry.split_once("\n\n").expect("a blank line");
                let (id, headers) = head.split_once('\n').expect("headers");
                (id, headers, text)
            })
            .collect()
    }

    #[test]
    fn every_message_id_is_explained_once_and_no_other_is() {
        let (ids, entries) = (Event::MESSAGE_IDS, entries());
        let known: BTreeSet<_> = ids.iter().copied().collect();
        let explained: BTreeSet<_> = entries.iter().map(|(id, ..)| *id).collect();
        assert!(known.len() > 20, "{ids:?}");
        assert_eq!(known.len(), ids.len(), "two kinds of message have the same id");
        assert_eq!(explained.len(), entries.len(), "an id is explained twice");
        assert_eq!(explained, known);
    }

    #[test]
    fn an_explanation_has_a_subject_and_names_only_fields_that_a_message_has() {
        const FIELDS: [&str; 3] = ["SAMOCODE_SESSION", "SAMOCODE_PHASE", "SAMOCODE_STATE"];
        for (id, headers, text) in entries() {
            let mut lines = headers.lines();
            assert!(lines.next().is_some_and(|l| l.starts_with("Subject: ")), "{id}: {headers}");
            assert_eq!(lines.collect::<Vec<_>>(), ["Defined-By: samocode"], "{id}");
            assert!(text.contains("@SAMOCODE_SESSION@"), "{id}: which session?");
            // The @ before a unit's instance is literal.
            let text = text
                .replace("samocode@@", "samocode of @")
                .replace("samocode-timer@@", "the timer of @");
            let named: Vec<_> = text.split('@').skip(1).step_by(2).collect();
            assert!(named.iter().all(|field| FIELDS.contains(field)), "{id}: {named:?}");
            assert!(text.lines().all(|line| line.chars().count() <= 78), "{id}: a long line");
        }
    }
}
