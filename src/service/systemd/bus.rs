//! Finds the manager's socket and connects to it.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use zbus::Connection;
use zbus::connection::Builder;

use super::private;
use crate::service::{Error, Scope};

/// Time limit for one call. A reload with thousands of units takes a second.
const CALL_BOUND: Duration = Duration::from_secs(60);

/// A socket, and whether a message bus or the manager itself is behind it.
#[derive(Debug, PartialEq, Eq)]
struct Door {
    socket: PathBuf,
    is_bus: bool,
}

/// The sockets to try, in order.
///
/// `DBUS_SESSION_BUS_ADDRESS` is ignored: over `sudo -u` and `su` it may be another user's, and if
/// it names a bus elsewhere, systemd is not on it. The manager's own socket always exists.
fn doors(scope: Scope, uid: u32, runtime_dir: Option<PathBuf>) -> Vec<Door> {
    let door = |socket: PathBuf, is_bus| Door { socket, is_bus };
    if scope == Scope::System {
        let bus = door(PathBuf::from("/run/dbus/system_bus_socket"), true);
        let own = door(PathBuf::from("/run/systemd/private"), false);
        return if uid == 0 { vec![bus, own] } else { vec![bus] };
    }
    let usual = PathBuf::from(format!("/run/user/{uid}"));
    let mut dirs: Vec<PathBuf> = runtime_dir.into_iter().filter(|dir| dir.is_absolute()).collect();
    if !dirs.contains(&usual) {
        dirs.push(usual);
    }
    dirs.into_iter()
        .flat_map(|dir| [door(dir.join("bus"), true), door(dir.join("systemd/private"), false)])
        .collect()
}

/// Why a socket cannot be used. If `owner` is given, the socket must belong to them.
fn refusal(socket: &Path, owner: Option<u32>) -> Option<String> {
    let shown = socket.display();
    match std::fs::metadata(socket) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Some(format!("{shown} does not exist"))
        }
        Err(error) => Some(format!("{shown}: {error}")),
        Ok(found) if !found.file_type().is_socket() => Some(format!("{shown} is not a socket")),
        Ok(found) if owner.is_some_and(|owner| found.uid() != owner) => {
            Some(format!("{shown} belongs to another user"))
        }
        Ok(_) => None,
    }
}

async fn open(door: &Door) -> zbus::Result<Connection> {
    let builder = if door.is_bus {
        Builder::unix_stream(UnixStream::connect(&door.socket)?)
    } else {
        private::open(&door.socket).await?
    };
    let connection = builder.method_timeout(CALL_BOUND).build().await?;
    // A bus without systemd on it is useless.
    connection
        .call_method(
            Some("org.freedesktop.systemd1"),
            "/org/freedesktop/systemd1",
            Some("org.freedesktop.DBus.Peer"),
            "Ping",
            &(),
        )
        .await?;
    Ok(connection)
}

/// Connects to the manager of `scope`.
///
/// # Errors
/// [`Error::NoManager`], which lists the sockets that were tried.
pub(super) async fn connect(scope: Scope) -> Result<Connection, Error> {
    let uid = rustix::process::geteuid().as_raw();
    // Only root can write to the system's folders; the socket's owner varies.
    let owner = (scope == Scope::User).then_some(uid);
    let runtime_dir = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let mut tried = Vec::new();
    for door in doors(scope, uid, runtime_dir) {
        if let Some(why) = refusal(&door.socket, owner) {
            tried.push(why);
            continue;
        }
        match open(&door).await {
            Ok(connection) => return Ok(connection),
            Err(error) => tried.push(format!("{}: {error}", door.socket.display())),
        }
    }
    Err(Error::NoManager { scope, why: tried.join("; ") })
}

/// Connects to the system's message bus, to reach logind.
pub(super) async fn system_bus() -> zbus::Result<Connection> {
    Builder::system().method_timeout(CALL_BOUND).build().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_runtime_dir_the_usual_one_is_tried() {
        let sockets = |dir: Option<&str>| -> Vec<String> {
            doors(Scope::User, 1000, dir.map(PathBuf::from))
                .iter()
                .map(|door| door.socket.display().to_string())
                .collect()
        };
        let usual = ["/run/user/1000/bus", "/run/user/1000/systemd/private"];
        assert_eq!(sockets(None), usual);
        assert_eq!(sockets(Some("/run/user/1000")), usual);
        assert_eq!(sockets(Some("relative")), usual);
        assert_eq!(sockets(Some("/run/user/0"))[0], "/run/user/0/bus");
        assert_eq!(sockets(Some("/run/user/0"))[2..], usual);
    }

    #[test]
    fn only_our_own_socket_is_used() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bus");
        let uid = rustix::process::geteuid().as_raw();
        assert!(refusal(&path, Some(uid)).unwrap().ends_with(" does not exist"));
        std::fs::write(&path, "").unwrap();
        assert!(refusal(&path, Some(uid)).unwrap().ends_with(" is not a socket"));
        std::fs::remove_file(&path).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert_eq!(refusal(&path, Some(uid)), None);
        assert!(refusal(&path, Some(uid + 1)).unwrap().ends_with(" belongs to another user"));
    }
}
