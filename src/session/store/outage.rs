//! Notes of workers that cannot write to their session's folder. The folder cannot record that, so
//! the note goes to another file system.
//!
//! ```text
//! $XDG_RUNTIME_DIR/samocode/paused/INSTANCE.json
//! ```
//!
//! The worker holds the note with `flock` while it waits; a note without a lock is stale.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The contents of a note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    /// The session's folder, as another project's session may have had the same instance.
    pub folder: PathBuf,
    /// The error, with the path it concerns.
    pub reason: String,
    /// When the folder became unwritable.
    pub since: Timestamp,
}

/// A current note: valid as long as this lock on its file is held.
#[derive(Debug)]
pub struct HeldNote(#[expect(dead_code, reason = "open for its lock")] File);

/// The folder with the notes of a user's workers.
#[derive(Debug)]
pub struct OutageNotes {
    /// `None` if there is no suitable file system.
    folder: Option<PathBuf>,
}

impl OutageNotes {
    /// The notes of the user with the runtime folder `runtime`, which does not outlive the machine.
    #[must_use]
    pub fn of(runtime: Option<PathBuf>) -> Self {
        Self { folder: runtime.map(|runtime| runtime.join("paused")) }
    }

    /// The session's current outage, if a live worker is waiting for its folder.
    #[must_use]
    pub fn now(&self, instance: &str, folder: &Path) -> Option<Outage> {
        let file = File::open(self.path(instance)?).ok()?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => read(&file, folder),
            _ => None,
        }
    }

    /// The session's last known outage, even if its worker has ended.
    #[must_use]
    pub fn last(&self, instance: &str, folder: &Path) -> Option<Outage> {
        read(&File::open(self.path(instance)?).ok()?, folder)
    }

    /// Writes a note that is valid until the returned value is dropped. `None` if it cannot be
    /// written.
    #[must_use]
    pub fn hold(&self, instance: &str, outage: &Outage) -> Option<HeldNote> {
        write(&self.path(instance)?, outage).ok().map(HeldNote)
    }

    /// Removes a session's note. Errors are ignored, since a note that no process holds is stale
    /// anyway.
    pub fn remove(&self, instance: &str) {
        if let Some(path) = self.path(instance) {
            let _ = fs::remove_file(path);
        }
    }

    fn path(&self, instance: &str) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.join(format!("{instance}.json")))
    }
}

fn read(file: &File, folder: &Path) -> Option<Outage> {
    let mut bytes = Vec::new();
    file.take(1 << 20).read_to_end(&mut bytes).ok()?;
    let outage: Outage = serde_json::from_slice(&bytes).ok()?;
    (outage.folder == folder).then_some(outage)
}

/// Writes a note and keeps it locked.
fn write(path: &Path, outage: &Outage) -> std::io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    file.lock()?;
    file.set_len(0)?;
    file.write_all(&serde_json::to_vec(outage)?)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_believed_while_its_writer_lives_and_of_the_same_session_only() {
        let runtime = tempfile::tempdir().unwrap();
        let notes = OutageNotes::of(Some(runtime.path().to_owned()));
        let folder = PathBuf::from("/s/26-11-20-jwt");
        let outage =
            Outage { folder: folder.clone(), reason: "full".into(), since: Timestamp::UNIX_EPOCH };
        assert_eq!(notes.now("jwt", &folder), None);
        let note = notes.hold("jwt", &outage).unwrap();
        assert_eq!(notes.now("jwt", &folder), Some(outage.clone()));
        assert_eq!(notes.now("jwt", Path::new("/other/26-11-20-jwt")), None);
        drop(note);
        assert_eq!(notes.now("jwt", &folder), None);
        assert_eq!(notes.last("jwt", &folder), Some(outage));
    }
}
