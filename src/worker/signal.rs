//! Taking a signal: where it leads is decided by the phase table, and written down together with
//! the end of its run.

use crate::session::clock;
use crate::session::history::HistoryLine;
use crate::session::journal::{Event, Step};
use crate::session::signal::{Signal, Status};
use crate::session::{Needs, WaitsFor, advance};

use super::{Trouble, Worker};

impl Worker<'_> {
    /// Writes a run's end, if that is not known yet, its signal and where that leads down with one
    /// write; then the effects.
    pub(super) async fn take_signal(
        &mut self,
        run: &str,
        ended: Option<Event>,
        signal: Signal,
    ) -> Result<(), Trouble> {
        let signal = self.without_secrets(signal);
        let fingerprint =
            if self.is_same_again(&signal) { Some(self.fingerprint().await) } else { None };
        let state = self.writer.state();
        let step = advance::advance(state.phase(), state.visit.gate, &signal);
        let phase = state.phase();
        let line = HistoryLine::from_signal(&signal, state.total, phase, &clock::local_now());
        let taken = Event::SignalTaken {
            run: run.to_owned(),
            line,
            phase,
            status: signal.status,
            fingerprint,
            state: signal.state,
            step,
        };
        self.writer.record_all(ended.into_iter().chain([taken]).collect())?;
        self.writer.settle()?;
        Ok(())
    }

    /// An agent may quote what it was given, and its words go to journal, journald and notices.
    fn without_secrets(&self, mut signal: Signal) -> Signal {
        for text in [&mut signal.summary, &mut signal.reason].into_iter().flatten() {
            *text = self.redactor.redact(text).into_owned();
        }
        if let Some(Needs::Other(text)) = &mut signal.needs {
            *text = self.redactor.redact(text).into_owned();
        }
        if let Some(WaitsFor::Other(text)) = &mut signal.waits_for {
            *text = self.redactor.redact(text).into_owned();
        }
        if let Some(state) = &mut signal.state {
            self.redactor.redact_value(state);
        }
        signal
    }

    /// Whether a signal says what the one before said.
    fn is_same_again(&self, signal: &Signal) -> bool {
        let last = self.writer.state().last_signal.as_ref();
        signal.status == Status::Continue
            && last.is_some_and(|last| {
                last.step == Step::Stay
                    && last.line.summary == signal.summary
                    && last.line.reason == signal.reason
            })
    }
}
