//! Breaks running sessions at random moments, under a real systemd, and compares
//! what they left with what their agents noted, or with an undisturbed
//! session.
//!
//! `benches/faults` runs it long and prints the figures; the tests here are its
//! short version. A run takes half a second (that of the real CLI two), so that
//! a fault soon hits every moment of an iteration, and leaves a child in a
//! session of its own behind. The watchdog waits 2 s instead of 30, an agent may
//! be silent for 2 s, and a failed run is retried at once.

#![allow(dead_code, reason = "tests and bench share this; neither needs all of it")]

mod broken;
mod cast;
mod check;
mod dice;
pub(crate) mod hangs;
mod inject;
pub(crate) mod quiet;
mod rehearsed;
mod report;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use crate::lab::{self, LabUser, System, secs};

use broken::Broken;
pub(crate) use cast::Cast;
use cast::Stage;
pub(crate) use check::Damage;
pub(crate) use dice::Dice;
use inject::{Class, runs_alive};
use report::Injected;
pub(crate) use report::Report;

/// How long a session may take to recover from a fault.
const BOUND: Duration = secs(60);

/// What is to be broken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) system: System,
    pub(crate) cast: Cast,
    pub(crate) seed: u64,
    /// Sessions side by side.
    pub(crate) sessions: usize,
    /// Faults to single sessions, all together.
    pub(crate) faults: usize,
    /// Restarts of the user's manager, with all of them.
    pub(crate) manager_restarts: usize,
}

/// The faults that are still to be injected.
type Pile = Mutex<Vec<Class>>;

fn next_of(pile: &Pile) -> Option<Class> {
    pile.lock().unwrap_or_else(|e| e.into_inner()).pop()
}

/// Breaks sessions as planned. `None`, and `SKIPPED` is printed, without a lab.
pub(crate) fn run(plan: Plan) -> Option<Report> {
    let lab = lab::on(plan.system)?;
    if let Some(cli) = plan.cast.cli() {
        lab::with_cli(cli)?;
    }
    let user = lab.user("faults");
    let stage = Stage::set(&user, plan.cast);
    let mut dice = Dice::new(plan.seed);
    let pile = Mutex::new(faults(plan.faults, &mut dice));
    let names: Vec<String> = (1..=plan.sessions).map(|n| format!("f{n}")).collect();
    let dice: Vec<Dice> = names.iter().map(|_| Dice::new(dice.below(u64::MAX))).collect();
    let mut report = Report::new(plan);
    if plan.cast == Cast::Rehearsal {
        rehearsed::run(&stage, &names, &pile, dice, &mut report);
    } else {
        endless(&stage, &names, &pile, dice, &mut report);
    }
    report.damage.orphans += runs_alive(&user, None).len();
    report.damage.temporary_folders += temporary_folders(&user);
    Some(report)
}

/// Sessions that run until they are asked to finish.
fn endless(stage: &Stage<'_>, names: &[String], pile: &Pile, dice: Vec<Dice>, report: &mut Report) {
    let sessions: Vec<Broken<'_>> = names.iter().map(|name| Broken::noting(stage, name)).collect();
    let mut own_dice = Dice::new(report.plan.seed);
    std::thread::scope(|scope| {
        let workers: Vec<_> = sessions
            .iter()
            .zip(dice)
            .map(|(session, dice)| scope.spawn(move || session.harass(pile, dice)))
            .collect();
        for worker in workers {
            report.take(worker.join().expect("no panic"));
        }
    });
    for _ in 0..report.plan.manager_restarts {
        report.take(restart_manager(stage, &sessions, &mut own_dice));
    }
    stage.user.write("finish", "");
    for session in &sessions {
        report.damage.add(session.conclude());
    }
}

/// The classes of the faults in their order: shares as given, shuffled.
fn faults(count: usize, dice: &mut Dice) -> Vec<Class> {
    let shares = Class::OF_A_SESSION;
    let round: Vec<Class> =
        shares.iter().flat_map(|(class, share)| std::iter::repeat_n(*class, *share)).collect();
    let mut all: Vec<Class> = round.into_iter().cycle().take(count.next_multiple_of(25)).collect();
    dice.shuffle(&mut all);
    all.truncate(count);
    all
}

/// When a run started, from its id, rounded up to a millisecond.
fn start_of(run: &str) -> Option<SystemTime> {
    let (seconds, nanos) = Uuid::parse_str(run).ok()?.get_timestamp()?.to_unix();
    Some(UNIX_EPOCH + Duration::new(seconds, nanos) + Duration::from_millis(1))
}

/// Polls; the driver is outside the lab, where it gets no notifications.
fn until(bound: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + bound;
    while !is_so() {
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    true
}

/// The user's manager restarted, with all sessions in it.
fn restart_manager(stage: &Stage<'_>, sessions: &[Broken<'_>], dice: &mut Dice) -> Vec<Injected> {
    let done: Vec<usize> = sessions.iter().map(Broken::iterations).collect();
    for (session, done) in sessions.iter().zip(done) {
        until(BOUND, || session.iterations() > done);
    }
    std::thread::sleep(dice.within(stage.cast.pace()));
    let at = SystemTime::now();
    let class = Class::RestartManager;
    let Some(first) = sessions.first() else { return Vec::new() };
    let done = first.target.inject(class);
    assert!(done, "the manager did not restart\n{}", stage.user.diagnosis());
    sessions
        .iter()
        .map(|session| {
            let latency = session.next_start(at);
            let orphans = session.orphans(at);
            Injected { class, recovered: latency.is_some(), latency, orphans }
        })
        .collect()
}

/// Private folders of runs that were left behind.
fn temporary_folders(user: &LabUser) -> usize {
    let tmp = fs::read_dir(user.host_path("/tmp")).into_iter().flatten().flatten();
    // The lab's /tmp is every user's, and other tests run at the same time.
    let is_ours = |entry: &fs::DirEntry| entry.metadata().is_ok_and(|meta| meta.uid() == user.uid);
    let left: Vec<String> = tmp
        .filter(is_ours)
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with("samocode-"))
        .collect();
    if !left.is_empty() {
        println!("left in /tmp: {left:?}");
    }
    left.len()
}

/// Asserts what must hold for every run of the faults, whatever the machine's speed.
fn survives(plan: Plan) {
    let Some(report) = run(plan) else { return };
    println!("{report}");
    assert!(report.is_whole(), "{report}");
}

const SHORT: Plan = Plan {
    system: System::Ours,
    cast: Cast::Noting,
    seed: 1,
    sessions: 6,
    faults: 100,
    manager_restarts: 1,
};

#[test]
fn sessions_survive_a_hundred_random_faults_without_loss() {
    survives(SHORT);
}

#[test]
fn sessions_survive_a_hundred_random_faults_without_loss_on_debian_13() {
    survives(Plan { system: System::Debian13, ..SHORT });
}

#[test]
fn rehearsals_hit_by_faults_reach_the_same_result_as_an_undisturbed_one() {
    survives(Plan { cast: Cast::Rehearsal, sessions: 4, faults: 40, ..SHORT });
}

#[test]
fn sessions_of_the_real_cli_survive_random_faults_without_loss() {
    survives(Plan { cast: Cast::Claude, sessions: 3, faults: 10, manager_restarts: 0, ..SHORT });
}

#[test]
fn sessions_of_agents_that_speak_acp_survive_random_faults_without_loss() {
    for cast in [Cast::Qwen, Cast::Opencode] {
        survives(Plan { cast, sessions: 2, faults: 4, manager_restarts: 0, ..SHORT });
    }
}

#[test]
fn sessions_of_the_real_codex_and_gemini_survive_random_faults_without_loss() {
    for cast in [Cast::Codex, Cast::Gemini] {
        survives(Plan { cast, sessions: 3, faults: 6, manager_restarts: 0, ..SHORT });
    }
}
