//! A range of TCP ports for each session, `SAMOCODE_PORT_BASE`, so that the servers which agents
//! start side by side do not fight over one. A session keeps its range: a link that is named after
//! the range and points to the session's folder.
//!
//! ```text
//! $XDG_STATE_HOME/samocode/ports/20000 -> …/sessions/26-11-20-jwt-login
//! ```

use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::session::store::{self, StoreError};

/// The first port of the first range. All lie below those that the kernel gives out on its own.
const FIRST: u16 = 20_000;
/// How many ports a range has.
const SIZE: u16 = 20;
/// How many ranges there are.
const RANGES: u16 = 600;

/// The first port of the session's range. `None` if all are taken.
///
/// # Errors
/// Those of the disk.
pub fn base(state_dir: &Path, session: &Path) -> Result<Option<u16>, StoreError> {
    let folder = state_dir.join("ports");
    store::make_folder(&folder)?;
    let failed = |action, path: &Path, source| StoreError { action, path: path.to_owned(), source };
    // One at a time, or two could replace the link of the same removed session.
    let lock = fs::File::open(&folder).map_err(|error| failed("open", &folder, error))?;
    // If the file system does not support locks, go without.
    let _ = lock.lock();
    let entries = fs::read_dir(&folder).map_err(|error| failed("read", &folder, error))?;
    let mut taken: HashMap<u16, PathBuf> = HashMap::new();
    for entry in entries.flatten() {
        let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
        if let (Some(number), Ok(owner)) = (number, fs::read_link(entry.path())) {
            taken.insert(number, owner);
        }
    }
    let all = || (0..RANGES).map(|range| FIRST + range * SIZE);
    if let Some(own) = all().find(|base| taken.get(base).is_some_and(|owner| owner == session)) {
        return Ok(Some(own));
    }
    for base in all() {
        let link = folder.join(base.to_string());
        match taken.get(&base) {
            Some(owner) if owner.exists() => continue,
            // Its session was removed.
            Some(_) => match fs::remove_file(&link) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(failed("remove", &link, error));
                }
                _ => {}
            },
            None => {}
        }
        match symlink(session, &link) {
            Ok(()) => return Ok(Some(base)),
            // Something else is there.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed("create", &link, error)),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_session_keeps_a_range_of_its_own_until_it_is_removed() {
        let root = tempfile::tempdir().unwrap();
        let session = |name: &str| {
            let folder = root.path().join(name);
            fs::create_dir_all(&folder).unwrap();
            folder
        };
        let of = |folder: &Path| base(root.path(), folder).unwrap();
        let (one, two) = (session("one"), session("two"));
        assert_eq!((of(&one), of(&two), of(&one)), (Some(20_000), Some(20_020), Some(20_000)));
        fs::remove_dir(&one).unwrap();
        assert_eq!((of(&two), of(&session("three"))), (Some(20_020), Some(20_000)));
    }

    #[test]
    fn the_ranges_end_below_the_kernels_own_and_nobody_gets_one_that_is_taken() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("s");
        fs::create_dir(&folder).unwrap();
        let all: Vec<_> = (0..RANGES)
            .map(|number| {
                let session = folder.join(number.to_string());
                fs::create_dir(&session).unwrap();
                base(root.path(), &session).unwrap().unwrap()
            })
            .collect();
        assert!(all.last().unwrap() + SIZE <= 32_768);
        let late = folder.join("late");
        assert_eq!(base(root.path(), &late).unwrap(), None);
    }
}
