//! A file that another process appends to.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;

use crate::control::error::{Attempt as _, Result};
use crate::session::store::open_regular;

/// Read buffer size, in bytes.
const CHUNK: usize = 64 * 1024;

/// A growing file, which may not exist yet.
pub(super) struct Growing {
    path: PathBuf,
    file: Option<File>,
}

impl Growing {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self { path, file: None }
    }

    /// Passes on the bytes added since the last call.
    pub(super) fn read(&mut self, each: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let doing = || format!("read {}", self.path.display());
        let file = match &mut self.file {
            Some(file) => file,
            None => match open_regular(&self.path) {
                Ok(file) => self.file.insert(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(error).attempt(doing),
            },
        };
        let mut chunk = vec![0; CHUNK];
        loop {
            match file.read(&mut chunk).attempt(doing)? {
                0 => return Ok(()),
                length => each(&chunk[..length])?,
            }
        }
    }
}
