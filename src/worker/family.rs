//! What a session shares with those above and below it: their cost counts to the budget of the one
//! above, and nothing new runs once that is spent.

use std::path::Path;

use crate::agent::vocabulary;
use crate::config::settings::Budget;
use crate::config::{Env, Flags, Project, Settings};
use crate::service::{self, Scope};
use crate::session::state::StateName;
use crate::session::store::Folder;

use super::Worker;
use super::budget::{self, used};

/// The keys of a session's own budget.
const BUDGET: [&str; 2] = ["SAMOCODE_BUDGET_USD", "SAMOCODE_BUDGET_TOKENS"];

/// A session above another, with its budget and what it and those below it have cost.
struct Above {
    instance: String,
    budget: Budget,
    spent: (f64, u64),
}

/// What the sessions in these folders have cost, in US dollars and tokens.
fn cost_of(folders: &[Folder]) -> (f64, u64) {
    let hooks = folders.iter().filter_map(Folder::read_hook);
    hooks.fold((0.0, 0), |(usd, tokens), hook| {
        (usd + hook.cost_usd, tokens.saturating_add(used(hook.tokens)))
    })
}

/// The sessions above `folder` that have a budget, the nearest first. `own` is what the session itself
/// has cost, where its worker knows better than its hook.
fn above(
    scope: Scope,
    project: &Project,
    env: &Env,
    folder: &Folder,
    own: Option<(f64, u64)>,
) -> Vec<Above> {
    let below = folder;
    let mut folders = std::iter::successors(folder.above(), Folder::above).peekable();
    if folders.peek().is_none() {
        return Vec::new();
    }
    let all = service::registry(scope).and_then(|registry| registry.all()).unwrap_or_default();
    let known = folders.filter_map(|folder| {
        let (instance, recorded) =
            all.iter().find(|(_, recorded)| recorded.folder == folder.path())?;
        // Its own settings, not those of the session below it.
        let mut env = env.clone();
        BUDGET.iter().for_each(|key| env.remove(key));
        env.extend(recorded.environment.iter().cloned());
        let settings =
            Settings::load(&vocabulary(), Some(project), &env, &Flags::default()).ok()?;
        let mut family = folder.descendants();
        family.push(folder);
        if own.is_some() {
            family.retain(|folder| folder != below);
        }
        let (spent, own) = (cost_of(&family), own.unwrap_or_default());
        let spent = (spent.0 + own.0, spent.1.saturating_add(own.1));
        let budget = settings.budgets.session;
        Some(Above { instance: instance.clone(), budget, spent })
    });
    known.filter(|above| above.budget != Budget::default()).collect()
}

/// Why a session may not begin in `folder`: the budget of one above it is spent.
#[must_use]
pub(crate) fn spent_above(
    scope: Scope,
    project: &Project,
    env: &Env,
    folder: &Path,
) -> Option<String> {
    first_spent(&above(scope, project, env, &Folder::new(folder), None))
}

fn first_spent(above: &[Above]) -> Option<String> {
    above.iter().find_map(|Above { instance, budget, spent }| {
        budget::above_is_spent(budget, *spent, instance)
    })
}

impl Worker<'_> {
    /// What the session and those below it have cost, in US dollars and tokens.
    pub(super) fn spent_with_below(&self) -> (f64, u64) {
        let (usd, tokens) = self.spent();
        let below = cost_of(&self.writer.folder.descendants());
        (usd + below.0, tokens.saturating_add(below.1))
    }

    /// Why the session may not run: the budget of one above it is spent.
    pub(super) fn spent_above(&self) -> Option<String> {
        first_spent(&self.above())
    }

    /// What is left of the budgets in US dollars of the sessions above, if they have any: the least.
    pub(super) fn left_above(&self) -> Option<f64> {
        let above = self.above();
        let left = above.iter().filter_map(|above| Some(above.budget.usd? - above.spent.0));
        left.reduce(f64::min)
    }

    fn above(&self) -> Vec<Above> {
        let (setup, folder) = (self.setup, &self.writer.folder);
        above(setup.scope, &setup.project, &setup.env, folder, Some(self.spent()))
    }

    /// Whether mail from a session below this one may still come.
    pub(super) fn expects_mail_from_below(&self) -> bool {
        let is_over =
            |state| matches!(state, StateName::Done | StateName::Stopped | StateName::Failed);
        let below = self.writer.folder.below();
        let hooks = below.iter().filter_map(Folder::read_hook);
        hooks.map(|hook| hook.state).any(|state| !is_over(state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::hook::Hook;
    use crate::session::state::State;
    use crate::session::store;

    #[test]
    fn what_those_below_cost_is_summed_over_all_levels() {
        let root = tempfile::tempdir().unwrap();
        let lead = Folder::new(root.path().join("26-11-20-lead"));
        let costs =
            [("", 1.0), ("workers/a", 0.5), ("workers/a/workers/b", 0.25), ("workers/c", 2.0)];
        for (place, usd) in costs {
            let folder = Folder::new(lead.path().join(place));
            std::fs::create_dir_all(folder.path()).unwrap();
            let hook = Hook { cost_usd: usd, ..Hook::of(&State::default()) };
            store::replace(&folder.hook(), &serde_json::to_vec(&hook).unwrap()).unwrap();
        }
        assert_eq!(cost_of(&lead.descendants()).0, 2.75);
        assert_eq!(cost_of(&Folder::new(lead.workers().join("a")).descendants()).0, 0.25);
    }
}
