//! Notices that have not been sent, on disk. A notice is written here before it is sent and removed
//! once it has arrived, so that neither a dead network nor a dead process loses it. Whoever runs
//! next for the same project sends what is left.
//!
//! ```text
//! $XDG_STATE_HOME/samocode/notices/CHANNEL-ID.json     locked while someone is sending it
//! $XDG_STATE_HOME/samocode/notices-staged/…            not to be sent yet
//! ```

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Notice, NotifyError};

/// After this time nobody wants to hear of it any more.
const TOO_OLD: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The most files; the oldest are dropped first.
const MOST: usize = 100;

/// The pause after a failed attempt doubles from this, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(30);

/// The longest pause between attempts of later processes.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(1);

/// A notice that has not been sent, as its file holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsent {
    /// The notice.
    pub notice: Notice,
    /// The channel it is for.
    pub by: String,
    /// The project's file, whose settings configure the channel.
    pub config: PathBuf,
    /// When it was written.
    pub since: Timestamp,
    /// How often sending failed.
    #[serde(default)]
    pub tries: u32,
    /// Why it failed the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When to try again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
}

impl Unsent {
    /// What is not sent, and why, in one line.
    #[must_use]
    pub fn describe(&self) -> String {
        let why = self.error.as_deref().unwrap_or("no attempt has finished");
        format!(
            "could not notify you via {} that it {}: {why}; samocode keeps trying",
            self.by,
            super::text::tame_line(&self.notice.text)
        )
    }

    fn failed(&mut self, error: &NotifyError, now: Timestamp) {
        self.error = Some(error.to_string());
        let own = FIRST_PAUSE * 2_i32.saturating_pow(self.tries.min(10));
        self.tries += 1;
        let asked = match error {
            NotifyError::Retryable { after: Some(after), .. } => {
                SignedDuration::try_from(*after).unwrap_or(LONGEST_PAUSE)
            }
            _ => SignedDuration::ZERO,
        };
        self.not_before = now.checked_add(own.min(LONGEST_PAUSE).max(asked)).ok();
    }
}

/// The folder of notices that have not been sent.
#[derive(Debug, Clone)]
pub struct UnsentFolder(PathBuf);

impl UnsentFolder {
    /// The folder in a user's state folder.
    #[must_use]
    pub fn of(state: &Path) -> Self {
        Self(state.join("notices"))
    }

    /// All of them, oldest first. What cannot be read is left out.
    #[must_use]
    pub fn all(&self) -> Vec<Unsent> {
        let mut all: Vec<Unsent> = self.paths().iter().filter_map(|path| read(path)).collect();
        all.sort_by_key(|unsent| unsent.since);
        all
    }

    /// Those about one session, given by its instance.
    #[must_use]
    pub fn about(&self, session: &str) -> Vec<Unsent> {
        let mut all = self.all();
        all.retain(|unsent| unsent.notice.session == session);
        all
    }

    /// Whether nothing at all is in the folder.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        fs::read_dir(&self.0).map_or(true, |mut entries| entries.next().is_none())
    }

    /// Removes those that nobody wants to hear of any more, and what is not a notice.
    pub fn drop_old(&self) {
        let now = Timestamp::now();
        for path in self.paths() {
            match read(&path) {
                Some(unsent) if now.duration_since(unsent.since) <= TOO_OLD => {}
                Some(unsent) => {
                    tracing::warn!(
                        "dropped a notice that could not be sent: {}",
                        unsent.describe()
                    );
                    let _ = fs::remove_file(path);
                }
                None => {
                    tracing::warn!("removed {}, which is not a notice", path.display());
                    let _ = fs::remove_file(path);
                }
            }
        }
    }

    /// Writes a notice, to be sent by the caller. If it tells the session's state, earlier ones
    /// about that are void.
    pub(super) fn keep(&self, unsent: Unsent) -> io::Result<Claim> {
        fs::create_dir_all(&self.0)?;
        self.tidy(&unsent);
        let path = self.0.join(file_name(&unsent.by, &unsent.notice.id));
        let lock = write(&self.0, &path, &unsent)?;
        Ok(Claim { folder: self.0.clone(), path, unsent, lock })
    }

    /// Writes a notice beside the folder, where nobody sends it. One of the same id is replaced.
    pub(super) fn stage(&self, unsent: &Unsent) -> io::Result<()> {
        let folder = self.staged();
        fs::create_dir_all(&folder)?;
        let path = folder.join(file_name(&unsent.by, &unsent.notice.id));
        drop(write(&folder, &path, unsent)?);
        File::open(&folder)?.sync_all()
    }

    /// Moves a notice that was staged into the folder; nothing if it was moved before.
    pub(super) fn release(&self, by: &str, id: &str) -> io::Result<()> {
        fs::create_dir_all(&self.0)?;
        let name = file_name(by, id);
        match fs::rename(self.staged().join(&name), self.0.join(&name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => File::open(&self.0)?.sync_all(),
        }
    }

    fn staged(&self) -> PathBuf {
        self.0.with_file_name("notices-staged")
    }

    /// Removes what this one replaces, what is too old, and what is too much.
    fn tidy(&self, new: &Unsent) {
        let mut all: Vec<(PathBuf, Unsent)> =
            self.paths().into_iter().filter_map(|path| read(&path).map(|it| (path, it))).collect();
        all.sort_by_key(|(_, unsent)| unsent.since);
        let surplus = (all.len() + 1).saturating_sub(MOST);
        for (at, (path, unsent)) in all.iter().enumerate() {
            let is_void = unsent.by == new.by
                && unsent.config == new.config
                && unsent.notice.session == new.notice.session
                && unsent.notice.kind.is_of_state()
                && new.notice.kind.is_of_state();
            let is_old = new.since.duration_since(unsent.since) > TOO_OLD;
            if is_void || is_old || at < surplus {
                if !is_void {
                    tracing::warn!(
                        "dropped a notice that could not be sent: {}",
                        unsent.describe()
                    );
                }
                let _ = fs::remove_file(path);
            }
        }
    }

    /// Takes the notices that `is_wanted`, unless another process is sending them.
    pub(super) fn take(&self, is_wanted: impl Fn(&Unsent) -> bool) -> Vec<Claim> {
        self.paths().into_iter().filter_map(|path| self.claim(path, &is_wanted)).collect()
    }

    fn claim(&self, path: PathBuf, is_wanted: impl Fn(&Unsent) -> bool) -> Option<Claim> {
        if !is_wanted(&read(&path)?) {
            return None;
        }
        let lock = File::open(&path).ok()?;
        match lock.try_lock() {
            Ok(()) | Err(TryLockError::Error(_)) => {}
            Err(TryLockError::WouldBlock) => return None,
        }
        // It may have been sent or rewritten before the lock was taken.
        let unsent = read(&path).filter(|_| is_at(&lock, &path))?;
        Some(Claim { folder: self.0.clone(), path, unsent, lock })
    }

    fn paths(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().filter_map(Result::ok);
        let paths = entries.map(|entry| entry.path());
        paths.filter(|path| path.extension().is_some_and(|end| end == "json")).collect()
    }
}

/// A notice that this process is sending: its file is locked.
#[derive(Debug)]
pub(super) struct Claim {
    folder: PathBuf,
    path: PathBuf,
    pub(super) unsent: Unsent,
    lock: File,
}

impl Claim {
    /// It has arrived, or nobody wants it any more.
    pub(super) fn done(self) {
        if is_at(&self.lock, &self.path)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!("cannot remove {}: {error}", self.path.display());
        }
    }

    /// An attempt failed.
    pub(super) fn failed(&mut self, error: &NotifyError) {
        // Someone removed it: a later notice has replaced it.
        if !is_at(&self.lock, &self.path) {
            return;
        }
        self.unsent.failed(error, Timestamp::now());
        match write(&self.folder, &self.path, &self.unsent) {
            Ok(lock) => self.lock = lock,
            Err(error) => tracing::warn!("cannot write {}: {error}", self.path.display()),
        }
    }

    /// The notice, marked as late if it is.
    pub(super) fn notice(&self, now: Timestamp) -> Notice {
        const LATE: Duration = Duration::from_secs(60);
        let mut notice = self.unsent.notice.clone();
        let age = now.duration_since(self.unsent.since);
        if age > SignedDuration::try_from(LATE).unwrap_or_default() {
            notice.late = Some(self.unsent.since);
        }
        notice
    }
}

/// Whether the open file is the one at the path.
fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(open), Ok(there)) = (file.metadata(), fs::symlink_metadata(path)) else { return false };
    (open.dev(), open.ino()) == (there.dev(), there.ino())
}

/// Writes and locks the file, before anybody else can see it.
fn write(folder: &Path, path: &Path, unsent: &Unsent) -> io::Result<File> {
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
    file.write_all(&serde_json::to_vec(unsent)?)?;
    file.as_file().sync_all()?;
    // Where there are no locks, a notice may arrive twice.
    let _ = file.as_file().try_lock();
    file.persist(path).map_err(|error| error.error)
}

fn read(path: &Path) -> Option<Unsent> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn file_name(by: &str, id: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let name: String = id.chars().map(plain).take(150).collect();
    format!("{by}-{name}.json")
}

#[cfg(test)]
mod tests;
