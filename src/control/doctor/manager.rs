//! Checks of the service manager and its version, lingering, journald, the units and the spool.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::control::error::Result;
use crate::service::{
    self, About, Active, Enablement, Installed, Scope, ServiceManager, Shared, Spool,
};

use super::check::{Check, Fix};
use super::{Group, Patient, launchd};

pub(super) async fn look(patient: &Patient) -> Vec<Check> {
    let scope = patient.caller.scope;
    let manager = match &patient.manager {
        Ok(manager) => manager.as_ref(),
        Err(error) => {
            return vec![Check::failed(Group::Manager, error)];
        }
    };
    let about = match manager.about().await {
        Ok(about) => about,
        Err(error) => return vec![Check::failed(Group::Manager, error)],
    };
    let mut checks = if service::launchd::is_used() {
        launchd::look(patient, &about).await
    } else {
        vec![of_manager(&about), lingering(manager).await, journald(scope).await]
    };
    checks.extend(units(manager, scope, &patient.caller.binary).await);
    checks.extend(spool(scope));
    checks
}

fn of_manager(about: &About) -> Check {
    if about.lacks.is_empty() {
        Check::ok(Group::Manager, about.name.clone())
    } else {
        Check::note(
            Group::Manager,
            format!("{} is old: {}", about.name, about.lacks.join("; ")),
            "",
        )
    }
}

async fn lingering(manager: &dyn ServiceManager) -> Check {
    if manager.scope() == Scope::System {
        return Check::ok(Group::Manager, "system units run whether or not anyone is logged in");
    }
    match manager.lingering().await {
        Ok(true) => {
            Check::ok(Group::Manager, "lingering is on: your units run when you are logged out")
        }
        Ok(false) => Check::note(
            Group::Manager,
            "lingering is off: your units stop when you log out",
            "samocode doctor --fix, or: loginctl enable-linger",
        )
        .fixed_by(Fix::Linger),
        Err(error) => Check::note(Group::Manager, error.to_string(), "loginctl enable-linger"),
    }
}

/// How long journalctl may take: it is slow on a large journal.
const BOUND: Duration = Duration::from_secs(10);

/// How journalctl reports that it cannot read any journal.
const CLOSED: [&str; 2] = ["insufficient permissions", "No journal files were found"];

async fn journald(scope: Scope) -> Check {
    let mut command = Command::new("journalctl");
    command
        .args(["--no-pager", "--lines=1", "--output=cat"])
        .arg(format!("--{scope}"))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let command_line = format!("journalctl --{scope}");
    let remedy = "samocode logs SESSION still shows the agent's output";
    let output = match tokio::time::timeout(BOUND, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => {
            return Check::note(Group::Manager, format!("cannot run journalctl: {error}"), remedy);
        }
        Err(_) => {
            let what = format!("{command_line} printed nothing for {} s", BOUND.as_secs());
            return Check::note(Group::Manager, what, remedy);
        }
    };
    let is_kept = Path::new("/var/log/journal").is_dir();
    let said = String::from_utf8_lossy(&output.stderr);
    let is_closed = CLOSED.iter().any(|words| said.contains(words));
    judge_journald(&command_line, output.status.success() && !is_closed, is_kept)
}

fn judge_journald(command_line: &str, is_readable: bool, is_kept: bool) -> Check {
    const KEEP: &str = "sudo mkdir -p /var/log/journal && sudo systemctl restart systemd-journald";
    match (is_readable, is_kept) {
        (true, true) => {
            Check::ok(Group::Manager, format!("journald keeps its journal; {command_line} works"))
        }
        (true, false) => {
            Check::note(Group::Manager, "journald loses its journal at every boot", KEEP)
        }
        (false, true) => Check::note(
            Group::Manager,
            format!("{command_line} shows nothing: no entries yet, or no permission"),
            "if it stays empty: sudo usermod -aG systemd-journal $USER",
        ),
        (false, false) => Check::note(
            Group::Manager,
            format!("journald keeps no journal, and {command_line} shows nothing"),
            KEEP,
        ),
    }
}

/// Compares the installed units with the ones this version needs; also returns their folder.
async fn compare(
    manager: &dyn ServiceManager,
    scope: Scope,
    binary: &Path,
) -> Result<(Installed, PathBuf)> {
    let spool = Spool::of(scope)?;
    let of = Shared { binary, spool: spool.dir() };
    let registry = manager.registry().await?;
    let installed = registry.compare(of, manager.version().await?)?;
    Ok((installed, registry.dir().to_owned()))
}

async fn units(manager: &dyn ServiceManager, scope: Scope, binary: &Path) -> Vec<Check> {
    let (installed, dir) = match compare(manager, scope, binary).await {
        Ok(found) => found,
        Err(error) => return vec![Check::failed(Group::Units, error)],
    };
    let remedy = match scope {
        Scope::User => "samocode units install",
        Scope::System => "sudo samocode units install --system",
    };
    match installed {
        Installed::No => {
            let what = format!("the units are not installed yet, in {}", dir.display());
            return vec![
                Check::note(Group::Units, what, format!("samocode enable does this, or: {remedy}"))
                    .fixed_by(Fix::Units),
            ];
        }
        Installed::Gone(program) => vec![
            Check::broken(
                Group::Units,
                format!("the units run {program}, which is missing"),
                remedy,
            )
            .fixed_by(Fix::Units),
        ],
        Installed::Other(program) => vec![
            Check::note(Group::Units, format!("the units run another samocode, {program}"), remedy)
                .fixed_by(Fix::Units),
        ],
        Installed::Outdated(names) => {
            let what = format!("out of date: {}", names.join(", "));
            vec![Check::note(Group::Units, what, remedy).fixed_by(Fix::Units)]
        }
        Installed::Current => {
            vec![Check::ok(Group::Units, format!("installed and up to date in {}", dir.display()))]
        }
    }
    .into_iter()
    .chain([spool_watch(manager).await])
    .collect()
}

async fn spool_watch(manager: &dyn ServiceManager) -> Check {
    match manager.spool_watch().await {
        Ok(unit) if unit.status.active == Active::Active && unit.enabled == Enablement::Enabled => {
            Check::ok(Group::Units, format!("{} watches for mail", unit.status.name))
        }
        Ok(unit) => Check::broken(
            Group::Units,
            format!(
                "{} is {} and {}: mail will not wake sessions",
                unit.status.name,
                unit.status.active,
                match &unit.enabled {
                    Enablement::Absent => "not enabled",
                    enabled => enabled.as_str(),
                }
            ),
            "samocode doctor --fix",
        )
        .fixed_by(Fix::Units),
        Err(error) => Check::failed(Group::Units, error),
    }
}

fn spool(scope: Scope) -> Option<Check> {
    let spool = Spool::of(scope).ok()?;
    let dir = spool.dir();
    let found = fs::metadata(dir).ok()?;
    let (mode, wanted) = (found.permissions().mode() & 0o7777, wanted_mode(scope));
    let owner = match scope {
        Scope::User => rustix::process::geteuid().as_raw(),
        Scope::System => 0,
    };
    if found.uid() != owner {
        let what = format!("{} belongs to another user (uid {})", dir.display(), found.uid());
        return Some(Check::broken(
            Group::Units,
            what,
            format!("sudo chown {owner} {}", dir.display()),
        ));
    }
    if scope == Scope::User && mode & 0o077 == 0 && mode & 0o700 == 0o700 || mode == wanted {
        return Some(Check::ok(Group::Units, format!("spool {} (mode {mode:o})", dir.display())));
    }
    let what = format!("the spool {} has mode {mode:o}", dir.display());
    let remedy = format!("chmod {wanted:o} {}", dir.display());
    let fix = match scope {
        Scope::User => Fix::Mode(dir.to_owned(), wanted),
        // Owned by root, and fixed along with the units.
        Scope::System => Fix::Units,
    };
    Some(Check::broken(Group::Units, what, remedy).fixed_by(fix))
}

const fn wanted_mode(scope: Scope) -> u32 {
    match scope {
        Scope::User => 0o700,
        Scope::System => 0o1733,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn what_an_old_manager_lacks_is_worth_a_look() {
        let about =
            |lacks: &[&'static str]| About { name: "systemd".to_owned(), lacks: lacks.to_vec() };
        assert_eq!(of_manager(&about(&[])).status, Status::Ok);
        let old = of_manager(&about(&["no OOMPolicy=", "no limits"]));
        assert_eq!(old.status, Status::Note);
        assert!(old.what.contains("no OOMPolicy=; no limits"), "{}", old.what);
    }

    #[test]
    fn a_journal_that_is_closed_or_forgotten_is_worth_a_look() {
        let status = |readable, kept| judge_journald("journalctl --user", readable, kept).status;
        assert_eq!(status(true, true), Status::Ok);
        for (readable, kept) in [(true, false), (false, true), (false, false)] {
            assert_eq!(status(readable, kept), Status::Note);
        }
    }
}
