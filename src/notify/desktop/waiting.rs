//! Notices with buttons that wait to be shown by the process that hears presses.
//!
//! ```text
//! $XDG_STATE_HOME/samocode/notices-desktop/ID     a notice, as JSON
//! ```
//!
//! The folder is made by the path unit that starts that process. Without it, nobody would hear a press.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::notify::Notice;

/// The folder of such notices.
#[derive(Debug, Clone)]
pub struct Waiting(PathBuf);

/// What precedes the names of files that are not complete.
const NEW: &str = ".new-";

impl Waiting {
    /// The folder in a user's state folder.
    #[must_use]
    pub fn of(state: &Path) -> Self {
        Self(state.join("notices-desktop"))
    }

    /// The folder itself.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// Leaves a notice for who hears presses; `false` if there is nobody.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn leave(&self, notice: &Notice) -> io::Result<bool> {
        if !self.0.is_dir() {
            return Ok(false);
        }
        let mut file = tempfile::Builder::new().prefix(NEW).tempfile_in(&self.0)?;
        file.write_all(&serde_json::to_vec(notice)?)?;
        let name: String = notice.id.chars().filter(char::is_ascii_alphanumeric).collect();
        file.persist(self.0.join(name)).map_err(|error| error.error)?;
        Ok(true)
    }

    /// The oldest that waits, with its file. One that cannot be read is removed: the path unit would
    /// start the process again and again.
    #[must_use]
    pub fn next(&self) -> Option<(PathBuf, Notice)> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path());
        let is_whole = |path: &PathBuf| {
            path.file_name().is_some_and(|name| !name.to_string_lossy().starts_with(NEW))
        };
        let mut paths: Vec<_> = paths.filter(is_whole).collect();
        paths.sort_by_cached_key(|path| fs::metadata(path).and_then(|meta| meta.modified()).ok());
        paths.into_iter().find_map(|path| {
            let read = fs::read(&path).ok();
            let notice = read.and_then(|bytes| serde_json::from_slice(&bytes).ok());
            if notice.is_none() {
                let _ = fs::remove_file(&path);
            }
            Some((path, notice?))
        })
    }

    /// Removes one that was shown. After a kill before that, it is shown again.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn done(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::About;

    #[test]
    fn a_notice_is_taken_once_and_only_where_somebody_listens() {
        let state = tempfile::tempdir().unwrap();
        let waiting = Waiting::of(state.path());
        let about =
            About { id: "0193-a".to_owned(), session: "jwt".to_owned(), ..About::default() };
        let notice = Notice::mail(&about, "writes", None, "samocode inbox");
        assert!(!waiting.leave(&notice).unwrap());
        fs::create_dir(waiting.folder()).unwrap();
        assert!(waiting.leave(&notice).unwrap());
        fs::write(waiting.folder().join("x"), "no notice").unwrap();
        let (path, left) = waiting.next().unwrap();
        assert_eq!((left.session.as_str(), waiting.next().is_some()), ("jwt", true));
        waiting.done(&path).unwrap();
        assert!(waiting.next().is_none());
        assert_eq!(fs::read_dir(waiting.folder()).unwrap().count(), 0);
    }
}
