//! What opens a gate, and what does not.

use super::*;

#[test]
fn a_gate_opens_by_an_answer_and_closes_when_it_waits_again() {
    for kind in [Kind::Answer, Kind::Approve] {
        let mut story = Story::at_gate();
        assert_eq!(
            (story.state.name(), story.state.visit.gate),
            (StateName::Waiting, Gate::Waited)
        );
        story.mail("m1", kind);
        assert_eq!((story.state.name(), story.state.visit.gate), (StateName::Running, Gate::Open));
        story.run().end("finished", false, 0.1);
        story.signal(Status::Waiting, Step::Wait { waits_for: "qa_answers".into() });
        assert_eq!(story.state.visit.gate, Gate::Waited);
    }
}

#[test]
fn a_word_that_no_verb_vouches_for_changes_nothing_and_is_said() {
    for mail in Kind::ALL.into_iter().filter(|kind| kind.needs_voucher()) {
        let mut story = Story::at_gate();
        let (id, from) = ("m1".to_owned(), "human".to_owned());
        let (early, by, unvouched, unsigned) = (false, None, true, false);
        let forged = event::Mail { id, from, mail, early, by, unvouched, unsigned };
        let forged = Event::Mail(forged);
        assert!(!forged.describe().contains("human"), "{}", forged.describe());
        story.apply(forged);
        assert_eq!(
            (story.state.name(), story.state.visit.gate),
            (StateName::Waiting, Gate::Waited)
        );
        assert!(story.state.unseen.is_empty(), "the agent does not get it");
        assert_eq!(story.state.notes.all().len(), 1);
        story.mail("m1", mail);
        let is_open = story.state.visit.gate == Gate::Open;
        assert_eq!(is_open, mail.opens_gates(), "the human's own word of the same id counts");
        assert_eq!(story.state.stopped, mail == Kind::Stop);
    }
}

#[test]
fn words_and_rejections_wake_a_gate_without_opening_it() {
    for kind in [Kind::Text, Kind::Reject] {
        let mut story = Story::at_gate();
        story.mail("m1", kind);
        assert_eq!(
            (story.state.name(), story.state.visit.gate),
            (StateName::Running, Gate::Waited)
        );
    }
}

#[test]
fn the_last_of_several_words_counts_until_a_run_starts() {
    use Kind::{Answer, Approve, Nudge, Reject, Stop, Text};
    for (words, gate) in [
        (&[Text, Approve][..], Gate::Open),
        (&[Nudge, Text, Answer], Gate::Open),
        (&[Approve, Reject], Gate::Waited),
        (&[Approve, Text, Reject], Gate::Waited),
        (&[Reject, Approve], Gate::Open),
        (&[Approve, Reject, Approve], Gate::Open),
        (&[Approve, Stop, Text], Gate::Open),
        (&[Reject, Text], Gate::Waited),
    ] {
        let mut story = Story::at_gate();
        for (n, word) in words.iter().enumerate() {
            story.mail(&n.to_string(), *word);
        }
        assert_eq!(story.state.visit.gate, gate, "{words:?}");
        assert_eq!(story.state.standing, Standing::Running, "{words:?}");
        assert_eq!(story.state.unseen.len(), words.len(), "none is lost");
    }
}

#[test]
fn an_approval_that_comes_after_a_run_has_changed_things_opens_nothing() {
    for word in [Kind::Text, Kind::Reject] {
        let mut story = Story::at_gate();
        story.mail("m1", word).run();
        assert_eq!(story.state.visit.gate, Gate::Closed);
        story.end("killed", true, 0.0).mail("m2", Kind::Approve);
        assert_eq!(story.state.visit.gate, Gate::Closed, "{word}");
    }
    // Answers in `_qa.md` are found at a worker's start, when no run is active.
    let mut story = Story::at_gate();
    story.apply(Event::Answered(event::Answered {})).run();
    assert_eq!(story.state.visit.gate, Gate::Open, "a run does not close a gate that was opened");
}

#[test]
fn a_word_from_before_the_wait_is_kept_for_the_agent_and_opens_nothing() {
    for kind in [Kind::Answer, Kind::Approve] {
        let mut story = Story::at_gate();
        story.mail_of("m1", kind, true);
        assert_eq!(
            (story.state.name(), story.state.visit.gate),
            (StateName::Waiting, Gate::Waited)
        );
        assert_eq!(story.state.unseen, ["m1"]);
    }
}

#[test]
fn mail_that_a_run_left_itself_wakes_nothing_and_reaches_the_next_run() {
    let left = |id: &str| Event::MailLeft(event::MailLeft { ids: vec![id.into()] });
    let mut blocked = Story::new();
    blocked.run().apply(left("own")).end("failed", true, 0.0);
    blocked.apply(Event::Blocked(event::Blocked { reason: "r".into(), needs: "n".into() }));
    let mut waiting = Story::new();
    waiting.run().apply(left("own")).end("finished", false, 0.1);
    waiting.signal(Status::Waiting, Step::Wait { waits_for: "qa_answers".into() });
    for mut story in [blocked, waiting] {
        let word = story.state.name();
        story.mail("own", Kind::Text);
        assert_eq!((story.state.name(), &story.state.unseen), (word, &vec!["own".to_owned()]));
        story.mail("from a human", Kind::Text);
        assert_eq!(story.state.name(), StateName::Running, "{word}");
        assert_eq!(story.state.unseen.len(), 2);
    }
}
