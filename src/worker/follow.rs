//! Follows a run to its end: stream, stall detection, watchdog, mail, signals.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::agent::outcome::{EndedBy, Told};
use crate::agent::run::{Run, Step};
use crate::agent::{Event as Said, Tool};
use crate::platform::cgroup::RunCgroup;
use crate::platform::strays;
use crate::session::event;
use crate::session::journal::Event;

use super::context::{self, LastSeen};
use super::iterate::Plan;
use super::pulse::{self, Beat, Pulse};
use super::repeat::{Repeats, Verdict};
use super::signals::Request;
use super::{Trouble, Worker, notices};

/// What an agent is doing before its first output.
pub(super) const STARTING: &str = "starting";

/// Minimum time between updates of status line and hook.
const SHOW_EVERY: Duration = Duration::from_secs(1);

/// What the worker tracks during a run.
pub(super) struct Watch {
    run: String,
    pub(super) told: Told,
    pulse: Pulse,
    doing: String,
    progress: Timestamp,
    shown: Instant,
    last_shown: Option<(String, Timestamp)>,
    timeout: tokio::time::Instant,
    ended_by: Option<EndedBy>,
    repeats: Repeats,
    /// The agent's last output, for a handoff on its behalf.
    pub(super) seen: LastSeen,
    /// Whether the agent was asked for a handoff.
    pub(super) handoff_asked: bool,
    /// Why the worker ended the run, if the outcome alone does not explain it.
    pub(super) why_ended: Option<String>,
}

impl Watch {
    pub(super) fn new(worker: &Worker<'_>, plan: &Plan) -> Self {
        let settings = &worker.setup.settings;
        let now = Instant::now();
        Self {
            run: plan.run.clone(),
            told: Told::default(),
            pulse: Pulse::new(settings.stall_after(worker.writer.state().phase()), now),
            doing: STARTING.to_owned(),
            progress: Timestamp::now(),
            shown: now.checked_sub(SHOW_EVERY).unwrap_or(now),
            last_shown: None,
            timeout: tokio::time::Instant::now() + settings.run_timeout,
            ended_by: None,
            repeats: Repeats::default(),
            seen: LastSeen::default(),
            handoff_asked: false,
            why_ended: None,
        }
    }

    /// Follows the run to its end: events, ticks, signals and the time limit.
    pub(super) async fn drive(
        &mut self,
        worker: &mut Worker<'_>,
        run: &mut Run,
        cgroup: Option<&RunCgroup>,
    ) -> Result<(std::process::ExitStatus, Option<EndedBy>), Trouble> {
        let stall_after = worker.setup.settings.stall_after(worker.writer.state().phase());
        let every = pulse::look_every(stall_after, worker.notify.watchdog_interval());
        // Timers have a resolution of 1 ms; waiting for a first tick that is due now would take
        // that long.
        let mut tick = tokio::time::interval_at(tokio::time::Instant::now() + every, every);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        worker.notify.watchdog();
        // The hook was written before the agent started.
        self.announce(worker);
        loop {
            tokio::select! {
                step = run.next() => match step {
                    Step::Event(event) => self.take(worker, run, &event)?,
                    Step::ClosedStdout | Step::Overstayed(_) => {}
                    Step::Exited(status) => return Ok((status, self.ended_by)),
                },
                _ = tick.tick() => self.look(worker, run, cgroup)?,
                ask = worker.signals.next() => if ask == Request::End && self.ended_by.is_none() {
                    self.ended_by = Some(EndedBy::Shutdown);
                    worker.notify.status(&notices::status_line(
                        worker.writer.state(), Some("stopping"), None));
                    run.terminate();
                },
                () = tokio::time::sleep_until(self.timeout), if self.ended_by.is_none() => {
                    self.ended_by = Some(EndedBy::Timeout);
                    run.terminate();
                }
            }
        }
    }

    fn take(
        &mut self,
        worker: &mut Worker<'_>,
        run: &mut Run,
        event: &Said,
    ) -> Result<(), Trouble> {
        self.told.take(event);
        self.pulse.progress(Instant::now());
        self.progress = Timestamp::now();
        match event {
            Said::Tool(tool) => {
                self.doing.clone_from(&tool.summary);
                self.seen.did(&tool.summary);
                self.called(worker, run, tool)?;
            }
            Said::Text { text } => {
                self.seen.said(text);
                "thinking".clone_into(&mut self.doing);
            }
            Said::Usage { context_used, .. } => {
                self.spent(worker, run);
                self.filled(worker, run, *context_used)?;
            }
            Said::Denied(denied) => self.doing = format!("denied: {}", denied.call),
            Said::Started { .. } => "thinking".clone_into(&mut self.doing),
            Said::Retry { status, error, .. } => {
                let status = status.map_or_else(String::new, |status| format!(" {status}"));
                self.doing = format!("waiting for the API ({error}{status})");
            }
            Said::Finished(finished) if finished.queued == 0 => run.close_input(),
            _ => return Ok(()),
        }
        if self.shown.elapsed() < SHOW_EVERY {
            return Ok(());
        }
        self.show(worker);
        Ok(())
    }

    /// Repeating the same call is a stall: warn the agent, then end the run.
    fn called(
        &mut self,
        worker: &mut Worker<'_>,
        run: &mut Run,
        tool: &Tool,
    ) -> Result<(), Trouble> {
        let verdict = self.repeats.call(tool.fingerprint);
        if verdict == Verdict::Fine || self.ended_by.is_some() {
            return Ok(());
        }
        let (what, times) = (format!("{} {}", tool.name, tool.summary), self.repeats.times());
        let event =
            Event::Repeated(event::Repeated { run: self.run.clone(), what: what.clone(), times });
        worker.writer.record(event)?;
        if verdict == Verdict::Tell {
            run.say(REPEATS);
        } else {
            self.why_ended = Some(format!("it made the same call {times} times in a row: {what}"));
            self.ended_by = Some(EndedBy::Stall);
            run.terminate();
        }
        Ok(())
    }

    /// Ends a run that has used up its tokens. The agent itself enforces the limit in US dollars.
    fn spent(&mut self, worker: &Worker<'_>, run: &mut Run) {
        let budget = worker.setup.settings.budgets.run.tokens;
        let usage = self.told.usage();
        let used = usage.taken_in().saturating_add(usage.output);
        if self.ended_by.is_none() && budget.is_some_and(|most| used >= most) {
            self.ended_by = Some(EndedBy::Budget);
            run.terminate();
        }
    }

    /// Asks for a handoff before the context is full.
    fn filled(
        &mut self,
        worker: &mut Worker<'_>,
        run: &mut Run,
        used: Option<u64>,
    ) -> Result<(), Trouble> {
        let percent = worker.setup.settings.context_handoff_at;
        let window = worker.writer.state().context_window;
        let full = used.is_some_and(|used| context::is_full(used, window, percent));
        if full && !self.handoff_asked {
            self.ask_for_handoff(worker, run, used)?;
        }
        Ok(())
    }

    fn ask_for_handoff(
        &mut self,
        worker: &mut Worker<'_>,
        run: &mut Run,
        used: Option<u64>,
    ) -> Result<(), Trouble> {
        self.handoff_asked = true;
        worker
            .writer
            .record(Event::HandoffAsked(event::HandoffAsked { run: self.run.clone(), used }))?;
        run.say(context::ASK);
        Ok(())
    }

    /// The check every few seconds: CPU time, stall detection, watchdog, mail, hook.
    fn look(
        &mut self,
        worker: &mut Worker<'_>,
        run: &mut Run,
        cgroup: Option<&RunCgroup>,
    ) -> Result<(), Trouble> {
        let now = Instant::now();
        self.pulse.look(now);
        let used = cgroup.map_or_else(|| strays::cpu(&self.run).ok(), RunCgroup::cpu);
        if let Some(used) = used {
            self.pulse.cpu(now, used);
        }
        match self.pulse.beat(now) {
            Beat::Feed => worker.notify.watchdog(),
            Beat::Nudge => {
                worker.notify.watchdog();
                let quiet_s = self.pulse.quiet(now).as_secs();
                worker
                    .writer
                    .record(Event::Nudged(event::Nudged { run: self.run.clone(), quiet_s }))?;
                run.say(NUDGE);
                worker.tell_of_stall(quiet_s);
            }
            Beat::Starve => {
                let quiet_s = self.pulse.quiet(now).as_secs();
                worker
                    .writer
                    .record(Event::Stalled(event::Stalled { run: self.run.clone(), quiet_s }))?;
            }
            Beat::Silent => {}
        }
        if worker.writer.folder.has_unread() && worker.deliver_live(run)? && !self.handoff_asked {
            self.ask_for_handoff(worker, run, None)?;
        }
        worker.note_deliveries()?;
        self.show(worker);
        Ok(())
    }

    /// Shows what the agent is doing in the unit's status line and in the hook.
    fn show(&mut self, worker: &mut Worker<'_>) {
        if let Some(doing) = self.announce(worker) {
            worker.writer.show(&doing, self.progress, self.told.usage());
        }
    }

    /// Sends the status line if it changed, and returns what the agent is doing. While the agent is
    /// quiet, nothing is sent.
    fn announce(&mut self, worker: &Worker<'_>) -> Option<String> {
        let quiet = self.pulse.quiet(Instant::now()).as_secs() / 60;
        // The text may contain a secret: it includes the arguments of commands.
        let doing = worker.redactor.redact(&self.doing);
        let line = notices::status_line(worker.writer.state(), Some(&doing), Some(quiet));
        self.shown = Instant::now();
        let now = (line, self.progress);
        if self.last_shown.as_ref() == Some(&now) {
            return None;
        }
        worker.notify.status(&now.0);
        self.last_shown = Some(now);
        Some(doing.into_owned())
    }
}

const REPEATS: &str = "The supervisor sees you make the same tool call with the same input over \
    and over. The result will not change: read what it says, and try something else.";

const NUDGE: &str = "The supervisor has seen no sign of progress from you for a while. If you are \
    waiting for something that hangs, stop it and try something else; if you are done, write \
    _signal.json and end.";
