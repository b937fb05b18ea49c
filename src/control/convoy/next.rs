//! What is to be done for a convoy, and what is news about it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::session::state::StateName;

use super::plan::Plan;

/// Where a session of a convoy stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It does not exist.
    Absent,
    /// It waits for its turn.
    Held,
    /// Its turn has come, but no worker has it.
    Released,
    /// It has begun, and is in this state.
    Begun(StateName),
}

impl Place {
    const fn takes_room(self) -> bool {
        matches!(
            self,
            Self::Released
                | Self::Begun(
                    StateName::New
                        | StateName::Running
                        | StateName::Limited
                        | StateName::Paused
                        | StateName::Queued
                )
        )
    }
}

/// What is known of a session of a convoy.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Facts {
    pub(super) place: Place,
    /// When it entered its state.
    pub(super) since: Timestamp,
    /// Why it is in its state.
    pub(super) reason: Option<String>,
    /// What it has cost, in US dollars.
    pub(super) cost_usd: f64,
}

/// All sessions of a convoy by name.
pub(super) type Members = BTreeMap<String, Facts>;

/// A notification to the human. The id makes sure that it is sent once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct News {
    pub(super) id: String,
    pub(super) text: String,
    /// Whether a member does nothing more until somebody looks.
    #[serde(default)]
    pub(super) needs_somebody: bool,
}

/// What is remembered of a member that was done.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Done {
    pub(super) since: Timestamp,
    pub(super) cost_usd: f64,
}

/// What is remembered of a convoy: `_convoys/ID.state.json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Memory {
    /// The human knows that it is complete since then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) complete: Option<Timestamp>,
    /// The human knows that it has reached its budget.
    pub(super) spent: bool,
    /// What the human knows of members that need somebody, each with its time.
    pub(super) trouble: BTreeSet<String>,
    /// The members that were done. They may have been archived since.
    pub(super) done: BTreeMap<String, Done>,
    /// When it became complete the last time its branches were merged, or that was tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) merged: Option<Timestamp>,
    /// What became of that merge, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) outcome: Option<String>,
    /// What the human is still to be told.
    pub(super) pending: Vec<News>,
    /// What is ready to be sent to the human, by id.
    pub(super) ready: Vec<String>,
}

impl Memory {
    /// Whether the human knows all there is to know, or will.
    pub(super) const fn is_settled(&self) -> bool {
        self.pending.is_empty() && self.ready.is_empty()
    }

    /// Adds something to what the human is to be told.
    pub(super) fn add(&mut self, text: String) {
        self.add_news(text, false);
    }

    /// The same for what nobody but the human can do something about.
    pub(super) fn add_trouble(&mut self, text: String) {
        self.add_news(text, true);
    }

    fn add_news(&mut self, text: String, needs_somebody: bool) {
        let id = uuid::Uuid::now_v7().to_string();
        self.pending.push(News { id, text, needs_somebody });
    }
}

fn is_done(members: &Members, name: &str) -> bool {
    members.get(name).is_some_and(|facts| facts.place == Place::Begun(StateName::Done))
}

/// What all members have cost together, in US dollars.
pub(super) fn cost(members: &Members) -> f64 {
    members.values().map(|facts| facts.cost_usd).sum()
}

/// When the last member became done; `None` while one is not.
pub(super) fn complete_since(plan: &Plan, members: &Members) -> Option<Timestamp> {
    if !plan.sessions.iter().all(|name| is_done(members, name)) {
        return None;
    }
    members.values().map(|facts| facts.since).max()
}

/// The sessions to start now, in order: those whose turn has come, and those that nobody started
/// although it had.
pub(super) fn starts(plan: &Plan, members: &Members) -> Vec<String> {
    let place = |name: &str| members.get(name).map_or(Place::Absent, |facts| facts.place);
    let taken = plan.sessions.iter().filter(|name| place(name).takes_room()).count();
    let mut room = plan.cap.map_or(usize::MAX, |cap| cap.saturating_sub(taken));
    if plan.is_spent(cost(members)) {
        room = 0;
    }
    let mut start = Vec::new();
    for name in plan.order() {
        let is_ready = || plan.before(name).iter().all(|other| is_done(members, other));
        match place(name) {
            Place::Released => start.push(name.to_owned()),
            Place::Held if room > 0 && is_ready() => {
                room -= 1;
                start.push(name.to_owned());
            }
            _ => {}
        }
    }
    start
}

/// What keeps those that have not started yet from it, where it is the convoy's budget.
pub(super) fn spent(plan: &Plan, members: &Members) -> Option<String> {
    let cost = cost(members);
    let waits = members.values().any(|facts| facts.place == Place::Held);
    let budget = plan.budget.filter(|_| waits && plan.is_spent(cost))?;
    let (id, names) = (&plan.id, plan.sessions.join(" "));
    Some(format!(
        "convoy {id} has cost ${cost:.2} of its ${budget:.2}: those at work continue, no other one starts; \
         to raise it: samocode convoy create {id} {names} --budget USD"
    ))
}

/// What is remembered from now on. What is news is added to what the human is to be told, once.
pub(super) fn remember(
    plan: &Plan,
    members: &Members,
    failed: &[(String, String)],
    before: &Memory,
) -> Memory {
    let mut memory = before.clone();
    let id = &plan.id;
    let mut trouble: Vec<(&str, String, Option<&str>, String)> = Vec::new();
    for name in plan.order() {
        let Some(facts) = members.get(name) else { continue };
        let reason = facts.reason.as_deref();
        match facts.place {
            Place::Absent => {
                trouble.push((name, format!("{name} does not exist"), None, String::new()));
            }
            Place::Begun(word @ (StateName::Blocked | StateName::Failed)) => {
                let since = facts.since.to_string();
                trouble.push((name, format!("{name} is {word}"), reason, since));
            }
            Place::Begun(StateName::Done) => {
                let Facts { since, cost_usd, .. } = *facts;
                memory.done.insert(name.to_owned(), Done { since, cost_usd });
            }
            _ => {}
        }
    }
    for (name, why) in failed {
        let what = format!("{name} could not be started");
        trouble.push((name, what, Some(why), String::new()));
    }
    memory.trouble.clear();
    for (name, what, why, since) in trouble {
        // Once a member was well again, it is announced again.
        let key = format!("{what} {since}");
        let is_known = before.trouble.contains(&key);
        memory.trouble.insert(key);
        if is_known {
            continue;
        }
        let why = why.map_or_else(String::new, |why| format!(" ({why})"));
        let held = plan.held_up_by(name).join(", ");
        let held = if held.is_empty() { String::new() } else { format!("; it holds up {held}") };
        memory.add_trouble(format!("convoy {id}: {what}{why}{held}"));
    }

    let cost = cost(members);
    let complete = complete_since(plan, members);
    memory.spent = plan.is_spent(cost);
    if memory.spent && !before.spent && complete.is_none() {
        memory.add(format!(
            "convoy {id} has cost ${cost:.2} and reached its budget: no other session of it starts"
        ));
    }
    if complete != before.complete {
        memory.outcome = None;
    }
    memory.complete = complete;
    if complete.is_some() && complete != before.complete && plan.notify_on_complete {
        let count = plan.sessions.len();
        let sessions = if count == 1 { "1 session" } else { &format!("{count} sessions") };
        let then = if plan.merge {
            "its branches are being merged".to_owned()
        } else {
            format!("merge it with: samocode merge {id}")
        };
        memory.add(format!("convoy {id} is complete: {sessions}, ${cost:.2}; {then}"));
    }
    memory
}

#[cfg(test)]
mod tests;
