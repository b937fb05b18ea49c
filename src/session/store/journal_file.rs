//! The journal's file.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::crash::crash_at;
use super::files::{
    Attempt, Result, StoreError, cut, open_regular, sync_end, sync_folder, write_end,
};
use super::folder::Folder;
use super::lock::Lock;
use crate::session::clock;
use crate::session::journal::{Damage, Entry, Event, Scanner};
use crate::session::state::State;

/// The journal, open for appending by whoever holds the lock.
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
    /// It is damaged in the middle.
    #[error(
        "the journal {path} is damaged in {damage}; move it aside and start the session again: it is then taken over from its other files",
        path = .0.display(), damage = .1
    )]
    Damaged(PathBuf, Damage),
    /// It cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Journal {
    /// Opens the journal, cuts off a torn last line and adds the entries up.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] for damage in the middle, else a [`StoreError`].
    pub fn open(folder: &Folder, _lock: &Lock) -> Result<Self, JournalError> {
        let path = folder.journal();
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&path)
            .attempt("open", &path)?;
        let (state, scanner) = scan(&file, &path, |_| {})?;
        if let Some(damage) = scanner.damage {
            return Err(JournalError::Damaged(path, damage));
        }
        if file.metadata().attempt("read", &path)?.len() > scanner.whole {
            cut(&file, scanner.whole).attempt("cut the torn last line off", &path)?;
            crash_at("cut", &path);
        }
        // A journal with entries was there to last before its first one was written.
        if scanner.whole == 0 {
            sync_folder(folder.path())?;
        }
        Ok(Self { path, file, length: scanner.whole, state })
    }

    /// In a folder that was moved away the open file could still be written, and the session's
    /// other files not: whoever read what is left would take it for the whole.
    fn still_there(&self) -> io::Result<()> {
        let (ours, there) = (self.file.metadata()?, std::fs::metadata(&self.path)?);
        if (ours.dev(), ours.ino()) == (there.dev(), there.ino()) {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::NotFound, "another file has taken its place"))
    }

    /// What the entries add up to.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// Appends an event durably and adds it to the state.
    ///
    /// # Errors
    /// When it cannot be written, or is not the file any more that was opened; the journal is then
    /// as it was.
    pub fn append(&mut self, event: Event) -> Result<()> {
        self.append_all(vec![event], |_, _| ())
    }

    /// Appends events that belong together: with one write, so that no death of this process
    /// comes between them, and one wait for the disk. Each is then shown to `each`, with the state
    /// it led to.
    ///
    /// # Errors
    /// When they cannot be written; the journal is then as it was.
    pub fn append_all(
        &mut self,
        events: Vec<Event>,
        each: impl FnMut(&State, &Event),
    ) -> Result<()> {
        self.write(events, each, true)
    }

    /// Appends an event that the next one makes durable: for what nothing outside builds on until
    /// then, and what a crash of the machine may take back.
    ///
    /// # Errors
    /// When it cannot be written; the journal is then as it was.
    pub fn append_unsynced(
        &mut self,
        event: Event,
        each: impl FnMut(&State, &Event),
    ) -> Result<()> {
        self.write(vec![event], each, false)
    }

    fn write(
        &mut self,
        events: Vec<Event>,
        mut each: impl FnMut(&State, &Event),
        durably: bool,
    ) -> Result<()> {
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
        let mut written = write_end(&self.file, &self.path, &lines);
        if durably && written.is_ok() {
            written = sync_end(&self.file, &self.path);
        }
        if let Err(error) = written {
            // A torn line would make the next one damage.
            let _ = self.file.set_len(self.length);
            return Err(error).attempt("append to", &self.path);
        }
        self.length += lines.len() as u64;
        for entry in &entries {
            self.state.apply(entry);
            each(&self.state, &entry.event);
        }
        Ok(())
    }
}

/// The time of an entry after one of `last`: small corrections of the clock leave times in order, and
/// a clock that was set back is believed, or a wrong one would be the journal's for years.
fn in_order(now: Timestamp, last: Timestamp) -> Timestamp {
    if clock::was_set_back(last, now) { now } else { now.max(last) }
}

/// Reads a journal that another process may be appending to: its state, and the first damage.
/// Each sound entry is shown to `each`.
///
/// # Errors
/// When it is there and cannot be read.
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

fn scan(file: &File, path: &Path, mut each: impl FnMut(&Entry)) -> Result<(State, Scanner)> {
    let mut reader = BufReader::with_capacity(64 * 1024, file);
    let (mut state, mut scanner, mut line) = (State::default(), Scanner::default(), Vec::new());
    while reader.read_until(b'\n', &mut line).attempt("read", path)? > 0 {
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

    #[test]
    fn entries_are_in_order_unless_the_clock_was_set_back() {
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
        assert_eq!(in_order(at(5), at(3)), at(5));
        assert_eq!(in_order(at(3), at(5)), at(5));
        assert_eq!(in_order(at(0), at(3600)), at(0));
    }
}
