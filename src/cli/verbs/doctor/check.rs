//! One check: its result, and how to fix it.

use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use anstyle::AnsiColor;
use anyhow::{Context as _, bail};
use serde::Serialize;

use crate::cli::Common;
use crate::cli::ui::output;
use crate::cli::verbs::units;
use crate::control::privilege::Raised;
use crate::service::ServiceManager;

/// The result of a check, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    /// Nothing to do.
    Ok,
    /// Works, but is worth a look.
    Note,
    /// Sessions would not work.
    Broken,
}

/// One check and its result.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Check {
    /// The heading it is listed under.
    pub(super) group: &'static str,
    pub(super) status: Status,
    /// The finding, without a full stop.
    pub(super) what: String,
    /// How to fix it by hand.
    pub(super) remedy: Option<String>,
    /// How `--fix` fixes it.
    #[serde(serialize_with = "as_text")]
    pub(super) fix: Option<Fix>,
}

fn as_text<S: serde::Serializer>(fix: &Option<Fix>, serializer: S) -> Result<S::Ok, S::Error> {
    fix.as_ref().map(ToString::to_string).serialize(serializer)
}

impl Check {
    pub(super) fn ok(group: &'static str, what: impl Into<String>) -> Self {
        Self { group, status: Status::Ok, what: one_line(what), remedy: None, fix: None }
    }

    pub(super) fn note(
        group: &'static str,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let remedy = Some(one_line(remedy)).filter(|remedy| !remedy.is_empty());
        Self { status: Status::Note, remedy, ..Self::ok(group, what) }
    }

    pub(super) fn broken(
        group: &'static str,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { status: Status::Broken, ..Self::note(group, what, remedy) }
    }

    /// The same with commands that can be pasted.
    pub(super) fn pasteable(self, common: &Common) -> Self {
        let remedy = self.remedy.as_deref().map(|remedy| common.command(remedy));
        Self { what: common.command(&self.what), remedy, ..self }
    }

    /// Adds how `--fix` fixes it.
    pub(super) fn fixed_by(self, fix: Fix) -> Self {
        Self { fix: Some(fix), ..self }
    }
}

/// Joins lines: messages of other programs may have several.
fn one_line(text: impl Into<String>) -> String {
    text.into().split_whitespace().collect::<Vec<_>>().join(" ")
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mark, color) = match self.status {
            Status::Ok => ("✓", AnsiColor::Green),
            Status::Note => ("!", AnsiColor::Yellow),
            Status::Broken => ("✗", AnsiColor::Red),
        };
        write!(f, "{} {}", output::painted(color.on_default(), mark), self.what)?;
        match &self.remedy {
            Some(remedy) => write!(f, " → {remedy}"),
            None => Ok(()),
        }
    }
}

/// A fix that `--fix` can apply. All are idempotent.
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
    pub(super) async fn apply(&self, manager: Option<&dyn ServiceManager>) -> anyhow::Result<()> {
        match self {
            Self::Linger | Self::Units => {
                let Some(manager) = manager else { bail!("there is no service manager") };
                // Only this needs root; the fixes below are done as the user.
                let _root = Raised::up()?;
                if *self == Self::Linger {
                    manager.enable_linger().await?;
                } else {
                    units::install(manager).await?;
                }
                Ok(())
            }
            Self::Folder(path) => fs::create_dir_all(path)
                .with_context(|| format!("cannot create {}", path.display())),
            Self::Mode(path, mode) => fs::set_permissions(path, fs::Permissions::from_mode(*mode))
                .with_context(|| format!("cannot set the permissions of {}", path.display())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_one_line_with_its_remedy_that_fits_the_terminal() {
        let check = Check::broken("Git", "git said:\n  no", "install git");
        assert_eq!(
            anstream::adapter::strip_str(&check.to_string()).to_string(),
            "✗ git said: no → install git"
        );
        for (name, width) in crate::cli::ui::layout::WIDTHS {
            let check = Check::note(
                "Project",
                "only 512 MiB free on the disk of /srv/projects/shop-sessions: sessions pause below 1 GiB",
                "free some space, or lower SAMOCODE_DISK_FLOOR",
            );
            let text =
                crate::cli::ui::layout::wrap(&check.to_string(), "  ", "    ", width).join("\n");
            let text = anstream::adapter::strip_str(&text).to_string();
            insta::assert_snapshot!(name, text);
            let fits = |line: &str| width.is_none_or(|width| line.chars().count() <= width);
            assert!(text.lines().all(fits), "{text}");
        }
        let check = Check::note("Git", "odd", "");
        assert_eq!(anstream::adapter::strip_str(&check.to_string()).to_string(), "! odd");
    }
}
