//! Recovery: finishes interrupted steps and reads what humans edited by hand.

use std::time::SystemTime;

use jiff::Timestamp;

use crate::platform::machine;
use crate::session::clock;
use crate::session::event;
use crate::session::hand_edit::{HandEdit, hand_edit};
use crate::session::history::History;
use crate::session::journal::{Event, RunCost};
use crate::session::state::{OpenRun, RunState, Standing};
use crate::session::store::{self, crash_point};
use crate::session::{Files, Phase, RunOutcome, import, names};

use super::iterate::TICK;
use super::under_way::end_strays;
use super::{Trouble, Worker, temporary};

impl Worker<'_> {
    /// Journals the worker's start; imports a session without a journal from its files.
    pub(super) fn record_worker_start(&mut self) -> Result<(), Trouble> {
        if self.writer.state().seq == 0 {
            let event = self.read_foreign_session()?;
            self.writer.record(event)?;
        } else {
            self.writer.set_aside()?;
        }
        let state = self.writer.state();
        let waits_for_a_time = matches!(
            state.standing,
            Standing::Limited { .. } | Standing::Paused { until: Some(_), .. }
        );
        let is_void = waits_for_a_time && clock::was_set_back(state.at, Timestamp::now());
        let started = Event::WorkerStarted(event::WorkerStarted {
            pid: std::process::id(),
            boot: machine::boot_id(),
            uptime_ms: machine::uptime_ms(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        });
        if is_void {
            // A single write: the entry after it has the new clock's time.
            self.writer.record_all(vec![started, Event::Continued(event::Continued {})])?;
        } else {
            // Only the count of quick deaths depends on it, and a reboot resets that anyway.
            self.writer.note(started)?;
        }
        if self.writer.folder.is_marked_stopped() {
            // A human stopped the session while the disk was full.
            if !self.writer.state().stopped {
                self.writer.record(Event::Stopped(event::Stopped {}))?;
            }
            store::remove(&self.writer.folder.stop_mark())?;
        }
        Ok(())
    }

    fn read_foreign_session(&self) -> Result<Event, Trouble> {
        let folder = self.writer.folder.name();
        let name = names::name_in_folder(&folder).unwrap_or(&folder).to_owned();
        let Some(overview) = self.writer.overview()? else {
            let path = self.writer.folder.path().display();
            let hint = format!("start one with: samocode enable {name} --task \"what to build\"");
            return Err(Trouble::Unusable(format!("no session in {path}; {hint}")));
        };
        let folder = &self.writer.folder;
        let history = History::parse(&store::read(&folder.history())?.unwrap_or_default());
        let questions = folder.questions();
        let files = Files {
            overview: &overview,
            history: &history.lines,
            qa: questions.as_ref().map(|file| &file.qa),
            has_hook: folder.hook().exists(),
        };
        let mut imported = import(&name, files).map_err(|why| {
            let path = self.writer.folder.path().display();
            Trouble::Unusable(format!("cannot import the session in {path}: {why}"))
        })?;
        if let Event::Imported(event::Imported { asked: Some(asked), .. }) = &mut imported
            && files.has_hook
        {
            // Nobody knows which wait these were for.
            let unread = folder.unread()?.messages.into_iter();
            asked.unread = unread.map(|(_, message)| message.id).collect();
        }
        Ok(imported)
    }

    /// Finishes what the last worker left.
    pub(super) async fn recover(&mut self) -> Result<(), Trouble> {
        self.writer.folder.roots().iter().for_each(|root| store::sweep(root));
        self.writer.set_aside()?;
        self.writer.folder.make_subfolders()?;
        self.put_known_mail_away()?;
        self.writer.restore_overview()?;
        self.enter_in_ledger()?;
        self.writer.take_over_history()?;
        self.take_lost_work_over().await?;
        let state = self.writer.state();
        match state.iteration.as_ref().map(|iteration| iteration.run.clone()) {
            Some(RunState::Open(open)) => {
                self.recover_run(&open).await?;
                return Ok(self.writer.settle()?);
            }
            // The last worker journaled the end of the run and died before it accepted the signal.
            Some(RunState::Ended { run }) => {
                if self.may_trust_signal()
                    && let Ok(left) = self.read_left(&run)
                {
                    return self.take_left(&run, None, left).await;
                }
            }
            Some(RunState::Over) | None => {}
        }
        if self.writer.state().unsettled {
            self.read_phase_set_meanwhile()?;
            self.writer.settle()?;
        }
        self.read_hand_edits()
    }

    /// Whether a signal found at the start counts. If the machine went down, it may be an older one
    /// whose removal did not reach the disk, and the run's work may be lost.
    fn may_trust_signal(&self) -> bool {
        !self.writer.state().machine.is_first_run_since_boot()
    }

    /// Recovers a run whose end no worker saw: kills its remaining processes, and accepts its
    /// signal if there is one.
    async fn recover_run(&mut self, open: &OpenRun) -> Result<(), Trouble> {
        let left = end_strays(&open.run);
        if left > 0 {
            tracing::warn!("killed {left} processes of a run whose worker died");
        }
        temporary::remove_of(&open.run);
        crash_point("the run's remains are removed");
        self.look_back(SystemTime::from(open.since));
        self.writer.take_overview_back()?;
        self.note_left()?;
        let signal = self.read_left(&open.run).ok();
        let signal = signal.filter(|_| self.may_trust_signal());
        let tokens = self.writer.tokens_shown(&open.run);
        let Some(signal) = signal else {
            let lost = Event::RunLost(event::RunLost { run: open.run.clone(), tokens });
            let strays = self.strays().await;
            return Ok(self.writer.record_all([lost].into_iter().chain(strays).collect())?);
        };
        self.settle_run(SystemTime::from(open.since) - TICK).await;
        let ended = Event::RunEnded(event::RunEnded {
            run: open.run.clone(),
            outcome: RunOutcome::CutOff,
            detail: Some("its worker died first; the signal it left was accepted".to_owned()),
            failure: false,
            endless: false,
            resumable: true,
            context_window: None,
            cost: RunCost { tokens, ..RunCost::default() },
        });
        self.take_left(&open.run, Some(ended), signal).await
    }

    /// Reads a phase that a human set after the last worker died and before the effects of its last
    /// step are applied. What an agent wrote was replaced before that step was recorded, so anything
    /// but the phase before and the one after it is a human's.
    fn read_phase_set_meanwhile(&mut self) -> Result<(), Trouble> {
        let state = self.writer.state();
        let Some(last) = &state.last_signal else { return Ok(()) };
        let before: Option<Phase> = last.line.phase.as_deref().and_then(|word| word.parse().ok());
        let after = state.phase();
        // A new task, or a phase set by hand, leads from any phase to any other.
        if state.redirection.is_some() || before.is_none() {
            return Ok(());
        }
        let there = self.writer.overview()?.and_then(|overview| overview.status().phase);
        if let Some(phase) = there.filter(|phase| *phase != after && Some(*phase) != before) {
            self.writer.record(Event::PhaseSet(event::PhaseSet { phase }))?;
        }
        Ok(())
    }

    /// Reads edits by hand: while no run is active, a changed phase in the overview is a human's
    /// decision, and a `_qa.md` without `_waiting_` is an answer.
    fn read_hand_edits(&mut self) -> Result<(), Trouble> {
        let Some(overview) = self.writer.overview()? else { return Ok(()) };
        let status = overview.status();
        let questions = self.writer.folder.questions();
        let state = self.writer.state();
        if let (None, Some(word)) = (status.phase, &status.phase_text) {
            let phase = state.phase();
            tracing::warn!(
                "_overview.md has 'Phase: {word}', which is not a phase: keeping {phase}"
            );
        }
        let Some(edit) = hand_edit(state, &status, questions.as_ref()) else { return Ok(()) };
        let sets_phase = matches!(edit, HandEdit::Phase(_));
        self.writer.record(edit.event())?;
        if sets_phase {
            crash_point("the phase is set, the flow log does not say so");
            self.writer.settle()?;
        }
        Ok(())
    }
}
