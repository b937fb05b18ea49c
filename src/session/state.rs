//! The state of a session: what the journal's entries add up to.

use jiff::Timestamp;
use serde_json::Value;

use super::advance::Gate;
use super::deaths::Birth;
use super::journal::{End, Entry, Event, Step, Usage};
use super::mail::Kind;
use super::phase::Phase;
use super::signal::Status;

pub use super::deaths::{CRASH_LOOP, Deaths};
pub use super::standing::{Standing, Word};

/// A run that was started and whose end is not known.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenRun {
    /// The run's id.
    pub run: String,
    /// Its raw stream's file name in `_logs/`.
    pub log: String,
    /// When it was started.
    pub since: Timestamp,
}

/// An agent's conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversation {
    /// Its id.
    pub id: String,
    /// Whether the next run of this iteration may go on in it.
    pub resumable: bool,
    /// What it has cost so far, as the agent reported it.
    pub usd: Option<f64>,
}

/// What the last run cost.
#[derive(Debug, Clone, PartialEq)]
pub struct LastCost {
    /// The run's id.
    pub run: String,
    /// When it ended.
    pub at: Timestamp,
    /// US dollars.
    pub usd: f64,
    /// Tokens.
    pub tokens: Usage,
}

/// The last signal, as it stands in the history.
#[derive(Debug, Clone, PartialEq)]
pub struct LastSignal {
    /// Its line of the history.
    pub line: super::history::HistoryLine,
    /// Where it led.
    pub step: Step,
}

/// The state of a session: a pure function of its journal.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    /// The number of the last entry.
    pub seq: u64,
    /// When the last entry was written.
    pub at: Timestamp,
    /// When the session began.
    pub created: Timestamp,
    /// The session's name.
    pub name: String,
    /// What is to be done: the first task, then the one it was resumed with.
    pub task: String,
    /// What the investigation should begin with.
    pub dive: Option<String>,
    /// The folder the agent works in, once it is made.
    pub working_dir: Option<String>,
    /// The branch.
    pub branch: Option<String>,
    /// The commit the branch began from.
    pub base: Option<String>,
    /// The phase.
    pub phase: Phase,
    /// Iterations in this phase, the one under way included.
    pub iteration: u32,
    /// Iterations in all.
    pub total: u32,
    /// The phase's gate.
    pub gate: Gate,
    /// Where the session stands.
    pub standing: Standing,
    /// Since when.
    pub since: Timestamp,
    /// Whether a human stopped it.
    pub stopped: bool,
    /// Whether an iteration has begun and no signal of it was taken.
    pub in_iteration: bool,
    /// Runs of this iteration so far.
    pub attempt: u32,
    /// Runs of this iteration that failed.
    pub failures: u32,
    /// What the last of them failed of.
    pub last_failure: Option<String>,
    /// Runs of this iteration that stalled.
    pub stalls: u32,
    /// Handoffs that were made in this iteration in the place of an agent that left none.
    pub handoffs: u32,
    /// A run that was started and whose end is not known.
    pub open_run: Option<OpenRun>,
    /// A run whose end is known, and of which no signal was taken yet.
    pub ended_run: Option<String>,
    /// Whether the last run was cut off, and the next is to be told.
    pub cut_off: bool,
    /// The kernel's id of the boot the last worker was started in; empty where there is none.
    pub boot: String,
    /// Whether the machine was started anew since the last run ended, and the next is to be told.
    pub machine_restarted: bool,
    /// Whether no run was started since the machine was.
    pub first_since_boot: bool,
    /// The conversation of this iteration.
    pub conversation: Option<Conversation>,
    /// What was wrong with the signal the agent is asked for.
    pub asked: Option<String>,
    /// Whether the agent was asked for its signal in this iteration.
    pub was_asked: bool,
    /// What the next conversation is given.
    pub handoff: Option<Value>,
    /// Messages taken from the inbox that no finished run has seen.
    pub unseen: Vec<String>,
    /// The last signal.
    pub last_signal: Option<LastSignal>,
    /// Whether the effects of the last signal, or of a human's word, may not all be on disk.
    pub unsettled: bool,
    /// The size of the model's context in tokens, as last told.
    pub context_window: Option<u64>,
    /// How often in a row the same signal came with nothing changed.
    pub unchanged: u32,
    /// What worktree and session looked like at the last signal that repeated one.
    pub fingerprint: Option<String>,
    /// Whether a human has started the session since its last run: nothing is waited for then.
    pub forced: bool,
    /// What the last run cost.
    pub last_cost: Option<LastCost>,
    /// When the session was resumed, until its first run after that.
    pub resumed: Option<Timestamp>,
    /// When a human set the phase by hand, until the first run after that.
    pub phase_set: Option<Timestamp>,
    /// What all runs cost, in US dollars.
    pub usd: f64,
    /// The tokens of all runs.
    pub tokens: Usage,
    /// Quick deaths of the worker.
    pub deaths: Deaths,
    /// When the stream or the kernel last showed progress, as far as the journal knows.
    pub last_progress: Option<Timestamp>,
    /// Whether the human was told where the session stands.
    pub told: bool,
}

impl State {
    /// Adds up a journal.
    #[must_use]
    pub fn of(entries: &[Entry]) -> Self {
        let mut state = Self::default();
        for entry in entries {
            state.apply(entry);
        }
        state
    }

    /// The state in one word.
    #[must_use]
    pub const fn word(&self) -> Word {
        match self.standing {
            Standing::Done => Word::Done,
            _ if self.stopped => Word::Stopped,
            Standing::New => Word::New,
            Standing::Running => Word::Running,
            Standing::Waiting { .. } => Word::Waiting,
            Standing::Blocked { .. } => Word::Blocked,
            Standing::Queued => Word::Queued,
            Standing::Limited { .. } => Word::Limited,
            Standing::Paused { .. } => Word::Paused,
            Standing::GaveUp => Word::Failed,
        }
    }

    /// Adds one entry.
    pub fn apply(&mut self, entry: &Entry) {
        self.seq = entry.seq;
        self.at = entry.at;
        let before = self.word();
        self.fold(entry);
        if self.word() != before {
            self.since = entry.at;
        }
    }

    fn fold(&mut self, entry: &Entry) {
        let stood = self.standing.clone();
        match &entry.event {
            Event::Created { name, task, dive } => {
                self.created = entry.at;
                self.since = entry.at;
                self.name.clone_from(name);
                self.task.clone_from(task);
                self.dive.clone_from(dive);
            }
            Event::Imported { .. } => self.import(entry),
            Event::Prepared { working_dir, branch, base, .. } => {
                self.working_dir = Some(working_dir.clone());
                self.branch.clone_from(branch);
                self.base.clone_from(base);
                if self.standing == Standing::New {
                    self.standing = Standing::Running;
                }
                if self.phase == Phase::Init {
                    self.enter(Phase::Investigation);
                }
            }
            Event::Resumed { task } => {
                self.task.clone_from(task);
                self.dive = None;
                self.stopped = false;
                self.deaths = Deaths::default();
                self.enter(Phase::Investigation);
                self.standing = Standing::Running;
                self.unsettled = true;
                self.resumed = Some(entry.at);
                self.phase_set = None;
            }
            Event::WorkerStarted { boot, uptime_ms, .. } => {
                self.deaths.worker_started(Birth::new(entry.at, *uptime_ms, boot));
                let known = !self.boot.is_empty() && !boot.is_empty();
                let anew = known && self.boot != *boot;
                self.machine_restarted |= anew;
                self.first_since_boot |= anew;
                self.boot.clone_from(boot);
            }
            Event::WorkerEnded { end } => {
                self.deaths.worker_ended();
                self.unsettled = false;
                if *end == End::GaveUp {
                    self.standing = Standing::GaveUp;
                }
            }
            Event::RunStarted { .. }
            | Event::RunEnded { .. }
            | Event::RunLost { .. }
            | Event::SignalAsked { .. }
            | Event::HandoffMade { .. }
            | Event::Nudged { .. }
            | Event::Stalled { .. } => self.fold_run(entry),
            Event::SignalTaken { .. } => self.fold_signal(&entry.event),
            Event::Blocked { reason, needs } => {
                self.close_iteration();
                self.unsettled = true;
                self.standing = Standing::Blocked { reason: reason.clone(), needs: needs.clone() };
            }
            Event::Mail { id, mail, .. } => self.fold_mail(id, *mail),
            Event::Answered => self.answered(),
            Event::Continued => self.go_on(),
            Event::Retried { .. } => self.retry(),
            Event::PhaseSet { phase } => {
                self.enter(*phase);
                self.go_on();
                self.unsettled = true;
                self.phase_set = Some(entry.at);
            }
            Event::Stopped => self.stopped = true,
            Event::Started => {
                self.stopped = false;
                self.forced = true;
                self.deaths = Deaths::default();
                if matches!(
                    self.standing,
                    Standing::GaveUp | Standing::Paused { .. } | Standing::Limited { .. }
                ) {
                    self.go_on();
                }
            }
            Event::Queued { .. } => self.standing = Standing::Queued,
            Event::Limited { until, .. } => self.standing = Standing::Limited { until: *until },
            Event::Repeated { .. }
            | Event::HandoffAsked { .. }
            | Event::BudgetWarned { .. }
            | Event::Outage { .. }
            | Event::Restored { .. } => {}
            Event::Paused { cause, detail, until, .. } => {
                self.standing = Standing::Paused {
                    cause: cause.clone(),
                    detail: detail.clone(),
                    until: *until,
                };
            }
            Event::Notified { standing, .. } => self.told |= *standing,
        }
        if std::mem::discriminant(&self.standing) != std::mem::discriminant(&stood) {
            self.told = matches!(entry.event, Event::Paused { quiet: true, .. });
        }
    }

    fn fold_mail(&mut self, id: &str, kind: Kind) {
        if self.unseen.iter().any(|seen| seen == id) {
            return;
        }
        self.unseen.push(id.to_owned());
        match (kind, &self.standing) {
            (Kind::Stop, _) => self.stopped = true,
            (Kind::Approve | Kind::Answer, Standing::Waiting { .. }) => self.answered(),
            (Kind::Text | Kind::Reject | Kind::Nudge, Standing::Waiting { .. }) => self.go_on(),
            (Kind::Handoff, _) => {}
            (_, Standing::Blocked { .. }) => self.retry(),
            _ => {}
        }
    }

    fn answered(&mut self) {
        if self.gate == Gate::Waited {
            self.gate = Gate::Open;
        }
        self.go_on();
    }

    /// What a blocked session does when it is asked to try again.
    fn retry(&mut self) {
        self.failures = 0;
        self.stalls = 0;
        self.unchanged = 0;
        self.forced = true;
        if self.phase.limit() <= self.iteration {
            self.iteration = 0;
        }
        self.go_on();
    }

    fn go_on(&mut self) {
        self.standing = if self.working_dir.is_none() { Standing::New } else { Standing::Running };
    }

    fn fold_run(&mut self, entry: &Entry) {
        match &entry.event {
            Event::RunStarted {
                run, conversation, phase, iteration, total, attempt, log, ..
            } => {
                self.phase = *phase;
                self.iteration = *iteration;
                self.total = *total;
                self.attempt = *attempt;
                self.in_iteration = true;
                self.forced = false;
                self.first_since_boot = false;
                self.unsettled = false;
                self.resumed = None;
                self.phase_set = None;
                self.ended_run = None;
                self.standing = Standing::Running;
                self.last_progress = Some(entry.at);
                self.open_run =
                    Some(OpenRun { run: run.clone(), log: log.clone(), since: entry.at });
                if self.conversation.as_ref().is_none_or(|known| known.id != *conversation) {
                    self.conversation = Some(Conversation {
                        id: conversation.clone(),
                        resumable: false,
                        usd: None,
                    });
                }
            }
            Event::RunEnded { run, failure, resumable, cost, outcome, detail, context_window } => {
                self.context_window = context_window.or(self.context_window);
                self.last_cost = Some(LastCost {
                    run: run.clone(),
                    at: entry.at,
                    usd: cost.usd.unwrap_or(0.0),
                    tokens: cost.tokens,
                });
                self.open_run = None;
                self.ended_run = Some(run.clone());
                self.last_progress = Some(entry.at);
                self.usd += cost.usd.unwrap_or(0.0);
                self.tokens.add(cost.tokens);
                if *failure {
                    self.failures += 1;
                    self.last_failure = detail.clone().or_else(|| Some(outcome.clone()));
                }
                self.cut_off = outcome != "finished";
                self.machine_restarted = false;
                self.asked = None;
                if let Some(conversation) = &mut self.conversation {
                    conversation.resumable = *resumable;
                    conversation.usd = cost.conversation_usd.or(conversation.usd);
                }
            }
            Event::RunLost { .. } => {
                self.open_run = None;
                self.cut_off = true;
                if let Some(conversation) = &mut self.conversation {
                    conversation.resumable = true;
                }
            }
            Event::SignalAsked { problem, .. } => {
                self.ended_run = None;
                self.asked = Some(problem.clone());
                self.was_asked = true;
                self.cut_off = false;
            }
            Event::Stalled { .. } => self.stalls += 1,
            Event::HandoffMade { state, .. } => {
                self.handoff = Some(state.clone());
                self.handoffs += 1;
                self.conversation = None;
                self.ended_run = None;
            }
            _ => {}
        }
    }

    fn fold_signal(&mut self, event: &Event) {
        let Event::SignalTaken { line, status, state, step, fingerprint, .. } = event else {
            return;
        };
        let same = fingerprint.is_some() && *fingerprint == self.fingerprint;
        self.unchanged = if same { self.unchanged + 1 } else { 0 };
        self.fingerprint.clone_from(fingerprint);
        let reason = line.reason.as_ref().or(line.summary.as_ref());
        self.last_signal = Some(LastSignal { line: line.clone(), step: step.clone() });
        self.unsettled = true;
        self.unseen.clear();
        self.handoff = None;
        self.close_iteration();
        self.deaths.stable();
        match step {
            Step::Stay => {}
            Step::Enter { phase } => self.enter(*phase),
            Step::Wait { waits_for } => {
                self.gate = Gate::Waited;
                self.standing =
                    Standing::Waiting { waits_for: waits_for.clone(), reason: reason.cloned() };
            }
            Step::Block { reason, needs } => {
                self.standing = Standing::Blocked { reason: reason.clone(), needs: needs.clone() };
            }
            Step::Finish => self.standing = Standing::Done,
            Step::HandOver => {
                debug_assert_eq!(*status, Status::Handoff);
                self.handoff = Some(
                    state
                        .clone()
                        .unwrap_or_else(|| Value::String(reason.cloned().unwrap_or_default())),
                );
            }
        }
    }

    fn import(&mut self, entry: &Entry) {
        let Event::Imported { name, task, phase, iteration, total, gate, waits_for, blocked, done } =
            &entry.event
        else {
            return;
        };
        self.created = entry.at;
        self.since = entry.at;
        self.name.clone_from(name);
        self.task.clone_from(task);
        self.phase = *phase;
        self.iteration = *iteration;
        self.total = *total;
        self.gate = *gate;
        self.standing = if *done {
            Standing::Done
        } else if let Some(waits_for) = waits_for {
            Standing::Waiting { waits_for: waits_for.clone(), reason: None }
        } else if let Some(reason) = blocked {
            Standing::Blocked { reason: reason.clone(), needs: "human_decision".to_owned() }
        } else {
            Standing::Running
        };
    }

    fn enter(&mut self, phase: Phase) {
        self.close_iteration();
        self.phase = phase;
        self.iteration = 0;
        self.gate = Gate::Closed;
    }

    fn close_iteration(&mut self) {
        self.in_iteration = false;
        self.attempt = 0;
        self.failures = 0;
        self.stalls = 0;
        self.handoffs = 0;
        self.conversation = None;
        self.asked = None;
        self.was_asked = false;
        self.cut_off = false;
        self.open_run = None;
        self.ended_run = None;
    }
}

#[cfg(test)]
mod tests;
