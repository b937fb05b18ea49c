//! Where a session's files are, and its signal, hook and mark of a stop.

use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::files::{
    Attempt, Result, make_subfolder, make_unsynced, open_regular, read, remove, sync_folder,
};
use crate::session::hook::Hook;
use crate::session::signal::{MAX_BYTES, Signal, SignalError};
use crate::session::state::Word;

/// A session's folder: where its files are. This is the one place that knows.
///
/// Two parts, which lie in one folder today: what the agent reads and writes, and what only the
/// worker does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// The overview, the questions, the signal, the artifacts.
    agents: PathBuf,
    /// Journal and what derives from it, mail, logs, lock.
    workers: PathBuf,
}

impl Folder {
    /// The session in `path`.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self { workers: path.clone(), agents: path }
    }

    /// The session's folder, in which the agent finds and leaves its files.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.agents
    }

    /// Whether a session was begun here: there is an overview.
    #[must_use]
    pub fn is_begun(&self) -> bool {
        self.overview().is_file()
    }

    /// The folder's own name, `26-11-20-jwt-login`.
    #[must_use]
    pub fn name(&self) -> String {
        self.agents.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// `_overview.md`.
    #[must_use]
    pub fn overview(&self) -> PathBuf {
        self.agents.join("_overview.md")
    }

    /// `_signal.json`.
    #[must_use]
    pub fn signal(&self) -> PathBuf {
        self.agents.join("_signal.json")
    }

    /// `_signal_history.jsonl`.
    #[must_use]
    pub fn history(&self) -> PathBuf {
        self.workers.join("_signal_history.jsonl")
    }

    /// `_hook.json`.
    #[must_use]
    pub fn hook(&self) -> PathBuf {
        self.workers.join("_hook.json")
    }

    /// `_journal.jsonl`.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.workers.join("_journal.jsonl")
    }

    /// `_qa.md`.
    #[must_use]
    pub fn qa(&self) -> PathBuf {
        self.agents.join("_qa.md")
    }

    /// `_inbox/`.
    #[must_use]
    pub fn inbox(&self) -> PathBuf {
        self.workers.join("_inbox")
    }

    /// `_mail/`.
    #[must_use]
    pub fn mail(&self) -> PathBuf {
        self.workers.join("_mail")
    }

    /// `_logs/`.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.workers.join("_logs")
    }

    /// `_damaged/`: what files had after a loss of power that were restored from git.
    #[must_use]
    pub fn damaged(&self) -> PathBuf {
        self.workers.join("_damaged")
    }

    /// `_lock`.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.workers.join("_lock")
    }

    /// `_stop`: an empty file which says that a human stopped the session, where the journal could
    /// not be written. A full disk takes it, for it holds nothing.
    #[must_use]
    pub fn stop_mark(&self) -> PathBuf {
        self.workers.join("_stop")
    }

    /// Leaves the mark of a stop that the journal does not have.
    ///
    /// # Errors
    /// When not even an empty file can be made.
    pub fn mark_stopped(&self) -> Result<()> {
        let path = self.stop_mark();
        let made = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        made.attempt("create", &path)?;
        sync_folder(&self.workers)
    }

    /// Whether a stop is marked that the journal does not have.
    #[must_use]
    pub fn is_marked_stopped(&self) -> bool {
        fs::symlink_metadata(self.stop_mark()).is_ok()
    }

    /// Makes `_inbox/`, `_mail/` and `_logs/` where they are missing. A file in the place of one is
    /// moved aside.
    ///
    /// # Errors
    /// When one cannot be made.
    pub fn make_subfolders(&self) -> Result<()> {
        let mut made = false;
        for path in [self.inbox(), self.mail(), self.logs()] {
            made |= make_unsynced(&path)?;
        }
        if made { sync_folder(&self.workers) } else { Ok(()) }
    }

    /// Whether a run's logs can be written, found out before the run is said to begin.
    ///
    /// # Errors
    /// When nothing can be made where they are.
    pub fn try_logs(&self) -> Result<()> {
        let logs = self.logs();
        make_subfolder(&logs)?;
        tempfile::tempfile_in(&logs).map(drop).attempt("write into", &logs)
    }

    /// Reads the hook; a missing or damaged one is `None` and is rebuilt by the next worker. A stop
    /// that could only be marked counts.
    #[must_use]
    pub fn read_hook(&self) -> Option<Hook> {
        let mut hook: Hook = serde_json::from_slice(&read(&self.hook()).ok()??).ok()?;
        if hook.state != Word::Done && self.is_marked_stopped() {
            hook.state = Word::Stopped;
        }
        Some(hook)
    }

    /// Reads the signal the run `run` left.
    ///
    /// # Errors
    /// A [`SignalError`]: missing, too large, damaged, of another run, or no signal at all.
    pub fn read_signal(&self, run: &str) -> Result<Signal, SignalError> {
        let unreadable = |error: io::Error| SignalError::Unreadable(error.to_string());
        let file = match open_regular(&self.signal()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(SignalError::Missing);
            }
            opened => opened.map_err(unreadable)?,
        };
        let length = file.metadata().map_err(unreadable)?.len();
        if length > MAX_BYTES as u64 {
            return Err(SignalError::TooLarge(length));
        }
        let mut bytes = Vec::new();
        file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        Signal::parse(&bytes, run)
    }

    /// Puts on the disk what a run wrote into the folder, from `since` on: agents leave that to
    /// the kernel, and what the next run builds on would be lost with the machine's power. Files
    /// that the worker writes itself are not among them.
    ///
    /// # Errors
    /// When the folder cannot be read, or a file not be written to the disk.
    pub fn settle(&self, since: SystemTime) -> Result<()> {
        let mut settled = false;
        for path in self.artifacts()? {
            let is_new = |meta: &fs::Metadata| meta.modified().is_ok_and(|at| at >= since);
            if !fs::symlink_metadata(&path).is_ok_and(|meta| is_new(&meta)) {
                continue;
            }
            open_regular(&path).and_then(|file| file.sync_data()).attempt("write out", &path)?;
            settled = true;
        }
        if settled { sync_folder(&self.agents) } else { Ok(()) }
    }

    /// The regular files right in the folder that are not the worker's own.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn artifacts(&self) -> Result<Vec<PathBuf>> {
        let own = [
            self.signal(),
            self.journal(),
            self.hook(),
            self.history(),
            self.overview(),
            self.lock(),
            self.stop_mark(),
        ];
        let entries = fs::read_dir(&self.agents).attempt("read", &self.agents)?.flatten();
        let is_file = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_file());
        Ok(entries
            .filter(is_file)
            .map(|entry| entry.path())
            .filter(|path| !own.contains(path))
            .collect())
    }

    /// Clears the signal before a run, whatever an agent made of the path.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn clear_signal(&self) -> Result<()> {
        let path = self.signal();
        if fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_dir()) {
            let names = (1..).map(|n: u64| self.agents.join(format!("_signal.json.folder-{n}")));
            let free = names.into_iter().find(|aside| fs::symlink_metadata(aside).is_err());
            return fs::rename(&path, free.unwrap_or_default()).attempt("move away", &path);
        }
        remove(&path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_in_the_signals_place_is_moved_away_as_often_as_one_is_there() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::new(place.path());
        for n in 1..=2 {
            fs::create_dir(folder.signal()).unwrap();
            fs::write(folder.signal().join("kept"), "").unwrap();
            folder.clear_signal().unwrap();
            assert!(!folder.signal().exists());
            assert!(place.path().join(format!("_signal.json.folder-{n}/kept")).exists());
        }
    }
}
