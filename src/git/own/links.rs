//! Takes out of a session's repository what git never puts there: it would write through a link,
//! wherever that leads, and wait at a pipe for ever.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::io;
use super::put_back::{put, remove};
use crate::git::Error;

/// What is looked at, and refused, when something is fetched.
const CHECKED: [&str; 2] = ["objects", "refs"];

/// Takes links, pipes and the like out of a repository. Call it only while no agent of the session runs.
pub(super) fn take_out_links(repository: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(repository).map_err(io("read", repository))? {
        let entry = entry.map_err(io("read", repository))?;
        if !CHECKED.iter().any(|name| entry.file_name() == *name) {
            take_out(&entry)?;
        }
    }
    Ok(())
}

fn take_out(entry: &fs::DirEntry) -> Result<(), Error> {
    let path = entry.path();
    let kind = entry.file_type().map_err(io("look at", &path))?;
    if kind.is_dir() {
        for below in fs::read_dir(&path).map_err(io("read", &path))? {
            take_out(&below.map_err(io("read", &path))?)?;
        }
    } else if kind.is_symlink() {
        match reference(&path) {
            Some(line) => put(&path, &line)?,
            None => remove(&path)?,
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
