//! Files of which git has no copy: only their content can show whether they lost data.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::Window;
use super::index::git;
use super::settle::changed;
use crate::git::Error;
use crate::git::plain;

/// In bytes. Of a larger text only the end is read.
const READ: u64 = 16 << 20;
/// How many bytes of that end are read.
const END: u64 = 4096;

/// Untracked files of a worktree, ignored ones left out, that were written shortly before the
/// machine went down and seem to have lost their data.
pub(super) async fn untracked(worktree: &Path, window: &Window) -> Result<Vec<PathBuf>, Error> {
    let list = ["ls-files", "--others", "--exclude-standard", "-z"].map(OsStr::new);
    let listed = git(worktree, None, &list, &[]).await?;
    let names = listed.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let paths = names.map(|name| PathBuf::from(OsStr::from_bytes(name)));
    Ok(paths.filter(|path| lost_data(&worktree.join(path), window)).collect())
}

/// Whether a regular file was written shortly before the machine went down and lost its data: it is
/// empty, all NUL bytes, or a text with NUL bytes in it.
#[must_use]
pub fn lost_data(path: &Path, window: &Window) -> bool {
    let Ok(meta) = fs::symlink_metadata(path) else { return false };
    meta.is_file()
        && window.covers(changed(&meta))
        && (meta.len() == 0 || has_holes(path, meta.len()).unwrap_or(false))
}

fn has_holes(path: &Path, length: u64) -> std::io::Result<bool> {
    let mut file = plain::open(path)?;
    let mut bytes = Vec::new();
    if length > READ {
        file.seek(SeekFrom::Start(length - END))?;
        file.read_to_end(&mut bytes)?;
        return Ok(bytes.iter().all(|byte| *byte == 0));
    }
    file.read_to_end(&mut bytes)?;
    // NUL bytes are valid UTF-8.
    Ok(bytes.contains(&0) && std::str::from_utf8(&bytes).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::time::{Duration, SystemTime};

    #[test]
    fn what_has_no_data_is_told_from_what_has() {
        let folder = tempfile::tempdir().unwrap();
        let day = Duration::from_secs(86_400);
        let ago = |days: u32| SystemTime::now() - day * days;
        let window = Window { since: ago(1), booted: None };
        let path = folder.path().join("file");
        for (bytes, lost) in [
            (&b""[..], true),
            (&[0; 9], true),
            (b"a line\n\0\0\0", true),
            (b"a line\n", false),
            (&[0xff, 0, 0], false),
        ] {
            fs::write(&path, bytes).unwrap();
            assert_eq!(lost_data(&path, &window), lost, "{bytes:?}");
        }
        fs::write(&path, "").unwrap();
        assert!(!lost_data(&path, &Window { since: SystemTime::now() + day, booted: None }));
        assert!(!lost_data(&path, &Window { since: ago(2), booted: Some(ago(1)) }));
        assert!(!lost_data(folder.path(), &window));
        File::create(&path).unwrap().set_len(READ + 1).unwrap();
        assert!(lost_data(&path, &window));
    }
}
