//! One check: its result, and how to fix it.

use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use crate::control::context::Caller;
use crate::control::error::{Attempt as _, Error, Result};
use crate::control::privilege::Raised;
use crate::control::unit_files;
use crate::service::ServiceManager;

use super::{Checked, Group, Status};

/// One check and its result, with the fix that this machine can apply.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Check {
    pub(super) group: Group,
    pub(super) status: Status,
    /// The finding, without a full stop.
    pub(super) what: String,
    /// How to fix it by hand.
    pub(super) remedy: Option<String>,
    /// How `fix` fixes it.
    pub(super) fix: Option<Fix>,
}

impl Check {
    pub(super) fn ok(group: Group, what: impl Into<String>) -> Self {
        Self { group, status: Status::Ok, what: one_line(what), remedy: None, fix: None }
    }

    pub(super) fn note(group: Group, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        let remedy = Some(one_line(remedy)).filter(|remedy| !remedy.is_empty());
        Self { status: Status::Note, remedy, ..Self::ok(group, what) }
    }

    pub(super) fn broken(group: Group, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { status: Status::Broken, ..Self::note(group, what, remedy) }
    }

    /// A check that could not be made, or that failed with this error; its hint is the remedy.
    pub(super) fn failed(group: Group, error: impl Into<Error>) -> Self {
        let Error { message, hint, .. } = error.into();
        Self::broken(group, message, hint.unwrap_or_default())
    }

    /// Adds how `fix` fixes it.
    pub(super) fn fixed_by(self, fix: Fix) -> Self {
        Self { fix: Some(fix), ..self }
    }

    /// The check as it is reported, with commands that the caller can paste.
    pub(super) fn report(&self, caller: &Caller) -> Checked {
        Checked {
            group: self.group,
            status: self.status,
            what: caller.command(&self.what),
            remedy: self.remedy.as_deref().map(|remedy| caller.command(remedy)),
            fix: self.fix.as_ref().map(ToString::to_string),
        }
    }
}

/// Joins lines: messages of other programs may have several.
fn one_line(text: impl Into<String>) -> String {
    text.into().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A fix that can be applied without asking. All are idempotent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fix {
    /// Turns lingering on, so that units keep running after logout.
    Linger,
    /// Installs the shared units and watches the spool.
    Units,
    /// Creates this folder and its parents.
    Folder(PathBuf),
    /// Sets this mode, to remove others' access.
    Mode(PathBuf, u32),
}

impl fmt::Display for Fix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Linger => f.write_str("turn lingering on"),
            Self::Units => f.write_str("install the units and watch for mail"),
            Self::Folder(path) => write!(f, "create {}", path.display()),
            Self::Mode(path, mode) => write!(f, "chmod {mode:o} {}", path.display()),
        }
    }
}

impl Fix {
    pub(super) async fn apply(
        &self,
        caller: &Caller,
        manager: Option<&dyn ServiceManager>,
    ) -> Result<()> {
        match self {
            Self::Linger | Self::Units => {
                let manager =
                    manager.ok_or_else(|| Error::unavailable("there is no service manager"))?;
                // Only this needs root; the fixes below are done as the user.
                let _root = Raised::up()?;
                if *self == Self::Linger {
                    manager.enable_linger().await?;
                } else {
                    unit_files::install(manager, &caller.binary).await?;
                }
                Ok(())
            }
            Self::Folder(path) => {
                fs::create_dir_all(path).attempt(|| format!("create {}", path.display()))
            }
            Self::Mode(path, mode) => {
                let permissions = fs::Permissions::from_mode(*mode);
                fs::set_permissions(path, permissions)
                    .attempt(|| format!("set the permissions of {}", path.display()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_failed_has_the_errors_hint_as_its_remedy() {
        let error = Error::unavailable("git said:\n  no").hint("install git");
        let check = Check::failed(Group::Git, error);
        assert_eq!(check, Check::broken(Group::Git, "git said: no", "install git"));
        assert_eq!(Check::note(Group::Git, "odd", "").remedy, None);
    }
}
