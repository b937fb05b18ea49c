//! Sets aside what is in the place of a session's file and is none.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::error::{Attempt, Result};
use super::files::{replace, sync_folder};
use super::folder::Folder;

/// Something in the place of a session's file or folder that has to be set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// The name of the file or folder.
    pub file: String,
    /// What is in its place: `a symbolic link to /home/u`.
    pub what: String,
    /// The name it gets, in the same folder.
    pub kept: String,
    folder: PathBuf,
}

impl Folder {
    /// Finds links, devices and the like in the places of the session's files and folders: neither
    /// the worker nor a verb ever uses them. Looks at each place, which is quick. What is in the
    /// signal's place is removed before each run.
    #[must_use]
    pub fn unfit(&self) -> Vec<Unfit> {
        let record = self.record();
        let links = record.as_deref().map(|record| self.links_to(record)).unwrap_or_default();
        let links = links.into_iter().map(|(name, target)| {
            let path = self.path().join(name);
            (not_this_link(&path, &target), path)
        });
        let files = [self.overview(), self.qa(), self.history(), self.hook(), self.stop_mark()];
        let folders = [self.inbox(), self.outbox(), self.mail(), self.logs(), self.damaged()];
        let files = files.into_iter().map(|path| (not_a_file(&path), path));
        let folders = folders.into_iter().map(|path| (not_a_folder(&path), path));
        let name =
            |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files
            .chain(folders)
            .chain(links)
            .filter_map(|(what, path)| {
                let what = what?;
                let (file, kept) = (name(&path), name(&free_name(&path)));
                let folder = path.parent()?.to_owned();
                Some(Unfit { file, what, kept, folder })
            })
            .collect()
    }

    /// Sets something aside that [`unfit`](Self::unfit) found.
    ///
    /// # Errors
    /// If it cannot be renamed.
    pub fn set_aside(&self, unfit: &Unfit) -> Result<()> {
        let path = unfit.folder.join(&unfit.file);
        fs::rename(&path, unfit.folder.join(&unfit.kept)).attempt("set aside", &path)?;
        sync_folder(&unfit.folder)?;
        self.settle_record()
    }
}

/// Makes a file that has another name one of its own, with the same contents. For the journal, which
/// has to stay where it is.
///
/// # Errors
/// If it cannot be read or replaced.
pub(super) fn take_from_other_names(path: &Path) -> Result<()> {
    if fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file() && meta.nlink() > 1) {
        let bytes = fs::read(path).attempt("read", path)?;
        replace(path, &bytes)?;
    }
    Ok(())
}

fn not_a_file(path: &Path) -> Option<String> {
    let meta = fs::symlink_metadata(path).ok()?;
    match meta.nlink() {
        _ if meta.is_dir() => Some("a folder".to_owned()),
        _ if !meta.is_file() => Some(kind(path, &meta)),
        0 | 1 => None,
        names => Some(format!("a file with {names} names (hard links)")),
    }
}

fn not_a_folder(path: &Path) -> Option<String> {
    let meta = fs::symlink_metadata(path).ok().filter(|meta| !meta.is_dir())?;
    Some(if meta.is_file() { "a file".to_owned() } else { kind(path, &meta) })
}

/// What is in the place of a link to the session's record and is another one, or none.
fn not_this_link(path: &Path, target: &Path) -> Option<String> {
    let meta = fs::symlink_metadata(path).ok()?;
    match fs::read_link(path) {
        Ok(found) if found == target => None,
        _ if meta.is_dir() => Some("a folder".to_owned()),
        _ if meta.is_file() => Some("a file".to_owned()),
        _ => Some(kind(path, &meta)),
    }
}

fn kind(path: &Path, meta: &fs::Metadata) -> String {
    if meta.is_symlink() {
        let to = fs::read_link(path).unwrap_or_default();
        return format!("a symbolic link to {}", to.display());
    }
    "not a regular file".to_owned()
}

/// `NAME.aside-1`, or with the next number that is free.
pub(super) fn free_name(path: &Path) -> PathBuf {
    let with = |number: u64| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".aside-{number}"));
        PathBuf::from(name)
    };
    let is_free = |path: &PathBuf| {
        fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    };
    (1..).map(with).find(is_free).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::{self as store, Lock};
    use super::*;
    use crate::session::mail::{Kind, Message};
    use jiff::Timestamp;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_an_agent_put_in_a_files_place_is_set_aside_and_leads_nowhere() {
        let place = tempfile::tempdir().unwrap();
        let (root, elsewhere) = (place.path().join("s"), place.path().join("home"));
        for folder in [&root, &elsewhere] {
            fs::create_dir(folder).unwrap();
        }
        let folder = Folder::new(&root);
        let profile = elsewhere.join(".profile");
        fs::write(&profile, "mine\n").unwrap();
        assert_eq!(folder.unfit(), []);
        symlink(&profile, folder.overview()).unwrap();
        fs::hard_link(&profile, folder.history()).unwrap();
        symlink(&profile, folder.hook()).unwrap();
        let fifo = std::process::Command::new("mkfifo").arg(folder.qa()).status().unwrap();
        assert!(fifo.success());
        symlink(&elsewhere, folder.mail()).unwrap();
        symlink(&elsewhere, folder.logs()).unwrap();
        fs::write(folder.inbox(), "").unwrap();

        // Before that, nothing gets through.
        assert!(store::append(&folder.history(), b"evil\n").is_err());
        assert!(store::amend(&folder.overview(), b"1", b"2").is_err());
        assert!(store::read(&folder.overview()).is_err());
        assert!(store::replace(&folder.mail().join("x"), b"evil").is_err());
        assert!(store::replace(&folder.hook(), b"{}").is_ok(), "a link is replaced itself");
        assert!(folder.open_log("x.jsonl").is_err());
        assert!(folder.read_mail().unwrap().is_empty());

        let found = folder.unfit();
        found.iter().for_each(|unfit| folder.set_aside(unfit).unwrap());
        let names: Vec<_> = found.iter().map(|unfit| root.join(&unfit.file)).collect();
        let [overview, qa, history] = [folder.overview(), folder.qa(), folder.history()];
        assert_eq!(names, [overview, qa, history, folder.inbox(), folder.mail(), folder.logs()]);
        assert_eq!(found[0].what, format!("a symbolic link to {}", profile.display()));
        assert_eq!(found[2].what, "a file with 2 names (hard links)");
        assert_eq!(found[0].kept, format!("{}.aside-1", found[0].file));
        assert_eq!(folder.unfit(), []);
        folder.make_subfolders().unwrap();
        store::append(&folder.history(), b"line\n").unwrap();
        folder.open_log("x.jsonl").unwrap();
        assert_eq!(fs::read_to_string(&profile).unwrap(), "mine\n");
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 1);
    }

    #[test]
    fn nothing_is_written_through_a_link_in_the_place_of_a_sessions_folder() {
        let place = tempfile::tempdir().unwrap();
        let (sessions, elsewhere) = (place.path().join("s"), place.path().join("config"));
        let logs = Folder::new(&elsewhere).logs();
        fs::create_dir_all(&logs).unwrap();
        fs::create_dir(&sessions).unwrap();
        let folder = Folder::new(sessions.join("26-11-28-x"));
        assert!(folder.find().unwrap_err().to_string().contains("No such file"));
        symlink(&elsewhere, folder.path()).unwrap();
        let said = folder.find().unwrap_err().to_string();
        assert!(said.contains("a symbolic link to") && said.ends_with("move it away"), "{said}");
        let error = store::replace(&folder.hook(), b"{}").unwrap_err().to_string();
        assert!(
            error.ends_with("the session's folder is a symbolic link: move it away"),
            "{error}"
        );
        assert!(Lock::take(&folder).is_err());
        assert!(store::append(&folder.history(), b"line\n").is_err());
        assert!(store::read(&folder.overview()).is_err());
        assert!(folder.open_log("x.jsonl").is_err());
        assert!(folder.mark_stopped().is_err());
        let message = Message::new("human", "x", Timestamp::now(), Kind::Text, "t").unwrap();
        assert!(folder.deliver(&message).is_err());
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 1);
        assert_eq!(fs::read_dir(&logs).unwrap().count(), 0);

        // Links further up are the user's.
        fs::remove_file(folder.path()).unwrap();
        fs::create_dir(folder.path()).unwrap();
        symlink(&sessions, place.path().join("link")).unwrap();
        let folder = Folder::new(place.path().join("link/26-11-28-x"));
        folder.find().unwrap();
        store::append(&folder.history(), b"line\n").unwrap();
    }

    #[test]
    fn a_journal_is_copied_from_its_other_name_and_a_linked_lock_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::new(place.path());
        let other = place.path().join("other");
        fs::write(folder.journal(), "").unwrap();
        fs::hard_link(folder.journal(), &other).unwrap();
        let lock = Lock::take(&folder).unwrap();
        store::Journal::open(&folder, &lock).unwrap();
        assert_eq!(fs::metadata(folder.journal()).unwrap().nlink(), 1);
        assert!(other.exists());
        drop(lock);
        fs::remove_file(folder.lock()).unwrap();
        symlink(&other, folder.lock()).unwrap();
        assert!(Lock::take(&folder).is_err());
    }
}
