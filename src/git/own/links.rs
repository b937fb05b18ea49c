//! Takes out of a session's repository what git never puts there: it would write through a link,
//! wherever that leads, and wait at a pipe for ever.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::io;
use super::put_back::{REPEATED, put, remove};
use crate::git::Error;

/// Takes links, pipes and the like out of a repository. Call it only while no agent of the session runs.
/// Objects are looked at when they are fetched, and so are links among references.
pub(super) fn take_out_links(repository: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(repository).map_err(io("read", repository))? {
        let entry = entry.map_err(io("read", repository))?;
        let name = entry.file_name();
        if name != "objects" {
            let is_refused = name == "refs" || REPEATED.iter().any(|file| name == *file);
            take_out(&entry, !is_refused)?;
        }
    }
    Ok(())
}

fn take_out(entry: &fs::DirEntry, with_links: bool) -> Result<(), Error> {
    let path = entry.path();
    let kind = entry.file_type().map_err(io("look at", &path))?;
    if kind.is_dir() {
        for below in fs::read_dir(&path).map_err(io("read", &path))? {
            take_out(&below.map_err(io("read", &path))?, with_links)?;
        }
    } else if kind.is_symlink() {
        match reference(&path).filter(|_| with_links) {
            Some(line) => put(&path, &line)?,
            None if with_links => remove(&path)?,
            None => {}
        }
    } else if !kind.is_file() {
        remove(&path)?;
    }
    Ok(())
}

/// What a reference says that is a link to another one, as `core.preferSymlinkRefs` makes them.
fn reference(link: &Path) -> Option<Vec<u8>> {
    let target = fs::read_link(link).ok()?;
    let is_reference = target.starts_with("refs") && !target.iter().any(|part| part == "..");
    is_reference.then(|| [b"ref: ", target.as_os_str().as_bytes(), b"\n"].concat())
}
