//! A file that another process appends to.

use std::io::{self, Read};
use std::path::PathBuf;

use crate::control::error::{Attempt as _, Result};
use crate::session::store::{open_log, open_log_end};

/// Read buffer size, in bytes.
const CHUNK: usize = 64 * 1024;

/// A growing file, which may not exist yet.
pub(super) struct Growing {
    path: PathBuf,
    file: Option<Box<dyn Read + Send>>,
    /// Of what is there when it is opened, only about so many bytes at the end.
    end: Option<u64>,
}

impl Growing {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self::at_end(path, None)
    }

    /// Begins with the first line among the last `end` bytes.
    pub(super) const fn at_end(path: PathBuf, end: Option<u64>) -> Self {
        Self { path, file: None, end }
    }

    /// Passes on the bytes added since the last call.
    pub(super) fn read(&mut self, each: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let doing = || format!("read {}", self.path.display());
        let file = match &mut self.file {
            Some(file) => file,
            None => match self
                .end
                .map_or_else(|| open_log(&self.path), |end| open_log_end(&self.path, end))
            {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_an_agent_puts_in_the_place_of_a_log_is_neither_followed_nor_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let logs = crate::session::store::Folder::new(folder.path()).logs();
        std::fs::create_dir(&logs).unwrap();
        let key = folder.path().join("key");
        std::fs::write(&key, "private\n").unwrap();
        let read = |name: &str| {
            let mut said = Vec::new();
            let done = Growing::new(logs.join(name)).read(&mut |bytes| {
                said.extend_from_slice(bytes);
                Ok(())
            });
            (done.is_ok(), said)
        };
        symlink(&key, logs.join("link.jsonl")).unwrap();
        std::fs::hard_link(&key, logs.join("name.jsonl")).unwrap();
        let fifo = std::process::Command::new("mkfifo").arg(logs.join("fifo.jsonl")).status();
        assert!(fifo.unwrap().success());
        for name in ["link.jsonl", "name.jsonl", "fifo.jsonl"] {
            assert_eq!(read(name), (false, Vec::new()), "{name}");
        }
        std::fs::write(logs.join("log.jsonl"), "line\n").unwrap();
        assert_eq!(read("log.jsonl"), (true, b"line\n".to_vec()));
        assert_eq!(read("missing.jsonl"), (true, Vec::new()));
    }
}
