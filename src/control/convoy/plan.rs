//! A convoy as it is planned: its sessions, and what each waits for. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::session::names::{SessionName, name_in_folder, nearest};

/// The most sessions a convoy may have.
pub(super) const MOST: usize = 200;

/// A convoy, as in `_convoys/ID.json`. The first four keys are the predecessor's.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Its id, also the name of its file and of its target.
    pub id: String,
    /// What it is called; the id if empty.
    #[serde(default)]
    pub name: String,
    /// The names of its sessions.
    pub sessions: Vec<String>,
    /// Whether the human is notified when all are done.
    #[serde(default = "yes")]
    pub notify_on_complete: bool,
    /// For a session, those that have to be done before it starts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub after: BTreeMap<String, Vec<String>>,
    /// What sessions that do not exist yet are to do.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tasks: BTreeMap<String, Task>,
    /// What all of them together may cost, in US dollars: once reached, no other one is started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<f64>,
    /// How many of them may run at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<usize>,
    /// Whether their branches are merged and tested when all are done.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub merge: bool,
    /// The branch to merge into; the one that sessions start from if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub into: Option<String>,
    /// What all of them together may use of the machine.
    #[serde(default, skip_serializing_if = "Share::is_none")]
    pub limits: Share,
}

/// Limits of a convoy's slice, with values as in `.samocode`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Share {
    /// The memory limit of all its sessions together, as `SAMOCODE_MEMORY_MAX`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_max: Option<String>,
    /// The limit on processes of all its sessions together, as `SAMOCODE_TASKS_MAX`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tasks_max: Option<String>,
    /// The CPU share of all its sessions together, as `SAMOCODE_CPU_WEIGHT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_weight: Option<String>,
}

impl Share {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// What a session is to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Task {
    /// What the session is to do; empty for one that exists.
    pub task: String,
    /// The agent, if not the project's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The session's own budget.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<String>,
}

const fn yes() -> bool {
    true
}

/// What is wrong with a plan, in one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// The id cannot be the name of a file and a unit.
    #[error("{0}")]
    BadId(crate::session::names::BadName),
    /// A session's name cannot be one.
    #[error("{0}")]
    BadName(crate::session::names::BadName),
    /// It has no sessions.
    #[error("convoy '{0}' has no sessions")]
    Empty(String),
    /// It has more than [`MOST`].
    #[error("convoy '{id}' has {count} sessions, more than the {MOST} it may have")]
    TooMany {
        /// The convoy's id, unique in the project.
        id: String,
        /// How many it has.
        count: usize,
    },
    /// A session is named twice.
    #[error("session '{0}' is named twice")]
    Twice(String),
    /// A session waits for one that is not in the convoy.
    #[error("'{session}' is to start after '{other}', which is not in the convoy{hint}")]
    Unknown {
        /// The session that waits.
        session: String,
        /// The one it waits for.
        other: String,
        /// The nearest one, as a question.
        hint: String,
    },
    /// What it may cost is no amount.
    #[error("the budget of convoy '{0}' is not an amount above 0")]
    Budget(String),
    /// None of its sessions could ever run.
    #[error("the cap of convoy '{0}' is 0: none of its sessions could run")]
    NoCap(String),
    /// Sessions wait for each other.
    #[error("these sessions wait for each other: {}", .0.join(" → "))]
    Cycle(Vec<String>),
}

impl Plan {
    /// Checks it, and brings names into their plain form: `jwt` for `26-11-20-jwt`.
    ///
    /// # Errors
    /// The first [`Flaw`].
    pub fn checked(mut self) -> Result<Self, Flaw> {
        SessionName::new(&self.id).map_err(Flaw::BadId)?;
        if self.sessions.is_empty() {
            return Err(Flaw::Empty(self.id));
        }
        if self.sessions.len() > MOST {
            return Err(Flaw::TooMany { count: self.sessions.len(), id: self.id });
        }
        if self.budget.is_some_and(|budget| !budget.is_finite() || budget <= 0.0) {
            return Err(Flaw::Budget(self.id));
        }
        if self.cap == Some(0) {
            return Err(Flaw::NoCap(self.id));
        }
        let plain = |name: &str| name_in_folder(name).unwrap_or(name).to_owned();
        let mut seen = BTreeSet::new();
        for name in &mut self.sessions {
            *name = plain(name);
            *name = SessionName::new(name).map_err(Flaw::BadName)?.as_str().to_owned();
            if !seen.insert(name.clone()) {
                return Err(Flaw::Twice(name.clone()));
            }
        }
        let after = std::mem::take(&mut self.after).into_iter();
        self.after = after
            .map(|(name, others)| (plain(&name), others.iter().map(|name| plain(name)).collect()))
            .collect();
        for (session, others) in &self.after {
            for other in std::iter::once(session).chain(others) {
                if !seen.contains(other) {
                    let near = nearest(other, self.sessions.iter().map(String::as_str));
                    let hint =
                        near.map_or_else(String::new, |near| format!("; did you mean '{near}'?"));
                    let (session, other) = (session.clone(), other.clone());
                    return Err(Flaw::Unknown { session, other, hint });
                }
            }
        }
        match self.cycle() {
            Some(cycle) => Err(Flaw::Cycle(cycle)),
            None => Ok(self),
        }
    }

    /// This plan, which names sessions alone, with what an earlier one of the same convoy says of them.
    #[must_use]
    pub fn over(self, known: Self) -> Self {
        let mut after = known.after;
        after.extend(self.after);
        let mut tasks = known.tasks;
        tasks.extend(self.tasks);
        Self {
            name: if self.name.is_empty() { known.name } else { self.name },
            budget: self.budget.or(known.budget),
            cap: self.cap.or(known.cap),
            merge: self.merge || known.merge,
            into: self.into.or(known.into),
            limits: if self.limits.is_none() { known.limits } else { self.limits },
            after,
            tasks,
            ..self
        }
    }

    /// Whether members that have cost this much have reached its budget.
    #[must_use]
    pub fn is_spent(&self, cost_usd: f64) -> bool {
        self.budget.is_some_and(|budget| cost_usd >= budget)
    }

    /// What has to be done before a session starts.
    #[must_use]
    pub fn before(&self, session: &str) -> &[String] {
        self.after.get(session).map_or(&[], Vec::as_slice)
    }

    /// Sessions that wait for each other, the first one repeated at the end.
    fn cycle(&self) -> Option<Vec<String>> {
        let mut done = BTreeSet::new();
        for session in &self.sessions {
            let mut path = Vec::new();
            if let Some(cycle) = self.walk(session, &mut path, &mut done) {
                return Some(cycle);
            }
        }
        None
    }

    fn walk<'p>(
        &'p self,
        session: &'p str,
        path: &mut Vec<&'p str>,
        done: &mut BTreeSet<&'p str>,
    ) -> Option<Vec<String>> {
        if let Some(at) = path.iter().position(|known| *known == session) {
            let round = path[at..].iter().chain([&session]);
            return Some(round.map(|name| (*name).to_owned()).collect());
        }
        if done.contains(session) {
            return None;
        }
        path.push(session);
        let found = self.before(session).iter().find_map(|other| self.walk(other, path, done));
        path.pop();
        done.insert(session);
        found
    }

    /// The sessions, each after all that it waits for, otherwise as named.
    #[must_use]
    pub fn order(&self) -> Vec<&str> {
        let mut order: Vec<&str> = Vec::new();
        while order.len() < self.sessions.len() {
            let is_next = |name: &&String| {
                !order.contains(&name.as_str())
                    && self.before(name).iter().all(|other| order.contains(&other.as_str()))
            };
            match self.sessions.iter().find(is_next) {
                Some(next) => order.push(next),
                // A plan that was checked has no cycle.
                None => break,
            }
        }
        order
    }

    /// All sessions that cannot start before this one is done.
    #[must_use]
    pub fn held_up_by(&self, session: &str) -> Vec<&str> {
        let mut held: Vec<&str> = Vec::new();
        for name in self.order() {
            let waits = |other: &String| other == session || held.contains(&other.as_str());
            if self.before(name).iter().any(waits) {
                held.push(name);
            }
        }
        held
    }
}

#[cfg(test)]
mod tests;
