//! Accepting a signal: the phase table decides the next step, which is journaled together with the
//! end of the run.

use std::ffi::OsString;

use crate::session::advance::Gate;
use crate::session::asked::Asked;
use crate::session::clock;
use crate::session::event;
use crate::session::history::HistoryLine;
use crate::session::journal::{Event, Step};
use crate::session::mail::{Kind, Message};
use crate::session::signal::{Signal, Status};
use crate::session::store::Vouchers;
use crate::session::{Needs, WaitsFor, advance};

use super::head::{unless_beside, unless_elsewhere};
use super::review::{self, unless_unreviewed};
use super::{Trouble, Worker};

/// The longest questions that the journal keeps, in bytes.
const MAX_QUESTIONS: usize = 64 * 1024;

impl Worker<'_> {
    /// Journals the end of a run (if it is not journaled yet), its signal and the next step with a
    /// single write, then applies the effects.
    pub(super) async fn take_signal(
        &mut self,
        run: &str,
        ended: Option<Event>,
        signal: Signal,
    ) -> Result<(), Trouble> {
        let signal = self.without_secrets(signal);
        let fingerprint =
            if self.is_same_again(&signal) { Some(self.fingerprint().await) } else { None };
        let (moved, strays) = (self.head_moved().await, self.strays().await);
        let state = self.writer.state();
        let vouchers = Vouchers::of(&self.setup.state_dir, &self.setup.instance);
        let mut unread = self.writer.folder.unread()?.messages;
        unread.retain(|(_, word)| !word.kind.needs_voucher() || vouchers.by(word).is_some());
        let head = match &moved {
            Some(Event::HeadMoved(moved)) => moved.head.as_ref(),
            _ => state.elsewhere.as_ref(),
        };
        let step = advance::advance(state.phase(), gate(state.visit.gate, &unread), &signal);
        let (was_told, folder) = (state.elsewhere.is_some(), state.working_dir());
        let step = unless_elsewhere(step, head, was_told, folder.unwrap_or_default());
        let step = unless_beside(step, strays.as_ref(), &state.strays);
        let step = unless_unreviewed(
            step,
            state,
            &self.setup.settings,
            || review::head(state.working_dir()),
            &signal,
        );
        let reviewed = review::reviewed(&step, state, &self.setup.settings, || {
            review::head(state.working_dir())
        });
        let asked = matches!(step, Step::Wait { .. }).then(|| self.asked(&unread));
        let phase = state.phase();
        let line = HistoryLine::from_signal(&signal, state.total, phase, &clock::local_now());
        let taken = Event::SignalTaken(event::SignalTaken {
            run: run.to_owned(),
            line,
            phase,
            status: signal.status,
            fingerprint,
            state: signal.state,
            asked,
            step,
            reviewed,
        });
        let moved = moved.into_iter().chain(strays);
        self.writer.record_all(ended.into_iter().chain(moved).chain([taken]).collect())?;
        self.writer.settle()?;
        Ok(())
    }

    /// The answers and mail that exist already when the session begins to wait.
    fn asked(&self, unread: &[(OsString, Message)]) -> Asked {
        let file = self.writer.folder.questions();
        let text = file.as_ref().filter(|file| file.is_utf8).map(|file| file.qa.as_str());
        let text = text.filter(|text| text.len() <= MAX_QUESTIONS);
        let answers = file.as_ref().and_then(|file| file.qa.fingerprint());
        Asked {
            text: text
                .filter(|_| answers.is_some())
                .map(|text| self.redactor.redact(text).into_owned()),
            answers,
            unread: unread.iter().map(|(_, message)| message.id.clone()).collect(),
        }
    }

    /// Redacts secrets: an agent may quote its input, and its words go to journal, journald and
    /// notifications.
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

    /// Whether a signal repeats the one before.
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

/// The gate, given the mail that arrived during the run: a rejection that has not been read yet
/// closes it, unless the human approved after that.
fn gate(gate: Gate, unread: &[(OsString, Message)]) -> Gate {
    let last = unread.iter().rev().map(|(_, message)| message.kind).find(Kind::is_verdict);
    if gate == Gate::Open && last == Some(Kind::Reject) { Gate::Waited } else { gate }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn unread(kinds: &[Kind]) -> Vec<(OsString, Message)> {
        let message = |kind| Message::new("human", "x", Timestamp::UNIX_EPOCH, kind, "").unwrap();
        kinds.iter().map(|kind| (OsString::new(), message(*kind))).collect()
    }

    #[test]
    fn a_gate_is_closed_by_an_unread_rejection_that_is_the_last_word() {
        for (kinds, after) in [
            (&[][..], Gate::Open),
            (&[Kind::Text], Gate::Open),
            (&[Kind::Reject, Kind::Text], Gate::Waited),
            (&[Kind::Approve, Kind::Reject], Gate::Waited),
            (&[Kind::Reject, Kind::Approve], Gate::Open),
        ] {
            assert_eq!(gate(Gate::Open, &unread(kinds)), after, "{kinds:?}");
        }
        assert_eq!(gate(Gate::Closed, &unread(&[Kind::Approve])), Gate::Closed);
    }
}
