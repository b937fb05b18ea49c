//! The service manager, what it lacks, lingering, journald, the units and the spool.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::cli::units;
use crate::service::systemd::WAKE_PATH;
use crate::service::{Scope, ServiceManager, Spool, UnitSet};

use super::Patient;
use super::check::{Check, Fix};

const GROUP: &str = "Service manager";
const UNITS: &str = "Units";

pub(super) async fn look(patient: &Patient) -> Vec<Check> {
    let scope = patient.scope;
    let manager = match &patient.manager {
        Ok(manager) => manager.as_ref(),
        Err(error) => {
            // The error says what to use instead.
            return vec![Check::broken(GROUP, error.to_string(), "")];
        }
    };
    let version = match manager.version().await {
        Ok(version) => version,
        Err(error) => return vec![Check::broken(GROUP, error.to_string(), "")],
    };
    let mut checks = vec![of_version(scope, version)];
    checks.push(lingering(manager).await);
    checks.push(journald(scope).await);
    checks.extend(units(manager, scope, version).await);
    checks.extend(spool(scope));
    checks
}

/// What the units ask for that older ones lack: see `SINCE` of the units.
fn of_version(scope: Scope, version: u32) -> Check {
    let lacks = [
        (243, "a build that runs out of memory ends the whole unit (OOMPolicy=)"),
        (250, "a burst of mail may be held back by a limit (TriggerLimitIntervalSec=)"),
    ];
    let lacking: Vec<&str> =
        lacks.iter().filter(|(since, _)| version < *since).map(|(_, what)| *what).collect();
    let what = format!("systemd {version} of the {scope}");
    if lacking.is_empty() {
        Check::ok(GROUP, what)
    } else {
        Check::note(GROUP, format!("{what} is old: {}", lacking.join("; ")), "")
    }
}

async fn lingering(manager: &dyn ServiceManager) -> Check {
    if manager.scope() == Scope::System {
        return Check::ok(GROUP, "units run whoever is logged in");
    }
    match manager.lingering().await {
        Ok(true) => Check::ok(GROUP, "lingering is on: your units run when you are logged out"),
        Ok(false) => Check::note(
            GROUP,
            "lingering is off: your units stop when you log out",
            "samocode doctor --fix, or: loginctl enable-linger",
        )
        .mended_by(Fix::Linger),
        Err(error) => Check::note(GROUP, error.to_string(), "loginctl enable-linger"),
    }
}

/// How long journalctl may take.
const BOUND: Duration = Duration::from_secs(10);

/// What journalctl says where no journal is open to it.
const CLOSED: [&str; 2] = ["insufficient permissions", "No journal files were found"];

async fn journald(scope: Scope) -> Check {
    let mut command = Command::new("journalctl");
    command
        .args(["--no-pager", "--lines=1", "--output=cat"])
        .arg(format!("--{scope}"))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let command_line = format!("journalctl --{scope}");
    let remedy = "samocode logs SESSION shows the agent's stream all the same";
    let output = match tokio::time::timeout(BOUND, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => {
            return Check::note(GROUP, format!("cannot run journalctl: {error}"), remedy);
        }
        Err(_) => {
            let what = format!("{command_line} said nothing for {} s", BOUND.as_secs());
            return Check::note(GROUP, what, remedy);
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
            Check::ok(GROUP, format!("journald keeps its journal; {command_line} works"))
        }
        (true, false) => Check::note(GROUP, "journald forgets at every boot", KEEP),
        (false, true) => Check::note(
            GROUP,
            format!("{command_line} shows nothing (yet): nothing was said, or it may not be read"),
            "if it stays so: sudo usermod -aG systemd-journal $USER",
        ),
        (false, false) => Check::note(
            GROUP,
            format!("journald keeps no journal, and {command_line} shows nothing"),
            KEEP,
        ),
    }
}

async fn units(manager: &dyn ServiceManager, scope: Scope, version: u32) -> Vec<Check> {
    let set = match units::shared(scope, version) {
        Ok(set) => set,
        Err(error) => return vec![Check::broken(UNITS, crate::cli::context::one_line(&error), "")],
    };
    let dir = match manager.unit_dir().await {
        Ok(dir) => dir,
        Err(error) => return vec![Check::broken(UNITS, error.to_string(), "")],
    };
    let remedy = match scope {
        Scope::User => "samocode units install",
        Scope::System => "sudo samocode units install --system",
    };
    match compare(&set, &dir) {
        Installed::No => {
            let what = format!("the units are not installed yet in {}", dir.display());
            return vec![
                Check::note(UNITS, what, format!("samocode enable does it, or: {remedy}"))
                    .mended_by(Fix::Units),
            ];
        }
        Installed::Gone(program) => vec![
            Check::broken(UNITS, format!("the units run {program}, which is not there"), remedy)
                .mended_by(Fix::Units),
        ],
        Installed::Other(program) => vec![
            Check::note(UNITS, format!("the units run another samocode, {program}"), remedy)
                .mended_by(Fix::Units),
        ],
        Installed::Outdated(names) => {
            let what = format!("not as this version has them: {}", names.join(", "));
            vec![Check::note(UNITS, what, remedy).mended_by(Fix::Units)]
        }
        Installed::Current => {
            vec![Check::ok(UNITS, format!("installed and up to date in {}", dir.display()))]
        }
    }
    .into_iter()
    .chain([wake_path(manager).await])
    .collect()
}

async fn wake_path(manager: &dyn ServiceManager) -> Check {
    match manager.detail(WAKE_PATH).await {
        Ok(unit) if unit.status.active == "active" && unit.enabled == "enabled" => {
            Check::ok(UNITS, format!("{WAKE_PATH} watches for mail"))
        }
        Ok(unit) => Check::broken(
            UNITS,
            format!(
                "{WAKE_PATH} is {} and {}: mail wakes no session",
                unit.status.active,
                if unit.enabled.is_empty() { "not enabled" } else { &unit.enabled }
            ),
            "samocode doctor --fix",
        )
        .mended_by(Fix::Units),
        Err(error) => Check::broken(UNITS, error.to_string(), ""),
    }
}

/// The installed units beside what they should be.
#[derive(Debug, PartialEq, Eq)]
enum Installed {
    Current,
    No,
    /// They start this program, which is gone.
    Gone(String),
    /// They start this program, which is not this one.
    Other(String),
    Outdated(Vec<String>),
}

fn compare(set: &UnitSet, dir: &Path) -> Installed {
    let mut different = Vec::new();
    let mut found = 0;
    for file in &set.files {
        let text = fs::read_to_string(dir.join(&file.path)).unwrap_or_default();
        if text == file.text {
            found += 1;
            continue;
        }
        found += usize::from(!text.is_empty());
        if let (Some(own), Some(other)) = (program(&file.text), program(&text)) {
            if !Path::new(&other).is_file() {
                return Installed::Gone(other);
            }
            if own != other {
                return Installed::Other(other);
            }
        }
        different.push(file.path.display().to_string());
    }
    match (found, different.is_empty()) {
        (0, _) => Installed::No,
        (_, true) => Installed::Current,
        (_, false) => Installed::Outdated(different),
    }
}

/// The program of the first `ExecStart=`.
fn program(text: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix("ExecStart="))?;
    let program = shlex::split(line)?.into_iter().next()?;
    Some(program.replace("%%", "%").replace("$$", "$"))
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
        return Some(Check::broken(UNITS, what, format!("sudo chown {owner} {}", dir.display())));
    }
    if scope == Scope::User && mode & 0o077 == 0 && mode & 0o700 == 0o700 || mode == wanted {
        return Some(Check::ok(UNITS, format!("spool {} (mode {mode:o})", dir.display())));
    }
    let what = format!("the spool {} has mode {mode:o}", dir.display());
    let remedy = format!("chmod {wanted:o} {}", dir.display());
    let fix = match scope {
        Scope::User => Fix::Mode(dir.to_owned(), wanted),
        // Root's, and made right with the units.
        Scope::System => Fix::Units,
    };
    Some(Check::broken(UNITS, what, remedy).mended_by(fix))
}

const fn wanted_mode(scope: Scope) -> u32 {
    match scope {
        Scope::User => 0o700,
        Scope::System => 0o1733,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::check::Status;
    use super::*;
    use crate::service::UnitFile;

    fn set(text: &str) -> UnitSet {
        let file =
            |path: &str, text: &str| UnitFile { path: PathBuf::from(path), text: text.to_owned() };
        UnitSet { files: vec![file("a.service", text), file("b.path", "[Path]\n")] }
    }

    #[test]
    fn installed_units_are_compared_with_what_they_should_be() {
        let dir = tempfile::tempdir().unwrap();
        let own = format!("ExecStart=\"{}/my samocode\" worker %i\n", dir.path().display());
        fs::write(dir.path().join("my samocode"), "").unwrap();
        assert_eq!(compare(&set(&own), dir.path()), Installed::No);

        fs::write(dir.path().join("a.service"), &own).unwrap();
        let missing = Installed::Outdated(vec!["b.path".to_owned()]);
        assert_eq!(compare(&set(&own), dir.path()), missing);
        fs::write(dir.path().join("b.path"), "[Path]\n").unwrap();
        assert_eq!(compare(&set(&own), dir.path()), Installed::Current);

        let other = dir.path().join("other");
        fs::write(
            dir.path().join("a.service"),
            format!("ExecStart={} worker %i\n", other.display()),
        )
        .unwrap();
        let other = other.display().to_string();
        assert_eq!(compare(&set(&own), dir.path()), Installed::Gone(other.clone()));
        fs::write(&other, "").unwrap();
        assert_eq!(compare(&set(&own), dir.path()), Installed::Other(other));
    }

    #[test]
    fn an_old_manager_is_told_what_it_lacks() {
        assert_eq!(of_version(Scope::User, 257).status, Status::Ok);
        let old = of_version(Scope::User, 239);
        assert_eq!(old.status, Status::Note);
        assert!(old.what.contains("OOMPolicy=") && old.what.contains("TriggerLimitIntervalSec="));
        assert!(!of_version(Scope::User, 249).what.contains("OOMPolicy="));
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
