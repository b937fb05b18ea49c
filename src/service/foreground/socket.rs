//! The socket for a worker's messages, in a folder of its own. Where the folder for temporary files is on
//! a disk, making both takes up to a millisecond: a thread does that while a worker starts.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use tempfile::TempDir;

/// Its name in its folder.
const NAME: &str = "notify";

/// A socket to receive from, and its folder, which is removed with this.
pub(super) type Made = (UnixDatagram, TempDir);

/// A socket that is made at once or when it is needed.
#[derive(Debug)]
pub(super) struct Socket {
    folder: PathBuf,
    making: Option<JoinHandle<io::Result<Made>>>,
}

impl Socket {
    /// One that is not made yet, in a folder that does not exist.
    pub(super) const fn in_folder(folder: PathBuf) -> Self {
        Self { folder, making: None }
    }

    /// Where it is, or will be.
    pub(super) fn path(&self) -> PathBuf {
        self.folder.join(NAME)
    }

    /// Starts to make it, unless a limit on processes allows no thread.
    pub(super) fn make_aside(&mut self) {
        let folder = self.folder.clone();
        self.making = thread::Builder::new().spawn(move || make(&folder)).ok();
    }

    /// The socket, once it is made.
    ///
    /// # Errors
    /// If it cannot be made.
    pub(super) fn made(mut self) -> io::Result<Made> {
        match self.making.take().map(JoinHandle::join) {
            Some(Ok(made)) => made,
            Some(Err(_)) | None => make(&self.folder),
        }
    }
}

/// Nobody needs it: its folder goes away before this process does.
impl Drop for Socket {
    fn drop(&mut self) {
        let _ = self.making.take().map(JoinHandle::join);
    }
}

fn make(folder: &Path) -> io::Result<Made> {
    let (parent, name) = (folder.parent().unwrap_or(folder), folder.file_name());
    let made =
        tempfile::Builder::new().prefix(name.unwrap_or_default()).rand_bytes(0).tempdir_in(parent);
    let made = made.map_err(|error| match error.kind() {
        kind @ (io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {
            let hint = "set TMPDIR to a folder that you may write to";
            io::Error::new(kind, format!("{error}: {hint}"))
        }
        _ => error,
    })?;
    let socket = UnixDatagram::bind(made.path().join(NAME))?;
    socket.set_nonblocking(true)?;
    Ok((socket, made))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_made_at_once_or_when_it_is_needed_and_leaves_nothing_behind() {
        let place = tempfile::tempdir().unwrap();
        let is_empty = || std::fs::read_dir(place.path()).unwrap().next().is_none();
        for at_once in [true, false] {
            let mut socket = Socket::in_folder(place.path().join("run"));
            if at_once {
                socket.make_aside();
            }
            let path = socket.path();
            let (socket, folder) = socket.made().unwrap();
            UnixDatagram::unbound().unwrap().send_to(b"READY=1", path).unwrap();
            assert_eq!(socket.recv(&mut [0; 16]).unwrap(), 7);
            drop(folder);
            assert!(is_empty());
        }
        let mut socket = Socket::in_folder(place.path().join("run"));
        socket.make_aside();
        drop(socket);
        assert!(is_empty());
        let error = Socket::in_folder(place.path().join("none/run")).made().unwrap_err();
        assert!(error.to_string().contains("TMPDIR"), "{error}");
    }
}
