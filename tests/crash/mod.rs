//! Shows that samocode is crash-only: the worker kills itself at every write and at every step
//! boundary, is restarted, and the session reaches the same result as an undisturbed one.
//!
//! The points are counted by the program itself (`session::store::crash_point`). The normal run
//! takes a sample of them, chosen by a seed that is printed and can be set by
//! `SAMOCODE_TEST_SEED`; `SAMOCODE_TEST_ALL=1` takes all.

mod damage;
mod messages;
mod own_repository;
mod queue;
mod signals;
mod stage;
mod units;
mod verbs;

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use samocode::session::mail::Kind;

use stage::{End, Stage};

/// A small generator (SplitMix64), so that a seed gives the same cases everywhere.
struct Dice(u64);

impl Dice {
    fn new() -> Self {
        let set = std::env::var("SAMOCODE_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = set.unwrap_or(20_261_120);
        println!("SAMOCODE_TEST_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % end as u64).unwrap()
    }

    /// A sample of `count` numbers from `0..end`, or all of them.
    fn sample(&mut self, end: usize, count: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..end).collect();
        if std::env::var_os("SAMOCODE_TEST_ALL").is_none() {
            for at in 0..end {
                all.swap(at, at + self.below(end - at));
            }
            all.truncate(count);
        }
        all
    }
}

/// Runs the cases on all cores; fails with the messages of those that failed.
fn each<T: Sync>(cases: &[T], run: impl Fn(&T) -> Result<(), String> + Sync) {
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::SeqCst)) {
                    if let Err(what) = run(case) {
                        wrong.lock().unwrap().push(what);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    let first: Vec<&str> = wrong.iter().take(3).map(String::as_str).collect();
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), first.join("\n\n"));
}

/// The names of the crash points that the log has for one process, or for all.
fn points(log: &std::path::Path, of: Option<u32>) -> Vec<String> {
    let text = fs::read_to_string(log).unwrap_or_default();
    let parts = text.lines().filter_map(|line| line.split_once(' '));
    parts
        .filter(|(pid, _)| of.is_none_or(|of| *pid == of.to_string()))
        .map(|(_, name)| name.to_owned())
        .collect()
}

/// The result of an undisturbed session, and the crash points of its three parts.
fn undisturbed() -> (End, [Vec<String>; 3]) {
    let stage = Stage::new(true);
    let logs = [0, 1, 2].map(|part| stage.at(&format!("points-{part}")));
    for (part, log) in logs.iter().enumerate() {
        match part {
            1 => stage.mail(Kind::Answer, "Q1: A"),
            2 => stage.mail(Kind::Approve, ""),
            _ => {}
        }
        let mut worker = stage.worker();
        worker.env("SAMOCODE_CRASH_LOG", log);
        assert_eq!(stage.end(worker).code(), Some(0), "{}", stage.output());
    }
    (stage.came_to(), logs.map(|log| points(&log, None)))
}

/// Where a worker dies in each of the three parts, one death after the other.
type Deaths = [Vec<usize>; 3];

fn converges(expected: &End, names: &[Vec<String>; 3], deaths: &Deaths) -> Result<(), String> {
    let stage = Stage::new(true);
    let went = std::panic::catch_unwind(|| {
        stage.whole(|part| deaths[part].clone());
        stage.came_to()
    });
    let context = || {
        let name = |part: usize| {
            let first = deaths[part].first().and_then(|at| names[part].get(at - 1));
            format!("{:?} {}", deaths[part], first.map_or("", String::as_str))
        };
        format!("died at {}, at {}, at {}", name(0), name(1), name(2))
    };
    match went {
        Ok(came_to) if came_to == *expected => Ok(()),
        Ok(came_to) => Err(format!(
            "{}:\n{came_to:#?}\ninstead of\n{expected:#?}\n{}",
            context(),
            stage.output()
        )),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            Err(format!("{}:\n{text}", context()))
        }
    }
}

#[test]
fn a_worker_killed_at_any_point_is_followed_by_one_that_reaches_the_same_result() {
    let (expected, names) = undisturbed();
    let counts = names.each_ref().map(Vec::len);
    println!("{counts:?} points");
    assert!(counts.iter().sum::<usize>() > 300, "{counts:?}");
    let mut dice = Dice::new();
    let longest = counts.iter().copied().max().unwrap_or(0);
    let once: Vec<Deaths> = dice
        .sample(longest, 36)
        .into_iter()
        .map(|at| counts.map(|count| Vec::from_iter((at < count).then_some(at + 1))))
        .collect();
    each(&once, |deaths| converges(&expected, &names, deaths));
}

#[test]
fn a_worker_killed_twice_in_a_row_is_followed_by_one_that_reaches_the_same_result() {
    let (expected, names) = undisturbed();
    let mut dice = Dice::new();
    let cases = if std::env::var_os("SAMOCODE_TEST_ALL").is_some() { 200 } else { 20 };
    let twice: Vec<Deaths> = (0..cases)
        .map(|_| {
            names.each_ref().map(|names| {
                // The second death comes early, while the first is still being recovered from.
                vec![1 + dice.below(names.len()), 1 + dice.below(60)]
            })
        })
        .collect();
    each(&twice, |deaths| converges(&expected, &names, deaths));
}

#[test]
fn a_phase_set_by_hand_is_in_the_flow_log_once_whenever_the_worker_dies() {
    let at_the_gate_and_edited = || {
        let stage = Stage::new(true);
        stage.work(&[]);
        let overview = fs::read_to_string(stage.folder.overview()).unwrap();
        let edited = overview.replace("Phase: requirements", "Phase: implementation");
        fs::write(stage.folder.overview(), edited).unwrap();
        stage
    };
    let peace = at_the_gate_and_edited();
    let log = peace.at("points");
    let mut worker = peace.worker();
    worker.env("SAMOCODE_CRASH_LOG", &log);
    assert_eq!(peace.end(worker).code(), Some(0), "{}", peace.output());
    let expected = peace.came_to();
    let overview = fs::read_to_string(peace.folder.overview()).unwrap();
    assert_eq!(overview.matches("Phase set to implementation by hand").count(), 1, "{overview}");
    let names = points(&log, None);
    let first_run = names.iter().position(|name| name == "the agent is started").unwrap();
    let cases = Dice::new().sample(first_run, 16);
    each(&cases, |at| {
        let stage = at_the_gate_and_edited();
        let went = std::panic::catch_unwind(|| {
            stage.work(&[at + 1]);
            stage.came_to()
        });
        match went {
            Ok(came_to) if came_to == expected => Ok(()),
            came_to => Err(format!("at {}: {came_to:#?}\n{}", names[*at], stage.output())),
        }
    });
}

#[test]
fn a_request_that_was_interrupted_can_be_repeated() {
    let peace = Stage::new(false);
    let log = peace.at("points");
    let mut run = peace.run("Count");
    run.env("SAMOCODE_CRASH_LOG", &log);
    assert_eq!(peace.end(run).code(), Some(10), "{}", peace.output());
    let expected = peace.came_to();
    let text = fs::read_to_string(&log).unwrap();
    let own: u32 = text.split_once(' ').unwrap().0.parse().unwrap();
    let names = points(&log, Some(own));
    println!("{} points: {names:?}", names.len());
    let cases: Vec<usize> = (1..=names.len()).collect();
    each(&cases, |at| {
        let stage = Stage::new(false);
        let mut run = stage.run("Count");
        run.env("SAMOCODE_CRASH_AT", at.to_string());
        let first = stage.end(run).signal();
        let second = stage.end(stage.run("Count")).code();
        if (first, second) != (Some(9), Some(10)) || stage.came_to() != expected {
            return Err(format!(
                "at {at}, {}: {first:?} {second:?}\n{}",
                names[at - 1],
                stage.output()
            ));
        }
        Ok(())
    });
}

#[test]
fn a_new_task_that_was_interrupted_can_be_given_again() {
    let stage = Stage::new(true);
    stage.whole(|_| Vec::new());
    let log = stage.at("points");
    let mut points_of_it = 0;
    let mut at = 0;
    while at <= points_of_it {
        let task = format!("Count again, {at}");
        let before = stage.state().total;
        let mut run = stage.run(&task);
        if at == 0 {
            run.env("SAMOCODE_CRASH_LOG", &log);
            assert_eq!(stage.end(run).code(), Some(10), "{}", stage.output());
            let text = fs::read_to_string(&log).unwrap();
            points_of_it = points(&log, text.split_once(' ').unwrap().0.parse().ok()).len();
        } else {
            run.env("SAMOCODE_CRASH_AT", at.to_string());
            assert_eq!(stage.end(run).signal(), Some(9), "at {at}");
            assert_eq!(stage.end(stage.run(&task)).code(), Some(10), "{}", stage.output());
        }
        let overview = fs::read_to_string(stage.folder.overview()).unwrap();
        let context = format!("Session resumed: {task}");
        assert_eq!(overview.matches(&context).count(), 1, "{context} in\n{overview}");
        stage.mail(Kind::Answer, "Q1: A");
        stage.work(&[]);
        stage.mail(Kind::Approve, "");
        stage.work(&[]);
        assert_eq!(stage.state().total, before + 9, "{}", stage.output());
        at += 1;
    }
    assert!(points_of_it >= 4, "{points_of_it} points");
    stage.came_to();
}
