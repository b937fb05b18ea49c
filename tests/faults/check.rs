//! Compares what a session left with what its agents noted.

use std::collections::{BTreeMap, BTreeSet};

use super::{BOUND, Broken, until};

/// Damage, which must never occur.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Damage {
    /// Sessions that did not finish.
    pub(crate) stuck: usize,
    /// Signals that an agent left and no worker took.
    pub(crate) lost_signals: usize,
    /// Signals taken twice, iterations that were counted twice or skipped.
    pub(crate) repeated: usize,
    /// Iterations without their commit, or with two.
    pub(crate) lost_commits: usize,
    /// Processes of runs that are over.
    pub(crate) orphans: usize,
    /// Private folders of runs that are over.
    pub(crate) temporary_folders: usize,
    /// Signals taken, for comparison.
    pub(crate) iterations: usize,
}

impl Damage {
    pub(crate) fn is_some(&self) -> bool {
        *self != Self { iterations: self.iterations, ..Self::default() }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.stuck += other.stuck;
        self.lost_signals += other.lost_signals;
        self.repeated += other.repeated;
        self.lost_commits += other.lost_commits;
        self.orphans += other.orphans;
        self.temporary_folders += other.temporary_folders;
        self.iterations += other.iterations;
    }
}

impl Broken<'_> {
    /// Waits for the session's end and looks at all it left.
    pub(super) fn conclude(&self) -> Damage {
        let ended = until(BOUND, || self.state() == "done");
        let mut damage = Damage { stuck: usize::from(!ended), ..Damage::default() };
        if damage.stuck > 0 {
            eprintln!("{} did not come to its end\n{}", self.name, self.user().diagnosis());
        }
        let taken: Vec<String> = self
            .json("_journal.jsonl")
            .iter()
            .filter(|line| line["kind"] == "signal_taken")
            .map(|line| line["run"].as_str().unwrap_or_default().to_owned())
            .collect();
        let once: BTreeSet<&String> = taken.iter().collect();
        damage.iterations = taken.len();
        damage.repeated += taken.len() - once.len();
        let noted = self.user().read(format!("notes/{}/signals", self.name));
        let lost: Vec<&str> =
            noted.lines().filter(|run| !once.contains(&(*run).to_owned())).collect();
        damage.lost_signals = lost.len();
        let numbers: Vec<u64> = self
            .json("_signal_history.jsonl")
            .iter()
            .map(|line| line["iteration"].as_u64().unwrap_or_default())
            .collect();
        let expected: Vec<u64> = (1..=taken.len() as u64).collect();
        damage.repeated += usize::from(numbers != expected);
        let mut commits = BTreeMap::<u64, usize>::new();
        let subjects = self.commits();
        for number in
            subjects.iter().filter_map(|line| line.strip_prefix("iteration ")?.parse().ok())
        {
            *commits.entry(number).or_default() += 1;
        }
        let wrong: Vec<&u64> = expected.iter().filter(|n| commits.get(n) != Some(&1)).collect();
        damage.lost_commits = wrong.len();
        if damage.lost_signals + damage.repeated + damage.lost_commits > 0 {
            eprintln!(
                "{}: lost signals {lost:?}; history {numbers:?} of {}; commits wrong {wrong:?}",
                self.name,
                taken.len()
            );
        }
        damage
    }

    /// The subjects of the commits on the session's branch, newest first.
    pub(super) fn commits(&self) -> Vec<String> {
        let log = ["git", "log", "--format=%s", &self.name];
        let output = self.user().run(log).cwd(&self.stage.project.dir).output().stdout;
        output.lines().map(str::to_owned).collect()
    }
}
