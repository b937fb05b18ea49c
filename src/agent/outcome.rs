//! What the end of a run means, judged by what its stream and the kernel say. Prose is shown to
//! people and never decides.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use jiff::Timestamp;

use super::Environment;
use super::event::{Event, Finished, Limit, Usage, one_line};

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It ended itself with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        status.signal().map_or_else(|| Self::Code(status.code().unwrap_or(0)), Self::Signal)
    }
}

impl Exit {
    /// The signal that ended it, also where a shell or a handler told it as 128 + n.
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

/// The signals by which a program ends of its own fault.
const ILL: i32 = 4;
const ABRT: i32 = 6;
const BUS: i32 = 7;
const SEGV: i32 = 11;

/// Why the worker ended a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    /// It had taken longer than a run may.
    Timeout,
    /// It had shown no progress.
    Stall,
    /// The budget was used up.
    Budget,
    /// The worker itself was asked to end.
    Shutdown,
}

/// What the stream of a run told, gathered event by event.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// Whether anything was told at all.
    pub anything: bool,
    /// Whether the agent had begun to work.
    pub started: bool,
    /// The last report of an end.
    pub finished: Option<Finished>,
    /// The last word on the account's limits.
    pub limit: Option<Limit>,
    /// The status and word of the last attempt that failed.
    pub retry: Option<(Option<u16>, String)>,
    /// The tokens of the replies that began, for a run that reports no end.
    pub begun: Usage,
    /// Tokens in the context after the last reply.
    pub context_used: Option<u64>,
}

impl Told {
    /// Takes an event.
    pub fn take(&mut self, event: &Event) {
        self.anything = true;
        match event {
            Event::Started { .. } => self.started = true,
            Event::Finished(finished) => self.finished = Some((**finished).clone()),
            Event::Limit(limit) => self.limit = Some(limit.clone()),
            Event::Retry { status, error, .. } => self.retry = Some((*status, error.clone())),
            Event::Usage { usage, context_used } => {
                self.begun = self.begun.plus(*usage);
                self.context_used = context_used.or(self.context_used);
                self.retry = None;
            }
            Event::Progress | Event::Text { .. } | Event::Tool(_) => {}
        }
    }

    /// Whether the model has replied at all.
    fn has_reply(&self) -> bool {
        self.begun != Usage::default()
    }

    /// The run's tokens: as reported at its end, else of the replies that began.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.finished.as_ref().map_or(self.begun, |finished| finished.usage)
    }
}

/// All that is known of a run that has ended.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// How the process ended.
    pub exit: Exit,
    /// What its stream told.
    pub told: &'a Told,
    /// The end of its standard error output, to quote from.
    pub stderr_tail: &'a str,
    /// Processes of its cgroup that the kernel killed for want of memory (`memory.events`).
    pub oom_kills: u64,
    /// Why the worker ended it, if it did.
    pub ended_by: Option<EndedBy>,
    /// Whether it was to go on with an earlier conversation.
    pub resumed: bool,
    /// Whether the agent reports its end ([`super::Capabilities::reports_end`]).
    pub reports_end: bool,
    /// The conversation's id, as far as it is known.
    pub conversation: &'a str,
    /// The environment it had, to find its own files by.
    pub environment: &'a Environment,
}

/// What the end of a run means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It did its work; the signal says the rest.
    Finished,
    /// The account's usage limit is reached.
    Limit {
        /// When it is lifted, where that was told.
        resets_at: Option<Timestamp>,
        /// Which limit.
        kind: String,
    },
    /// The model could not be reached, was overloaded or failed; the same may go well later.
    Transient {
        /// What happened, in words.
        what: String,
    },
    /// The account was refused: a human has to mend its credentials or pay.
    Auth {
        /// What happened, in words.
        what: String,
    },
    /// The conversation does not fit the model any more: only a fresh one can go on.
    ContextFull,
    /// The conversation that was to go on could not be resumed: only a fresh one can go on.
    NotResumed {
        /// What the agent said.
        why: String,
    },
    /// The kernel killed it, or a part of it that it could not do without, for want of memory.
    OutOfMemory,
    /// A signal ended it that was not the worker's.
    Killed {
        /// The signal's number.
        signal: i32,
    },
    /// The worker ended it: it took longer than a run may.
    TimedOut,
    /// The worker ended it: it showed no progress.
    Stalled,
    /// The worker ended it because it was itself asked to end.
    Interrupted,
    /// It used all its turns.
    MaxTurns,
    /// The money or tokens it might spend are spent.
    Budget,
    /// The program did not get as far as beginning.
    WouldNotStart {
        /// What it said.
        why: String,
    },
    /// Anything else.
    Failed {
        /// What is known, in words.
        why: String,
    },
}

/// Judges a run that has ended. The first rule that fits counts:
///
/// | what is known | outcome |
/// |---|---|
/// | end reported, no error | finished, however the process went after that |
/// | ended by the worker | timed out, stalled, budget, interrupted |
/// | end reported with an error | by subtype, status and kind, see [`reported`] |
/// | ended by a signal (or 128 + n) | out of memory if the kernel counted a kill, else killed; not resumed if it crashed before a reply when it was to resume |
/// | code other than 0, kernel counted a kill | out of memory |
/// | code 126 or 127 | would not start |
/// | code other than 0, no reply, agent was to resume and reports its end | not resumed |
/// | code other than 0, agent reports its start but never did | would not start |
/// | code other than 0 | failed |
/// | code 0 | finished; failed where the agent reports its end but did not |
#[must_use]
pub fn judge(facts: &Facts<'_>) -> Outcome {
    let told = facts.told;
    match &told.finished {
        Some(finished) if !finished.is_error => return Outcome::Finished,
        _ => {}
    }
    if let Some(by) = facts.ended_by {
        return match by {
            EndedBy::Timeout => Outcome::TimedOut,
            EndedBy::Stall => Outcome::Stalled,
            EndedBy::Budget => Outcome::Budget,
            EndedBy::Shutdown => Outcome::Interrupted,
        };
    }
    if let Some(finished) = &told.finished {
        return reported(finished, facts);
    }
    let unresumed = facts.reports_end && facts.resumed && !told.has_reply();
    if let Some(signal) = facts.exit.by_signal() {
        return match signal {
            _ if facts.oom_kills > 0 => Outcome::OutOfMemory,
            ILL | ABRT | BUS | SEGV if unresumed => Outcome::NotResumed { why: last_words(facts) },
            signal => Outcome::Killed { signal },
        };
    }
    match facts.exit {
        Exit::Code(0) if !facts.reports_end => Outcome::Finished,
        Exit::Code(0) => Outcome::Failed { why: "it ended without reporting a result".to_owned() },
        _ if facts.oom_kills > 0 => Outcome::OutOfMemory,
        Exit::Code(126 | 127) => Outcome::WouldNotStart { why: last_words(facts) },
        _ if unresumed => Outcome::NotResumed { why: last_words(facts) },
        _ if facts.reports_end && !told.started => {
            Outcome::WouldNotStart { why: last_words(facts) }
        }
        _ => Outcome::Failed { why: last_words(facts) },
    }
}

/// The outcome of an error that the agent reported. Status codes: Anthropic's API errors,
/// <https://docs.claude.com/en/api/errors>.
fn reported(finished: &Finished, facts: &Facts<'_>) -> Outcome {
    let what = || {
        let said = finished.text.lines().next().unwrap_or_default().trim();
        if said.is_empty() { last_words(facts) } else { said.to_owned() }
    };
    let kind = finished.error_kind.as_deref().unwrap_or_default();
    let status = finished.api_status.unwrap_or(0);
    let limit = facts.told.limit.as_ref().filter(|limit| limit.reached);
    match (finished.subtype.as_str(), finished.terminal_reason.as_deref().unwrap_or_default()) {
        ("error_max_turns", _) => return Outcome::MaxTurns,
        ("error_max_budget_usd", _) => return Outcome::Budget,
        (_, "prompt_too_long") => return Outcome::ContextFull,
        _ => {}
    }
    match (kind, status) {
        ("authentication_failed" | "billing_error" | "oauth_org_not_allowed", _)
        | (_, 401..=403) => Outcome::Auth { what: what() },
        ("usage_limit_reached", _) | (_, 0 | 429)
            if limit.is_some() || kind == "usage_limit_reached" =>
        {
            Outcome::Limit {
                resets_at: limit.and_then(|limit| limit.resets_at),
                kind: limit.map(|limit| limit.kind.clone()).unwrap_or_default(),
            }
        }
        ("rate_limit" | "overloaded" | "server_error" | "connection_failed", _)
        | (_, 408 | 409 | 429 | 500..) => Outcome::Transient { what: what() },
        _ if facts.resumed && !facts.told.started => Outcome::NotResumed { why: what() },
        // What is refused is what was sent first: the conversation as it was.
        (_, 400 | 413) if facts.resumed && !facts.told.has_reply() => {
            Outcome::NotResumed { why: what() }
        }
        _ if facts.oom_kills > 0 => Outcome::OutOfMemory,
        _ => Outcome::Failed { why: what() },
    }
}

/// The last line of the standard error output, else the bare fact.
fn last_words(facts: &Facts<'_>) -> String {
    let line = facts.stderr_tail.lines().map(str::trim).rfind(|line| !line.is_empty());
    match (line, facts.exit) {
        (Some(line), _) => one_line(line, 300),
        (None, Exit::Code(code)) => format!("it ended with code {code} and said nothing"),
        (None, Exit::Signal(signal)) => format!("signal {signal} ended it"),
    }
}

#[cfg(test)]
mod tests;
