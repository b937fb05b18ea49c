//! What each event of the journal changes.

use serde_json::Value;

use super::{Conversation, Deaths, LastCost, LastSignal, OpenRun, Standing, State};
use crate::session::advance::Gate;
use crate::session::deaths::Birth;
use crate::session::journal::{End, Entry, Event, Step};
use crate::session::mail::Kind;
use crate::session::phase::Phase;
use crate::session::signal::Status;
use crate::session::vocabulary::{Needs, RunOutcome};

impl State {
    pub(super) fn fold(&mut self, entry: &Entry) {
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
                    self.last_failure = detail.clone().or_else(|| Some(outcome.to_string()));
                }
                self.cut_off = *outcome != RunOutcome::Finished;
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
            Standing::Blocked { reason: reason.clone(), needs: Needs::HumanDecision }
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
