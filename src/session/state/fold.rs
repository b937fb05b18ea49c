//! How each event of the journal changes the state.

use serde_json::Value;

use super::{Deaths, Iteration, LastSignal, OpenRun, Place, Redirection, Standing, State, Visit};
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
                self.place = Some(Place {
                    working_dir: working_dir.clone(),
                    branch: branch.clone(),
                    base: base.clone(),
                });
                if self.standing == Standing::New {
                    self.standing = Standing::Running;
                }
                if self.phase() == Phase::Init {
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
                self.redirection = Some(Redirection::Task(entry.at));
            }
            Event::WorkerStarted { boot, uptime_ms, .. } => {
                self.deaths.worker_started(Birth::new(entry.at, *uptime_ms, boot));
                self.machine.worker_started(boot);
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
                self.iteration = None;
                self.unsettled = true;
                self.standing = Standing::Blocked { reason: reason.clone(), needs: needs.clone() };
            }
            Event::Mail { id, mail, .. } => self.fold_mail(id, *mail),
            Event::Answered => self.answered(),
            Event::Continued => self.proceed(),
            Event::Retried { .. } => self.retry(),
            Event::PhaseSet { phase } => {
                self.enter(*phase);
                self.proceed();
                self.unsettled = true;
                self.redirection = Some(Redirection::Phase(entry.at));
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
                    self.proceed();
                }
            }
            Event::Queued { .. } => self.standing = Standing::Queued,
            Event::Limited { until, .. } => self.standing = Standing::Limited { until: *until },
            Event::Repeated { .. }
            | Event::HandoffAsked { .. }
            | Event::BudgetWarned { .. }
            | Event::Outage { .. } => {}
            Event::Restored(restored) => {
                self.machine.restored(restored);
            }
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
            (Kind::Text | Kind::Reject | Kind::Nudge, Standing::Waiting { .. }) => self.proceed(),
            (Kind::Handoff, _) => {}
            (_, Standing::Blocked { .. }) => self.retry(),
            _ => {}
        }
    }

    fn answered(&mut self) {
        self.visit.answered();
        self.proceed();
    }

    /// Unblocks the session, clearing the counters that led to the block.
    fn retry(&mut self) {
        self.visit.retried();
        self.forced = true;
        self.proceed();
    }

    fn proceed(&mut self) {
        self.standing = if self.place.is_none() { Standing::New } else { Standing::Running };
    }

    fn fold_run(&mut self, entry: &Entry) {
        match &entry.event {
            Event::RunStarted {
                run, conversation, phase, iteration, total, attempt, log, ..
            } => {
                self.visit.phase = *phase;
                self.visit.iterations = *iteration;
                self.total = *total;
                self.forced = false;
                self.unsettled = false;
                self.redirection = None;
                self.machine.run_started();
                self.standing = Standing::Running;
                self.last_progress = Some(entry.at);
                let open = OpenRun { run: run.clone(), log: log.clone(), since: entry.at };
                self.iteration.get_or_insert_with(|| Iteration::new(open.clone())).run_started(
                    open,
                    *attempt,
                    conversation,
                );
            }
            Event::RunEnded { run, failure, resumable, cost, outcome, detail, context_window } => {
                self.context_window = context_window.or(self.context_window);
                self.costs.add(run, entry.at, cost);
                self.last_progress = Some(entry.at);
                self.machine.run_ended();
                if let Some(iteration) = &mut self.iteration {
                    let why = || detail.clone().unwrap_or_else(|| outcome.to_string());
                    let in_order = *outcome == RunOutcome::Finished;
                    iteration.run_ended(run, failure.then(why), in_order, *resumable, cost);
                }
            }
            Event::HandoffMade { state, .. } => {
                self.handoff = Some(state.clone());
                if let Some(iteration) = &mut self.iteration {
                    iteration.handoff_made();
                }
            }
            event => {
                let Some(iteration) = &mut self.iteration else { return };
                match event {
                    Event::RunLost { .. } => iteration.run_lost(),
                    Event::SignalAsked { problem, .. } => iteration.signal_asked(problem),
                    Event::Stalled { .. } => iteration.stalls += 1,
                    _ => {}
                }
            }
        }
    }

    fn fold_signal(&mut self, event: &Event) {
        let Event::SignalTaken { line, status, state, step, fingerprint, .. } = event else {
            return;
        };
        self.visit.signalled(fingerprint.as_ref());
        let reason = line.reason.as_ref().or(line.summary.as_ref());
        self.last_signal = Some(LastSignal { line: line.clone(), step: step.clone() });
        self.unsettled = true;
        self.unseen.clear();
        self.handoff = None;
        self.iteration = None;
        self.deaths.stable();
        match step {
            Step::Stay => {}
            Step::Enter { phase } => self.enter(*phase),
            Step::Wait { waits_for } => {
                self.visit.gate = Gate::Waited;
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
        self.visit = Visit { iterations: *iteration, gate: *gate, ..Visit::to(*phase) };
        self.total = *total;
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
        self.iteration = None;
        self.visit = Visit::to(phase);
    }
}
