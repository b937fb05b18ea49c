//! Judges the end of a run by the reports of its stream and of the kernel. Prose is shown to people
//! and never decides.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use jiff::Timestamp;

use super::Environment;
use super::event::{Denied, Event, Finished, Limit, Usage, Window, one_line};
use super::remedy::Remedy;

mod words;

pub(crate) use words::ANOTHER;
use words::{last_words, unspoken, without_result};

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessExit {
    /// It exited with this code.
    Code(i32),
    /// It was ended by this signal.
    Signal(i32),
}

impl From<ExitStatus> for ProcessExit {
    fn from(status: ExitStatus) -> Self {
        status.signal().map_or_else(|| Self::Code(status.code().unwrap_or(0)), Self::Signal)
    }
}

impl ProcessExit {
    /// The signal that ended it, also when a shell or a handler reported it as 128 + n.
    const fn by_signal(self) -> Option<i32> {
        match self {
            Self::Signal(signal) => Some(signal),
            Self::Code(code @ (129 | 130 | 131 | 134 | 135 | 136 | 137 | 139 | 143)) => {
                Some(code - 128)
            }
            Self::Code(_) => None,
        }
    }
}

/// Signals that mean that the program crashed: SIGILL, SIGABRT, SIGBUS, SIGSEGV.
const CRASHES: [i32; 4] = [4, 6, 7, 11];

/// Why the worker ended a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    /// The run exceeded its time limit.
    Timeout,
    /// The run made no progress for too long.
    Stall,
    /// The budget was used up.
    Budget,
    /// A limit of the session's or of the machine's was reached: the disk, or processes.
    Limit,
    /// The worker itself was asked to stop.
    Shutdown,
}

/// The facts from a run's stream, collected event by event.
#[derive(Debug, Clone, Default)]
pub struct Reported {
    /// Whether any event was reported.
    pub anything: bool,
    /// Whether the agent had started to work.
    pub started: bool,
    /// The conversation's id, as the agent reported it; empty if it did not.
    pub conversation: String,
    /// The model that answers, in the agent's word; empty if it reports none.
    pub model: String,
    /// The last end that the agent reported.
    pub finished: Option<Finished>,
    /// The last report on the account's limits.
    pub limit: Option<Limit>,
    /// How full the account's windows are, as last reported.
    pub windows: Vec<Window>,
    /// The HTTP status and error name of the last failed attempt.
    pub retry: Option<(Option<u16>, String)>,
    /// The tokens of the replies that started, for a run that reports no end.
    pub replies: Usage,
    /// Tokens in the context after the last reply.
    pub context_used: Option<u64>,
    /// The permission mode it ran in, in its own word.
    pub permissions: Option<String>,
    /// How many calls it was not allowed to make, and the last of them.
    pub denied: (u32, Option<Denied>),
}

impl Reported {
    /// Adds the facts of one event.
    pub fn take(&mut self, event: &Event) {
        self.anything = true;
        match event {
            Event::Started { permissions, conversation, model } => {
                self.started = true;
                for (known, new) in
                    [(&mut self.conversation, conversation), (&mut self.model, model)]
                {
                    if !new.is_empty() {
                        known.clone_from(new);
                    }
                }
                self.permissions = permissions.clone().or_else(|| self.permissions.take());
            }
            Event::Denied(denied) => {
                self.denied = (self.denied.0.saturating_add(1), Some(denied.clone()));
            }
            Event::Finished(finished) => self.finished = Some((**finished).clone()),
            // Each kind is reported by itself: that another one has room changes nothing.
            Event::Limit(limit) => {
                if !limit.windows.is_empty() {
                    self.windows.clone_from(&limit.windows);
                }
                let holds =
                    |known: &Limit| known.reached && !limit.reached && known.kind != limit.kind;
                if !self.limit.as_ref().is_some_and(holds) {
                    self.limit = Some(limit.clone());
                }
            }
            Event::Retry { status, error, .. } => self.retry = Some((*status, error.clone())),
            Event::Usage { usage, context_used } => {
                self.replies = self.replies.plus(*usage);
                self.context_used = context_used.or(self.context_used);
                self.retry = None;
                // A request went through, so the limit no longer holds, or did not concern it.
                self.limit = self.limit.take().filter(|limit| !limit.reached);
            }
            Event::Progress | Event::Text { .. } | Event::Tool(_) => {}
        }
    }

    /// Whether it was not allowed to make some call.
    #[must_use]
    pub fn was_denied(&self) -> bool {
        self.denied.0 > 0 || self.finished.as_ref().is_some_and(|finished| finished.denied > 0)
    }

    /// Whether the model has replied.
    fn has_reply(&self) -> bool {
        self.replies != Usage::default()
    }

    /// The run's tokens: as reported at its end, else those of the replies that started. An end
    /// whose counts cannot be read has none.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let reported = self.finished.as_ref().map(|finished| finished.usage);
        reported.filter(|usage| *usage != Usage::default()).unwrap_or(self.replies)
    }
}

/// All that is known about a run that has ended.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// How the process ended.
    pub exit: ProcessExit,
    /// The facts from its stream.
    pub reported: &'a Reported,
    /// The end of its standard error output, to quote from; if there is none, the last line it
    /// printed that is not an event.
    pub stderr_tail: &'a str,
    /// How many processes of its cgroup the kernel killed to free memory (`memory.events`).
    pub oom_kills: u64,
    /// Why the worker ended it, if it did.
    pub ended_by: Option<EndedBy>,
    /// Whether it was started to resume a conversation.
    pub resumed: bool,
    /// Whether this conversation was [`Outcome::Rejected`] at its last run.
    pub rejected: bool,
    /// Whether the agent reports its end ([`super::Capabilities::reports_end`]).
    pub reports_end: bool,
    /// The conversation's id, if it is known.
    pub conversation: &'a str,
    /// Its environment, which tells where its own files are.
    pub environment: &'a Environment,
}

/// The meaning of a run's end for the worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It did its work; the signal has the rest.
    Finished,
    /// The account's usage limit is reached.
    Limit {
        /// When it resets, if that was reported.
        resets_at: Option<Timestamp>,
        /// The name of the limit.
        kind: String,
        /// What happened, in words.
        what: String,
    },
    /// The model takes no more requests for now, and did not say until when. The agent's own
    /// retries would not have helped.
    Throttled {
        /// What happened, in words.
        what: String,
    },
    /// The model could not be reached, was overloaded or failed; a later try may succeed.
    Transient {
        /// What happened, in words.
        what: String,
    },
    /// The account was refused: a human has to fix its credentials or pay.
    Auth {
        /// What happened, in words.
        what: String,
    },
    /// The conversation no longer fits the model's context: only a fresh one can continue.
    ContextFull,
    /// The conversation could not be resumed: only a fresh one can continue.
    NotResumed {
        /// The agent's own message.
        why: String,
    },
    /// The conversation was refused, by the model or by a policy: a fresh one may not be.
    Refused {
        /// The agent's own message.
        why: String,
    },
    /// The request was refused as invalid. The cause may be the conversation, or anything else.
    Rejected {
        /// The agent's own message.
        why: String,
    },
    /// The kernel killed it, or a process that it needed, to free memory.
    OutOfMemory,
    /// It was ended by a signal that did not come from the worker.
    Killed {
        /// The number of the signal that ended it, as in signal(7).
        signal: i32,
    },
    /// The worker ended it: it exceeded its time limit.
    TimedOut,
    /// The worker ended it: it made no progress for too long.
    Stalled,
    /// The worker ended it because it was itself asked to end.
    Interrupted,
    /// It used all its turns.
    MaxTurns,
    /// Its budget of money or tokens is used up.
    Budget,
    /// A limit of the machine kept it from starting.
    Exhausted {
        /// The limit, and how to raise it.
        why: String,
    },
    /// The program failed before it started to work.
    WouldNotStart {
        /// The error message of the agent or of its provider.
        why: String,
    },
    /// A failure of none of the other kinds; counts, and is retried in the same conversation.
    Failed {
        /// The reason, as text.
        why: String,
    },
}

/// Judges a run that has ended, by the first rule that matches:
///
/// | what is known | outcome |
/// |---|---|
/// | end reported, no error | finished, however the process exited after that |
/// | ended by the worker | timed out, stalled, budget, failed at a limit, interrupted |
/// | end reported with an error | by its caps, and its [`Remedy`], see [`of_error`] |
/// | ended by a signal (or 128 + n) | out of memory if the kernel counted a kill, else killed; not resumed if it crashed before a reply when it was to resume |
/// | code other than 0, kernel counted a kill; code 126 or 127 | out of memory; would not start |
/// | code other than 0, no reply, agent was to resume and reports its end | not resumed |
/// | code other than 0, agent reports its start but never did | would not start |
/// | code other than 0 | failed |
/// | code 0 | finished; failed where the agent reports its end but did not |
#[must_use]
pub fn judge(facts: &Facts<'_>) -> Outcome {
    let reported = facts.reported;
    if reported.finished.as_ref().is_some_and(|finished| !finished.is_error) {
        return Outcome::Finished;
    }
    if let Some(by) = facts.ended_by {
        return match by {
            EndedBy::Timeout => Outcome::TimedOut,
            EndedBy::Stall => Outcome::Stalled,
            EndedBy::Budget => Outcome::Budget,
            EndedBy::Limit => Outcome::Failed { why: "it reached a limit".to_owned() },
            EndedBy::Shutdown => Outcome::Interrupted,
        };
    }
    if let Some(finished) = &reported.finished {
        return of_error(finished, facts);
    }
    let unresumed = facts.reports_end && facts.resumed && !reported.has_reply();
    if let Some(signal) = facts.exit.by_signal() {
        return match signal {
            _ if facts.oom_kills > 0 => Outcome::OutOfMemory,
            signal if unresumed && CRASHES.contains(&signal) => {
                Outcome::NotResumed { why: last_words(facts) }
            }
            signal => Outcome::Killed { signal },
        };
    }
    match facts.exit {
        ProcessExit::Code(0) if !facts.reports_end => Outcome::Finished,
        ProcessExit::Code(0) => Outcome::Failed { why: without_result(facts) },
        _ if facts.oom_kills > 0 => Outcome::OutOfMemory,
        ProcessExit::Code(126 | 127) => Outcome::WouldNotStart { why: last_words(facts) },
        _ if unresumed => Outcome::NotResumed { why: last_words(facts) },
        _ if facts.reports_end && !reported.started => {
            Outcome::WouldNotStart { why: last_words(facts) }
        }
        _ => Outcome::Failed { why: last_words(facts) },
    }
}

/// The outcome of an error that the agent reported.
///
/// | what it says | outcome |
/// |---|---|
/// | its own cap | max turns, budget |
/// | [`Remedy`] of its names and status | see there |
/// | a rate limit, and the account's usage limit is reached | limit |
/// | a rate limit that the agent retried without success | transient; throttled if it did not try |
/// | the request is invalid, again in a conversation that was resumed | not resumed |
/// | an error before it started, when it was to resume | not resumed |
/// | anything else | out of memory if the kernel counted a kill, else failed |
fn of_error(finished: &Finished, facts: &Facts<'_>) -> Outcome {
    let reported = facts.reported;
    let what = || {
        let said = finished.text.lines().next().unwrap_or_default().trim();
        let said = if said.is_empty() { unspoken(finished, facts) } else { one_line(said, 400) };
        match &finished.advice {
            Some(advice) => format!("{said} ({advice})"),
            None => said,
        }
    };
    match (finished.subtype.as_str(), finished.terminal_reason.as_deref().unwrap_or_default()) {
        ("error_max_turns", _) => return Outcome::MaxTurns,
        ("error_max_budget_usd", _) => return Outcome::Budget,
        (_, "prompt_too_long" | "blocking_limit" | "rapid_refill_breaker") => {
            return Outcome::ContextFull;
        }
        _ => {}
    }
    let limit = reported.limit.as_ref().filter(|limit| limit.reached);
    let usage_limit = || Outcome::Limit {
        resets_at: limit.and_then(|limit| limit.resets_at),
        kind: limit.map(|limit| limit.kind.clone()).unwrap_or_default(),
        what: what(),
    };
    // The first request was refused: the conversation itself may be the cause.
    let at_once = facts.resumed && !reported.has_reply();
    match Remedy::of(finished) {
        Some(Remedy::LogIn) => Outcome::Auth { what: what() },
        Some(Remedy::Wait) => usage_limit(),
        Some(Remedy::SlowDown) if limit.is_some() => usage_limit(),
        Some(Remedy::SlowDown) if reported.retry.is_none() => Outcome::Throttled { what: what() },
        Some(Remedy::SlowDown | Remedy::Later) => Outcome::Transient { what: what() },
        Some(Remedy::Room) => Outcome::ContextFull,
        Some(Remedy::Fresh) => Outcome::Refused { why: what() },
        Some(Remedy::Setup | Remedy::Again) => Outcome::Failed { why: what() },
        _ if facts.resumed && !reported.started => Outcome::NotResumed { why: what() },
        Some(Remedy::Shrink) if at_once => Outcome::NotResumed { why: what() },
        Some(Remedy::Shrink) if reported.has_reply() => Outcome::ContextFull,
        Some(Remedy::Request) if at_once && facts.rejected => Outcome::NotResumed { why: what() },
        Some(Remedy::Request) => Outcome::Rejected { why: what() },
        _ if facts.oom_kills > 0 => Outcome::OutOfMemory,
        Some(Remedy::Shrink) | None => Outcome::Failed { why: what() },
    }
}

#[cfg(test)]
mod tests;
