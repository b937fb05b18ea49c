//! Root's privileges in system scope. The verbs run as root, for the service manager and `/etc`, but
//! a session's files belong to the user it runs as. So root's privileges are dropped first and
//! regained only where they are needed.

use nix::unistd::{Uid, User, setegid, seteuid};

use crate::config::Env;
use crate::platform::groups;
pub(crate) use crate::platform::privilege::Raised;
use crate::service::Scope;

use super::context::Caller;
use super::error::{Attempt as _, Error, Result};

/// The user that a session of the system's service manager runs as.
#[derive(Debug, Clone)]
pub(crate) struct RunAs(User);

impl RunAs {
    /// The user's numeric id, as the service manager records it.
    pub(crate) const fn uid(&self) -> u32 {
        self.0.uid.as_raw()
    }

    /// The user's name.
    pub(crate) fn name(&self) -> &str {
        &self.0.name
    }

    /// The user that root acts for: the one `named` with `--run-as`, else the `owner` of the
    /// session's unit, else the user who called sudo. `None` if none of these is known, or if the
    /// caller is not root.
    ///
    /// # Errors
    /// If the user does not exist, or is root: agents refuse to run as root.
    pub(crate) fn choose(
        caller: &Caller,
        named: Option<&str>,
        owner: Option<u32>,
    ) -> Result<Option<Self>> {
        // The real user: an earlier call of this process may have lowered the effective one.
        if caller.scope != Scope::System || !Uid::current().is_root() {
            if let Some(name) = named {
                return Err(Error::usage(format!("--run-as {name} needs root and --system"))
                    .hint(format!("sudo samocode enable --system --run-as {name} …")));
            }
            return Ok(None);
        }
        let user = match named {
            Some(name) => User::from_name(name).ok().flatten().ok_or_else(|| {
                Error::usage(format!("there is no user '{name}'"))
                    .hint("give an existing user with --run-as USER")
            })?,
            None => {
                let by_sudo = || caller.env.text("SUDO_UID").and_then(|uid| uid.parse().ok());
                match owner
                    .or_else(by_sudo)
                    .and_then(|uid| User::from_uid(Uid::from_raw(uid)).ok().flatten())
                {
                    Some(user) => user,
                    None => return Ok(None),
                }
            }
        };
        if user.uid.is_root() {
            if named.is_none() {
                return Ok(None);
            }
            return Err(Error::usage("agents refuse to run as root")
                .hint("name another user with --run-as USER"));
        }
        Ok(Some(Self(user)))
    }

    /// Drops root's privileges until the program ends, except while a [`Raised`] exists.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub(crate) fn lower(&self) -> Result<()> {
        let user = &self.0;
        let action = || format!("act as {}", user.name);
        let name = std::ffi::CString::new(user.name.as_str()).attempt(action)?;
        let lower = || -> std::io::Result<()> {
            seteuid(Uid::from_raw(0))?;
            groups::take_those_of(&name, user.gid)?;
            setegid(user.gid)?;
            Ok(seteuid(user.uid)?)
        };
        lower().attempt(action)
    }

    /// Turns root's environment into the user's, as units see it.
    pub(crate) fn environment(&self, env: Env) -> Env {
        let user = &self.0;
        let roots = |name: &str| name.starts_with("XDG_") || name.starts_with("SUDO_");
        let mut env: Env =
            env.into_iter().filter(|(name, _)| !roots(&name.to_string_lossy())).collect();
        env.set("HOME", user.dir.clone());
        env.set("USER", user.name.clone());
        env.set("LOGNAME", user.name.clone());
        env
    }
}
