//! Notices that have not been sent, on disk: a file for each notice and channel, so that a dead
//! channel delays no other. A notice is written here before it is sent and removed once it has
//! arrived, so that neither a dead network nor a dead process loses it. Whoever runs next for the same
//! project sends what is left.
//!
//! ```text
//! $XDG_STATE_HOME/samocode/notices/CHANNEL-ID.json     locked while someone is sending it
//! $XDG_STATE_HOME/samocode/notices-staged/…            not to be sent yet
//! $XDG_STATE_HOME/samocode/notices-held/…              held back by the quiet hours
//! $XDG_STATE_HOME/samocode/notices-lanes/…             locked while someone sends a channel's notices
//! ```

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::outbox::Due;
use super::{Notice, NotifyError};
use crate::session::order;
use crate::session::{clock, stamp};

mod lane;

pub(super) use lane::Lane;

/// A notice older than this is no longer of use and is dropped.
const TOO_OLD: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The most files for one channel of a project; the oldest are dropped first.
const MOST: usize = 100;

/// The pause after a failed attempt doubles from this, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(30);

/// The longest pause between attempts of later processes.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(1);

/// A notice that has not been sent, as its file holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsent {
    /// The notice, as it will be sent.
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
    /// Whether the server asked for that time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub asked: bool,
    /// Until when the quiet hours hold it back, or held it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_until: Option<Timestamp>,
    /// The files of the notices that it tells of in one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instead_of: Vec<String>,
}

impl Unsent {
    /// A notice that is to be sent by a channel of a project.
    #[must_use]
    pub fn new(notice: &Notice, by: &str, config: &Path) -> Self {
        Self {
            notice: notice.clone(),
            by: by.to_owned(),
            config: config.to_owned(),
            since: Timestamp::now(),
            tries: 0,
            error: None,
            not_before: None,
            asked: false,
            held_until: None,
            instead_of: Vec::new(),
        }
    }

    /// What is not sent, and why, in one line.
    #[must_use]
    pub fn describe(&self) -> String {
        let (by, what) = (&self.by, super::text::tame_line(&self.notice.text));
        if let Some(until) = self.is_held(Timestamp::now()) {
            let until = stamp::log(&until.to_zoned(clock::shown_zone()));
            return format!("the notice via {by} that it {what} is held back until {until}");
        }
        let why = self.error.as_deref().unwrap_or("it waits behind an earlier message");
        format!("could not notify you via {by} that it {what}: {why}; samocode keeps trying")
    }

    /// Until when the quiet hours hold it back, if they do.
    #[must_use]
    pub fn is_held(&self, now: Timestamp) -> Option<Timestamp> {
        self.held_until.filter(|until| *until > now)
    }

    fn is_for(&self, by: &str, config: &Path) -> bool {
        self.by == by && self.config == config
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
        self.asked = !asked.is_zero();
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

    /// All of them, oldest first, also those that are held back. What cannot be read is left out.
    #[must_use]
    pub fn all(&self) -> Vec<Unsent> {
        let paths = self.all_paths();
        let mut all: Vec<Unsent> = paths.iter().filter_map(|path| read(path)).collect();
        order::by_key(&mut all, |unsent| unsent.since);
        all
    }

    /// Whether there is nothing to be sent now.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        fs::read_dir(&self.0).map_or(true, |mut entries| entries.next().is_none())
    }

    /// Removes notices that are too old to be of use, and files that are not notices.
    pub fn drop_old(&self) {
        let now = Timestamp::now();
        for path in self.all_paths() {
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

    /// Writes a notice. If it tells the session's state, earlier ones about that are void.
    pub(super) fn keep(&self, unsent: &Unsent) -> io::Result<()> {
        fs::create_dir_all(&self.0)?;
        self.tidy(unsent);
        let path = self.0.join(file_name(&unsent.by, &unsent.notice.id));
        drop(write(&self.0, &path, unsent)?);
        File::open(&self.0)?.sync_all()
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

    fn beside(&self, name: &str) -> PathBuf {
        self.0.with_file_name(name)
    }

    fn staged(&self) -> PathBuf {
        self.beside("notices-staged")
    }

    fn held(&self) -> PathBuf {
        self.beside("notices-held")
    }

    /// Removes what this one replaces, what is too old, and what is too much.
    fn tidy(&self, new: &Unsent) {
        let paths = self.all_paths().into_iter();
        let mut all: Vec<(PathBuf, Unsent)> =
            paths.filter_map(|path| read(&path).map(|it| (path, it))).collect();
        all.retain(|(_, unsent)| unsent.is_for(&new.by, &new.config));
        order::by_key(&mut all, |(_, unsent)| unsent.since);
        let surplus = (all.len() + 1).saturating_sub(MOST);
        for (at, (path, unsent)) in all.iter().enumerate() {
            let is_void = unsent.notice.session == new.notice.session
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

    /// Removes notices of a channel that are no longer wanted, unless one is just being sent.
    pub(super) fn forget(&self, by: &str, config: &Path, is_unwanted: impl Fn(&Unsent) -> bool) {
        for path in self.all_paths() {
            let fits = |unsent: &Unsent| unsent.is_for(by, config) && is_unwanted(unsent);
            if read(&path).is_some_and(|unsent| fits(&unsent))
                && let Some(claim) = self.claim(&path)
            {
                claim.done();
            }
        }
    }

    /// Whether there is something for a channel to send now.
    pub(super) fn has_due(&self, by: &str, config: &Path, due: Due, now: Timestamp) -> bool {
        self.all_paths().iter().filter_map(|path| read(path)).any(|unsent| {
            unsent.is_for(by, config)
                && unsent.is_held(now).is_none()
                && (due == Due::Now || unsent.not_before.is_none_or(|at| at <= now))
        })
    }

    fn claim(&self, path: &Path) -> Option<Claim> {
        let lock = File::open(path).ok()?;
        match lock.try_lock() {
            Ok(()) | Err(TryLockError::Error(_)) => {}
            Err(TryLockError::WouldBlock) => return None,
        }
        // It may have been sent or rewritten before the lock was taken.
        let unsent = read(path).filter(|_| is_at(&lock, path))?;
        Some(Claim { folder: self.0.clone(), path: path.to_owned(), unsent, lock })
    }

    fn paths(&self) -> Vec<PathBuf> {
        notices_in(&self.0)
    }

    /// Also those that are held back.
    fn all_paths(&self) -> Vec<PathBuf> {
        let mut paths = self.paths();
        paths.extend(notices_in(&self.held()));
        paths
    }
}

fn notices_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let paths = entries.map(|entry| entry.path());
    paths.filter(|path| path.extension().is_some_and(|end| end == "json")).collect()
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
    /// Forgets the notice: it was delivered, or is no longer wanted.
    pub(super) fn done(self) {
        if is_at(&self.lock, &self.path)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!("cannot remove {}: {error}", self.path.display());
        }
    }

    /// Whether nobody has removed or replaced it.
    pub(super) fn is_current(&self) -> bool {
        is_at(&self.lock, &self.path)
    }

    /// Records a failed attempt and when to make the next one.
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

/// The first `-` ends the channel's name, which may have one.
fn file_name(by: &str, id: &str) -> String {
    let by = by.replace('-', ".");
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let name: String = id.chars().map(plain).take(150).collect();
    format!("{by}-{name}.json")
}

#[cfg(test)]
mod tests;
