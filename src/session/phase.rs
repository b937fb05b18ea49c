//! The phase table: the phases, their successors, and the signals allowed in each.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::signal::Status;

/// The eight phases of a session.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Creates folder, worktree and branch; usually done by the worker without an agent.
    #[default]
    Init,
    /// Studies the existing code and writes down what it finds.
    Investigation,
    /// Writes down the requirements and asks about open points. A gate.
    Requirements,
    /// Writes the plan and has it approved. A gate.
    Planning,
    /// Carries out the plan in small commits.
    Implementation,
    /// Runs the tests and adds missing ones.
    Testing,
    /// Reviews the whole change and fixes what it finds.
    Quality,
    /// Writes the summary; the last phase.
    Done,
}

impl Phase {
    /// All phases, in the order in which a session goes through them.
    pub const ALL: [Self; 8] = [
        Self::Init,
        Self::Investigation,
        Self::Requirements,
        Self::Planning,
        Self::Implementation,
        Self::Testing,
        Self::Quality,
        Self::Done,
    ];

    /// The phase's name in files, in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Investigation => "investigation",
            Self::Requirements => "requirements",
            Self::Planning => "planning",
            Self::Implementation => "implementation",
            Self::Testing => "testing",
            Self::Quality => "quality",
            Self::Done => "done",
        }
    }

    /// The phases that may follow this one, not counting itself.
    #[must_use]
    pub const fn next(self) -> &'static [Self] {
        match self {
            Self::Init => &[Self::Investigation],
            Self::Investigation => &[Self::Requirements],
            Self::Requirements => &[Self::Planning],
            Self::Planning => &[Self::Implementation],
            Self::Implementation => &[Self::Testing, Self::Quality],
            Self::Testing => &[Self::Quality, Self::Done],
            Self::Quality => &[Self::Testing, Self::Done],
            Self::Done => &[],
        }
    }

    /// The statuses an agent may signal in this phase.
    #[must_use]
    pub const fn signals(self) -> &'static [Status] {
        match self {
            Self::Init | Self::Investigation | Self::Testing | Self::Quality => {
                &[Status::Continue, Status::Blocked, Status::Handoff]
            }
            Self::Requirements | Self::Planning | Self::Implementation => {
                &[Status::Continue, Status::Waiting, Status::Blocked, Status::Handoff]
            }
            Self::Done => &[Status::Done, Status::Blocked],
        }
    }

    /// Maximum number of iterations in this phase; after that, the session blocks.
    #[must_use]
    pub const fn limit(self) -> u32 {
        match self {
            Self::Init => 5,
            Self::Investigation | Self::Testing => 20,
            Self::Requirements | Self::Planning | Self::Quality => 10,
            Self::Implementation => 100,
            Self::Done => 3,
        }
    }

    /// Whether a human must answer before the session may leave this phase.
    #[must_use]
    pub const fn is_gate(self) -> bool {
        matches!(self, Self::Requirements | Self::Planning)
    }

    /// Position of the phase, from 1 to 8.
    #[must_use]
    pub const fn number(self) -> usize {
        self as usize + 1
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The word is not the name of a phase.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a phase: use init, investigation, requirements, planning, implementation, testing, quality or done"
)]
pub struct UnknownPhase(pub String);

impl FromStr for Phase {
    type Err = UnknownPhase;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let word = text.trim().to_lowercase();
        Self::ALL
            .into_iter()
            .find(|phase| phase.as_str() == word)
            .ok_or_else(|| UnknownPhase(text.trim().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_any_case_and_with_white_space() {
        for phase in Phase::ALL {
            let shouted = format!("  {}\r\n", phase.as_str().to_uppercase());
            assert_eq!(shouted.parse(), Ok(phase));
        }
        assert!("shipping".parse::<Phase>().is_err());
    }

    #[test]
    fn every_phase_leads_to_done() {
        for phase in Phase::ALL {
            let mut at = phase;
            for _ in 0..Phase::ALL.len() {
                at = at.next().last().copied().unwrap_or(at);
            }
            assert_eq!(at, Phase::Done);
        }
    }

    #[test]
    fn only_the_two_gates_wait_for_a_human_to_be_left() {
        let gates: Vec<_> = Phase::ALL.into_iter().filter(|p| p.is_gate()).collect();
        assert_eq!(gates, [Phase::Requirements, Phase::Planning]);
        assert!(gates.iter().all(|p| p.signals().contains(&Status::Waiting)));
    }
}
