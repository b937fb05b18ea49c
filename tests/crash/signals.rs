//! Signals at random moments: before handlers are installed, while the worktree is made, during a
//! run, during a re-execution, and again while the first one is being handled.

use std::os::unix::process::ExitStatusExt as _;

use rustix::process::Signal;
use samocode::session::mail::Kind;

use super::stage::Stage;
use super::{Dice, each};

#[test]
fn signals_at_any_moment_lose_and_repeat_nothing() {
    let peace = Stage::new(true);
    peace.whole(|_| Vec::new());
    let expected = peace.came_to();
    let mut dice = Dice::new();
    let signals = [Signal::TERM, Signal::INT, Signal::HUP, Signal::HUP, Signal::KILL];
    let count = if std::env::var_os("SAMOCODE_TEST_ALL").is_some() { 400 } else { 24 };
    let cases: Vec<[Vec<(u16, Signal)>; 3]> = (0..count)
        .map(|_| {
            [0, 1, 2].map(|_| {
                // Half of them in the first milliseconds.
                let late = [3, 120][dice.below(2)];
                let mut one = |within: usize| {
                    let after = u16::try_from(dice.below(within)).unwrap();
                    (after, signals[dice.below(signals.len())])
                };
                vec![one(late), one(40)]
            })
        })
        .collect();
    each(&cases, |parts| {
        let stage = Stage::new(true);
        for (part, signals) in parts.iter().enumerate() {
            match part {
                1 => stage.mail(Kind::Answer, "Q1: A"),
                2 => stage.mail(Kind::Approve, ""),
                _ => {}
            }
            let status = stage.disturb(stage.worker(), signals);
            if !matches!(
                (status.code(), status.signal()),
                (Some(0 | 75), _) | (_, Some(1 | 2 | 9 | 15))
            ) {
                return Err(format!("{signals:?}: {status}\n{}", stage.output()));
            }
            if status.code() != Some(0) {
                let status = stage.end(stage.worker());
                if status.code() != Some(0) {
                    return Err(format!("{signals:?}, then {status}\n{}", stage.output()));
                }
            }
        }
        let came_to = std::panic::catch_unwind(|| stage.came_to());
        match came_to {
            Ok(came_to) if came_to == expected => Ok(()),
            Ok(came_to) => {
                let output = stage.output();
                Err(format!("{parts:?}:\n{came_to:#?}\ninstead of\n{expected:#?}\n{output}"))
            }
            Err(_) => Err(format!("{parts:?}\n{}", stage.output())),
        }
    });
}
