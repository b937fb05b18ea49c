//! Where pages are served, noted on the disk for later calls that print a link.
//!
//! Whoever serves them holds a lock on the note. A note that nobody holds is not believed: after a
//! crash another user's program may listen there, and must not be sent a link.

use std::fs::{self, File, TryLockError};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::control::{Error, Result};
use crate::session::store;

/// The longest time from a connection to a unit's socket until its service holds the note.
const STARTS: Duration = Duration::from_secs(5);

/// What the address of a proxy begins with.
const TLS: &str = "https://";

/// Where pages are served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    /// The beginning of links.
    base: String,
    /// The address or the path of the socket.
    at: String,
}

impl Note {
    fn write(&self, path: &Path) -> Result<()> {
        store::make_folder(path.parent().unwrap_or(path))?;
        store::replace(path, &serde_json::to_vec(self)?)?;
        Ok(())
    }

    fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    /// Whether somebody listens there. A unit's socket starts it.
    fn answers(&self) -> bool {
        if self.at.starts_with('/') {
            return UnixStream::connect(&self.at).is_ok();
        }
        let Ok(mut address) = self.at.parse::<SocketAddr>() else { return false };
        if address.ip().is_unspecified() {
            address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
    }
}

/// A note that is removed when the pages are no longer served. The one of a unit stays: its socket
/// starts it again.
pub(super) struct Published {
    path: PathBuf,
    note: Note,
    stays: bool,
    /// Locked for as long as it is open.
    _held: File,
}

impl Drop for Published {
    fn drop(&mut self) {
        if !self.stays && Note::read(&self.path).as_ref() == Some(&self.note) {
            // A note that stays behind is not believed.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Notes that a unit listens on this port of the loopback interface, perhaps behind a proxy that
/// browsers know by this host, or that it no longer does.
pub(super) fn note_unit(state: &Path, port: Option<u16>, host: Option<&str>) -> Result<()> {
    let path = note_path(state, true);
    match port {
        Some(port) => {
            let at = format!("127.0.0.1:{port}");
            let base = host.map_or_else(|| format!("http://{at}"), |host| format!("{TLS}{host}"));
            Note { base, at }.write(&path)
        }
        None => Ok(store::remove(&path)?),
    }
}

/// The host of the proxy that the unit was set up for, if there is one.
pub(super) fn proxy_of_unit(state: &Path) -> Option<String> {
    Some(Note::read(&note_path(state, true))?.base.strip_prefix(TLS)?.to_owned())
}

fn note_path(state: &Path, is_unit: bool) -> PathBuf {
    state.join("web").join(if is_unit { "unit" } else { "running" })
}

/// The beginning of links to pages that are served now.
pub(super) fn running(state: &Path) -> Option<String> {
    let own = note_path(state, false);
    if is_held(&own)
        && let Some(note) = Note::read(&own).filter(Note::answers)
    {
        return Some(note.base);
    }
    let unit = note_path(state, true);
    // The connection starts the service, which then holds the note.
    Note::read(&unit).filter(Note::answers)?;
    let bound = Instant::now() + STARTS;
    while !is_held(&unit) {
        if Instant::now() > bound {
            return None;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Note::read(&unit).map(|note| note.base)
}

/// Whether a process serves what the note says.
fn is_held(path: &Path) -> bool {
    File::open(path)
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Notes that the pages at `base` are served by the socket `at`, for as long as what is returned is
/// kept. The note of a unit stays.
pub(super) fn publish(state: &Path, base: &str, at: String, is_unit: bool) -> Result<Published> {
    let note = Note { base: base.to_owned(), at };
    let path = note_path(state, is_unit);
    note.write(&path)?;
    let held = File::open(&path)
        .and_then(|file| file.lock().map(|()| file))
        .map_err(|error| Error::unavailable(format!("cannot hold {}: {error}", path.display())))?;
    Ok(Published { path, note, stays: is_unit, _held: held })
}
