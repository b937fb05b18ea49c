//! Notices for the process that shows them, hears presses, and shows them again for a notification
//! service that took over.
//!
//! ```text
//! $XDG_STATE_HOME/samocode/notices-desktop/ID                      a notice, as JSON
//! $XDG_STATE_HOME/samocode/notices-desktop/ID@NUMBER@SERVICE       the same, while it is on the desktop
//! ```
//!
//! The folder is made by the path unit that starts that process, and starts it again after a kill.
//! Without it, nobody would hear a press.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::notify::Notice;

/// The folder of such notices.
#[derive(Debug, Clone)]
pub struct Waiting(PathBuf);

/// A notice in that folder.
#[derive(Debug)]
pub struct Left {
    /// Its file.
    pub path: PathBuf,
    /// What it says.
    pub notice: Notice,
    /// Where it is on the desktop, or was when its process was killed.
    pub shown: Option<Shown>,
}

/// A notice's number on the desktop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The number that the notification service gave it.
    pub number: u32,
    /// Which service that was, on which bus.
    pub service: String,
}

/// What precedes the names of files that are not complete.
const NEW: &str = ".new-";

/// Separates a notice's name from where it is shown.
const AT: char = '@';

/// As long as notices are kept anywhere.
const KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

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
        file.persist(self.0.join(name(&notice.id))).map_err(|error| error.error)?;
        Ok(true)
    }

    /// The oldest for which `is_open` does not hold. One that cannot be read is removed: the path unit
    /// would start the process again and again.
    #[must_use]
    pub fn next(&self, is_open: impl Fn(&Path) -> bool) -> Option<Left> {
        let mut paths = self.paths();
        paths.retain(|path| !is_open(path));
        paths.sort_by_cached_key(|path| fs::metadata(path).and_then(|meta| meta.modified()).ok());
        paths.into_iter().find_map(|path| {
            let read = fs::read(&path).ok();
            let notice = read.and_then(|bytes| serde_json::from_slice(&bytes).ok());
            if notice.is_none() {
                let _ = fs::remove_file(&path);
            }
            Some(Left { notice: notice?, shown: shown(&path), path })
        })
    }

    fn paths(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        let is_whole = |path: &PathBuf| {
            path.file_name().is_some_and(|name| !name.to_string_lossy().starts_with(NEW))
        };
        entries.map(|entry| entry.path()).filter(is_whole).collect()
    }

    /// Notes where one is shown; returns its file from now on. After a kill before that, it is shown
    /// again.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn is_shown(&self, left: &Left, at: &Shown) -> io::Result<PathBuf> {
        let path =
            self.0.join(format!("{}{AT}{}{AT}{}", name(&left.notice.id), at.number, at.service));
        fs::rename(&left.path, &path)?;
        Ok(path)
    }

    /// Removes one that was closed, or cannot be shown.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn done(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes those for which no desktop came for too long.
    pub fn forget_old(&self) {
        let is_old = |path: &PathBuf| {
            let at = fs::metadata(path).and_then(|meta| meta.modified()).ok();
            at.and_then(|at| SystemTime::now().duration_since(at).ok())
                .is_some_and(|age| age > KEPT)
        };
        self.paths().iter().filter(|path| is_old(path)).for_each(|path| {
            let _ = fs::remove_file(path);
        });
    }
}

/// A file's name for a notice, another one for each.
fn name(id: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    id.chars()
        .map(|c| if is_plain(c) { c.to_string() } else { format!("%{:x}", u32::from(c)) })
        .collect()
}

/// Where the notice of a file is shown, by its name.
fn shown(path: &Path) -> Option<Shown> {
    let mut parts = path.file_name()?.to_str()?.splitn(3, AT).skip(1);
    let number = parts.next()?.parse().ok()?;
    Some(Shown { number, service: parts.next()?.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::About;

    fn notice(id: &str) -> Notice {
        let about = About { id: id.to_owned(), session: "jwt".to_owned(), ..About::default() };
        Notice::mail(&about, "writes", None, "samocode inbox")
    }

    #[test]
    fn a_notice_is_kept_until_it_is_closed_and_only_where_somebody_listens() {
        let state = tempfile::tempdir().unwrap();
        let waiting = Waiting::of(state.path());
        assert!(!waiting.leave(&notice("jwt/7")).unwrap());
        fs::create_dir(waiting.folder()).unwrap();
        assert!(waiting.leave(&notice("jwt/7")).unwrap());
        fs::write(waiting.folder().join("x"), "no notice").unwrap();
        let left = waiting.next(|_| false).unwrap();
        assert_eq!((left.notice.id.as_str(), &left.shown), ("jwt/7", &None));

        let at = Shown { number: 3, service: ":1.4@0af".to_owned() };
        let path = waiting.is_shown(&left, &at).unwrap();
        assert!(waiting.next(|open| open == path).is_none());
        let again = waiting.next(|_| false).unwrap();
        assert_eq!((again.notice.id.as_str(), again.shown), ("jwt/7", Some(at)));
        waiting.forget_old();
        assert!(path.exists());
        waiting.done(&path).unwrap();
        waiting.done(&path).unwrap();
        assert_eq!(fs::read_dir(waiting.folder()).unwrap().count(), 0);
    }

    #[test]
    fn no_two_notices_have_one_name() {
        assert_eq!(name("jwt-1/7"), "jwt-1%2f7");
        assert_ne!(name("jwt/17"), name("jwt1/7"));
        assert!(!name("../x@1@y").contains(['/', '.', AT]));
    }
}
