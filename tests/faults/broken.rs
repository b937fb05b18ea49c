//! A session that is broken again and again.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::cast::Stage;
use super::dice::Dice;
use super::inject::{Class, Target, runs_alive};
use super::report::Injected;
use super::{BOUND, Pile, next_of, start_of, until};
use crate::lab::LabUser;

pub(super) struct Broken<'p> {
    pub(super) stage: &'p Stage<'p>,
    pub(super) name: String,
    pub(super) folder: PathBuf,
    pub(super) target: Target<'p>,
}

impl<'p> Broken<'p> {
    /// Starts it in the testing phase, as the predecessor would have left it.
    pub(super) fn noting(stage: &'p Stage<'p>, name: &str) -> Self {
        let (user, project) = (stage.user, &stage.project);
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
        Self::of(stage, name, folder)
    }

    pub(super) fn of(stage: &'p Stage<'p>, name: &str, folder: PathBuf) -> Self {
        let target = Target::new(stage.user, name, stage.cast.process());
        Self { stage, name: name.to_owned(), folder, target }
    }

    pub(super) fn user(&self) -> &'p LabUser {
        self.stage.user
    }

    /// The lines of one of its files.
    pub(super) fn json(&self, file: &str) -> Vec<Value> {
        let path = self.user().host_path(self.folder.join(file));
        let text = fs::read_to_string(path).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_default()).collect()
    }

    /// How many signals were taken.
    pub(super) fn iterations(&self) -> usize {
        let path = self.user().host_path(self.folder.join("_signal_history.jsonl"));
        fs::read(path).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count()
    }

    /// The state, as the hook has it.
    pub(super) fn state(&self) -> String {
        let hook = self.json("_hook.json");
        let state = hook.first().and_then(|hook| hook["state"].as_str());
        state.unwrap_or_default().to_owned()
    }

    /// Takes faults from the pile until it is empty. One at a time: the next
    /// comes after an iteration that ended well, or the back-off from a crash
    /// loop would be measured.
    pub(super) fn harass(&self, pile: &Pile, mut dice: Dice) -> Vec<Injected> {
        let mut injected: Vec<Injected> = Vec::new();
        loop {
            let done = self.iterations();
            if !until(BOUND, || self.iterations() > done) {
                // It did not recover from the one before.
                eprintln!("{} hangs\n{}", self.name, self.user().diagnosis());
                if let Some(last) = injected.last_mut() {
                    last.recovered = false;
                }
                return injected;
            }
            let Some(class) = next_of(pile) else { return injected };
            std::thread::sleep(dice.within(self.stage.cast.pace()));
            injected.push(self.hit(class));
        }
    }

    /// One fault and its effect.
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
        let mut injected = Injected::new(class);
        if class.restarts_agent() {
            injected.latency = self.next_start(at);
            injected.recovered = injected.latency.is_some();
            injected.orphans = self.orphans(at);
        }
        injected
    }

    /// From `at` to the first instruction of the next run's agent.
    pub(super) fn next_start(&self, at: SystemTime) -> Option<Duration> {
        let mut found = None;
        until(BOUND, || {
            found = self.started_since(at);
            found.is_some()
        });
        found
    }

    /// How long after `at` a run started, if one did.
    pub(super) fn started_since(&self, at: SystemTime) -> Option<Duration> {
        let notes = self.user().host_path(format!("notes/{}", self.name));
        let first = fs::read_dir(&notes)
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| {
                let name = entry.file_name();
                let run = name.to_str().and_then(|name| name.strip_prefix("started."));
                run.and_then(start_of).is_some_and(|start| start >= at)
            })
            .filter_map(|entry| entry.metadata().ok()?.modified().ok())
            .min();
        // The file's time may be a kernel tick in the past.
        first.map(|started| started.duration_since(at).unwrap_or_default())
    }

    /// Processes of runs that started before `at` and are still alive.
    pub(super) fn orphans(&self, at: SystemTime) -> usize {
        let old = || {
            let alive = runs_alive(self.user(), Some(&self.name));
            let old =
                alive.into_iter().filter(|(_, run)| start_of(run).is_some_and(|run| run < at));
            old.map(|(pid, _)| pid).collect::<Vec<_>>()
        };
        let first = old();
        // A process that is just exiting is not counted.
        let mut left = first.clone();
        until(Duration::from_millis(300), || {
            let now = old();
            left.retain(|pid| now.contains(pid));
            left.is_empty()
        });
        left.len()
    }
}
