//! A run's private folder for temporary files.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::TempDir;

/// Its name. A later worker can derive it to clean up, but it cannot be predicted before the run starts.
pub(super) fn name(run: &str) -> String {
    format!("samocode-{run}")
}

/// Removes that of a run that has ended.
pub(super) fn remove(folder: TempDir) {
    remove_path(&folder.keep());
}

/// Removes that of a run whose worker could not.
pub(super) fn remove_of(run: &str) {
    remove_path(&tempfile::env::temp_dir().join(name(run)));
}

fn remove_path(path: &Path) {
    let removed = match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(path);
            fs::remove_dir_all(path)
        }
        removed => removed,
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!("cannot remove {}: {error}", path.display());
        }
        _ => {}
    }
}

/// Makes folders removable that a program closed to everybody, as Go does with those of its modules.
fn open_up(folder: &Path) {
    let _ = fs::set_permissions(folder, Permissions::from_mode(0o700));
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_a_program_closed_is_removed_and_nothing_else_is_changed() {
        let root = tempfile::tempdir().unwrap();
        let (folder, elsewhere) = (root.path().join("run"), root.path().join("elsewhere"));
        let closed = folder.join("a/closed");
        fs::create_dir_all(&closed).unwrap();
        fs::create_dir(&elsewhere).unwrap();
        fs::write(closed.join("file"), "x").unwrap();
        std::os::unix::fs::symlink(&elsewhere, folder.join("a/link")).unwrap();
        let mode =
            |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        mode(&elsewhere, 0o500);
        mode(&closed, 0);
        mode(&folder.join("a"), 0o500);
        remove_path(&folder);
        assert!(!folder.exists());
        assert_eq!(fs::metadata(&elsewhere).unwrap().permissions().mode() & 0o777, 0o500);
    }
}
