//! The worker's access to the session's files. Every event goes through here to journal, journald
//! and hook, and its effects to overview and history.

use std::path::Path;

use crate::session::event;
use crate::session::history::History;
use crate::session::journal::{Event, Step, Usage};
use crate::session::overview::{Field, NewOverview, Overview};
use crate::session::state::{Redirection, Standing, State};
use crate::session::store::{
    self, Folder, Journal, JournalError, Lock, StoreError, Synced, Unsynced,
};
use crate::session::{WaitsFor, clock, stamp};

use super::background::{Background, Pending};
use super::journald;
use super::lines::{blocked, flow_of, set_counters, set_of_run};
use crate::session::hook::Hook;

/// How much of the end of the history to read, in bytes, beside the length of the line looked for.
const TAIL: u64 = 64 * 1024;

/// Writes new contents to a path, given the old ones.
type Write = fn(&Path, &[u8], &[u8]) -> Result<(), StoreError>;

/// The files of a session, owned by the worker that holds the lock.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) folder: Folder,
    pub(super) instance: String,
    journal: Journal,
    doing: Option<String>,
    /// The tokens that the current run has used so far.
    tokens: Usage,
    /// Files whose last line may not be on the disk yet; the journal has its data.
    unsynced: Vec<Unsynced>,
    /// Such files that are being synced.
    syncing: Option<Pending<Vec<Synced>>>,
    pub(super) background: Background,
    /// Whether the hook lacks what was settled last.
    hook_is_behind: bool,
}

impl Writer {
    pub(super) fn open(
        folder: Folder,
        instance: String,
        lock: &Lock,
    ) -> Result<Self, JournalError> {
        let journal = Journal::open(&folder, lock)?;
        Ok(Self {
            folder,
            instance,
            journal,
            doing: None,
            tokens: Usage::default(),
            unsynced: Vec::new(),
            syncing: None,
            background: Background::start(),
            hook_is_behind: false,
        })
    }

    pub(super) const fn state(&self) -> &State {
        self.journal.state()
    }

    /// Records an event: durably in the journal, then in journald.
    pub(super) fn record(&mut self, event: Event) -> Result<(), StoreError> {
        self.record_all(vec![event])
    }

    /// Records events that must not be separated by a crash.
    pub(super) fn record_all(&mut self, events: Vec<Event>) -> Result<(), StoreError> {
        // Pending lines are synced before an event after which recovery could no longer rewrite
        // them. A run's start is none.
        self.catch_up()?;
        let instance = &self.instance;
        self.journal.append_all(events, |state, event| journald::log(instance, state, event))
    }

    /// Records that a run starts. Meanwhile `work` is done, which recovery undoes where the run is
    /// recorded, then the postponed syncs.
    pub(super) fn record_start<T: Send + 'static>(
        &mut self,
        started: event::RunStarted,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Pending<T>, StoreError> {
        self.doing = None;
        self.tokens = Usage::default();
        self.end_syncing()?;
        let Self { journal, background, unsynced, syncing, instance, .. } = self;
        let each = |state: &State, event: &Event| journald::log(instance, state, event);
        journal.append_beside(Event::RunStarted(started), each, || {
            let done = background.run(work);
            *syncing = sync_in(background, std::mem::take(unsynced));
            done
        })
    }

    /// Records an event that the next one makes durable. Nothing may depend on it before that.
    pub(super) fn note(&mut self, event: Event) -> Result<(), StoreError> {
        let instance = &self.instance;
        self.journal.append_unsynced(event, |state, event| journald::log(instance, state, event))
    }

    /// Postpones the sync of a file. The journal has the data of its last line, so recovery writes
    /// it again after a crash of the machine.
    pub(super) fn sync_later(&mut self, file: Unsynced) {
        self.unsynced.push(file);
    }

    /// Sets aside what is in the place of the session's files and is none of them. Said before it is
    /// done: a worker that dies in between finds it again.
    pub(super) fn set_aside(&mut self) -> Result<(), StoreError> {
        for unfit in self.folder.unfit() {
            let store::Unfit { file, what, kept, .. } = unfit.clone();
            self.record(Event::SetAside(event::SetAside { file, what, kept }))?;
            self.folder.set_aside(&unfit)?;
        }
        Ok(())
    }

    /// Takes over the previous worker's postponed sync of the history, which must happen before the
    /// next signal replaces the last one in the state.
    pub(super) fn take_over_history(&mut self) -> Result<(), StoreError> {
        self.settle_history()?;
        self.unsynced.extend(Unsynced::of(&self.folder.history())?);
        Ok(())
    }

    /// Performs the postponed syncs.
    pub(super) fn catch_up(&mut self) -> Result<(), StoreError> {
        self.end_syncing()?;
        self.unsynced.drain(..).try_for_each(Unsynced::sync)
    }

    /// Waits for those that were started.
    fn end_syncing(&mut self) -> Result<(), StoreError> {
        let synced = self.syncing.take().and_then(Pending::wait).unwrap_or_default();
        synced.into_iter().try_for_each(Synced::confirm)
    }

    /// Starts the postponed syncs. [`Writer::catch_up`], and with it the next event, waits for them.
    pub(super) fn catch_up_in_background(&mut self) -> Result<(), StoreError> {
        // Of an earlier call.
        self.end_syncing()?;
        self.syncing = sync_in(&self.background, std::mem::take(&mut self.unsynced));
        Ok(())
    }

    /// Updates everything that derives from the journal. This is idempotent, so the next worker
    /// simply repeats it if one dies halfway. The hook follows when a run starts, which writes it
    /// anyway, or with [`Writer::keep_hook_up`] if that takes a while.
    pub(super) fn settle(&mut self) -> Result<(), StoreError> {
        self.settle_history()?;
        self.settle_overview()?;
        self.hook_is_behind = true;
        Ok(())
    }

    /// Shows in the hook what was settled last, if no later write of the hook has.
    pub(super) fn keep_hook_up(&mut self) -> Result<(), StoreError> {
        if self.hook_is_behind { self.show_hook() } else { Ok(()) }
    }

    /// Ensures that the last signal is in the history exactly once.
    fn settle_history(&mut self) -> Result<(), StoreError> {
        let Some(last) = self.state().last_signal.clone() else { return Ok(()) };
        let path = self.folder.history();
        let line = last.line.to_line().unwrap_or_default();
        let known = store::read_tail(&path, TAIL + line.len() as u64)?;
        let lines = last_lines(&known);
        let history = History::parse(lines);
        let present = history.lines.contains(&last.line);
        if present {
            return Ok(());
        }
        let mut appended = String::new();
        if let Some(at) = history.torn_at {
            let torn = (lines.len() - at) as u64;
            store::cut_torn(&path, store::length(&path)?.saturating_sub(torn))?;
        } else if !known.is_empty() && !known.ends_with(b"\n") {
            appended.push('\n');
        }
        appended.push_str(&line);
        self.unsynced.push(store::append_unsynced(&path, appended.as_bytes())?);
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

    /// Rewrites a missing overview from the journal.
    pub(super) fn restore_overview(&self) -> Result<(), StoreError> {
        let state = self.state();
        let path = self.folder.overview();
        let Some(working_dir) = state.working_dir() else { return Ok(()) };
        if store::read(&path)?.is_some_and(|bytes| !bytes.is_empty()) {
            return Ok(());
        }
        tracing::warn!("{} was missing: rewriting it from the journal", path.display());
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
        overview
            .add_flow(&format!("{stamp} This file was missing and was rewritten from the journal"));
        store::replace(&path, overview.as_bytes())?;
        self.settle_overview()
    }

    /// Sets the counters and `Blocked: no` as a run starts. The journal already has these values,
    /// so recovery can set them again.
    pub(super) fn open_overview(&self) -> Result<(), StoreError> {
        self.edit_with(store::amend, |overview| set_of_run(overview, self.state()))
    }

    /// Replaces what an agent wrote into the worker's lines. Call it before the run's end is
    /// recorded: from then on a difference is a human's edit.
    pub(super) fn take_overview_back(&self) -> Result<(), StoreError> {
        self.edit_overview(|overview| set_of_run(overview, self.state()))
    }

    pub(super) fn edit_overview(&self, edit: impl FnOnce(&mut Overview)) -> Result<(), StoreError> {
        self.edit_with(|path, _, new| store::replace(path, new), edit)
    }

    fn edit_with(&self, write: Write, edit: impl FnOnce(&mut Overview)) -> Result<(), StoreError> {
        let path = self.folder.overview();
        let Some(bytes) = store::read(&path)? else { return Ok(()) };
        let overview = Overview::parse(bytes);
        let mut edited = overview.clone();
        edit(&mut edited);
        if edited == overview {
            return Ok(());
        }
        write(&path, overview.as_bytes(), edited.as_bytes())
    }

    pub(super) fn overview(&self) -> Result<Option<Overview>, StoreError> {
        Ok(store::read(&self.folder.overview())?.map(Overview::parse))
    }

    /// Number of open questions in `_qa.md`; `None` if it has no questions.
    pub(super) fn open_questions(&self) -> Option<usize> {
        let qa = self.folder.questions().filter(|file| file.is_utf8)?.qa;
        (!qa.questions().is_empty()).then(|| qa.waiting())
    }

    /// Writes the hook without waiting for the disk. It changes again soon, and the journal has all
    /// its data.
    fn show_hook(&mut self) -> Result<(), StoreError> {
        store::replace_derived(&self.folder.hook(), &self.hook(None))?;
        self.hook_is_behind = false;
        Ok(())
    }

    /// Writes the hook as an agent is about to start, which may read it.
    pub(super) fn show_start(&mut self, doing: &str) -> Result<(), StoreError> {
        self.doing = Some(doing.to_owned());
        self.show_hook()
    }

    /// Shows what is done to the worktree before a run, until the hook is written the next time.
    pub(super) fn show_preparing(&mut self, doing: &str) {
        let shown = Hook { preparing: Some(doing.to_owned()), ..Hook::of(self.state()) };
        if let Err(error) = store::replace_derived(&self.folder.hook(), &bytes_of(&shown)) {
            tracing::info!("cannot update the hook: {error}");
        }
        self.hook_is_behind = true;
    }

    /// Writes the hook durably, before the worker exits.
    pub(super) fn write_hook(&mut self) -> Result<(), StoreError> {
        store::replace(&self.folder.hook(), &self.hook(None))?;
        self.hook_is_behind = false;
        Ok(())
    }

    /// The tokens that a run had used when the hook was last written.
    pub(super) fn tokens_shown(&self, run: &str) -> Usage {
        let shown = self.folder.read_hook().and_then(|hook| hook.run);
        shown.filter(|shown| shown.id == run).map(|shown| shown.tokens).unwrap_or_default()
    }

    /// Shows current activity in the hook, without waiting for the disk. A failed write must not
    /// end the run: the run will report a full disk itself, and the hook can be rebuilt.
    pub(super) fn show(&mut self, doing: &str, progress: jiff::Timestamp, tokens: Usage) {
        self.doing = Some(doing.to_owned());
        self.tokens = tokens;
        if let Err(error) = store::replace_derived(&self.folder.hook(), &self.hook(Some(progress)))
        {
            tracing::info!("cannot update the hook: {error}");
        }
    }

    fn hook(&self, progress: Option<jiff::Timestamp>) -> Vec<u8> {
        let mut hook = Hook::of(self.state());
        if hook.waits_for == Some(WaitsFor::QaAnswers) {
            hook.questions = self.open_questions();
        }
        if let Some(run) = &mut hook.run {
            run.doing.clone_from(&self.doing);
            run.tokens = self.tokens;
        }
        hook.last_progress = hook.last_progress.max(progress);
        bytes_of(&hook)
    }
}

/// Starts the syncs of these files, if there are any.
fn sync_in(background: &Background, files: Vec<Unsynced>) -> Option<Pending<Vec<Synced>>> {
    let are_there = !files.is_empty();
    are_there.then(|| background.run(|| files.into_iter().map(Unsynced::sync_aside).collect()))
}

fn bytes_of(hook: &Hook) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(hook).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// The last lines of a history, among which its last signal would be.
fn last_lines(history: &[u8]) -> &[u8] {
    const ENOUGH: usize = 20;
    let ends = history.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n');
    match ends.map(|(at, _)| at + 1).nth(ENOUGH) {
        Some(start) => &history[start..],
        None => history,
    }
}
