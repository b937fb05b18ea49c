//! Messages to a session at rest: the verb is killed at each of its writes in turn and repeated,
//! and the message applies exactly once.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;

use samocode::session::mail::Kind;

use super::stage::{End, Stage};
use super::{Dice, each, points};

/// A message, and the gate at which it is sent.
struct Message {
    gate: usize,
    args: &'static [&'static str],
    /// Whether it is refused, rather than taken for an answer to the next gate, when it is sent
    /// again after the session has moved on.
    is_recognized: bool,
}

const MESSAGES: [Message; 6] = [
    Message { gate: 1, args: &["answer", "demo", "Q1=b", "Q2=at once"], is_recognized: true },
    Message { gate: 1, args: &["answer", "demo", "--accept-suggestions"], is_recognized: true },
    Message { gate: 1, args: &["approve", "demo", "-m", "Continue"], is_recognized: false },
    Message { gate: 2, args: &["approve", "demo"], is_recognized: true },
    Message { gate: 2, args: &["reject", "demo", "-m", "Smaller steps"], is_recognized: false },
    Message { gate: 2, args: &["send", "demo", "Mind the cookies"], is_recognized: false },
];

const QUESTIONS: &str = "### Q1: Where?\nA) Here\nB) There\n**Suggestion:** A - near\n**Answer:** _waiting_\n\n\
     ### Q2: When?\nA) Now\nB) Later\n**Suggestion:** B - no haste\n**Answer:** _waiting_\n";

/// The result of a session, and the mail it was sent, as text.
type Came = (End, Vec<(Kind, String)>, String);

impl Message {
    fn stage(&self) -> Stage {
        let stage = Stage::new(true);
        stage.work(&[]);
        fs::write(stage.folder.qa(), QUESTIONS).unwrap();
        if self.gate == 2 {
            stage.mail(Kind::Answer, "Q1: A");
            stage.work(&[]);
        }
        stage
    }

    fn came(stage: &Stage) -> Came {
        let mail = stage.folder.read_mail().unwrap();
        let mail = mail.into_iter().map(|message| (message.kind, message.body)).collect();
        (stage.came_to(), mail, fs::read_to_string(stage.folder.qa()).unwrap())
    }

    fn in_peace(&self) -> (Came, Vec<String>) {
        let stage = self.stage();
        let log = stage.at("points");
        let mut verb = stage.verb(self.args);
        verb.env("SAMOCODE_CRASH_LOG", &log);
        assert_eq!(stage.end(verb).code(), Some(0), "{}", stage.output());
        stage.work(&[]);
        (Self::came(&stage), points(&log, None))
    }

    /// Killed at a point and sent again, at once or after the session has moved on.
    fn killed_at(&self, at: usize, moved_on: bool) -> Came {
        let stage = self.stage();
        let mut verb = stage.verb(self.args);
        verb.env("SAMOCODE_CRASH_AT", at.to_string());
        assert_eq!(stage.end(verb).signal(), Some(9), "{}", stage.output());
        if moved_on {
            stage.work(&[]);
        }
        let code = stage.end(stage.verb(self.args)).code();
        assert!(code == Some(0) || (moved_on && code == Some(1)), "{code:?} {}", stage.output());
        stage.work(&[]);
        Self::came(&stage)
    }
}

#[test]
fn an_interrupted_message_can_be_sent_again_and_applies_once() {
    let peace: Vec<_> = MESSAGES.iter().map(Message::in_peace).collect();
    let mut all = Vec::new();
    for (which, (word, (_, names))) in MESSAGES.iter().zip(&peace).enumerate() {
        println!("{}: {} points", word.args.join(" "), names.len());
        assert!(names.len() >= 5, "{names:?}");
        for at in 1..=names.len() {
            all.push((which, at, false));
            if word.is_recognized {
                all.push((which, at, true));
            }
        }
    }
    let cases: Vec<_> = Dice::new().sample(all.len(), 24).into_iter().map(|at| all[at]).collect();
    each(&cases, |(which, at, moved_on)| {
        let (word, (expected, names)) = (&MESSAGES[*which], &peace[*which]);
        let case = format!("{} killed at {}", word.args.join(" "), names[at - 1]);
        let came = std::panic::catch_unwind(|| word.killed_at(*at, *moved_on));
        let came = came.map_err(|panic| {
            let output = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            format!("{case}: {output}")
        })?;
        // Answers that were saved and not sent are found by the worker itself, as those by hand.
        let is_same = if *moved_on {
            came.0.stands() == expected.0.stands() && came.2 == expected.2
        } else {
            came == *expected
        };
        let then = if *moved_on { ", sent again later" } else { "" };
        is_same.then_some(()).ok_or_else(|| format!("{case}{then}:\n{came:#?}\nnot {expected:#?}"))
    });
}
