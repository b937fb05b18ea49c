//! Reading and appending to the journal's file.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::OFlags;

use super::aside::take_from_other_names;
use super::crash::crash_at;
use super::error::{Attempt, Result, StoreError};
use super::files::{cut, open, open_regular, sync_end, sync_folder, write_end};
use super::folder::Folder;
use super::lock::Lock;
use crate::session::clock;
use crate::session::journal::{Damage, Entry, Event, Scanner};
use crate::session::state::State;

/// The journal, open for appending by the holder of the lock.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    length: u64,
    state: State,
}

/// Why the journal could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A line other than a torn last one is unreadable.
    #[error(
        "the journal {path} is damaged in {damage}; move it aside and start the session again to import it from its other files: mv '{path}' '{path}.damaged'",
        path = .0.display(), damage = .1
    )]
    Damaged(PathBuf, Damage),
    /// A file operation on the journal failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Journal {
    /// Opens the journal, removes a torn last line and computes the state.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] for damage before the last line, otherwise a [`StoreError`].
    pub fn open(folder: &Folder, _lock: &Lock) -> Result<Self, JournalError> {
        let path = folder.journal();
        take_from_other_names(&path)?;
        let flags = OFlags::RDWR | OFlags::APPEND | OFlags::CREATE;
        let file = open(&path, flags).attempt("open", &path)?;
        let (state, scanner) = scan(&file, &path, |_| {})?;
        if let Some(damage) = scanner.damage {
            return Err(JournalError::Damaged(path, damage));
        }
        if file.metadata().attempt("read", &path)?.len() > scanner.whole {
            cut(&file, scanner.whole).attempt("remove the torn last line of", &path)?;
            crash_at("cut", &path);
        }
        // A journal with entries was made durable before its first entry was written.
        if scanner.whole == 0 {
            sync_folder(&folder.record_root())?;
        }
        Ok(Self { path, file, length: scanner.whole, state })
    }

    /// Checks that the open file is still at its path. In a folder that was moved away, this file
    /// could still be written but the session's other files could not.
    fn still_there(&self) -> io::Result<()> {
        let (ours, there) = (self.file.metadata()?, std::fs::symlink_metadata(&self.path)?);
        if (ours.dev(), ours.ino()) == (there.dev(), there.ino()) {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::NotFound, "the file was moved or replaced"))
    }

    /// The state computed from all entries so far.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// Appends an event durably and updates the state.
    ///
    /// # Errors
    /// If it cannot be written, or the file was moved or replaced; the journal is then unchanged.
    pub fn append(&mut self, event: Event) -> Result<()> {
        self.append_all(vec![event], |_, _| ())
    }

    /// Appends events that belong together with a single write and sync, so that a crash of this
    /// process cannot separate them. Then calls `each` with every event and the state after it.
    ///
    /// # Errors
    /// If they cannot be written; the journal is then unchanged.
    pub fn append_all(
        &mut self,
        events: Vec<Event>,
        each: impl FnMut(&State, &Event),
    ) -> Result<()> {
        self.write(events, each, true, || ())
    }

    /// Appends an event without a sync; the next event makes it durable. For events that nothing
    /// outside depends on until then and that a crash of the machine may lose.
    ///
    /// # Errors
    /// If it cannot be written; the journal is then unchanged.
    pub fn append_unsynced(
        &mut self,
        event: Event,
        each: impl FnMut(&State, &Event),
    ) -> Result<()> {
        self.write(vec![event], each, false, || ())
    }

    /// Appends an event, and calls `beside` once it is written, before the sync: what that starts runs
    /// beside it. For what a later worker undoes when it reads of the event.
    ///
    /// # Errors
    /// If it cannot be written; the journal is then unchanged.
    pub fn append_beside<T>(
        &mut self,
        event: Event,
        each: impl FnMut(&State, &Event),
        beside: impl FnOnce() -> T,
    ) -> Result<T> {
        self.write(vec![event], each, true, beside)
    }

    fn write<T>(
        &mut self,
        events: Vec<Event>,
        mut each: impl FnMut(&State, &Event),
        durably: bool,
        beside: impl FnOnce() -> T,
    ) -> Result<T> {
        self.still_there().attempt("append to", &self.path)?;
        let at = in_order(Timestamp::now(), self.state.at);
        let entries: Vec<Entry> = (self.state.seq + 1..)
            .zip(events)
            .map(|(seq, event)| Entry { seq, at, event })
            .collect();
        let mut lines = Vec::new();
        for entry in &entries {
            serde_json::to_writer(&mut lines, entry)
                .map_err(io::Error::from)
                .attempt("append to", &self.path)?;
            lines.push(b'\n');
        }
        let written = write_end(&self.file, &self.path, &lines).and_then(|()| {
            let started = beside();
            if durably {
                sync_end(&self.file, &self.path)?;
            }
            Ok(started)
        });
        let started = match written {
            Ok(started) => started,
            Err(error) => {
                // A torn line would damage the next one.
                let _ = self.file.set_len(self.length);
                return Err(error).attempt("append to", &self.path);
            }
        };
        self.length += lines.len() as u64;
        for entry in &entries {
            self.state.apply(entry);
            each(&self.state, &entry.event);
        }
        Ok(started)
    }
}

/// The time for an entry that follows one from `last`. Small clock corrections must not reorder
/// entries; a larger step back is accepted, or one wrong clock would shift the journal for years.
fn in_order(now: Timestamp, last: Timestamp) -> Timestamp {
    if clock::was_set_back(last, now) { now } else { now.max(last) }
}

/// Reads a journal that another process may be appending to. Returns its state and the first
/// damage, and calls `each` with every valid entry.
///
/// # Errors
/// If it exists but cannot be read.
pub fn read_journal(folder: &Folder, each: impl FnMut(&Entry)) -> Result<(State, Option<Damage>)> {
    let path = folder.journal();
    let file = match open_regular(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok((State::default(), None));
        }
        file => file.attempt("read", &path)?,
    };
    let (state, scanner) = scan(&file, &path, each)?;
    Ok((state, scanner.damage))
}

/// The longest line that is read. None that is written comes near, but an agent may write to the file.
const LONGEST_LINE: u64 = 64 << 20;

fn scan(file: &File, path: &Path, mut each: impl FnMut(&Entry)) -> Result<(State, Scanner)> {
    let mut reader = BufReader::with_capacity(64 * 1024, file);
    let (mut state, mut scanner, mut line) = (State::default(), Scanner::default(), Vec::new());
    loop {
        let mut part = reader.by_ref().take(LONGEST_LINE);
        let read = part.read_until(b'\n', &mut line).attempt("read", path)? as u64;
        if read == 0 {
            break;
        }
        if read == LONGEST_LINE && !line.ends_with(b"\n") {
            scanner.endless();
            break;
        }
        if let Some(entry) = scanner.line(&line) {
            state.apply(&entry);
            each(&entry);
        }
        line.clear();
    }
    Ok((state, scanner))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::event::Stopped;

    #[test]
    fn a_line_without_an_end_is_damage_and_not_read_into_memory() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::new(place.path());
        let entry = r#"{"seq":1,"at":"2026-11-20T18:30:00Z","kind":"stopped"}"#;
        std::fs::write(folder.journal(), format!("{entry}\n")).unwrap();
        let file = File::options().write(true).open(folder.journal()).unwrap();
        file.set_len(1 << 40).unwrap();
        let (state, damage) = read_journal(&folder, |_| {}).unwrap();
        assert_eq!((state.seq, damage.unwrap().line), (1, 2));
    }

    #[test]
    fn what_an_event_starts_finds_it_written_and_starts_for_no_other() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::new(place.path());
        let lock = Lock::take(&folder).unwrap();
        let mut journal = Journal::open(&folder, &lock).unwrap();
        let stopped = || Event::from(Stopped {});
        let seen = || std::fs::read_to_string(folder.journal()).unwrap();
        let seen = journal.append_beside(stopped(), |_, _| (), seen).unwrap();
        assert!(seen.contains("stopped"), "{seen}");
        std::fs::remove_file(folder.journal()).unwrap();
        let mut is_started = false;
        journal.append_beside(stopped(), |_, _| (), || is_started = true).unwrap_err();
        assert!(!is_started && journal.state().seq == 1);
    }

    #[test]
    fn entries_are_in_order_unless_the_clock_was_set_back() {
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
        assert_eq!(in_order(at(5), at(3)), at(5));
        assert_eq!(in_order(at(3), at(5)), at(5));
        assert_eq!(in_order(at(0), at(3600)), at(0));
    }
}
