//! Paths of a session's files, and access to its signal, hook and stop marker.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::OFlags;

use super::error::{Attempt, Result};
use super::files::{make_unsynced, open, open_regular, read, remove_unsynced, sync_folder};
use super::record::Apart;
use crate::session::hand_edit::QaFile;
use crate::session::hook::Hook;
use crate::session::qa::Qa;
use crate::session::review::Review;
use crate::session::signal::{MAX_BYTES, Signal, SignalError};
use crate::session::state::StateName;
use crate::session::utf16::utf16;

const OVERVIEW: &str = "_overview.md";
const SIGNAL: &str = "_signal.json";
pub(super) const HISTORY: &str = "_signal_history.jsonl";
pub(super) const HOOK: &str = "_hook.json";
pub(super) const JOURNAL: &str = "_journal.jsonl";
const QA: &str = "_qa.md";
pub(super) const LOCK: &str = "_lock";
pub(super) const STOP: &str = "_stop";
pub(super) const UNREADY: &str = "_unready";
/// Marks a record on its way between the session's folder and its own.
pub(super) const MOVING: &str = "_moving";
pub(super) const INBOX: &str = "_inbox";
const OUTBOX: &str = "_outbox";
pub(super) const MAIL: &str = "_mail";
pub(super) const LOGS: &str = "_logs";
pub(super) const DAMAGED: &str = "_damaged";
const OWN_CACHES: &str = "_caches";

/// The folders of the worker's files, in which nothing is reached through a link.
pub(super) const SUBFOLDERS: [&str; 5] = [INBOX, OUTBOX, MAIL, LOGS, DAMAGED];

/// The session's own files, directly in its folder.
pub(super) const FILES: [&str; 10] =
    [OVERVIEW, SIGNAL, HISTORY, HOOK, JOURNAL, QA, LOCK, STOP, UNREADY, MOVING];

/// A session's folder. Only this type knows where its files are.
///
/// It has two parts: the agent's files and the worker's own, which are its record. Both are in the
/// same folder, or the record is [apart](Self::record).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Holds the overview, the questions, the signal and the artifacts.
    agents: PathBuf,
    /// Where a record that is apart lies.
    apart: Option<Apart>,
}

impl Folder {
    /// Refers to the session in `path`, which need not exist.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let agents = path.into();
        Self { apart: Apart::of(&agents), agents }
    }

    /// Where a record that is apart lies; it need not.
    pub(super) const fn apart(&self) -> Option<&Apart> {
        self.apart.as_ref()
    }

    /// The path of a file or folder of the record.
    fn recorded(&self, name: &str) -> PathBuf {
        self.record_root().join(name)
    }

    /// The session's folder, where the agent keeps its files.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.agents
    }

    /// Where the folder really is, if a symbolic link is in its place. Nothing is read or written
    /// through it: an agent may have put it there.
    #[must_use]
    pub fn linked_to(&self) -> Option<PathBuf> {
        fs::read_link(&self.agents).ok()
    }

    /// Checks that the folder is there, and no link in its place.
    ///
    /// # Errors
    /// If it is not.
    pub fn find(&self) -> Result<()> {
        let error = match self.linked_to() {
            Some(place) => io::Error::other(format!(
                "a symbolic link to {} is in its place: move it away",
                place.display()
            )),
            None if self.agents.is_dir() => match self.missing_record() {
                Some(error) => error,
                None => return Ok(()),
            },
            None => rustix::io::Errno::NOENT.into(),
        };
        Err(error).attempt("find the session's folder", &self.agents)
    }

    /// Whether a session was started here, shown by its overview.
    #[must_use]
    pub fn is_begun(&self) -> bool {
        self.overview().is_file()
    }

    /// The folder's base name, such as `26-11-20-jwt-login`.
    #[must_use]
    pub fn name(&self) -> String {
        self.agents.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// `_caches/`, package caches that the session shares with no other.
    #[must_use]
    pub fn own_caches(&self) -> PathBuf {
        self.agents.join(OWN_CACHES)
    }

    /// `_overview.md`, the state as people read it.
    #[must_use]
    pub fn overview(&self) -> PathBuf {
        self.agents.join(OVERVIEW)
    }

    /// `_signal.json`, the agent's last signal.
    #[must_use]
    pub fn signal(&self) -> PathBuf {
        self.agents.join(SIGNAL)
    }

    /// `_signal_history.jsonl`, one line per signal.
    #[must_use]
    pub fn history(&self) -> PathBuf {
        self.recorded(HISTORY)
    }

    /// `_hook.json`, a summary for quick reading.
    #[must_use]
    pub fn hook(&self) -> PathBuf {
        self.recorded(HOOK)
    }

    /// `_journal.jsonl`, the record everything derives from.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.recorded(JOURNAL)
    }

    /// `_qa.md`, the agent's questions and their answers.
    #[must_use]
    pub fn qa(&self) -> PathBuf {
        self.agents.join(QA)
    }

    /// `_inbox/`, messages that have not been read yet.
    #[must_use]
    pub fn inbox(&self) -> PathBuf {
        self.recorded(INBOX)
    }

    /// `_outbox/`, messages that a confined agent left for its worker to send.
    #[must_use]
    pub fn outbox(&self) -> PathBuf {
        self.agents.join(OUTBOX)
    }

    /// `_mail/`, messages that were read.
    #[must_use]
    pub fn mail(&self) -> PathBuf {
        self.recorded(MAIL)
    }

    /// `_logs/`, raw streams and stderr of the runs.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.recorded(LOGS)
    }

    /// `_damaged/`, damaged versions of files restored after a power cut.
    #[must_use]
    pub fn damaged(&self) -> PathBuf {
        self.recorded(DAMAGED)
    }

    /// `_lock`, held by the session's worker.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.recorded(LOCK)
    }

    /// Creates `_inbox/`, `_mail/` and `_logs/` if missing. A file of that name is moved aside.
    ///
    /// # Errors
    /// If one of them cannot be created.
    pub fn make_subfolders(&self) -> Result<()> {
        let mut made = false;
        for path in [self.inbox(), self.mail(), self.logs()] {
            made |= make_unsynced(&path)?;
        }
        if made { sync_folder(&self.record_root()) } else { Ok(()) }
    }

    /// Opens one of a run's logs for appending.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open_log(&self, name: &str) -> Result<File> {
        let path = self.logs().join(name);
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE;
        open(&path, flags).attempt("open the log", &path)
    }

    /// Reads the hook; `None` if it is missing or damaged, until the next worker rebuilds it. A
    /// stop marker overrides its state.
    #[must_use]
    pub fn read_hook(&self) -> Option<Hook> {
        let mut hook: Hook = serde_json::from_slice(&read(&self.hook()).ok()??).ok()?;
        if hook.state != StateName::Done && self.is_marked_stopped() {
            hook.state = StateName::Stopped;
        }
        Some(hook)
    }

    /// Reads `_qa.md`; `None` if there is no such file or it cannot be read.
    #[must_use]
    pub fn questions(&self) -> Option<QaFile> {
        let path = self.qa();
        let bytes = read(&path).ok()??;
        let modified = fs::metadata(&path).and_then(|meta| meta.modified()).ok();
        let (is_utf8, qa) = match utf16(&bytes) {
            Some(text) => (true, Qa::parse(text)),
            None => {
                let is_utf8 = std::str::from_utf8(&bytes).is_ok();
                (is_utf8, Qa::parse(String::from_utf8_lossy(&bytes)))
            }
        };
        Some(QaFile { is_utf8, qa, modified: modified.and_then(|at| at.try_into().ok()) })
    }

    /// Reads the signal of the run `run`.
    ///
    /// # Errors
    /// A [`SignalError`]: missing, too large, damaged, or for another run.
    pub fn read_signal(&self, run: &str) -> Result<Signal, SignalError> {
        Signal::parse(&self.signal_bytes()?, run)
    }

    /// Reads what a reviewer's run left in place of a signal.
    ///
    /// # Errors
    /// [`SignalError`] if it is missing, unreadable or not a review.
    pub fn read_review(&self, run: &str) -> Result<Review, SignalError> {
        Review::parse(&self.signal_bytes()?, run)
    }

    fn signal_bytes(&self) -> Result<Vec<u8>, SignalError> {
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
        Ok(bytes)
    }

    /// Syncs the files that a run wrote to the folder since `since`. Agents do not sync, and a
    /// power cut could lose what the next run builds on. Skips the worker's own files.
    ///
    /// # Errors
    /// If the folder cannot be read or a file cannot be synced.
    pub fn settle(&self, since: SystemTime) -> Result<()> {
        let mut settled = false;
        for path in self.artifacts()? {
            let is_new = |meta: &fs::Metadata| meta.modified().is_ok_and(|at| at >= since);
            if !fs::symlink_metadata(&path).is_ok_and(|meta| is_new(&meta)) {
                continue;
            }
            open_regular(&path).and_then(|file| file.sync_data()).attempt("sync", &path)?;
            settled = true;
        }
        if settled { sync_folder(&self.agents) } else { Ok(()) }
    }

    /// The regular files directly in the folder that are not the worker's own.
    ///
    /// # Errors
    /// If the folder cannot be read.
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

    /// Clears the signal before a run, whatever an agent put at its path. Does not wait for the
    /// disk: if the machine goes down, no signal of the run counts, old or new.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn clear_signal(&self) -> Result<()> {
        let path = self.signal();
        if fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_dir()) {
            let names = (1..).map(|n: u64| self.agents.join(format!("_signal.json.folder-{n}")));
            let free = names.into_iter().find(|aside| fs::symlink_metadata(aside).is_err());
            return fs::rename(&path, free.unwrap_or_default()).attempt("move away", &path);
        }
        remove_unsynced(&path).map(|_| ())
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
