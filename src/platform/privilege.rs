//! Root's power while it works for a user: put down in general, taken up for single steps. Programs
//! that are started meanwhile get none of it.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nix::unistd::{Gid, Uid, User, setegid, seteuid};

/// Root's power, taken up until this is dropped.
#[derive(Debug)]
pub struct Raised {
    before: Option<(Uid, Gid)>,
}

/// Root's power could not be taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot become root again")]
pub struct StaysLow;

/// The user that root works for; `None` where it works for nobody.
fn lowered() -> Option<(Uid, Gid)> {
    let is_low = Uid::current().is_root() && !Uid::effective().is_root();
    is_low.then(|| (Uid::effective(), Gid::effective()))
}

impl Raised {
    /// Takes it up, if it was put down.
    ///
    /// # Errors
    /// [`StaysLow`].
    pub fn up() -> Result<Self, StaysLow> {
        let before = lowered();
        if before.is_some() {
            let raised = seteuid(Uid::from_raw(0)).and_then(|()| setegid(Gid::from_raw(0)));
            raised.map_err(|_| StaysLow)?;
        }
        Ok(Self { before })
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        if let Some((uid, gid)) = self.before {
            let lowered = setegid(gid).and_then(|()| seteuid(uid));
            if lowered.is_err() {
                // Never go on with more power than was meant.
                std::process::abort();
            }
        }
    }
}

/// Makes a program the user's own for whom root works: their id alone, of which it cannot get rid,
/// and their home. Start it with [`started`].
pub fn hand_over(command: &mut Command) {
    let Some((uid, gid)) = lowered() else { return };
    command.uid(uid.as_raw()).gid(gid.as_raw());
    command.env_remove("XDG_CONFIG_HOME");
    if let Some(user) = User::from_uid(uid).ok().flatten() {
        command.env("HOME", user.dir).env("USER", &user.name).env("LOGNAME", user.name);
    }
}

/// Starts a program that was [handed over](hand_over): only root can make its ids the user's for
/// good.
///
/// # Errors
/// Those of `start`, and [`StaysLow`].
pub fn started<T>(start: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let _root = Raised::up().map_err(io::Error::other)?;
    start()
}
