//! Root's privileges while it acts for a user: dropped most of the time, regained for single steps.
//! Programs started meanwhile do not get them.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nix::unistd::{Gid, Uid, User, setegid, seteuid};

/// Holds root's privileges until dropped.
#[derive(Debug)]
pub struct Raised {
    before: Option<(Uid, Gid)>,
}

/// Root's privileges could not be regained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot become root again")]
pub struct StaysLow;

/// The user that root acts for; `None` if its privileges have not been dropped.
fn lowered() -> Option<(Uid, Gid)> {
    let is_low = Uid::current().is_root() && !Uid::effective().is_root();
    is_low.then(|| (Uid::effective(), Gid::effective()))
}

impl Raised {
    /// Regains root's privileges, if they were dropped.
    ///
    /// # Errors
    /// [`StaysLow`], if the operating system refuses.
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
                // Never continue with more privileges than intended.
                std::process::abort();
            }
        }
    }
}

/// Makes a program run entirely as the user that root acts for: with their ids, which it cannot
/// change back, and their home folder. Start it with [`started`].
pub fn hand_over(command: &mut Command) {
    let Some((uid, gid)) = lowered() else { return };
    command.uid(uid.as_raw()).gid(gid.as_raw());
    command.env_remove("XDG_CONFIG_HOME");
    if let Some(user) = User::from_uid(uid).ok().flatten() {
        command.env("HOME", user.dir).env("USER", &user.name).env("LOGNAME", user.name);
    }
}

/// Starts a program that was [handed over](hand_over). Does so as root, since only root can give up
/// its real and saved ids.
///
/// # Errors
/// Those of `start`, and [`StaysLow`].
pub fn started<T>(start: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let _root = Raised::up().map_err(io::Error::other)?;
    start()
}

/// Whether no program that this process starts can gain privileges, whatever its file's mode says:
/// hardened units have it so.
#[must_use]
pub fn are_never_gained() -> bool {
    #[cfg(target_os = "linux")]
    {
        rustix::thread::no_new_privs().unwrap_or(false)
    }
    #[cfg(not(target_os = "linux"))]
    {
        false
    }
}
