//! The built-in agent's sessions: one after the other, from the first word to
//! done, with someone who answers at the gates, and each compared with one that
//! was not disturbed.

use std::time::SystemTime;

use serde_json::Value;

use super::broken::Broken;
use super::cast::Stage;
use super::check::Damage;
use super::dice::Dice;
use super::inject::Class;
use super::report::{Injected, Report};
use super::{BOUND, Pile, next_of, until};

/// The result of a session.
#[derive(Debug, PartialEq, Eq)]
struct Course {
    /// Phase and status of the signals, the same in a row once: a run that was cut
    /// off after its commit leaves the next piece to the run that follows, which
    /// saves an iteration.
    signals: Vec<(String, String)>,
    commits: Vec<String>,
}

pub(super) fn run(
    stage: &Stage<'_>,
    names: &[String],
    pile: &Pile,
    dice: Vec<Dice>,
    report: &mut Report,
) {
    let undisturbed = Broken::rehearsed(stage, "undisturbed");
    assert!(until(BOUND, || undisturbed.tend() == "done"), "{}", stage.user.diagnosis());
    let course = undisturbed.course();
    std::thread::scope(|scope| {
        let course = &course;
        let workers: Vec<_> = names
            .iter()
            .zip(dice)
            .map(|(name, dice)| scope.spawn(move || rounds(stage, name, pile, dice, course)))
            .collect();
        for worker in workers {
            let (injected, damage) = worker.join().expect("no panic");
            report.take(injected);
            report.damage.add(damage);
        }
    });
}

/// Session after session, until the pile is empty.
fn rounds(
    stage: &Stage<'_>,
    name: &str,
    pile: &Pile,
    mut dice: Dice,
    course: &Course,
) -> (Vec<Injected>, Damage) {
    let (mut injected, mut damage) = (Vec::new(), Damage::default());
    let mut pending = next_of(pile);
    for round in 1.. {
        let Some(mut class) = pending.take() else { break };
        let session = Broken::rehearsed(stage, &format!("{name}-{round}"));
        loop {
            let done = session.iterations();
            let went_on = until(BOUND, || {
                session.tend();
                session.iterations() > done || session.state() == "done"
            });
            if !went_on || session.state() == "done" {
                pending = Some(class);
                break;
            }
            std::thread::sleep(dice.within(stage.cast.pace()));
            match session.strike(class) {
                Some(hit) => injected.push(hit),
                None => {
                    pending = Some(class);
                    break;
                }
            }
            match next_of(pile) {
                Some(next) => class = next,
                None => break,
            }
        }
        damage.add(session.compare(course));
    }
    (injected, damage)
}

impl<'p> Broken<'p> {
    fn rehearsed(stage: &'p Stage<'p>, name: &str) -> Self {
        let project = &stage.project;
        stage.user.samocode(["enable", name, "--task", "Greet"]).cwd(&project.dir).ok();
        let folder = project.session(name).expect("enable makes the folder");
        Self::of(stage, name, folder)
    }

    /// Answers if the session waits for a human, and returns its state.
    fn tend(&self) -> String {
        let state = self.state();
        if state == "waiting" {
            let answers = ["answer", &self.name, "--accept-suggestions"];
            let approves = ["approve", &self.name, "-m", "Continue"];
            let hook = self.json("_hook.json");
            let questions = hook.first().is_some_and(|hook| hook["for"] == "qa_answers");
            let verb = if questions { answers.as_slice() } else { approves.as_slice() };
            // It may have moved on by now.
            self.user().samocode(verb).cwd(&self.stage.project.dir).output();
        }
        state
    }

    /// One fault and its effect; `None` when the session ended before it.
    fn strike(&self, class: Class) -> Option<Injected> {
        let mut at = SystemTime::now();
        let mut hit = false;
        until(BOUND, || {
            at = SystemTime::now();
            hit = self.target.inject(class);
            hit || self.tend() == "done"
        });
        if !hit {
            return None;
        }
        if class == Class::StopAndStart {
            at = SystemTime::now();
            self.target.start();
        }
        let mut injected = Injected::new(class);
        if class.restarts_agent() {
            // A pending signal is taken and may end at a gate or in `done`: then no agent
            // follows at once, and the time is not samocode's.
            let rests = || ["waiting", "done"].contains(&self.state().as_str());
            let (mut latency, mut rested) = (None, false);
            injected.recovered = until(BOUND, || {
                latency = self.started_since(at);
                rested = latency.is_none() && rests();
                latency.is_some() || rested
            });
            injected.latency = latency;
            injected.orphans = self.orphans(at);
        }
        Some(injected)
    }

    fn course(&self) -> Course {
        let word = |line: &Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
        let mut signals: Vec<(String, String)> = self
            .json("_signal_history.jsonl")
            .iter()
            .map(|line| (word(line, "phase"), word(line, "status")))
            .collect();
        signals.dedup();
        Course { signals, commits: self.commits() }
    }

    /// Lets it finish and compares it with the undisturbed one.
    fn compare(&self, course: &Course) -> Damage {
        let ended = until(BOUND, || self.tend() == "done");
        let own = self.course();
        let history = self.json("_signal_history.jsonl");
        let counted = history.iter().zip(1_u64..).all(|(line, number)| line["iteration"] == number);
        let damage = Damage {
            stuck: usize::from(!ended),
            repeated: usize::from(!counted || own.signals != course.signals),
            lost_commits: usize::from(own.commits != course.commits),
            iterations: history.len(),
            ..Damage::default()
        };
        if damage.is_some() {
            eprintln!("{}: {own:?}, not {course:?}\n{}", self.name, self.user().diagnosis());
        }
        damage
    }
}
