//! How a session comes to be, and what people do to it by hand.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::session::advance::Gate;
use crate::session::asked::Asked;
use crate::session::describe::one_line;
use crate::session::phase::Phase;
use crate::session::state::{Deaths, Place, Redirection, Standing, State, Visit};
use crate::session::vocabulary::{Needs, RetryCause, WaitsFor};

use super::Occurrence;

/// A session was requested; nothing exists yet but its folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Created {
    /// The session's name, without date or project.
    pub name: String,
    /// The task, as the person typed it.
    pub task: String,
    /// What to investigate first (`--dive`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dive: Option<String>,
    /// The instance of the session that began this one; absent if a human did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
}

impl Occurrence for Created {
    const MESSAGE_ID: &str = "f395dd8534d344648e707eb8576c3e4c";

    fn describe(&self) -> String {
        format!("session created: {}", one_line(&self.task))
    }

    fn fold(&self, at: Timestamp, state: &mut State) {
        state.created = at;
        state.since = at;
        state.name.clone_from(&self.name);
        state.task.clone_from(&self.task);
        state.dive.clone_from(&self.dive);
        state.parent.clone_from(&self.parent);
    }
}

/// A session without a journal was imported from its files, such as one of the Python samocode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Imported {
    /// The session's name, without date or project.
    pub name: String,
    /// The task, from the overview.
    pub task: String,
    /// The phase, from the overview.
    pub phase: Phase,
    /// Iterations completed in that phase.
    pub iteration: u32,
    /// Iterations completed in all phases together.
    pub total: u32,
    /// Progress of the phase's gate, derived from the signal history.
    #[serde(default)]
    pub gate: Gate,
    /// What was there when the wait began, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
    /// What the session was waiting for, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<WaitsFor>,
    /// Why the session was blocked, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<String>,
    /// Whether the session was done.
    #[serde(default)]
    pub done: bool,
}

impl Occurrence for Imported {
    const MESSAGE_ID: &str = "070aeb77df1a4a0b9521a65f916d8c38";

    fn describe(&self) -> String {
        let Self { phase, total, .. } = self;
        format!("session imported from its files: {phase}, {total} iterations so far")
    }

    fn fold(&self, at: Timestamp, state: &mut State) {
        state.created = at;
        state.since = at;
        state.name.clone_from(&self.name);
        state.task.clone_from(&self.task);
        state.visit = Visit {
            iterations: self.iteration,
            gate: self.gate,
            asked: self.asked.clone(),
            ..Visit::to(self.phase)
        };
        state.total = self.total;
        state.standing = if self.done {
            Standing::Done
        } else if let Some(waits_for) = &self.waits_for {
            Standing::Waiting { waits_for: waits_for.clone(), reason: None }
        } else if let Some(reason) = &self.blocked {
            Standing::Blocked { reason: reason.clone(), needs: Needs::HumanDecision }
        } else {
            Standing::Running
        };
    }
}

/// Worktree and overview exist; the session leaves `init`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prepared {
    /// The folder the agent works in.
    pub working_dir: String,
    /// The branch; absent if the project has no repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The commit the branch starts from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// Warnings for the human, such as a failed fetch or commits that are not signed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The ignored files that were copied into the worktree.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copied: Vec<String>,
}

/// As many copied files are named; more are counted.
const FEW: usize = 8;

impl Occurrence for Prepared {
    const MESSAGE_ID: &str = "837dc26dedb2492fb85e8d28cfab9890";

    fn describe(&self) -> String {
        let Self { working_dir, .. } = self;
        let mut text = match (&self.branch, &self.base) {
            (Some(branch), Some(base)) => format!("branch {branch} from {base} in {working_dir}"),
            (Some(branch), None) => format!("branch {branch} in {working_dir}"),
            (None, _) => format!("working in {working_dir}"),
        };
        match self.copied.len() {
            0 => {}
            1..=FEW => text.push_str(&format!("; copied {}", one_line(&self.copied.join(", ")))),
            many => text.push_str(&format!("; copied {many} ignored files")),
        }
        for note in &self.notes {
            text.push_str("; ");
            text.push_str(&one_line(note));
        }
        text
    }

    fn fold(&self, _at: Timestamp, state: &mut State) {
        state.notes.prepared(&self.notes);
        state.place = Some(Place {
            working_dir: self.working_dir.clone(),
            branch: self.branch.clone(),
            base: self.base.clone(),
        });
        if state.standing == Standing::New {
            state.standing = Standing::Running;
        }
        if state.phase() == Phase::Init {
            state.enter(Phase::Investigation);
        }
    }
}

/// The worktree had disappeared and was made again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remade {
    /// The folder the agent works in.
    pub working_dir: String,
    /// The branch whose commits are in it.
    pub branch: String,
}

impl Occurrence for Remade {
    const MESSAGE_ID: &str = "b66ff0cfea9f53ac6e556475a85c42bb";

    fn describe(&self) -> String {
        let Self { working_dir, branch } = self;
        format!(
            "{working_dir} had disappeared and was made again from {branch}; what was not committed there is lost"
        )
    }

    fn is_warning(&self) -> bool {
        true
    }

    fn fold(&self, _at: Timestamp, state: &mut State) {
        state.notes.file(self.describe());
    }
}

/// A finished session was given a new task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resumed {
    /// The new task, as the person typed it.
    pub task: String,
}

impl Occurrence for Resumed {
    const MESSAGE_ID: &str = "d87da8ab13b74d9fa3282cd691c08f59";

    fn describe(&self) -> String {
        format!("resumed with a new task: {}", one_line(&self.task))
    }

    fn fold(&self, at: Timestamp, state: &mut State) {
        state.task.clone_from(&self.task);
        state.dive = None;
        state.stopped = false;
        state.deaths = Deaths::default();
        state.enter(Phase::Investigation);
        state.standing = Standing::Running;
        state.unsettled = true;
        state.redirection = Some(Redirection::Task(at));
    }
}

/// A worker found all of `_qa.md` answered since the session waits, by hand or by a verb whose
/// message it had not read yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answered {}

impl Occurrence for Answered {
    const MESSAGE_ID: &str = "2263c0b49f3040758a81e3858d6d958c";

    fn describe(&self) -> String {
        "all questions in _qa.md are answered".to_owned()
    }

    fn fold(&self, _at: Timestamp, state: &mut State) {
        state.visit.answered();
        state.end_wait();
    }
}

/// A human changed the phase by editing the overview.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhaseSet {
    /// The phase that was set.
    pub phase: Phase,
}

impl Occurrence for PhaseSet {
    const MESSAGE_ID: &str = "e5241e80b30c45728eb7a3a37109593f";

    fn describe(&self) -> String {
        format!("phase set to {} by hand", self.phase)
    }

    fn fold(&self, at: Timestamp, state: &mut State) {
        state.enter(self.phase);
        state.proceed();
        state.unsettled = true;
        state.redirection = Some(Redirection::Phase(at));
    }
}

/// A blocked session is retried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Retried {
    /// What caused the retry.
    pub by: RetryCause,
}

impl Occurrence for Retried {
    const MESSAGE_ID: &str = "3da27e17a1934c0f91ab4b50494a7e68";

    fn describe(&self) -> String {
        format!("retry ({})", self.by)
    }

    fn fold(&self, _at: Timestamp, state: &mut State) {
        if matches!(state.standing, Standing::Blocked { .. }) {
            state.retry();
        }
    }
}

/// A human allowed the session's agent, a coordinator, to answer for them, or no longer does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegated {
    /// Whether it opens the gates of the sessions below it.
    pub gates: bool,
}

impl Occurrence for Delegated {
    const MESSAGE_ID: &str = "5b0c6a4ee2f24f5b8d7e9f1c3a60d214";

    fn describe(&self) -> String {
        if self.gates {
            "a human lets it open the gates of the sessions below it".to_owned()
        } else {
            "a human no longer lets it open the gates of the sessions below it".to_owned()
        }
    }

    fn fold(&self, _at: Timestamp, state: &mut State) {
        state.opens_gates = self.gates;
    }
}

/// Settings were given for this session alone, with the flags of `run`: they hold for its later runs too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chosen {
    /// The values, by key.
    pub settings: BTreeMap<String, String>,
}

impl Occurrence for Chosen {
    const MESSAGE_ID: &str = "c93a5be0d7184b6f8f1e2a70b4d6953c";

    fn describe(&self) -> String {
        let settings = self.settings.iter().map(|(key, value)| format!("{key}={value}"));
        format!("set for this session: {}", one_line(&settings.collect::<Vec<_>>().join(", ")))
    }

    fn fold(&self, _at: Timestamp, state: &mut State) {
        state.chosen.extend(self.settings.clone());
    }
}

/// A human stopped the session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stopped {}

impl Occurrence for Stopped {
    const MESSAGE_ID: &str = "cd053f6bf51444d7ad99a77a1584d477";

    fn describe(&self) -> String {
        "stopped by a human".to_owned()
    }

    fn fold(&self, _at: Timestamp, state: &mut State) {
        state.stopped = true;
    }
}

/// A human started the session again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Started {}

impl Occurrence for Started {
    const MESSAGE_ID: &str = "2a21b39f6377464ba2c20aaebaea6e88";

    fn describe(&self) -> String {
        "started by a human".to_owned()
    }

    fn fold(&self, _at: Timestamp, state: &mut State) {
        state.stopped = false;
        state.forced = true;
        state.deaths = Deaths::default();
        state.visit.reviews.ask_again();
        if matches!(
            state.standing,
            Standing::GaveUp | Standing::Paused { .. } | Standing::Limited { .. }
        ) {
            state.proceed();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_copied_files_are_named_and_many_are_counted() {
        let copied = |count: usize| {
            let copied = (0..count).map(|at| format!("data/f{at}")).collect();
            let working_dir = "/w/jwt".to_owned();
            Prepared { working_dir, branch: None, base: None, notes: Vec::new(), copied }.describe()
        };
        assert_eq!(copied(0), "working in /w/jwt");
        assert_eq!(copied(2), "working in /w/jwt; copied data/f0, data/f1");
        assert_eq!(copied(6000), "working in /w/jwt; copied 6000 ignored files");
    }
}
