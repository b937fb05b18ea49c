//! The session's files as the worker keeps them: every event goes through here to the journal,
//! to journald and to the hook, and its effects to the overview and the history.

use std::path::Path;

use crate::session::history::{History, HistoryLine};
use crate::session::journal::{Event, Step};
use crate::session::overview::{Blocked, Field, NewOverview, Overview};
use crate::session::qa::Qa;
use crate::session::state::{Redirection, Standing, State};
use crate::session::store::{self, Folder, Journal, JournalError, Lock, StoreError, Unsynced};
use crate::session::{Phase, WaitsFor, clock, stamp};

use super::journald;
use crate::session::hook::Hook;

/// How much of the history's end is looked at, in bytes: more than any twenty lines.
const TAIL: u64 = 64 * 1024;

/// How new contents take the place of the old ones at a path.
type Write = fn(&Path, &[u8], &[u8]) -> Result<(), StoreError>;

/// The files of a session, held by the worker that has the lock.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) folder: Folder,
    pub(super) instance: String,
    journal: Journal,
    doing: Option<String>,
    /// Lines of other files that the disk may not have yet, and the journal has.
    unsynced: Vec<Unsynced>,
}

impl Writer {
    pub(super) fn open(
        folder: Folder,
        instance: String,
        lock: &Lock,
    ) -> Result<Self, JournalError> {
        let journal = Journal::open(&folder, lock)?;
        Ok(Self { folder, instance, journal, doing: None, unsynced: Vec::new() })
    }

    pub(super) const fn state(&self) -> &State {
        self.journal.state()
    }

    /// Writes an event down: to the journal durably, then to journald.
    pub(super) fn record(&mut self, event: Event) -> Result<(), StoreError> {
        self.record_all(vec![event])
    }

    /// Writes events down of which none may be there without the others.
    pub(super) fn record_all(&mut self, events: Vec<Event>) -> Result<(), StoreError> {
        // What makes up for lines that a crash of the machine took may not be there for long.
        if !matches!(events.as_slice(), [Event::RunStarted { .. }]) {
            self.catch_up()?;
        }
        let instance = &self.instance;
        self.journal.append_all(events, |state, event| journald::tell(instance, state, event))
    }

    /// Writes an event down that the next one makes durable; nothing may be built on it before.
    pub(super) fn note(&mut self, event: Event) -> Result<(), StoreError> {
        let instance = &self.instance;
        self.journal.append_unsynced(event, |state, event| journald::tell(instance, state, event))
    }

    /// Has a file be waited for later: its last line is what the journal says of the last run, so
    /// a worker that comes after a crash of the machine writes it again.
    pub(super) fn sync_later(&mut self, file: Unsynced) {
        self.unsynced.push(file);
    }

    /// Takes over what the last worker left for later: the line of the last signal is in the
    /// history, and will be on the disk before another signal takes its place in the journal.
    pub(super) fn take_over_history(&mut self) -> Result<(), StoreError> {
        self.settle_history()?;
        self.unsynced.extend(Unsynced::of(&self.folder.history())?);
        Ok(())
    }

    /// Waits for the disk to have what was left for later. To be called while an agent works, when
    /// nobody else waits for it.
    pub(super) fn catch_up(&mut self) -> Result<(), StoreError> {
        self.unsynced.drain(..).try_for_each(Unsynced::sync)
    }

    /// Brings everything that derives from the journal in line with it. Doing it again changes
    /// nothing, so a worker that died in the middle is followed by one that does it all. The hook
    /// is for those who look now; where the worker rests, [`Writer::write_hook`] makes it last.
    pub(super) fn settle(&mut self) -> Result<(), StoreError> {
        self.settle_history()?;
        self.settle_overview()?;
        self.show_hook()
    }

    /// The last signal is in the history exactly once.
    fn settle_history(&mut self) -> Result<(), StoreError> {
        let Some(last) = self.state().last_signal.clone() else { return Ok(()) };
        let path = self.folder.history();
        let known = store::read_tail(&path, TAIL)?;
        let history = History::parse(&known);
        let present = history.lines.iter().rev().take(20).any(|line| *line == last.line);
        if present {
            return Ok(());
        }
        let mut line = String::new();
        if let Some(at) = history.torn_at {
            let torn = (known.len() - at) as u64;
            store::cut_torn(&path, store::length(&path)?.saturating_sub(torn))?;
        } else if !known.is_empty() && !known.ends_with(b"\n") {
            line.push('\n');
        }
        line.push_str(&last.line.to_line().unwrap_or_default());
        self.unsynced.push(store::append_unsynced(&path, line.as_bytes())?);
        Ok(())
    }

    fn settle_overview(&self) -> Result<(), StoreError> {
        let state = self.state();
        self.edit_overview(|overview| {
            overview.set(Field::Phase, state.phase().as_str());
            set_counters(overview, state);
            overview.set(Field::Blocked, blocked(&state.standing).as_str());
            if let Some(Redirection::Task(at)) = state.redirection {
                overview.set(Field::Next, &format!("New task: {}", state.task));
                let stamp = stamp::iteration(state.total, &at.to_zoned(clock::local_zone()));
                overview.add_flow(&format!("{stamp} Session resumed: {}", state.task));
            }
            if let Some(Redirection::Phase(at)) = state.redirection {
                let stamp = stamp::iteration(state.total, &at.to_zoned(clock::local_zone()));
                overview.add_flow(&format!("{stamp} Phase set to {} by hand", state.phase()));
            }
            if let Some(last) = &state.last_signal
                && let Some(line) = flow_of(&last.line, &last.step)
            {
                overview.add_flow(&line);
            }
            if let Standing::Blocked { reason, needs } = &state.standing {
                let by_worker = state
                    .last_signal
                    .as_ref()
                    .is_none_or(|last| !matches!(last.step, Step::Block { .. }));
                if by_worker {
                    overview.set(Field::LastAction, &format!("Blocked: {reason}"));
                    overview.set(Field::Next, &format!("Needs {needs}"));
                }
            }
        })
    }

    /// Writes an overview that is gone anew, from what the journal knows of it.
    pub(super) fn restore_overview(&self) -> Result<(), StoreError> {
        let state = self.state();
        let path = self.folder.overview();
        let Some(working_dir) = state.working_dir() else { return Ok(()) };
        if store::read(&path)?.is_some_and(|bytes| !bytes.is_empty()) {
            return Ok(());
        }
        tracing::warn!("{} was gone: it is written anew from the journal", path.display());
        let mut overview = Overview::new(&NewOverview {
            name: &state.name,
            started: &stamp::log(&state.created.to_zoned(clock::local_zone())),
            working_dir,
            task: &state.task,
            dive: state.dive.as_deref(),
            phase: state.phase(),
            iteration: 0,
        });
        let stamp = stamp::iteration(state.total, &clock::local_now());
        overview.add_flow(&format!("{stamp} This file was gone and written anew"));
        store::replace(&path, overview.as_str().as_bytes())?;
        self.settle_overview()
    }

    /// Counters and `Blocked: no`, as a run begins. The journal has them by now, and recovery sets
    /// them from there.
    pub(super) fn open_overview(&self) -> Result<(), StoreError> {
        self.edit_with(store::amend, |overview| {
            overview.set(Field::Phase, self.state().phase().as_str());
            set_counters(overview, self.state());
            overview.set(Field::Blocked, Blocked::No.as_str());
        })
    }

    pub(super) fn edit_overview(&self, edit: impl FnOnce(&mut Overview)) -> Result<(), StoreError> {
        self.edit_with(|path, _, new| store::replace(path, new), edit)
    }

    fn edit_with(&self, write: Write, edit: impl FnOnce(&mut Overview)) -> Result<(), StoreError> {
        let path = self.folder.overview();
        let Some(bytes) = store::read(&path)? else { return Ok(()) };
        // What is not UTF-8 cannot be edited without harm to the rest, and is left alone.
        let Ok(text) = String::from_utf8(bytes) else { return Ok(()) };
        let overview = Overview::parse(text);
        let mut edited = overview.clone();
        edit(&mut edited);
        if edited == overview {
            return Ok(());
        }
        write(&path, overview.as_str().as_bytes(), edited.as_str().as_bytes())
    }

    pub(super) fn overview(&self) -> Result<Option<Overview>, StoreError> {
        read_overview(&self.folder)
    }

    /// Open questions in `_qa.md`.
    pub(super) fn open_questions(&self) -> Option<usize> {
        let text = String::from_utf8(store::read(&self.folder.qa()).ok()??).ok()?;
        let qa = Qa::parse(&text);
        (!qa.questions().is_empty()).then(|| qa.waiting())
    }

    /// Writes the hook without waiting for the disk: while the worker is at it, it changes soon,
    /// and the journal has all that it says.
    pub(super) fn show_hook(&self) -> Result<(), StoreError> {
        store::replace_derived(&self.folder.hook(), &self.hook(None))
    }

    /// Writes the hook durably.
    pub(super) fn write_hook(&self) -> Result<(), StoreError> {
        store::replace(&self.folder.hook(), &self.hook(None))
    }

    /// Writes the hook for those who look, without waiting for the disk. A full disk is no reason
    /// to cut a run off: what it cannot write it says itself, and the hook is derived.
    pub(super) fn show(&mut self, doing: &str, progress: jiff::Timestamp) {
        self.doing = Some(doing.to_owned());
        if let Err(error) = store::replace_derived(&self.folder.hook(), &self.hook(Some(progress)))
        {
            tracing::debug!("the hook is behind: {error}");
        }
    }

    fn hook(&self, progress: Option<jiff::Timestamp>) -> Vec<u8> {
        let mut hook = Hook::of(self.state());
        if hook.waits_for == Some(WaitsFor::QaAnswers) {
            hook.questions = self.open_questions();
        }
        if let Some(run) = &mut hook.run {
            run.doing.clone_from(&self.doing);
        }
        hook.last_progress = hook.last_progress.max(progress);
        let mut bytes = serde_json::to_vec(&hook).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}

/// Reads an overview; what in it is not UTF-8 is read as replacement characters.
pub(super) fn read_overview(folder: &Folder) -> Result<Option<Overview>, StoreError> {
    let Some(bytes) = store::read(&folder.overview())? else { return Ok(None) };
    Ok(Some(Overview::parse(String::from_utf8_lossy(&bytes).into_owned())))
}

fn set_counters(overview: &mut Overview, state: &State) {
    overview.set(Field::Iteration, &state.visit.iterations.to_string());
    overview.set(Field::TotalIterations, &state.total.to_string());
}

const fn blocked(standing: &Standing) -> Blocked {
    match standing {
        Standing::Waiting { .. } => Blocked::WaitingHuman,
        Standing::Blocked { .. } | Standing::GaveUp => Blocked::Yes,
        _ => Blocked::No,
    }
}

/// What the flow log says of a signal: where it led, with the signal's own stamp, so that a
/// replay writes the same line.
fn flow_of(line: &HistoryLine, step: &Step) -> Option<String> {
    let from: Phase = line.phase.as_deref()?.parse().ok()?;
    let what = match step {
        Step::Stay => return None,
        Step::Enter { phase } => format!("{from} -> {phase}"),
        Step::Wait { waits_for } => format!("{from} waits for {waits_for}"),
        Step::Block { reason, .. } => format!("{from} blocked: {reason}"),
        Step::Finish => "Session done".to_owned(),
        Step::HandOver => format!("{from} handed over to a fresh conversation"),
    };
    // `YYYY-MM-DD HH:MM:SS` of the history, shortened to the flow log's `MM-DD HH:MM`.
    let at = line.timestamp.as_deref()?.get(5..16)?;
    Some(format!("[{:03} @ {at}] {what}", line.iteration?))
}
