//! Runs of the agent, from start to end.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::session::cost::{Certainty, RunCost, Usage, dollars};
use crate::session::describe::{more, one_line, quiet};
use crate::session::phase::Phase;
use crate::session::review::Assignment;
use crate::session::state::{Iteration, OpenRun, Standing, State};
use crate::session::vocabulary::RunOutcome;
use crate::session::{Elsewhere, Stray};

use super::Occurrence;

/// A run starts; written before the agent is launched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunStarted {
    /// The ID of the run.
    pub run: String,
    /// The agent's name, such as `claude`.
    pub agent: String,
    /// The program and its arguments, for an agent that is chosen with a command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The ID of the agent's conversation; empty if the agent has yet to choose it.
    pub conversation: String,
    /// Whether the agent resumes that conversation.
    pub resume: bool,
    /// The phase the run works in.
    pub phase: Phase,
    /// Number of the iteration within the phase, from 1.
    pub iteration: u32,
    /// Number of the iteration within the session, from 1.
    pub total: u32,
    /// Number of the run within the iteration, from 1.
    pub attempt: u32,
    /// File name of the raw stream in `_logs/`.
    pub log: String,
    /// How the agent is confined, and what that leaves open on this host; absent if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confined: Option<String>,
    /// What it reviews, if the agent is a reviewer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<Assignment>,
}

impl Occurrence for RunStarted {
    const MESSAGE_ID: &str = "e106e813cf7242789329b796e45c8972";

    fn describe(&self) -> String {
        let Self { agent, phase, iteration, attempt, resume, .. } = self;
        let again = if *attempt > 1 { format!(", run {attempt}") } else { String::new() };
        if let Some(review) = &self.review {
            let resumes = if *resume { " in the same conversation" } else { "" };
            return format!("{phase}: {agent} reviews {}{again}{resumes}", review.subject());
        }
        let starts = if *resume { "resumes its conversation" } else { "starts" };
        format!("{phase} {iteration}{again}: {agent} {starts}")
    }

    fn fold(&self, at: Timestamp, state: &mut State) {
        state.visit.phase = self.phase;
        state.visit.iterations = self.iteration;
        if state.visit.reviews.run_started(self.review.as_ref()) {
            state.iteration = None;
        }
        state.total = self.total;
        let forced = std::mem::take(&mut state.forced);
        state.unsettled = false;
        state.redirection = None;
        state.machine.run_started();
        state.visit.run_started();
        // A reviewer is told nothing.
        if self.review.is_none() {
            state.notes.run_started();
        }
        state.standing = Standing::Running;
        state.last_progress = Some(at);
        let open = OpenRun { run: self.run.clone(), log: self.log.clone(), since: at, forced };
        state.iteration.get_or_insert_with(|| Iteration::new(open.clone())).run_started(
            open,
            self.attempt,
            &self.conversation,
            self.command.as_ref().unwrap_or(&self.agent),
        );
    }
}

/// The agent chose the ID of the conversation that its run works in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationNamed {
    /// The ID of the run.
    pub run: String,
    /// The ID to resume the conversation by.
    pub conversation: String,
}

impl Occurrence for ConversationNamed {
    const MESSAGE_ID: &str = "7d0c5b1e93a84f27b6c41f80a5d2e936";

    fn describe(&self) -> String {
        format!("the agent works in conversation {}", one_line(&self.conversation))
    }

    fn fold(&self, _at: Timestamp, state: &mut State) {
        if let Some(iteration) = &mut state.iteration {
            iteration.conversation_named(&self.conversation);
        }
    }
}

/// A run ended and its outcome is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunEnded {
    /// The ID of the run.
    pub run: String,
    /// The outcome in one word.
    pub outcome: RunOutcome,
    /// Details for a person, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Whether the run uses up one of the iteration's retries.
    #[serde(default)]
    pub failure: bool,
    /// Whether it was refused for a limit that has no known end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub endless: bool,
    /// Whether the next run can resume its conversation.
    #[serde(default)]
    pub resumable: bool,
    /// The size of the model's context window in tokens, if the agent reported it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_window: Option<u64>,
    /// Money, tokens and machine resources the run used.
    #[serde(default)]
    pub cost: RunCost,
}

impl Occurrence for RunEnded {
    const MESSAGE_ID: &str = "e994b220515846bc9697e2b67d5652a3";

    fn describe(&self) -> String {
        let certainty = Certainty { estimated: self.cost.estimated, ..Certainty::default() };
        let cost =
            self.cost.usd.map_or_else(String::new, |usd| format!(" ({})", dollars(usd, certainty)));
        format!("run ended: {}{}{cost}", self.outcome, more(self.detail.as_deref()))
    }

    fn is_warning(&self) -> bool {
        self.failure
    }

    fn fold(&self, at: Timestamp, state: &mut State) {
        state.context_window = self.context_window.or(state.context_window);
        state.costs.add(&self.run, at, &self.cost);
        state.last_progress = Some(at);
        state.machine.run_ended();
        if let Some(iteration) = &mut state.iteration {
            state.forced |= iteration.run_ended(self);
        }
    }
}

/// A run died with its worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunLost {
    /// The ID of the run.
    pub run: String,
    /// The tokens it had used, as far as the worker had shown them.
    #[serde(default, skip_serializing_if = "Usage::is_none")]
    pub tokens: Usage,
}

impl Occurrence for RunLost {
    const MESSAGE_ID: &str = "2e9204f042e54bd28d2edcb0b87f2af6";

    fn describe(&self) -> String {
        "run cut off when its worker died".to_owned()
    }

    fn is_warning(&self) -> bool {
        true
    }

    fn fold(&self, at: Timestamp, state: &mut State) {
        state.costs.add(&self.run, at, &RunCost { tokens: self.tokens, ..RunCost::default() });
        if let Some(iteration) = &mut state.iteration {
            iteration.run_lost();
        }
    }
}

/// Something that was not one of the session's files was in the place of one, and is set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetAside {
    /// The name of the file or folder.
    pub file: String,
    /// What was in its place: `a symbolic link to /home/u`.
    pub what: String,
    /// The name it has now, in the session's folder.
    pub kept: String,
}

impl Occurrence for SetAside {
    const MESSAGE_ID: &str = "a3b5a2e1c07f4f7c9d5be2f4fb0f9d43";

    fn describe(&self) -> String {
        let Self { file, what, kept } = self;
        format!("{file} was {}: it was set aside as {kept}", one_line(what))
    }

    fn is_warning(&self) -> bool {
        true
    }

    fn fold(&self, _at: Timestamp, state: &mut State) {
        state.notes.file(self.describe());
    }
}

/// HEAD of the worktree left the session's branch, moved on elsewhere, or came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadMoved {
    /// Where it is now; absent if it is on the session's branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Elsewhere>,
}

impl Occurrence for HeadMoved {
    const MESSAGE_ID: &str = "51109d42fa4d4978bfc7c0d37e96503a";

    fn describe(&self) -> String {
        let back = || "HEAD is back on the session's branch".to_owned();
        self.head.as_ref().map_or_else(back, |head| one_line(&head.describe()))
    }

    fn is_warning(&self) -> bool {
        self.head.is_some()
    }

    fn fold(&self, _at: Timestamp, state: &mut State) {
        state.elsewhere.clone_from(&self.head);
    }
}

/// Something changed in the repository beside the session's branch while the agent ran, or is settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StraysFound {
    /// The session's branch.
    pub branch: String,
    /// All that is known of now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub strays: Vec<Stray>,
}

impl Occurrence for StraysFound {
    const MESSAGE_ID: &str = "d7c1f0a85e0b4c1e9a5d3b7264ef8c10";

    fn describe(&self) -> String {
        if self.strays.is_empty() {
            return format!("nothing is left of what had changed beside '{}'", self.branch);
        }
        let all = self.strays.iter().map(|stray| one_line(&stray.describe(&self.branch)));
        all.collect::<Vec<_>>().join("; ")
    }

    fn is_warning(&self) -> bool {
        !self.strays.is_empty()
    }

    fn fold(&self, _at: Timestamp, state: &mut State) {
        state.strays.clone_from(&self.strays);
    }
}

/// The agent made no progress for a while and was nudged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Nudged {
    /// The ID of the run.
    pub run: String,
    /// How long there has been no progress, in seconds.
    pub quiet_s: u64,
}

impl Occurrence for Nudged {
    const MESSAGE_ID: &str = "32582ced71ca4a398e4e16e1e436d6e1";

    fn describe(&self) -> String {
        format!("no sign of progress for {}: nudging the agent", quiet(self.quiet_s))
    }

    fn is_warning(&self) -> bool {
        true
    }

    fn fold(&self, _at: Timestamp, _state: &mut State) {}
}

/// Still no progress: the worker stops feeding the watchdog.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stalled {
    /// The ID of the run.
    pub run: String,
    /// How long there has been no progress, in seconds.
    pub quiet_s: u64,
}

impl Occurrence for Stalled {
    const MESSAGE_ID: &str = "123222c563cb4755b77031d876f82223";

    fn describe(&self) -> String {
        format!("no sign of progress for {}: leaving it to the watchdog", quiet(self.quiet_s))
    }

    fn is_warning(&self) -> bool {
        true
    }

    fn fold(&self, _at: Timestamp, state: &mut State) {
        if let Some(iteration) = &mut state.iteration {
            iteration.stalls += 1;
        }
    }
}

/// The agent keeps making the same tool call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Repeated {
    /// The ID of the run.
    pub run: String,
    /// The tool and a summary of its input.
    pub what: String,
    /// How many times in a row.
    pub times: u32,
}

impl Occurrence for Repeated {
    const MESSAGE_ID: &str = "0f7b8f0d1a334f0fa9a5f2d6c35e61b1";

    fn describe(&self) -> String {
        let Self { what, times, .. } = self;
        format!("the agent made the same call {times} times in a row: {}", one_line(what))
    }

    fn is_warning(&self) -> bool {
        true
    }

    fn fold(&self, _at: Timestamp, _state: &mut State) {}
}

/// The agent was asked for a handoff: its context is filling up, or a human wants one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HandoffAsked {
    /// The ID of the run.
    pub run: String,
    /// Tokens in the context; absent if a human asked for the handoff.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<u64>,
}

impl Occurrence for HandoffAsked {
    const MESSAGE_ID: &str = "5c1c2b3a6d7f4c6f8e2b9a40d3f18e57";

    fn describe(&self) -> String {
        match self.used {
            Some(used) => format!("context filling up ({used} tokens): asked for a handoff"),
            None => "asked for a handoff".to_owned(),
        }
    }

    fn fold(&self, _at: Timestamp, _state: &mut State) {}
}

/// The worker wrote a handoff for an agent that ended without one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HandoffMade {
    /// The ID of the run.
    pub run: String,
    /// What the next conversation receives.
    pub state: Value,
}

impl Occurrence for HandoffMade {
    const MESSAGE_ID: &str = "c8e9a1f40b6247d59d0e3f7a2b84c613";

    fn describe(&self) -> String {
        "conversation ended without a handoff; made one from its last output".to_owned()
    }

    fn fold(&self, _at: Timestamp, state: &mut State) {
        state.handoff = Some(self.state.clone());
        if let Some(iteration) = &mut state.iteration {
            iteration.handoff_made();
        }
    }
}
