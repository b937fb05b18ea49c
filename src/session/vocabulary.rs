//! The words by which signals, journals and hooks say what is waited for, needed, in the way, and
//! what became of a run. Each is an enum here and plain text in the files. A word that is not
//! known, from an agent or from another version, is kept as it was written and shown as it is.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::phase::Phase;

/// Declares an enum of words with one variant more, `Other`, for those that are not known.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(from = "String", into = "String")]
        pub enum $name {
            $($(#[$doc])* $variant,)+
            /// A word that this version does not know, as it was written.
            Other(String),
        }

        impl $name {
            /// The word as files have it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Other(word) => word,
                }
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                match word {
                    $($word => Self::$variant,)+
                    other => Self::Other(other.to_owned()),
                }
            }
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                Self::from(word.as_str())
            }
        }

        impl From<$name> for String {
            fn from(word: $name) -> Self {
                word.as_str().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words! {
    /// What a waiting session waits for: the `for` of its signal.
    WaitsFor {
        /// Answers to the questions in `_qa.md`.
        QaAnswers = "qa_answers",
        /// A yes or no to the plan.
        PlanApproval = "plan_approval",
        /// A file that a human has to change.
        FileUpdate = "file_update",
        /// Anything else that only a human can do.
        HumanAction = "human_action",
    }
}

impl WaitsFor {
    /// What a phase waits for where nobody says it.
    #[must_use]
    pub const fn usual(phase: Phase) -> Self {
        match phase {
            Phase::Requirements => Self::QaAnswers,
            Phase::Planning => Self::PlanApproval,
            _ => Self::HumanAction,
        }
    }

    /// The command that gives the session `instance` what it waits for.
    #[must_use]
    pub fn answer_command(&self, instance: &str) -> String {
        match self {
            Self::QaAnswers => format!("samocode answer {instance}"),
            Self::PlanApproval => format!("samocode approve {instance}"),
            Self::FileUpdate | Self::HumanAction | Self::Other(_) => {
                format!("samocode send {instance} \"…\"")
            }
        }
    }
}

words! {
    /// What a blocked session needs: the `needs` of its signal, or of the worker's own verdict.
    Needs {
        /// Somebody who decides.
        HumanDecision = "human_decision",
        /// A task that says what is meant.
        Clarification = "clarification",
        /// An error fixed that the agent cannot fix.
        ErrorResolution = "error_resolution",
        /// Somebody who looks into what happened.
        Investigation = "investigation",
    }
}

words! {
    /// What pauses a session until it is gone.
    Cause {
        /// Too little space on a disk that the session writes to.
        Disk = "disk",
        /// Refused or missing credentials of the agent's account.
        Credentials = "credentials",
        /// The network, or the agent's service behind it.
        Network = "network",
        /// The budget of a day.
        Budget = "budget",
    }
}

words! {
    /// What became of a run, in a word.
    RunOutcome {
        /// The agent ended by itself and in order.
        Finished = "finished",
        /// A usage limit was reached.
        Limit = "limit",
        /// The agent's service failed in a way that passes.
        Transient = "transient",
        /// The credentials were refused.
        Auth = "auth",
        /// The conversation no longer fits the model.
        ContextFull = "context_full",
        /// The conversation could not be resumed.
        NotResumed = "not_resumed",
        /// The kernel killed it for want of memory.
        OutOfMemory = "out_of_memory",
        /// A signal ended it.
        Killed = "killed",
        /// It took longer than a run may.
        TimedOut = "timed_out",
        /// It showed no progress for too long.
        Stalled = "stalled",
        /// The worker was asked to end, and ended it.
        Interrupted = "interrupted",
        /// It took as many turns as it may.
        MaxTurns = "max_turns",
        /// It spent what one run may spend.
        Budget = "budget",
        /// The process could not be started.
        WouldNotStart = "would_not_start",
        /// The agent reported an error.
        Failed = "failed",
        /// Its worker ended before it; the signal it left was used.
        CutOff = "cut_off",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_plain_text_in_a_file_and_an_unknown_one_is_kept() {
        for (word, known) in [("qa_answers", true), ("a_new_moon", false), ("QA_ANSWERS", false)] {
            let json = serde_json::to_string(word).unwrap();
            let read: WaitsFor = serde_json::from_str(&json).unwrap();
            assert_eq!(matches!(read, WaitsFor::Other(_)), !known, "{word}");
            assert_eq!(serde_json::to_string(&read).unwrap(), json);
        }
    }

    #[test]
    fn each_wait_has_the_command_that_ends_it() {
        assert_eq!(WaitsFor::QaAnswers.answer_command("jwt"), "samocode answer jwt");
        assert_eq!(WaitsFor::PlanApproval.answer_command("jwt"), "samocode approve jwt");
        assert_eq!(WaitsFor::from("a_new_moon").answer_command("jwt"), "samocode send jwt \"…\"");
    }
}
