//! Messages for journald: transitions with searchable fields and stable message IDs, never an
//! agent's output.

use tracing::{info, warn};

use crate::session::describe::{describe, harmless};
use crate::session::journal::{Event, Step};
use crate::session::state::State;

/// Sends journald an event that is already in the session's journal.
pub(super) fn tell(instance: &str, state: &State, event: &Event) {
    let message = describe(event);
    let message = harmless(&message);
    macro_rules! line {
        ($level:ident) => {
            $level!(
                samocode_session = instance,
                samocode_phase = state.phase().as_str(),
                samocode_iteration = state.total,
                samocode_event = event.kind(),
                samocode_state = state.word().as_str(),
                message_id = message_id(event),
                "{instance}: {message}"
            )
        };
    }
    if is_bad(event) { line!(warn) } else { line!(info) }
}

const fn is_bad(event: &Event) -> bool {
    matches!(
        event,
        Event::Blocked { .. }
            | Event::Stalled { .. }
            | Event::Nudged { .. }
            | Event::RunLost { .. }
            | Event::Paused { .. }
            | Event::Limited { .. }
            | Event::Repeated { .. }
            | Event::BudgetWarned { .. }
            | Event::RunEnded { failure: true, .. }
            | Event::SignalTaken { step: Step::Block { .. }, .. }
    )
}

/// A stable ID for each kind of message, for `journalctl MESSAGE_ID=…` and `-x`, which shows the
/// explanation from `units/samocode.catalog`.
const fn message_id(event: &Event) -> &'static str {
    match event {
        Event::Created { .. } => "f395dd8534d344648e707eb8576c3e4c",
        Event::Imported { .. } => "070aeb77df1a4a0b9521a65f916d8c38",
        Event::Prepared { .. } => "837dc26dedb2492fb85e8d28cfab9890",
        Event::Resumed { .. } => "d87da8ab13b74d9fa3282cd691c08f59",
        Event::WorkerStarted { .. } => "9f25281f71624ffa901acbcc2480aa81",
        Event::WorkerEnded { .. } => "1e4fbf0a84034368836a061788e12e4f",
        Event::RunStarted { .. } => "e106e813cf7242789329b796e45c8972",
        Event::RunEnded { .. } => "e994b220515846bc9697e2b67d5652a3",
        Event::RunLost { .. } => "2e9204f042e54bd28d2edcb0b87f2af6",
        Event::SignalAsked { .. } => "47beed8936a54bbd9ef6ed0b827f0542",
        Event::SignalTaken { .. } => "fafcbc19256a49118c3f85f4fedf94a2",
        Event::Blocked { .. } => "c8b02739e7d64dc6bb8f0b5e593e4005",
        Event::Mail { .. } => "607d0421eb7341afb306543cd8f6120f",
        Event::Answered => "2263c0b49f3040758a81e3858d6d958c",
        Event::PhaseSet { .. } => "e5241e80b30c45728eb7a3a37109593f",
        Event::Retried { .. } => "3da27e17a1934c0f91ab4b50494a7e68",
        Event::Stopped => "cd053f6bf51444d7ad99a77a1584d477",
        Event::Started => "2a21b39f6377464ba2c20aaebaea6e88",
        Event::Limited { .. } => "50d2246c9304443a94161d5831e29be2",
        Event::Paused { .. } => "67d35b1618bb432f99f6dd457709295d",
        Event::Queued { .. } => "a0a8ae67298d47cc8e73f54fcd3418ea",
        Event::Continued => "ce3cb0693b5848349bf110ec6b656601",
        Event::Outage { .. } => "e07a60ea2f3d4c388a72b8bfac2b1103",
        Event::Restored(_) => "9d6f3b0c5a1e4f7e8c2d47a1b6e05f38",
        Event::Nudged { .. } => "32582ced71ca4a398e4e16e1e436d6e1",
        Event::Stalled { .. } => "123222c563cb4755b77031d876f82223",
        Event::Repeated { .. } => "0f7b8f0d1a334f0fa9a5f2d6c35e61b1",
        Event::HandoffAsked { .. } => "5c1c2b3a6d7f4c6f8e2b9a40d3f18e57",
        Event::HandoffMade { .. } => "c8e9a1f40b6247d59d0e3f7a2b84c613",
        Event::BudgetWarned { .. } => "7a4d90e25f3b4a1c8b6e1d2c9f057ae8",
        Event::Notified { .. } => "3acfb4540d3f4698af1676444ca3ee3e",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    /// The catalog that `install.sh` installs for `journalctl -x`.
    const CATALOG: &str = include_str!("../../units/samocode.catalog");

    /// The IDs in [`super::message_id`], read from its source because a match cannot be enumerated.
    fn ids() -> Vec<&'static str> {
        let quoted = include_str!("journald.rs").split('"');
        let is_id = |text: &&str| {
            text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        quoted.filter(is_id).collect()
    }

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
        let (ids, entries) = (ids(), entries());
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
            let text = text.replace("samocode@@", "samocode of @");
            let named: Vec<_> = text.split('@').skip(1).step_by(2).collect();
            assert!(named.iter().all(|field| FIELDS.contains(field)), "{id}: {named:?}");
            assert!(text.lines().all(|line| line.chars().count() <= 78), "{id}: a long line");
        }
    }
}
