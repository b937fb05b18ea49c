//! The worker of a confined session dies between making its repository, fetching its work and moving
//! its branch, and while it moves what it recorded. The next one brings all of it into the project's
//! repository.

use samocode::agent::confine;
use samocode::config::confine::Level;
use samocode::platform::confinement::Lack;

use super::stage::Stage;
use super::{Dice, each, points};

/// The steps around a session's own repository.
const STEPS: [&str; 6] = [
    "what is put back into a session's repository is kept",
    "a session's branch is there, its repository is not",
    "a session's repository is there, its worktree is not",
    "a session's commits are fetched, its branch is not moved",
    "a run's work is taken over",
    "the run is over",
];

/// How many points of each part are tried.
const TRIED: usize = 7;

#[test]
fn the_work_of_a_confined_session_reaches_the_project_wherever_its_worker_dies() {
    if confine::support(Level::Standard).lacks.contains(&Lack::Files) {
        return crate::lab::skipped("the kernel has no Landlock");
    }
    let peace = Stage::at_level(true, "standard");
    let log = peace.at("points");
    let mut worker = peace.worker();
    worker.env("SAMOCODE_CRASH_LOG", &log);
    assert_eq!(peace.end(worker).code(), Some(0), "{}", peace.output());
    let first = points(&log, None);
    assert!(first.iter().any(|name| name == STEPS[2]), "{first:?}");
    peace.whole(|_| Vec::new());
    let expected = peace.came_to();
    assert!(peace.is_fetched() && peace.fetched().contains("Step"), "{}", peace.fetched());

    let at = |name: &String| STEPS.contains(&name.as_str());
    let all: Vec<usize> = (0..first.len()).filter(|point| at(&first[*point])).collect();
    let mut dice = Dice::new();
    let moved = first.iter().position(|name| name == "the record is apart");
    let moved = moved.expect("the record is moved before the first run");
    // All of those that make it; the later parts only have runs, at about the same numbers.
    let cases: Vec<[Vec<usize>; 3]> = dice
        .sample(all.len(), TRIED)
        .into_iter()
        .map(|case| all[case])
        .chain([moved])
        .map(|point| [vec![point + 1], vec![1 + dice.below(40)], vec![1 + dice.below(160)]])
        .collect();
    each(&cases, |deaths| {
        let stage = Stage::at_level(true, "standard");
        let went = std::panic::catch_unwind(|| {
            stage.whole(|part| deaths[part].clone());
            stage.came_to()
        });
        match went {
            Ok(came_to) if came_to == expected && stage.is_fetched() => Ok(()),
            came_to => Err(format!(
                "{deaths:?} ({}): {came_to:#?}\nfetched: {}\n{}",
                first[deaths[0][0] - 1],
                stage.fetched(),
                stage.output()
            )),
        }
    });
}
