//! The folder through which a confined agent's samocode makes its calls: its worker has them
//! performed outside of the cage.
//!
//! ```text
//! TMPDIR/samocode-calls/
//!   ID.call    a call, until it is taken; whoever makes it holds its flock for as long as it wants a reply
//!   ID.reply   its reply; empty if whoever performed it died
//!   work.json  where the agent's own commits are, if it has a repository of its own
//!   ID.bundle  commits of its branch that the project's repository lacks
//!   bell       a FIFO: a byte tells the worker that there is a call
//! ```
//!
//! The agent can write all of it. So outside of the cage nothing there is reached through a link, nothing
//! but regular files of a bounded size is read, and what is written was not there before. It goes away with
//! the run's folder for temporary files.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::sys::stat;
use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags};
use serde::{Deserialize, Serialize};

/// Names the folder, in the environment of a confined agent whose worker takes calls.
pub const CALLS: &str = "SAMOCODE_CALLS";

/// Its name in the run's folder for temporary files.
const FOLDER: &str = "samocode-calls";
const BELL: &str = "bell";
const CALL: &str = ".call";
const REPLY: &str = ".reply";
const NEW: &str = ".new";
const BUNDLE: &str = ".bundle";
const WORK: &str = "work.json";

/// The most that a call may have, in bytes.
pub const MOST: u64 = 1 << 20;

/// The most that a bundle may have, in bytes.
const MOST_BUNDLE: u64 = 1 << 30;

/// Where the commits of an agent with a repository of its own are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnWork {
    /// Its worktree.
    pub worktree: PathBuf,
    /// The branch that is the session's.
    pub branch: String,
    /// The commit up to which the project's repository has that branch.
    pub base: String,
}

/// The folder with the calls of a run.
#[derive(Debug, Clone)]
pub struct Calls(PathBuf);

/// A call that was left to the worker. Dropping it says that nobody waits for a reply any more.
#[derive(Debug)]
pub struct Left {
    calls: Calls,
    id: String,
    /// Locked for as long as a reply is wanted.
    _wanted: File,
}

/// A call that was taken, to be performed.
#[derive(Debug)]
pub struct Taken {
    /// What is to be done, as its caller wrote it.
    pub bytes: Vec<u8>,
    file: File,
}

impl Calls {
    /// The folder at this path.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Makes the folder and its bell, for a run.
    ///
    /// # Errors
    /// The file system's.
    pub fn make(temporary: &Path) -> io::Result<Self> {
        let path = temporary.join(FOLDER);
        fs::create_dir(&path)?;
        nix::unistd::mkfifo(&path.join(BELL), stat::Mode::S_IRUSR | stat::Mode::S_IWUSR)?;
        Ok(Self(path))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The path of its bell.
    #[must_use]
    pub fn bell(&self) -> PathBuf {
        self.0.join(BELL)
    }

    /// Notes where the agent's commits are, before it runs.
    ///
    /// # Errors
    /// The file system's.
    pub fn note_work(&self, work: &OwnWork) -> io::Result<()> {
        fs::write(self.0.join(WORK), serde_json::to_vec(work)?)
    }

    /// Where the agent's commits are, as it was noted.
    #[must_use]
    pub fn work(&self) -> Option<OwnWork> {
        serde_json::from_slice(&fs::read(self.0.join(WORK)).ok()?).ok()
    }

    /// The path for a new bundle, and its ID.
    #[must_use]
    pub fn new_bundle(&self) -> (PathBuf, String) {
        let id = uuid::Uuid::now_v7().to_string();
        (self.0.join(format!("{id}{BUNDLE}")), id)
    }

    /// Copies a bundle out of the folder.
    ///
    /// # Errors
    /// The file system's; if it is no regular file, or too large.
    pub fn copy_bundle(&self, id: &str, to: &Path) -> io::Result<()> {
        let name = named(id, BUNDLE)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::openat(self.open()?, &name, flags, Mode::empty())?);
        let meta = file.metadata()?;
        if !meta.is_file() || meta.len() > MOST_BUNDLE {
            return Err(io::Error::other(format!("it is no file of at most {MOST_BUNDLE} bytes")));
        }
        io::copy(&mut file.take(MOST_BUNDLE), &mut File::create_new(to)?)?;
        Ok(())
    }

    /// Leaves a call to the worker, from inside of the cage.
    ///
    /// # Errors
    /// The file system's.
    pub fn leave(&self, bytes: &[u8]) -> io::Result<Left> {
        let id = uuid::Uuid::now_v7().to_string();
        let new = self.0.join(format!("{id}{NEW}"));
        let mut file = File::create_new(&new)?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        file.write_all(bytes)?;
        fs::rename(&new, self.0.join(format!("{id}{CALL}")))?;
        self.ring();
        Ok(Left { calls: self.clone(), id, _wanted: file })
    }

    /// Tells the worker that there is something to do. Without a bell it looks every few seconds.
    pub fn ring(&self) {
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        if let Ok(bell) = rustix::fs::open(self.bell(), flags, Mode::empty()) {
            // A full pipe has rung already.
            let _ = rustix::io::write(&bell, b"!");
        }
    }

    /// The calls that were not taken, oldest first.
    #[must_use]
    pub fn waiting(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut ids: Vec<String> =
            names.filter_map(|name| name.strip_suffix(CALL).map(str::to_owned)).collect();
        ids.retain(|id| is_id(id));
        ids.sort_unstable();
        ids
    }

    /// Whether somebody waits for the reply to a call. What else lies there is none.
    #[must_use]
    pub fn is_wanted(&self, id: &str) -> bool {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = || -> io::Result<File> {
            let name = named(id, CALL)?;
            Ok(rustix::fs::openat(self.open()?, &name, flags, Mode::empty())?.into())
        };
        opened().is_ok_and(|file| {
            let lock = rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared);
            file.metadata().is_ok_and(|meta| meta.is_file()) && lock.is_err()
        })
    }

    /// Takes a call, to perform it.
    ///
    /// # Errors
    /// The file system's; if it is no regular file, or too large.
    pub fn take(&self, id: &str) -> io::Result<Taken> {
        let folder = self.open()?;
        let name = named(id, CALL)?;
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&folder, &name, flags, Mode::empty());
        self.remove_in(&folder, &name);
        let file = File::from(opened?);
        let meta = file.metadata()?;
        if !meta.is_file() || meta.len() > MOST {
            return Err(io::Error::other(format!("it is no file of at most {MOST} bytes")));
        }
        let mut bytes = Vec::new();
        (&file).take(MOST).read_to_end(&mut bytes)?;
        Ok(Taken { bytes, file })
    }

    /// Removes a call that nobody takes.
    pub fn discard(&self, id: &str) {
        if let (Ok(folder), Ok(name)) = (self.open(), named(id, CALL)) {
            self.remove_in(&folder, &name);
        }
    }

    /// Writes the reply to a call.
    ///
    /// # Errors
    /// The file system's.
    pub fn reply(&self, id: &str, bytes: &[u8]) -> io::Result<()> {
        let folder = self.open()?;
        let (new, name) = (format!("{}{NEW}", uuid::Uuid::new_v4()), named(id, REPLY)?);
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::openat(&folder, &new, flags, Mode::RUSR)?);
        file.write_all(bytes)?;
        Ok(rustix::fs::renameat(&folder, &new, &folder, &name)?)
    }

    fn open(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::open(&self.0, flags, Mode::empty())?)
    }

    /// Removes a file; a folder is moved out of the way of the calls.
    fn remove_in(&self, folder: &OwnedFd, name: &str) {
        let is_folder = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|meta| FileType::from_raw_mode(meta.st_mode) == FileType::Directory);
        let removed = if is_folder {
            let aside = format!("{name}.{}", uuid::Uuid::new_v4().simple());
            rustix::fs::renameat(folder, name, folder, aside)
        } else {
            rustix::fs::unlinkat(folder, name, AtFlags::empty())
        };
        if let Err(error) = removed
            && error != rustix::io::Errno::NOENT
        {
            tracing::info!("cannot remove the call {name}: {error}");
        }
    }
}

impl Left {
    /// Whether somebody has taken it.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.calls.0.join(format!("{}{CALL}", self.id)).symlink_metadata().is_err()
    }

    /// The reply, once it is there.
    ///
    /// # Errors
    /// The file system's.
    pub fn reply(&self) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.reply_file()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some),
        }
    }

    fn reply_file(&self) -> PathBuf {
        self.calls.0.join(format!("{}{REPLY}", self.id))
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.calls.0.join(format!("{}{CALL}", self.id)));
        let _ = fs::remove_file(self.reply_file());
    }
}

impl Taken {
    /// Waits until nobody wants a reply any more: whoever made the call has ended.
    pub fn until_unwanted(&self) {
        while rustix::fs::flock(&self.file, FlockOperation::LockExclusive)
            == Err(rustix::io::Errno::INTR)
        {}
    }
}

/// Whether a name is that of a call.
fn is_id(id: &str) -> bool {
    uuid::Uuid::try_parse(id).is_ok_and(|read| read.hyphenated().to_string() == id)
}

fn named(id: &str, suffix: &str) -> io::Result<String> {
    if is_id(id) {
        return Ok(format!("{id}{suffix}"));
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("'{id}' is no call")))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    use super::*;

    const ID: &str = "0193a0c4-6a5e-7000-8000-000000000000";

    fn made() -> (tempfile::TempDir, Calls) {
        let root = tempfile::tempdir().unwrap();
        let calls = Calls::make(root.path()).unwrap();
        (root, calls)
    }

    #[test]
    fn a_call_is_taken_once_and_its_reply_reaches_whoever_made_it() {
        let (_root, calls) = made();
        let left = calls.leave(b"do it").unwrap();
        let waiting = calls.waiting();
        assert_eq!((waiting.len(), left.is_taken()), (1, false));
        assert!(calls.is_wanted(&waiting[0]));
        let taken = calls.take(&waiting[0]).unwrap();
        assert_eq!(taken.bytes, b"do it");
        assert!(left.is_taken() && calls.waiting().is_empty() && calls.take(&waiting[0]).is_err());
        assert_eq!(left.reply().unwrap(), None);
        calls.reply(&waiting[0], b"done").unwrap();
        assert_eq!(left.reply().unwrap().as_deref(), Some(&b"done"[..]));
        // Once it has gone, whoever performs it learns that.
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            taken.until_unwanted();
            tell.send(()).unwrap();
        });
        drop(left);
        told.recv_timeout(Duration::from_secs(60)).unwrap();
        assert_eq!(fs::read_dir(calls.path()).unwrap().count(), 1, "only the bell");
    }

    #[test]
    fn nothing_but_small_regular_files_in_the_folder_itself_are_calls() {
        let (root, calls) = made();
        let secret = root.path().join("secret");
        fs::write(&secret, "s").unwrap();
        let file = calls.path().join(format!("{ID}.call"));
        let place: [&dyn Fn(); 4] = [
            &|| symlink(&secret, &file).unwrap(),
            &|| nix::unistd::mkfifo(&file, stat::Mode::S_IRWXU).unwrap(),
            &|| File::create(&file).unwrap().set_len(MOST + 1).unwrap(),
            &|| fs::create_dir(&file).unwrap(),
        ];
        for place in place {
            place();
            assert_eq!(calls.waiting(), [ID]);
            assert!(!calls.is_wanted(ID) && calls.take(ID).is_err());
            assert!(calls.waiting().is_empty(), "it is in nobody's way");
        }
        for name in ["../../secret", "secret", ""] {
            assert!(calls.take(name).is_err() && calls.reply(name, b"").is_err(), "{name}");
        }
        assert_eq!(fs::read(&secret).unwrap(), b"s");

        // What lies where a reply goes is replaced, and a link in its place is not followed.
        symlink(&secret, calls.path().join(format!("{ID}.reply"))).unwrap();
        calls.reply(ID, b"done").unwrap();
        assert_eq!(fs::read(&secret).unwrap(), b"s");
        let elsewhere = root.path().join("elsewhere");
        fs::rename(calls.path(), &elsewhere).unwrap();
        symlink(&elsewhere, calls.path()).unwrap();
        assert!(calls.reply(ID, b"done").is_err() && calls.take(ID).is_err());
    }
}
