//! Follows a run to its end: stream, stall detection, watchdog, mail, signals.

use std::process::ExitStatus;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::agent::outcome::{EndedBy, Reported};
use crate::agent::run::Step;
use crate::agent::{ConversationId, Event as AgentEvent, Tool};
use crate::platform::cgroup::RunCgroup;
use crate::platform::strays;
use crate::session::event;
use crate::session::journal::Event;

use super::context::{self, LastSeen};
use super::pulse::{self, Beat, Pulse};
use super::repeat::{Repeats, Verdict};
use super::room::Room;
use super::signals::Request;
use super::under_way::RunUnderWay;
use super::{Trouble, Worker, notices};

/// What an agent is doing before its first output.
pub(super) const STARTING: &str = "starting";

/// Minimum time between updates of status line and hook.
const SHOW_EVERY: Duration = Duration::from_secs(1);

/// What the worker tracks during a run.
pub(super) struct Watch {
    pub(super) reported: Reported,
    pulse: Pulse,
    doing: String,
    progress: Timestamp,
    shown: Instant,
    last_shown: Option<(String, Timestamp)>,
    timeout: tokio::time::Instant,
    /// Why the worker ended the run.
    pub(super) ended_by: Option<EndedBy>,
    repeats: Repeats,
    room: Room,
    /// The agent's last output, for a handoff on its behalf.
    pub(super) seen: LastSeen,
    /// Whether the agent was asked for a handoff.
    pub(super) handoff_asked: bool,
    /// Why the worker ended the run, if the outcome alone does not explain it.
    pub(super) why_ended: Option<String>,
}

impl Watch {
    pub(super) fn new(worker: &Worker<'_>, room: Room) -> Self {
        let settings = &worker.setup.settings;
        let now = Instant::now();
        Self {
            reported: Reported::default(),
            pulse: Pulse::new(settings.stall_after(worker.writer.state().phase()), now),
            doing: STARTING.to_owned(),
            progress: Timestamp::now(),
            shown: now.checked_sub(SHOW_EVERY).unwrap_or(now),
            last_shown: None,
            timeout: tokio::time::Instant::now() + settings.run_timeout,
            ended_by: None,
            repeats: Repeats::default(),
            room,
            seen: LastSeen::default(),
            handoff_asked: false,
            why_ended: None,
        }
    }
}

impl RunUnderWay<'_, '_> {
    /// Follows the run to its end: events, ticks, signals and the time limit.
    pub(super) async fn drive(&mut self) -> Result<ExitStatus, Trouble> {
        let stall_after =
            self.worker.setup.settings.stall_after(self.worker.writer.state().phase());
        let every = pulse::look_every(stall_after, self.worker.notify.watchdog_interval());
        // Timers have a resolution of 1 ms; waiting for a first tick that is due now would take
        // that long.
        let mut tick = tokio::time::interval_at(tokio::time::Instant::now() + every, every);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // The hook was written before the agent started.
        self.announce();
        loop {
            tokio::select! {
                step = self.process.next() => match step {
                    Step::Event(event) => self.take(&event)?,
                    Step::ClosedStdout | Step::Overstayed(_) => {}
                    Step::Exited(status) => return Ok(status),
                },
                _ = tick.tick() => {
                    self.look()?;
                    self.serve().await?;
                }
                () = self.calls.next() => self.serve().await?,
                ask = self.worker.signals.next() => if ask == Request::End && self.watch.ended_by.is_none() {
                    self.watch.ended_by = Some(EndedBy::Shutdown);
                    self.worker.notify.status(&notices::status_line(
                        self.worker.writer.state(), Some("stopping"), None));
                    self.process.terminate();
                },
                () = tokio::time::sleep_until(self.watch.timeout), if self.watch.ended_by.is_none() => {
                    self.watch.ended_by = Some(EndedBy::Timeout);
                    self.process.terminate();
                }
            }
        }
    }

    fn take(&mut self, event: &AgentEvent) -> Result<(), Trouble> {
        self.watch.reported.take(event);
        self.watch.pulse.progress(Instant::now());
        self.watch.progress = Timestamp::now();
        match event {
            AgentEvent::Tool(tool) => {
                self.watch.doing.clone_from(&tool.summary);
                self.watch.seen.did(&tool.summary);
                self.called(tool)?;
            }
            AgentEvent::Text { text } => {
                self.watch.seen.push(text);
                "thinking".clone_into(&mut self.watch.doing);
            }
            AgentEvent::Usage { context_used, .. } => {
                self.spent();
                self.filled(*context_used)?;
            }
            AgentEvent::Denied(denied) => self.watch.doing = format!("denied: {}", denied.call),
            AgentEvent::Started { conversation, .. } => {
                "thinking".clone_into(&mut self.watch.doing);
                self.named(conversation)?;
            }
            AgentEvent::Retry { status, error, .. } => {
                let status = status.map_or_else(String::new, |status| format!(" {status}"));
                self.watch.doing = format!("waiting for the API ({error}{status})");
            }
            AgentEvent::Finished(finished) if finished.queued == 0 => self.process.close_input(),
            _ => return Ok(()),
        }
        if self.watch.shown.elapsed() < SHOW_EVERY {
            return Ok(());
        }
        self.show();
        Ok(())
    }

    /// Records the id of a conversation that the agent names, before anything else can happen.
    fn named(&mut self, conversation: &str) -> Result<(), Trouble> {
        let known = self.worker.writer.state().conversation();
        let is_news = known.is_none_or(|known| known.id != conversation);
        if self.plan.named_by == ConversationId::Ours || conversation.is_empty() || !is_news {
            return Ok(());
        }
        let named = event::ConversationNamed {
            run: self.plan.run.clone(),
            conversation: conversation.to_owned(),
        };
        Ok(self.worker.writer.record(Event::ConversationNamed(named))?)
    }

    /// Repeating the same call is a stall: warn the agent, then end the run.
    fn called(&mut self, tool: &Tool) -> Result<(), Trouble> {
        let verdict = self.watch.repeats.call(tool.fingerprint);
        if verdict == Verdict::Fine || self.watch.ended_by.is_some() {
            return Ok(());
        }
        let (what, times) = (format!("{} {}", tool.name, tool.summary), self.watch.repeats.times());
        let event = Event::Repeated(event::Repeated {
            run: self.plan.run.clone(),
            what: what.clone(),
            times,
        });
        self.worker.writer.record(event)?;
        if verdict == Verdict::Tell {
            self.process.send(REPEATS);
        } else {
            self.watch.why_ended =
                Some(format!("it made the same call {times} times in a row: {what}"));
            self.watch.ended_by = Some(EndedBy::Stall);
            self.process.terminate();
        }
        Ok(())
    }

    /// Ends a run that has used up its tokens. The agent itself enforces the limit in US dollars.
    fn spent(&mut self) {
        let budget = self.worker.setup.settings.budgets.run.tokens;
        let usage = self.watch.reported.usage();
        let used = usage.taken_in().saturating_add(usage.output);
        if self.watch.ended_by.is_none() && budget.is_some_and(|most| used >= most) {
            self.watch.ended_by = Some(EndedBy::Budget);
            self.process.terminate();
        }
    }

    /// Asks for a handoff before the context is full.
    fn filled(&mut self, used: Option<u64>) -> Result<(), Trouble> {
        let percent = self.worker.setup.settings.context_handoff_at;
        let window = self.worker.writer.state().context_window;
        let full = used.is_some_and(|used| context::is_full(used, window, percent));
        if full && !self.watch.handoff_asked {
            self.ask_for_handoff(used)?;
        }
        Ok(())
    }

    fn ask_for_handoff(&mut self, used: Option<u64>) -> Result<(), Trouble> {
        self.watch.handoff_asked = true;
        self.worker.writer.record(Event::HandoffAsked(event::HandoffAsked {
            run: self.plan.run.clone(),
            used,
        }))?;
        self.process.send(context::ASK);
        Ok(())
    }

    /// The check every few seconds: CPU time, stall detection, watchdog, mail, hook.
    fn look(&mut self) -> Result<(), Trouble> {
        let now = Instant::now();
        self.watch.pulse.look(now);
        let used =
            self.cgroup.as_ref().map_or_else(|| strays::cpu(&self.plan.run).ok(), RunCgroup::cpu);
        if let Some(used) = used {
            self.watch.pulse.cpu(now, used);
        }
        match self.watch.pulse.beat(now) {
            Beat::Feed => self.worker.notify.watchdog(),
            Beat::Nudge => {
                self.worker.notify.watchdog();
                let quiet_s = self.watch.pulse.quiet(now).as_secs();
                self.worker
                    .writer
                    .record(Event::Nudged(event::Nudged { run: self.plan.run.clone(), quiet_s }))?;
                self.process.send(NUDGE);
                self.worker.tell_of_stall(quiet_s);
            }
            Beat::Starve => {
                let quiet_s = self.watch.pulse.quiet(now).as_secs();
                self.worker.writer.record(Event::Stalled(event::Stalled {
                    run: self.plan.run.clone(),
                    quiet_s,
                }))?;
            }
            Beat::Silent => {}
        }
        // A reviewer gets no mail: it is for the phase's agent.
        if self.plan.review.is_none()
            && self.worker.writer.folder.has_unread()
            && self.worker.deliver_live(&mut |text| self.process.send(text))?
            && !self.watch.handoff_asked
        {
            self.ask_for_handoff(None)?;
        }
        self.worker.note_deliveries()?;
        self.look_for_room(now);
        self.show();
        Ok(())
    }

    /// Ends a run that fills the disk, or starts processes without end.
    fn look_for_room(&mut self, now: Instant) {
        if self.watch.ended_by.is_some() {
            return;
        }
        if let Some(short) = self.watch.room.look(now, self.cgroup.as_ref()) {
            self.watch.ended_by = Some(EndedBy::Limit);
            self.process.terminate();
            self.watch.why_ended = Some(self.watch.room.why(&short));
        }
    }

    /// Has done what a confined agent left to be done: mail in its outbox, and calls.
    async fn serve(&mut self) -> Result<(), Trouble> {
        if self.confinement.is_none() {
            return Ok(());
        }
        self.calls.serve(self.worker, &self.environment);
        self.outbox.look(self.worker, &self.environment).await
    }

    /// Shows what the agent is doing in the unit's status line and in the hook.
    fn show(&mut self) {
        if let Some(doing) = self.announce() {
            let usage = self.watch.reported.usage();
            self.worker.writer.show(&doing, self.watch.progress, usage);
        }
    }

    /// Sends the status line if it changed, and returns what the agent is doing. While the agent is
    /// quiet, nothing is sent.
    fn announce(&mut self) -> Option<String> {
        let quiet = self.watch.pulse.quiet(Instant::now()).as_secs() / 60;
        // The text may contain a secret: it includes the arguments of commands.
        let doing = match &self.plan.review {
            Some(review) => review.doing(&self.watch.doing),
            None => self.watch.doing.clone(),
        };
        let doing = self.worker.redactor.redact(&doing);
        let line = notices::status_line(self.worker.writer.state(), Some(&doing), Some(quiet));
        self.watch.shown = Instant::now();
        let now = (line, self.watch.progress);
        if self.watch.last_shown.as_ref() == Some(&now) {
            return None;
        }
        if self.watch.last_shown.is_none() {
            self.worker.notify.run_started(&now.0);
        } else {
            self.worker.notify.status(&now.0);
        }
        self.watch.last_shown = Some(now);
        Some(doing.into_owned())
    }
}

const REPEATS: &str = "The supervisor sees you make the same tool call with the same input over \
    and over. The result will not change: read what it says, and try something else.";

const NUDGE: &str = "The supervisor has seen no sign of progress from you for a while. If you are \
    waiting for something that hangs, stop it and try something else; if you are done, write \
    _signal.json and end.";
