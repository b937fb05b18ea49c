//! Breaks running sessions at random moments, under a real systemd, and holds
//! what they left against what their agents noted.
//!
//! `benches/faults` runs it long and prints the figures; the tests here are its
//! short version. The agent is `agent.sh`: a run takes half a second, so that a
//! fault soon hits every moment of an iteration, and leaves a child in a session
//! of its own behind. The watchdog waits 2 s instead of 30, an agent may be
//! silent for 2 s, and a failed run is retried at once.

#![allow(dead_code, reason = "tests and bench share this; neither needs all of it")]

mod check;
mod dice;
mod inject;
pub(crate) mod quiet;
mod report;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use crate::lab::{self, LabUser, Project, System, secs};

pub(crate) use check::Damage;
use dice::Dice;
use inject::{Class, Target, runs_alive};
use report::Injected;
pub(crate) use report::Report;

/// How long a session may take to get over a fault.
const BOUND: Duration = secs(60);

/// How long a run takes, in milliseconds.
const PACE_MS: u64 = 400;

/// What is to be broken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) system: System,
    pub(crate) seed: u64,
    /// Sessions side by side.
    pub(crate) sessions: usize,
    /// Faults to single sessions, all together.
    pub(crate) faults: usize,
    /// Restarts of the user's manager, with all of them.
    pub(crate) manager_restarts: usize,
}

/// Breaks sessions as planned. `None`, and `SKIPPED` is printed, without a lab.
pub(crate) fn run(plan: Plan) -> Option<Report> {
    let lab = lab::on(plan.system)?;
    let user = lab.user("faults");
    let project = prepare(&user);
    let names: Vec<String> = (1..=plan.sessions).map(|n| format!("f{n}")).collect();
    let sessions: Vec<Broken<'_>> = names.iter().map(|name| Broken::new(&project, name)).collect();
    let mut dice = Dice::new(plan.seed);
    let faults = Mutex::new(faults(plan.faults, &mut dice));
    let mut report = Report::new(plan);
    let seeds: Vec<u64> = sessions.iter().map(|_| dice.below(u64::MAX)).collect();
    std::thread::scope(|scope| {
        let faults = &faults;
        let workers: Vec<_> = sessions
            .iter()
            .zip(seeds)
            .map(|(session, seed)| scope.spawn(move || session.harass(faults, Dice::new(seed))))
            .collect();
        for worker in workers {
            report.take(worker.join().expect("no panic"));
        }
    });
    for _ in 0..plan.manager_restarts {
        report.take(restart_manager(&user, &sessions, &mut dice));
    }
    user.write("finish", "");
    for session in &sessions {
        report.damage.add(session.conclude());
    }
    report.damage.orphans += alive_at_the_end(&user, &names);
    report.damage.temporary_folders += temporary_folders(&user);
    Some(report)
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

fn prepare(user: &LabUser) -> Project<'_> {
    user.write_program("agent", include_str!("agent.sh"));
    user.write("pace", format!("0.{PACE_MS:03}\n"));
    user.write(
        ".config/systemd/user/samocode@.service.d/faults.conf",
        "[Service]\nWatchdogSec=2s\n",
    );
    let agent = format!("command:{}", user.home.join("agent").display());
    let mut project = user
        .project("shop")
        .key("SAMOCODE_AGENT", &agent)
        .key("SAMOCODE_STALL_AFTER", "2 s")
        .key("SAMOCODE_RETRY_DELAY", "0 s")
        .create();
    // Sessions and worktrees lie on a real disk, whose fsync takes its time.
    let disk = user.disk();
    let mut text = user.read("shop/.samocode");
    for (folder, name) in
        [(&mut project.sessions, "sessions"), (&mut project.worktrees, "worktrees")]
    {
        let new = disk.join(name);
        text = text.replace(&*folder.to_string_lossy(), &new.to_string_lossy());
        *folder = new;
    }
    user.write("shop/.samocode", text);
    project
}

/// A session that is broken again and again.
pub(super) struct Broken<'p> {
    project: &'p Project<'p>,
    name: &'p str,
    folder: PathBuf,
    target: Target<'p>,
}

impl<'p> Broken<'p> {
    /// Begins it in the phase of testing, as the predecessor would have left it.
    fn new(project: &'p Project<'p>, name: &'p str) -> Self {
        let user = project.user;
        let dated = format!("26-11-20-{name}");
        let folder = project.sessions.join(&dated);
        let overview = format!(
            "# Session: {name}\nStarted: 11-20 18:01\nWorking Dir: {}\n\n## Task\nBe broken\n\n\
             ## Status\nPhase: testing\nIteration: 0\nTotal Iterations: 0\nBlocked: no\n\
             Last Action: -\nNext: -\n\n## Flow Log\n",
            project.worktrees.join(&dated).display()
        );
        user.write(folder.join("_overview.md"), overview);
        user.write(format!("notes/{name}/signals"), "");
        user.samocode(["enable", name]).cwd(&project.dir).ok();
        Self { project, name, folder, target: Target::new(user, name) }
    }

    fn user(&self) -> &LabUser {
        self.project.user
    }

    fn lines(&self, file: &str) -> usize {
        let path = self.user().host_path(self.folder.join(file));
        fs::read(path).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count()
    }

    /// Takes faults from the pile until it is empty. One at a time: the next
    /// comes after an iteration that ended well, or the back-off from a crash
    /// loop would be measured.
    fn harass(&self, faults: &Mutex<Vec<Class>>, mut dice: Dice) -> Vec<Injected> {
        let mut injected = Vec::new();
        loop {
            let done = self.lines("_signal_history.jsonl");
            if !until(BOUND, || self.lines("_signal_history.jsonl") > done) {
                // It did not recover from the one before.
                if let Some(last) = injected.last_mut() {
                    let last: &mut Injected = last;
                    last.recovered = false;
                    eprintln!("{} stands still\n{}", self.name, self.user().diagnosis());
                }
                return injected;
            }
            let Some(class) = faults.lock().unwrap_or_else(|e| e.into_inner()).pop() else {
                return injected;
            };
            std::thread::sleep(Duration::from_micros(dice.below((PACE_MS + 300) * 1000)));
            injected.push(self.hit(class));
        }
    }

    /// One fault, and what came of it.
    fn hit(&self, class: Class) -> Injected {
        let mut at = SystemTime::now();
        // Between two runs there is no agent: then the next one is hit.
        until(BOUND, || {
            at = SystemTime::now();
            self.target.inject(class)
        });
        if class == Class::StopAndStart {
            at = SystemTime::now();
            self.target.start();
        }
        let mut injected = Injected { class, recovered: true, latency: None, orphans: 0 };
        if class.restarts_agent() {
            injected.latency = self.next_start(at);
            injected.recovered = injected.latency.is_some();
            injected.orphans = self.orphans(at);
        }
        injected
    }

    /// From `at` to the first instruction of the next run's agent.
    fn next_start(&self, at: SystemTime) -> Option<Duration> {
        let notes = self.user().host_path(format!("notes/{}", self.name));
        let mut found = None;
        until(BOUND, || {
            found = fs::read_dir(&notes)
                .into_iter()
                .flatten()
                .flatten()
                .filter(|entry| {
                    let name = entry.file_name();
                    let run = name.to_str().and_then(|name| name.strip_prefix("started."));
                    run.and_then(begun).is_some_and(|begun| begun >= at)
                })
                .filter_map(|entry| entry.metadata().ok()?.modified().ok())
                .min();
            found.is_some()
        });
        // The file's time may lie a tick of the kernel in the past.
        found.map(|started| started.duration_since(at).unwrap_or_default())
    }

    /// Processes of runs that began before `at` and are still alive.
    fn orphans(&self, at: SystemTime) -> usize {
        let old = || {
            let alive = runs_alive(self.user(), self.name);
            let old = alive.into_iter().filter(|(_, run)| begun(run).is_some_and(|run| run < at));
            old.map(|(pid, _)| pid).collect::<Vec<_>>()
        };
        let first = old();
        if first.is_empty() {
            return 0;
        }
        // A process that is just ending is none.
        std::thread::sleep(Duration::from_millis(300));
        let second = old();
        first.into_iter().filter(|pid| second.contains(pid)).count()
    }
}

/// When a run began, from its id, to the millisecond above.
fn begun(run: &str) -> Option<SystemTime> {
    let (seconds, nanos) = Uuid::parse_str(run).ok()?.get_timestamp()?.to_unix();
    Some(UNIX_EPOCH + Duration::new(seconds, nanos) + Duration::from_millis(1))
}

/// Polls; the driver stands outside, where nothing tells it.
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
fn restart_manager(user: &LabUser, sessions: &[Broken<'_>], dice: &mut Dice) -> Vec<Injected> {
    let done: Vec<usize> = sessions.iter().map(|s| s.lines("_signal_history.jsonl")).collect();
    for (session, done) in sessions.iter().zip(done) {
        until(BOUND, || session.lines("_signal_history.jsonl") > done);
    }
    std::thread::sleep(Duration::from_millis(dice.below(PACE_MS)));
    let at = SystemTime::now();
    let class = Class::RestartManager;
    let Some(first) = sessions.first() else { return Vec::new() };
    let done = first.target.inject(class);
    assert!(done, "the manager did not restart\n{}", user.diagnosis());
    sessions
        .iter()
        .map(|session| {
            let latency = session.next_start(at);
            let orphans = session.orphans(at);
            Injected { class, recovered: latency.is_some(), latency, orphans }
        })
        .collect()
}

fn alive_at_the_end(user: &LabUser, names: &[String]) -> usize {
    names.iter().map(|name| runs_alive(user, name).len()).sum()
}

/// Private folders of runs that nobody removed.
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

/// What every version of it must show, whatever the machine's speed.
fn survives_everything(system: System) {
    let plan = Plan { system, seed: 1, sessions: 6, faults: 100, manager_restarts: 1 };
    let Some(report) = run(plan) else { return };
    println!("{report}");
    assert!(report.is_whole(), "{report}");
}

#[test]
fn sessions_survive_a_hundred_random_faults_without_loss() {
    survives_everything(System::Ours);
}

#[test]
fn sessions_survive_a_hundred_random_faults_without_loss_on_debian_13() {
    survives_everything(System::Debian13);
}
