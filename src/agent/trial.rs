//! A tiny real conversation with an agent's program. It checks everything that the driver relies on:
//! the conversation's id, the report at the end, tokens and cost, the exit, resuming, and SIGTERM.

use std::io;
use std::path::Path;
use std::time::Duration;

use uuid::Uuid;

use super::canary::{Met, is_newer};
use super::event::one_line;
use super::exam::{About, Finding, Status};
use super::outcome::{EndedBy, Facts, ProcessExit, Reported};
use super::process::StartError;
use super::run::{GRACE, Run, Setting, Step, TERM_GRACE};
use super::stream::Log;
use super::unknown::Unknown;
use super::{Agent, ConversationId, Environment, Event, Outcome, Records, Task, variable};
use crate::platform::strays;
use crate::session::Hint as _;

/// How long a turn may take.
const LIMIT: Duration = Duration::from_secs(180);

/// How long the processes of a turn may take to exit after it.
const CHILDREN: Duration = Duration::from_secs(3);

/// How long killed processes may take to exit.
const STRAYS_BOUND: Duration = Duration::from_secs(5);

/// The first prompt, and the one with which the conversation is resumed.
const FIRST: &str =
    "This is a test of the connection. Reply with the single word: ready. Use no tools.";
const AGAIN: &str = "Reply with the same word once more. Use no tools.";

/// What a trial costs, before anything is sent, as a clause.
pub const PRICE: &str = "it sends two tiny prompts and cuts off a third: some 50,000 tokens of input, most of \
     them its own instructions, which is less than $1 at the prices of the larger models, and counts towards the \
     limits of a subscription";

/// A conversation with the program of one agent.
pub struct Trial<'a> {
    /// The agent.
    pub agent: &'a Agent,
    /// The environment of a run with this id.
    pub environment: &'a (dyn Fn(&str) -> Environment + Sync),
    /// An empty folder to work in.
    pub folder: &'a Path,
    /// The folder of data that sessions share.
    pub state: &'a Path,
    /// Is told what happens next.
    pub progress: &'a (dyn Fn(&str) + Sync),
}

/// How a turn is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Play {
    ToTheEnd,
    /// Until the agent has started to work.
    CutOff,
}

/// A turn that has ended.
struct Turn {
    /// The id that the conversation has now, as far as it is known.
    conversation: String,
    reported: Reported,
    exit: ProcessExit,
    outcome: Outcome,
    records: Records,
    unknown: Unknown,
    /// The strongest signal it needed to exit.
    overstayed: Option<&'static str>,
    /// How many processes it left behind.
    left: io::Result<usize>,
    stderr: String,
}

impl Turn {
    fn tokens(&self) -> u64 {
        let counted = self.reported.finished.as_ref().and_then(|end| end.conversation_usage);
        let usage = counted.or(self.records.conversation_usage).unwrap_or(self.reported.usage());
        usage.taken_in().saturating_add(usage.output)
    }

    /// The program's own words about how it ended.
    fn words(&self) -> String {
        let finished = self.reported.finished.as_ref();
        let text = finished.map(|end| end.text.as_str()).filter(|text| !text.trim().is_empty());
        let text = text.unwrap_or_else(|| self.stderr.trim());
        if text.is_empty() { "it said nothing".to_owned() } else { one_line(text, 300) }
    }
}

impl Trial<'_> {
    /// Plays it, and checks the assumptions one by one. Stops where the rest would fail too.
    pub async fn play(&self) -> Vec<Finding> {
        (self.progress)("sending a first prompt");
        let can = self.agent.capabilities();
        let chosen = self.new_id();
        let first = match self.turn(&chosen, false, FIRST, Play::ToTheEnd).await {
            Ok(turn) => turn,
            Err(error) => return vec![Self::broken(error.in_one_line(), "")],
        };
        let what = if can.reports_end { "a turn ends with a report" } else { "a turn ends" };
        let mut found = vec![self.ended(what, &first)];
        if found.iter().any(|finding| finding.status == Status::Broken) {
            return found;
        }
        found.push(self.named(&chosen, &first));
        found.push(self.counted(&first));
        found.push(Self::exited(&first));
        let mut unknown = vec![first.unknown.clone()];
        if can.resumes && !first.conversation.is_empty() {
            (self.progress)("resuming the conversation");
            match self.turn(&first.conversation, true, AGAIN, Play::ToTheEnd).await {
                Ok(second) => {
                    found.push(self.resumed(&first, &second));
                    unknown.push(second.unknown);
                }
                Err(error) => found.push(Self::broken(error.in_one_line(), "")),
            }
        }
        (self.progress)("cutting off a third turn");
        let resume = can.resumes && !first.conversation.is_empty();
        let fresh = self.new_id();
        let id = if resume { &first.conversation } else { &fresh };
        match self.turn(id, resume, AGAIN, Play::CutOff).await {
            Ok(third) => found.push(Self::killed(&third)),
            Err(error) => found.push(Self::broken(error.in_one_line(), "")),
        }
        found.extend(self.canaries(&unknown).await);
        found
    }

    /// The id of a new conversation; empty if the agent chooses it.
    fn new_id(&self) -> String {
        match self.agent.capabilities().conversation {
            ConversationId::Ours => Uuid::new_v4().to_string(),
            ConversationId::Agents => String::new(),
        }
    }

    async fn turn(
        &self,
        conversation: &str,
        resume: bool,
        prompt: &str,
        play: Play,
    ) -> Result<Turn, StartError> {
        let id = Uuid::now_v7().to_string();
        let environment = (self.environment)(&id);
        let can = self.agent.capabilities();
        let task = Task {
            conversation: conversation.to_owned(),
            resume,
            prompt: prompt.to_owned(),
            environment: environment.clone(),
            live_input: can.live_input,
            ..Task::default()
        };
        let log = tempfile::tempfile().map_err(|error| StartError::Other {
            program: self.agent.program().display().to_string(),
            error,
        })?;
        let setting = Setting {
            environment: environment.clone(),
            working_dir: self.folder,
            cgroup: None,
            cage: None,
            log,
            stderr_log: Log::later(tempfile::tempfile),
            veil: crate::config::Veil::default(),
            grace: GRACE,
            term_grace: TERM_GRACE,
        };
        let driver = self.agent.driver(&task, self.folder);
        let mut run = Run::start(self.agent.launch(&task), driver, setting)?;
        let mut reported = Reported::default();
        let (mut overstayed, mut ended_by) = (None, None);
        let late = tokio::time::sleep(LIMIT);
        tokio::pin!(late);
        let exit = loop {
            tokio::select! {
                step = run.next() => match step {
                    Step::Event(event) => {
                        reported.take(&event);
                        match &event {
                            Event::Finished(end) if end.queued == 0 => run.close_input(),
                            Event::Started { .. } if play == Play::CutOff && ended_by.is_none() => {
                                ended_by = Some(EndedBy::Shutdown);
                                run.terminate();
                            }
                            _ => {}
                        }
                    }
                    Step::ClosedStdout => {}
                    Step::Overstayed(signal) => overstayed = Some(signal),
                    Step::Exited(status) => break ProcessExit::from(status),
                },
                () = &mut late, if ended_by.is_none() => {
                    ended_by = Some(EndedBy::Timeout);
                    run.terminate();
                }
            }
        };
        let left = left_behind(&id).await;
        let summary = run.summary();
        let named = Some(reported.conversation.clone()).filter(|id| !id.is_empty());
        let conversation = named.unwrap_or_else(|| conversation.to_owned());
        let facts = Facts {
            exit,
            reported: &reported,
            stderr_tail: &summary.stderr_tail,
            oom_kills: 0,
            ended_by,
            resumed: resume,
            rejected: false,
            reports_end: can.reports_end,
            conversation: &conversation,
            environment: &environment,
        };
        let (outcome, records) = (self.agent.outcome(&facts), self.agent.records(&facts));
        Ok(Turn {
            conversation,
            outcome,
            records,
            reported,
            exit,
            unknown: summary.unknown,
            overstayed,
            left,
            stderr: summary.stderr_tail,
        })
    }

    /// Whether the turn was played and said so.
    fn ended(&self, what: &str, turn: &Turn) -> Finding {
        let can = self.agent.capabilities();
        let words = turn.words();
        let remedy = match &turn.outcome {
            Outcome::Finished if can.reports_end && turn.reported.finished.is_none() => {
                return Self::broken(format!("it ended without a report: {words}"), "");
            }
            Outcome::Finished => return Self::ok(what),
            Outcome::Auth { .. } => {
                let environment = (self.environment)("doctor");
                let has = |name: &str| {
                    variable(&environment, name).is_some_and(|value| !value.is_empty())
                };
                format!("{} ~/.config/samocode/env", self.agent.spec().log_in(&has))
            }
            Outcome::Limit { .. } | Outcome::Throttled { .. } | Outcome::Transient { .. } => {
                "try again later".to_owned()
            }
            Outcome::TimedOut => {
                format!("it had {} s; see whether it asks for something", LIMIT.as_secs())
            }
            _ => {
                let finished = turn.reported.finished.as_ref();
                finished.and_then(|end| end.advice.clone()).unwrap_or_default()
            }
        };
        Self::broken(format!("a turn failed: {words}"), &remedy)
    }

    fn named(&self, chosen: &str, turn: &Turn) -> Finding {
        let (id, can) = (&turn.reported.conversation, self.agent.capabilities());
        match can.conversation {
            _ if id.is_empty() && !can.resumes => Self::ok("its conversation has no id"),
            ConversationId::Ours if id == chosen => {
                Self::ok("it takes the id of a conversation from samocode")
            }
            ConversationId::Ours => Self::broken(
                format!(
                    "its conversation has the id '{}', not the one it was given",
                    one_line(id, 80)
                ),
                "",
            ),
            ConversationId::Agents if !id.is_empty() => {
                Self::ok("it reports the id of its conversation")
            }
            ConversationId::Agents => {
                Self::broken("it reports no id, so its conversation cannot be resumed", "")
            }
        }
    }

    fn counted(&self, turn: &Turn) -> Finding {
        let (can, tokens) = (self.agent.capabilities(), turn.tokens());
        let cost = turn.reported.finished.as_ref().and_then(|end| end.cost);
        match cost {
            _ if tokens == 0 => {
                Self::note("it reports no tokens, so budgets in tokens do not work")
            }
            Some(cost) => Self::ok(format!("it reports {tokens} tokens and ${:.4}", cost.total)),
            None if can.cost => Self::note(format!(
                "it reports {tokens} tokens, but no cost, so budgets in dollars do not work"
            )),
            None => Self::ok(format!("it reports {tokens} tokens")),
        }
    }

    fn exited(turn: &Turn) -> Finding {
        match (turn.exit, turn.overstayed) {
            (_, Some(signal)) => Self::note(format!(
                "it did not exit within {} s after its report, and needed {signal}",
                GRACE.as_secs()
            )),
            (ProcessExit::Code(0), None) => Self::ok("it exits with 0 after its report"),
            (exit, None) => Self::note(format!("it ended after its report with {}", said(exit))),
        }
    }

    fn resumed(&self, first: &Turn, second: &Turn) -> Finding {
        let ended = self.ended("it resumes a conversation", second);
        if ended.status == Status::Ok && second.conversation != first.conversation {
            return Self::broken(
                "a resumed conversation has another id, so what was said before is lost",
                "",
            );
        }
        ended
    }

    fn killed(turn: &Turn) -> Finding {
        match (&turn.left, turn.overstayed) {
            _ if !turn.reported.started => {
                Self::note(format!("it never said that it started: {}", turn.words()))
            }
            (Err(error), _) => {
                Self::broken(format!("after SIGTERM its processes could not be ended: {error}"), "")
            }
            (_, Some("SIGKILL")) => Self::note(format!(
                "it does not exit within {} s after SIGTERM, and is killed",
                TERM_GRACE.as_secs()
            )),
            (Ok(left @ 1..), _) => Self::note(format!(
                "after SIGTERM it left {left} processes behind, which were killed"
            )),
            (Ok(0), _) => Self::ok("it exits after SIGTERM and leaves no process behind"),
        }
    }

    /// What was unknown in its output, which is recorded if the program is newer than the tested one.
    async fn canaries(&self, met: &[Unknown]) -> Option<Finding> {
        let tested = self.agent.spec().tested()?;
        let mut all = Unknown::default();
        for (name, times) in met.iter().flat_map(Unknown::iter) {
            (0..times.min(1000)).for_each(|_| all.note(name));
        }
        if all.is_empty() {
            return Some(Self::ok("everything in its output is known"));
        }
        let version = self.agent.version(&(self.environment)("doctor")).await.ok()?;
        if is_newer(&version, tested)
            && let Err(error) = Met::add(self.state, self.agent.word(), &version, &all)
        {
            tracing::warn!("{error}");
        }
        Some(Finding::new(
            About::Program,
            Status::Note,
            format!("unknown in the output of {version}, tested with {tested}: {}", all.describe()),
            "update samocode if something looks wrong",
        ))
    }

    fn ok(what: impl Into<String>) -> Finding {
        Finding::new(About::Program, Status::Ok, what, "")
    }

    fn note(what: impl Into<String>) -> Finding {
        Finding::new(About::Program, Status::Note, what, "")
    }

    fn broken(what: impl Into<String>, remedy: &str) -> Finding {
        Finding::new(About::Program, Status::Broken, what, remedy)
    }
}

/// Ends what a turn left behind and counts it. Processes that are about to exit get a moment.
async fn left_behind(run: &str) -> io::Result<usize> {
    let patience = tokio::time::Instant::now() + CHILDREN;
    while !strays::find(run)?.is_empty() && tokio::time::Instant::now() < patience {
        tokio::time::sleep(CHILDREN / 60).await;
    }
    strays::end_run(run, STRAYS_BOUND)
}

fn said(exit: ProcessExit) -> String {
    match exit {
        ProcessExit::Code(code) => format!("exit code {code}"),
        ProcessExit::Signal(signal) => format!("signal {signal}"),
    }
}

#[cfg(test)]
mod tests;
