//! Where the record of a session is: what the worker writes, and the agent must not.
//!
//! ```text
//! SESSIONS/26-11-20-jwt/                         the session's folder, the agent's
//! SESSIONS/.samocode/26-11-20-jwt/               its record, if that is apart
//! SESSIONS/.samocode/26-11-20-big.workers/impl/  that of SESSIONS/26-11-20-big/workers/impl
//! ```
//!
//! A record that is not apart is in the session's folder. Which it is, is decided by whether the
//! other folder exists, and by nothing in the session's folder: an agent could write that. The
//! record of a session below another one is not in that one's folder either, nor in its record,
//! which need not exist.
//!
//! In the session's folder there are links to the record: people and other programs find everything
//! where it used to be, and one that looks for the record in the wrong place gets an error instead of
//! an empty one. samocode itself never follows them.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::family::WORKERS;
use super::folder::{
    DAMAGED, Folder, HISTORY, HOOK, INBOX, JOURNAL, LOCK, LOGS, MAIL, STOP, UNREADY,
};
use crate::session::names;

/// The folder of SESSIONS with the records.
const RECORDS: &str = ".samocode";
/// Its name where SESSIONS is the folder of a project, whose file has the other one.
const RECORDS_OF_A_PROJECT: &str = ".samocode-records";

/// The files of a record, without the lock.
pub(super) const RECORD_FILES: [&str; 5] = [JOURNAL, HISTORY, HOOK, STOP, UNREADY];
/// The folders of a record.
pub(super) const RECORD_FOLDERS: [&str; 4] = [INBOX, MAIL, LOGS, DAMAGED];
/// What is linked to in the session's folder.
const LINKED: [&str; 8] = [JOURNAL, HISTORY, HOOK, LOCK, INBOX, MAIL, LOGS, DAMAGED];
/// What of the record an agent may read. The lock is not among it: whoever can open it can hold it.
const READABLE: [&str; 6] = [JOURNAL, HISTORY, INBOX, MAIL, LOGS, DAMAGED];

/// Where the record of a session lies if it is apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Apart {
    /// The folder of the topmost session above, or of this one.
    pub(super) sessions: PathBuf,
    /// The place in the folder with the records.
    own: PathBuf,
}

impl Apart {
    pub(super) fn of(folder: &Path) -> Option<Self> {
        let name = folder.file_name()?;
        if let Some(above) = session_above(folder) {
            let Self { sessions, own } = Self::of(above)?;
            let mut below = own.into_os_string();
            below.push(".");
            below.push(WORKERS);
            return Some(Self { sessions, own: PathBuf::from(below).join(name) });
        }
        Some(Self { sessions: folder.parent()?.to_owned(), own: PathBuf::from(name) })
    }

    /// The path of the record; it need not exist.
    pub(super) fn place(&self) -> PathBuf {
        let records = self.sessions.join(RECORDS);
        let is_file = fs::symlink_metadata(&records).is_ok_and(|meta| !meta.is_dir());
        if is_file { self.place_in_a_project() } else { records.join(&self.own) }
    }

    fn place_in_a_project(&self) -> PathBuf {
        self.sessions.join(RECORDS_OF_A_PROJECT).join(&self.own)
    }

    /// The path of the record if that exists.
    fn existing(&self) -> Option<PathBuf> {
        let is_there = |place: &PathBuf| fs::symlink_metadata(place).map(|meta| meta.is_dir());
        let place = self.sessions.join(RECORDS).join(&self.own);
        match is_there(&place) {
            Ok(is_folder) => is_folder.then_some(place),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                Some(self.place_in_a_project()).filter(|place| is_there(place).unwrap_or(false))
            }
            Err(_) => None,
        }
    }
}

/// The folder of the session above, as names say: nothing that an agent can change may decide it.
fn session_above(folder: &Path) -> Option<&Path> {
    let workers =
        folder.parent().filter(|workers| workers.file_name() == Some(WORKERS.as_ref()))?;
    let above = workers.parent()?;
    let name = above.file_name()?.to_str()?;
    let is_session = names::name_in_folder(name).is_some() || session_above(above).is_some();
    is_session.then_some(above)
}

impl Folder {
    /// The folder of the session's record, if that is apart from the agent's files.
    #[must_use]
    pub fn record(&self) -> Option<PathBuf> {
        self.apart()?.existing()
    }

    /// The folder that the record is in.
    #[must_use]
    pub fn record_root(&self) -> PathBuf {
        self.record().unwrap_or_else(|| self.path().to_owned())
    }

    /// Whether it may have been made up by the agent of the session above: it lies in that one's folder,
    /// whose record is apart, and has none itself.
    #[must_use]
    pub fn lacks_record(&self) -> bool {
        self.record().is_none() && self.above().is_some_and(|above| above.record().is_some())
    }

    /// The folders with the session's files: its own, and that of a record that is apart.
    #[must_use]
    pub fn roots(&self) -> Vec<PathBuf> {
        std::iter::once(self.path().to_owned()).chain(self.record()).collect()
    }

    /// What of a record that is apart a confined agent may read.
    #[must_use]
    pub fn readable_record(&self) -> Vec<PathBuf> {
        let Some(record) = self.record() else { return Vec::new() };
        READABLE.iter().map(|name| record.join(name)).collect()
    }

    /// What is in the session's folder and only the worker may write: a confined agent may read it.
    /// The hook and other files that are replaced, and so cannot be held in their place, are not
    /// among it.
    #[must_use]
    pub fn held(&self) -> Vec<PathBuf> {
        if self.record().is_some() {
            return vec![self.workers()];
        }
        let (journal, history, lock) = (self.journal(), self.history(), self.lock());
        let (inbox, mail, logs) = (self.inbox(), self.mail(), self.logs());
        vec![journal, history, lock, inbox, mail, logs, self.damaged(), self.workers()]
    }

    /// The links that belong in the session's folder while the record is in `record`: the name of
    /// each, and what it says.
    pub(super) fn links_to(&self, record: &Path) -> Vec<(&'static str, PathBuf)> {
        let Some(apart) = self.apart() else { return Vec::new() };
        let below = |path: &Path| path.strip_prefix(&apart.sessions).map(Path::to_owned);
        let (Ok(own), Ok(record_below)) = (below(self.path()), below(record)) else {
            return Vec::new();
        };
        let up: PathBuf = own.components().map(|_| OsStr::new("..")).collect();
        LINKED.iter().map(|name| (*name, up.join(&record_below).join(name))).collect()
    }

    /// The error about a record that is neither in the session's folder nor where it belongs: there
    /// are links to one, as after the folder was renamed by hand.
    pub(super) fn missing_record(&self) -> Option<io::Error> {
        missing_record(self.path(), OsStr::new(JOURNAL))
    }
}

/// Whether a link with this target leads to a record.
pub(super) fn names_record(target: &Path) -> bool {
    target.iter().any(|part| part == RECORDS || part == RECORDS_OF_A_PROJECT)
}

/// The error about a link to a record in the place of a file of it.
pub(super) fn missing_record(folder: &Path, name: &OsStr) -> Option<io::Error> {
    let target = fs::read_link(folder.join(name)).ok()?;
    if !LINKED.iter().any(|own| name == *own) || !names_record(&target) {
        return None;
    }
    let apart = Apart::of(folder)?;
    if apart.existing().is_some() {
        return None;
    }
    let belongs = apart.place();
    let was = folder.join(target.parent()?);
    let was = was.canonicalize().unwrap_or_else(|_| was.clone());
    Some(io::Error::other(format!(
        "the session's record is not in {belongs}; if the session's folder was moved or renamed, move its record, too: mkdir -p '{home}' && mv '{was}' '{belongs}'",
        belongs = belongs.display(),
        home = belongs.parent().unwrap_or(Path::new("/")).display(),
        was = was.display(),
    )))
}

/// The name beside a record for what is not one yet, or no longer.
pub(super) fn beside(place: &Path, what: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(place.file_name().unwrap_or_default());
    name.push(what);
    place.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_of_a_session_has_a_place_that_its_agents_cannot_write() {
        let place = |folder: &str| Apart::of(Path::new(folder)).unwrap().place();
        for (folder, record) in [
            ("/s/26-11-20-jwt", "/s/.samocode/26-11-20-jwt"),
            ("/s/by-hand", "/s/.samocode/by-hand"),
            ("/s/26-11-20-big/workers/impl", "/s/.samocode/26-11-20-big.workers/impl"),
            (
                "/s/26-11-20-big/workers/impl/workers/detail",
                "/s/.samocode/26-11-20-big.workers/impl.workers/detail",
            ),
            // The folder of sessions may have any name.
            ("/home/u/workers/26-11-20-jwt", "/home/u/workers/.samocode/26-11-20-jwt"),
            // An archived session runs no agent.
            ("/s/_archive/26-11-20-jwt", "/s/_archive/.samocode/26-11-20-jwt"),
            ("26-11-20-jwt", ".samocode/26-11-20-jwt"),
        ] {
            assert_eq!(place(folder), Path::new(record), "{folder}");
        }
        assert_eq!(Apart::of(Path::new("/")), None);
    }

    #[test]
    fn a_record_is_apart_once_its_folder_exists_whatever_the_sessions_folder_says() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path().join("26-11-20-jwt"));
        fs::create_dir(folder.path()).unwrap();
        assert_eq!(folder.record(), None);
        assert_eq!(folder.journal().parent(), Some(folder.path()));
        // The project's file is in the way.
        fs::write(root.path().join(RECORDS), "SESSIONS=.\n").unwrap();
        assert_eq!(folder.record(), None);
        let record = folder.apart().unwrap().place();
        assert_eq!(record, root.path().join(RECORDS_OF_A_PROJECT).join("26-11-20-jwt"));
        fs::create_dir_all(&record).unwrap();
        fs::write(folder.path().join(JOURNAL), "forged").unwrap();
        assert_eq!((folder.record(), folder.record_root()), (Some(record.clone()), record.clone()));
        assert_eq!(folder.journal(), record.join(JOURNAL));
        assert_eq!(folder.roots(), [folder.path().to_owned(), record]);
        assert_eq!(folder.overview().parent(), Some(folder.path()));
        assert_eq!(folder.outbox().parent(), Some(folder.path()));
        assert_eq!(folder.held(), [folder.workers()]);
        // One below it needs a record of its own, since its folder is not out of the agent's reach.
        let below = Folder::new(folder.workers().join("impl"));
        assert!(below.lacks_record() && !folder.lacks_record());
        below.make_record().unwrap();
        below.make_record().unwrap();
        assert!(!below.lacks_record());
        assert!(below.journal().starts_with(root.path().join(RECORDS_OF_A_PROJECT)));
        let deeper = Folder::new(below.workers().join("detail"));
        assert!(deeper.lacks_record());
    }
}
