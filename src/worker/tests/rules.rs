//! The rules, checked against what the journal says happened. The watcher keeps its own account of
//! what the human said, from what the human did and not from what the worker made of it.

use std::collections::HashSet;

use crate::session::event;
use crate::session::journal::{Entry, Event, Step};
use crate::session::mail::Kind;
use crate::session::overview::Field;
use crate::session::state::StateName;
use crate::session::{Phase, RetryCause};

use super::stage::{Ending, Faults, Script, Stage};

pub(super) struct Watcher {
    pub(super) stage: Stage,
    /// Number of the last journal entry that was looked at.
    seen: u64,
    /// How many of the human's messages were looked at.
    heard: usize,
    phase: Phase,
    /// Whether the session waits at a gate, and no run has started since without a yes.
    waits: bool,
    /// The human's last word since the wait began.
    verdict: Option<bool>,
    /// Whether that word was said in a message.
    by_mail: bool,
    /// Whether the human answered in `_qa.md` since the wait began.
    answered: bool,
    /// A phase that the human wrote and no worker has acted on.
    edit: Option<Phase>,
    done: bool,
    /// Messages that the journal has and no signal has settled.
    unseen: Vec<String>,
    taken: HashSet<String>,
}

impl Watcher {
    pub(super) fn new() -> Self {
        let stage = Stage::new();
        Self {
            seen: stage.state().seq,
            stage,
            heard: 0,
            phase: Phase::Requirements,
            waits: false,
            verdict: None,
            answered: false,
            by_mail: false,
            edit: None,
            done: false,
            unseen: Vec::new(),
            taken: HashSet::new(),
        }
    }

    pub(super) fn start(&mut self, faults: Faults, scripts: &[Script]) -> Ending {
        self.look();
        let ending = self.stage.start(faults, scripts);
        self.look();
        if ending == Ending::Exited {
            self.edit = None;
        }
        ending
    }

    pub(super) fn set_phase(&mut self, phase: Phase) {
        self.look();
        if self.stage.edit_overview(|overview| overview.set(Field::Phase, phase.as_str())) {
            self.edit = Some(phase);
        }
    }

    pub(super) fn unblock(&mut self) {
        self.stage.edit_overview(|overview| overview.set(Field::Blocked, "no"));
    }

    pub(super) fn answer(&mut self, all: bool) {
        self.look();
        let path = self.stage.setup.folder.qa();
        let Ok(text) = std::fs::read_to_string(&path) else { return };
        let count = if all { usize::MAX } else { 1 };
        let answered = text.replacen("_waiting_", "the human's", count);
        if answered != text {
            std::fs::write(&path, &answered).unwrap();
            if !answered.contains("_waiting_") && self.waits {
                self.verdict = Some(true);
                self.answered = true;
                self.by_mail = false;
            }
        }
    }

    pub(super) fn start_verb(&mut self) {
        self.look();
        let word = self.stage.state().name();
        if matches!(
            word,
            StateName::Stopped | StateName::Failed | StateName::Paused | StateName::Limited
        ) {
            self.stage.journal([Event::Started(event::Started {})]);
        }
        if self.stage.state().name() == StateName::Blocked {
            self.stage.journal([Event::Retried(event::Retried { by: RetryCause::Start })]);
        }
    }

    pub(super) fn lose_journal(&mut self) {
        self.look();
        let folder = &self.stage.setup.folder;
        // Without both there is no session left.
        if !folder.overview().exists() || std::fs::remove_file(folder.journal()).is_err() {
            return;
        }
        self.seen = 0;
        // What was read before is nowhere on record.
        self.unseen.clear();
        self.taken.retain(|id| !folder.is_unread(id));
        for (seq, ..) in &mut self.stage.mail {
            *seq = 0;
        }
    }

    /// Goes through what was said and recorded since the last look, in its order.
    fn look(&mut self) {
        for entry in self.stage.entries() {
            if entry.seq > self.seen {
                self.hear(entry.seq);
                self.seen = entry.seq;
                self.check(&entry);
            }
        }
        self.hear(u64::MAX);
    }

    /// Takes in what the human said before entry `seq`.
    fn hear(&mut self, seq: u64) {
        while let Some((after, _, kind)) = self.stage.mail.get(self.heard)
            && *after < seq
        {
            self.heard += 1;
            match kind {
                Kind::Approve | Kind::Answer if self.waits => {
                    (self.verdict, self.by_mail) = (Some(true), true);
                }
                Kind::Reject if self.waits || self.verdict == Some(true) => {
                    (self.verdict, self.by_mail) = (Some(false), true);
                }
                _ => {}
            }
        }
    }

    fn begin_wait(&mut self) {
        self.waits = self.phase.is_gate();
        self.verdict = None;
        self.answered = false;
        self.by_mail = false;
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.waits = false;
        self.verdict = None;
    }

    fn check(&mut self, entry: &Entry) {
        match &entry.event {
            Event::RunStarted(run) => {
                assert!(!self.done, "a finished session runs again: {entry:?}");
                assert_eq!(run.phase, self.phase);
                self.edit = None;
                if self.verdict != Some(true) {
                    self.waits = false;
                }
            }
            Event::SignalTaken(taken) => {
                for id in self.unseen.drain(..) {
                    assert!(self.stage.shown.contains(&id), "no agent saw {id}: {entry:?}");
                }
                match &taken.step {
                    Step::Enter { phase } => {
                        assert!(
                            !self.phase.is_gate() || self.verdict == Some(true),
                            "a gate opened; the human's word was {:?}: {entry:?}",
                            self.verdict
                        );
                        self.enter(*phase);
                    }
                    Step::Wait { .. } => self.begin_wait(),
                    Step::Finish => self.done = true,
                    Step::Stay
                    | Step::Block { .. }
                    | Step::Review
                    | Step::Dispute { .. }
                    | Step::HandOver => {}
                }
            }
            Event::PhaseSet(set) => {
                assert_eq!(Some(set.phase), self.edit.take(), "no human did that: {entry:?}");
                self.done = false;
                self.enter(set.phase);
            }
            Event::Answered(_) => {
                assert!(self.answered, "no human answered: {entry:?}");
            }
            Event::Imported(imported) => {
                let gate = imported.gate;
                assert_ne!(gate, crate::session::advance::Gate::Open, "{entry:?}");
                self.enter(imported.phase);
                self.done = imported.done;
                self.edit = None;
                if imported.waits_for.is_some() {
                    self.begin_wait();
                }
            }
            Event::Mail(mail) => {
                assert!(self.taken.insert(mail.id.clone()), "taken twice: {entry:?}");
                if mail.mail != Kind::Stop {
                    self.unseen.push(mail.id.clone());
                }
            }
            _ => {}
        }
    }

    /// Once a worker has taken in everything, the gate is as the human's last message says, and
    /// every message is on record.
    pub(super) fn check_last_word(&mut self) {
        self.look();
        let state = self.stage.state();
        for (_, id, _) in &self.stage.mail {
            assert!(self.taken.contains(id), "{id} is lost");
        }
        // Answers by hand and mail have no common order; a no in either keeps the gate closed.
        if self.waits && self.by_mail && !self.answered {
            let is_open = state.visit.gate == crate::session::advance::Gate::Open;
            assert_eq!(Some(is_open), self.verdict, "the last word does not count: {state:?}");
        }
    }
}
