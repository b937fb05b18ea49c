//! Vocabulary of signals, journals and hooks: what a session waits for or needs, why it is paused,
//! and how a run ended. Enums here, plain text in files, words of English where people read them.
//! Unknown words, from an agent or another version, are kept as written.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::phase::Phase;

/// Declares an enum of words, with an additional variant `Other` for unknown ones. What people read is
/// the word itself with blanks, or what follows `is`.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal $(is $said:literal)?,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(from = "String", into = "String")]
        pub enum $name {
            $($(#[$doc])* $variant,)+
            /// A word unknown to this version, as written.
            Other(String),
        }

        impl $name {
            /// The word used in files.
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
                let said = match self {
                    $($(Self::$variant => Cow::Borrowed($said),)?)+
                    _ => spoken(self.as_str()),
                };
                f.pad(&said)
            }
        }
    };
}

/// A word of a file as people read it.
fn spoken(word: &str) -> Cow<'_, str> {
    if word.contains('_') { Cow::Owned(word.replace('_', " ")) } else { Cow::Borrowed(word) }
}

words! {
    /// What a waiting session waits for: the `for` of its signal.
    WaitsFor {
        /// Answers to questions in `_qa.md`.
        QaAnswers = "qa_answers" is "answers",
        /// Approval or rejection of the plan.
        PlanApproval = "plan_approval" is "approval",
        /// A change that a human has to make to a file.
        FileUpdate = "file_update" is "a file update",
        /// Anything else that only a human can do.
        HumanAction = "human_action" is "a manual step",
        /// Mail from the sessions below it.
        Workers = "workers" is "its workers",
    }
}

impl WaitsFor {
    /// What a phase waits for if the signal does not say.
    #[must_use]
    pub const fn usual(phase: Phase) -> Self {
        match phase {
            Phase::Requirements => Self::QaAnswers,
            Phase::Planning => Self::PlanApproval,
            _ => Self::HumanAction,
        }
    }

    /// The command that gives the session `instance` what it is waiting for.
    #[must_use]
    pub fn answer_command(&self, instance: &str) -> String {
        match self {
            Self::QaAnswers => format!("samocode answer {instance}"),
            Self::PlanApproval => format!("samocode approve {instance}"),
            Self::FileUpdate | Self::HumanAction | Self::Workers | Self::Other(_) => {
                format!("samocode send {instance} \"…\"")
            }
        }
    }
}

words! {
    /// What a blocked session needs: the `needs` of its signal, or of the worker's own verdict.
    Needs {
        /// A decision by a human.
        HumanDecision = "human_decision",
        /// A clearer description of the task.
        Clarification = "clarification",
        /// A fix for an error that the agent cannot fix itself.
        ErrorResolution = "error_resolution",
        /// Somebody to investigate what happened.
        Investigation = "investigation",
    }
}

words! {
    /// What pauses a session until it clears.
    Cause {
        /// Too little space on a disk that the session writes to.
        Disk = "disk",
        /// Refused or missing credentials of the agent's account.
        Credentials = "credentials",
        /// No network, or no answer from the agent's service.
        Network = "network",
        /// The day's budget is spent.
        Budget = "budget",
        /// A limit of the machine is reached, such as that of processes.
        Machine = "machine",
        /// Other sessions of the account are at work, to which this one leaves the quota.
        Quota = "quota",
    }
}

words! {
    /// How a run ended, in one word.
    RunOutcome {
        /// The agent exited normally, with or without a signal.
        Finished = "finished",
        /// It was not allowed to make calls, and left no signal.
        Denied = "denied",
        /// The account reached a usage limit.
        Limit = "limit",
        /// The agent's service had a temporary failure.
        Transient = "transient",
        /// The service takes no more requests for now, and did not say until when.
        Throttled = "throttled",
        /// The service refused the credentials.
        Auth = "auth",
        /// The conversation no longer fits the model.
        ContextFull = "context_full",
        /// The conversation could not be resumed.
        NotResumed = "not_resumed",
        /// The conversation was refused, by the model or by a policy.
        Refused = "refused",
        /// The service refused the request as invalid.
        Rejected = "rejected",
        /// The kernel's OOM killer ended it.
        OutOfMemory = "out_of_memory",
        /// A signal from elsewhere killed it.
        Killed = "killed",
        /// It exceeded the time limit of a run.
        TimedOut = "timed_out",
        /// It made no progress for too long.
        Stalled = "stalled",
        /// Stopped because the worker had to exit.
        Interrupted = "interrupted",
        /// It used the maximum number of turns.
        MaxTurns = "max_turns",
        /// It used up the budget of a single run.
        Budget = "budget",
        /// Its process could not be started.
        WouldNotStart = "would_not_start",
        /// The agent reported an error.
        Failed = "failed",
        /// Its worker died before it ended; the signal it left was accepted.
        CutOff = "cut_off",
    }
}

words! {
    /// Why a blocked session is retried.
    RetryCause {
        /// A human started it again.
        Start = "start",
        /// A human edited the overview.
        Overview = "overview",
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
    fn people_read_no_words_of_files() {
        for (word, said) in [
            ("qa_answers", "answers"),
            ("plan_approval", "approval"),
            ("human_action", "a manual step"),
            ("a_new_moon", "a new moon"),
        ] {
            assert_eq!(WaitsFor::from(word).to_string(), said);
        }
        assert_eq!(Needs::ErrorResolution.to_string(), "error resolution");
        assert_eq!(RunOutcome::WouldNotStart.to_string(), "would not start");
    }

    #[test]
    fn each_wait_has_the_command_that_ends_it() {
        assert_eq!(WaitsFor::QaAnswers.answer_command("jwt"), "samocode answer jwt");
        assert_eq!(WaitsFor::PlanApproval.answer_command("jwt"), "samocode approve jwt");
        assert_eq!(WaitsFor::from("a_new_moon").answer_command("jwt"), "samocode send jwt \"…\"");
    }
}
