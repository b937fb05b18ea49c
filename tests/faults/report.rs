//! The table of faults and their effects.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::inject::Class;
use super::{Damage, Plan};

/// A fault that was injected.
#[derive(Clone, Debug)]
pub(crate) struct Injected {
    pub(crate) class: Class,
    /// Whether the session recovered.
    pub(crate) recovered: bool,
    /// From the fault to the agent running again, where the fault ends it.
    pub(crate) latency: Option<Duration>,
    /// Processes of the previous run that were alive when the next had started.
    pub(crate) orphans: usize,
}

impl Injected {
    pub(super) const fn new(class: Class) -> Self {
        Self { class, recovered: true, latency: None, orphans: 0 }
    }
}

/// All of it.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(super) plan: Plan,
    injected: Vec<Injected>,
    pub(crate) damage: Damage,
}

impl Report {
    pub(super) fn new(plan: Plan) -> Self {
        Self { plan, injected: Vec::new(), damage: Damage::default() }
    }

    pub(super) fn take(&mut self, injected: Vec<Injected>) {
        self.injected.extend(injected);
    }

    /// Whether all was survived and nothing lost.
    pub(crate) fn is_whole(&self) -> bool {
        !self.damage.is_some() && self.injected.iter().all(|one| one.recovered && one.orphans == 0)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { system, cast, seed, sessions, .. } = self.plan;
        writeln!(f, "{cast:?} on {system:?}, {sessions} sessions, seed {seed}; times in ms")?;
        writeln!(
            f,
            "{:<22}{:>9}{:>10}{:>8}{:>8}{:>8}{:>8}",
            "fault", "injected", "recovered", "orphans", "p50", "p99", "worst"
        )?;
        let mut classes: BTreeMap<Class, Vec<&Injected>> = BTreeMap::new();
        for one in &self.injected {
            classes.entry(one.class).or_default().push(one);
        }
        for (class, all) in classes {
            let recovered = all.iter().filter(|one| one.recovered).count();
            let orphans: usize = all.iter().map(|one| one.orphans).sum();
            let mut times: Vec<Duration> = all.iter().filter_map(|one| one.latency).collect();
            times.sort_unstable();
            let [p50, p99, worst] = [50, 99, 100].map(|percent| quantile(&times, percent));
            writeln!(
                f,
                "{:<22}{:>9}{recovered:>10}{orphans:>8}{p50:>8}{p99:>8}{worst:>8}",
                class.name(),
                all.len()
            )?;
        }
        let Damage {
            stuck,
            lost_signals,
            repeated,
            lost_commits,
            orphans,
            temporary_folders,
            iterations,
        } = &self.damage;
        writeln!(
            f,
            "{iterations} iterations; lost signals {lost_signals}, lost or repeated iterations {repeated}, \
             lost commits {lost_commits}, orphans {orphans}, folders left in /tmp {temporary_folders}, \
             sessions stuck {stuck}"
        )
    }
}

/// A percentile, in milliseconds.
pub(super) fn quantile(sorted: &[Duration], percent: usize) -> String {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted
        .get(rank - 1)
        .map_or_else(|| "-".to_owned(), |time| format!("{:.0}", time.as_secs_f64() * 1000.0))
}
