//! How much a folder takes on the disk.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// What a folder with everything in it takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Extent {
    /// Bytes on the disk.
    pub(super) bytes: u64,
    /// Whether a git repository is in it, or what belongs to one.
    pub(super) has_repository: bool,
}

/// Adds up a file or folder, without following links; a file with several names counts once. What
/// cannot be read, or is being removed, counts nothing.
pub(super) fn extent(path: &Path) -> Extent {
    let mut extent = Extent::default();
    let (mut folders, mut seen) = (vec![path.to_owned()], HashSet::new());
    let mut add = |path: &Path, folders: &mut Vec<_>| {
        let Ok(meta) = fs::symlink_metadata(path) else { return };
        if meta.nlink() > 1 && !meta.is_dir() && !seen.insert((meta.dev(), meta.ino())) {
            return;
        }
        // Blocks of 512 bytes: stat(2).
        extent.bytes += meta.blocks() * 512;
        if meta.is_dir() {
            folders.push(path.to_owned());
        }
        extent.has_repository |= path.file_name() == Some(".git".as_ref());
    };
    add(path, &mut Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            add(&entry.path(), &mut folders);
        }
    }
    extent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_counts_once_and_a_link_does_not_lead_elsewhere() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::create_dir_all(at("here/sub")).unwrap();
        fs::write(at("big"), vec![1; 1 << 20]).unwrap();
        std::os::unix::fs::symlink(root.path(), at("here/link")).unwrap();
        fs::write(at("here/sub/one"), vec![1; 1 << 16]).unwrap();
        let once = extent(&at("here"));
        assert!((1 << 16..1 << 18).contains(&once.bytes) && !once.has_repository, "{once:?}");
        fs::hard_link(at("here/sub/one"), at("here/two")).unwrap();
        assert_eq!(extent(&at("here")), once);
        fs::write(at("here/sub/.git"), "gitdir: ../x").unwrap();
        assert!(extent(&at("here")).has_repository);
        assert_eq!(extent(&at("none")), Extent::default());
    }
}
