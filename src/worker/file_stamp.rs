//! Detects whether a file has changed since it was last looked at.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Metadata that differs after every change to a file. Timestamps alone are not enough: they
/// advance in kernel ticks of up to 10 ms, and a copy may preserve them. Compare stamps for
/// equality only, never for age.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStamp {
    inode: u64,
    size: u64,
    /// Modification time of the contents (mtime), in seconds and nanoseconds since 1970.
    modified: (i64, i64),
    /// Change time of contents, mode or owner (ctime), which cannot be set.
    changed: (i64, i64),
}

impl FileStamp {
    /// The stamp of the file at `path`, following links; `None` if it is missing or cannot be
    /// examined.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let of = |meta: Metadata| Self {
            inode: meta.ino(),
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        };
        fs::metadata(path).ok().map(of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn a_file_that_was_replaced_is_another_whatever_its_times_say() {
        let folder = tempfile::tempdir().unwrap();
        let (path, new) = (folder.path().join("env"), folder.path().join("new"));
        assert_eq!(FileStamp::of(&path), None);
        fs::write(&path, "KEY=1").unwrap();
        let before = FileStamp::of(&path);
        assert!(before.is_some());
        assert_eq!(FileStamp::of(&path), before);
        fs::write(&new, "KEY=2").unwrap();
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        File::options().write(true).open(&new).unwrap().set_modified(modified).unwrap();
        fs::rename(&new, &path).unwrap();
        assert_ne!(FileStamp::of(&path), before);
    }

    #[test]
    fn a_file_that_grew_is_another_within_the_same_tick() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("env");
        fs::write(&path, "KEY=1").unwrap();
        let before = FileStamp::of(&path);
        fs::write(&path, "KEY=10").unwrap();
        assert_ne!(FileStamp::of(&path), before);
    }
}
