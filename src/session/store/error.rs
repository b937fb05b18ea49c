//! What can go wrong with a session's files.

use std::io;
use std::path::{Path, PathBuf};

/// A file operation that failed, with its path.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {path}: {source}{remedy}", path = path.display(), remedy = remedy(source))]
pub struct StoreError {
    /// The attempted operation, as a verb: `read`.
    pub action: &'static str,
    /// The file or folder concerned.
    pub path: PathBuf,
    /// The error as reported by the operating system.
    pub source: io::Error,
}

impl StoreError {
    /// Whether the permissions of a file or folder do not allow it.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.source.kind() == io::ErrorKind::PermissionDenied
    }

    /// Whether the disk is full or over quota. The worker waits until someone fixes that.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        )
    }
}

pub(super) type Result<T, E = StoreError> = std::result::Result<T, E>;

pub(super) trait Attempt<T> {
    fn attempt(self, action: &'static str, path: &Path) -> Result<T>;
}

impl<T> Attempt<T> for io::Result<T> {
    fn attempt(self, action: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| StoreError { action, path: path.to_owned(), source })
    }
}

/// The remedy for an error whose own words suggest none, to follow them.
fn remedy(error: &io::Error) -> &'static str {
    match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
        Some(rustix::io::Errno::NOLCK) => {
            ". This file system has no locks. If it is NFS: mount it with local_lock=flock, or start \
             the lock service on both machines (systemctl start rpc-statd). Or set SESSIONS in \
             .samocode to a folder on a local disk"
        }
        Some(rustix::io::Errno::ISDIR) => ". A folder is in its place: move it away",
        Some(rustix::io::Errno::NOTDIR) => {
            ". A part of this path is a file, not a folder: move it away, or check XDG_STATE_HOME, HOME \
             and .samocode"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_without_locks_comes_with_a_remedy_and_other_errors_with_their_words() {
        let error = |errno: rustix::io::Errno| StoreError {
            action: "lock",
            path: "/nfs/s/_lock".into(),
            source: errno.into(),
        };
        let said = error(rustix::io::Errno::NOLCK).to_string();
        assert!(
            said.starts_with("cannot lock /nfs/s/_lock: No locks available (os error ")
                && said.contains("mount it with local_lock=flock"),
            "{said}"
        );
        let said = error(rustix::io::Errno::ACCESS).to_string();
        assert!(said.ends_with("Permission denied (os error 13)"), "{said}");
    }
}
