//! Checks of git, the repository, the project's folders and free disk space.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::config::find::unfit;
use crate::config::{Error as ProjectError, Project, Settings, Warning};
use crate::git::{self, Checkout, Programs, Severity};
use crate::session::Phase;
use crate::session::describe::size;
use crate::worker;

use super::check::{Check, Fix};
use super::{Group, Patient};

pub(super) async fn look(patient: &Patient, settings: &Settings) -> Vec<Check> {
    let mut checks = vec![git()];
    checks.extend(
        settings
            .warnings()
            .iter()
            .filter(|warning| !is_of_env_file(warning))
            .map(|warning| Check::note(Group::Project, warning.to_string(), "")),
    );
    let project = match &patient.project {
        Ok(project) => project,
        Err(_) => {
            checks.extend(unreadable(patient));
            return checks;
        }
    };
    checks.push(Check::ok(Group::Project, patient.dirs.short(&project.config)));
    let keys = settings.confine(Phase::Implementation);
    let unsigned = worker::confine::forgoes_signing(keys, &patient.dirs.home);
    checks.extend(repository(project, unsigned).await);
    checks.extend(barred(patient, project).await);
    for (key, folder) in [("WORKTREES", &project.worktrees), ("SESSIONS", &project.sessions)] {
        checks.push(writable(key, folder));
    }
    checks.extend(disks(project, settings.disk_floor));
    checks
}

/// Reports why the project could not be checked.
pub(super) fn unreadable(patient: &Patient) -> Option<Check> {
    match &patient.project {
        Ok(_) => None,
        Err(ProjectError::NoProject { .. }) => Some(Check::note(
            Group::Project,
            "no .samocode here or in a parent folder: project checks were skipped",
            "samocode init, or run doctor in a project",
        )),
        Err(error) => Some(Check::failed(Group::Project, error)),
    }
}

/// Whether a warning is already reported with the env file.
const fn is_of_env_file(warning: &Warning) -> bool {
    matches!(warning, Warning::Readable { .. } | Warning::NotHandedOn { .. })
}

fn git() -> Check {
    match git::version() {
        Ok(version) if version < git::MINIMUM_VERSION => Check::broken(
            Group::Git,
            format!("git {version} is too old; {} or newer is needed", git::MINIMUM_VERSION),
            "install a newer git",
        ),
        Ok(version) => Check::ok(Group::Git, format!("git {version}")),
        Err(error) => Check::failed(Group::Git, error),
    }
}

async fn repository(project: &Project, unsigned: bool) -> Vec<Check> {
    let repo = &project.main_repo;
    let shown = repo.display();
    if !repo.is_dir() {
        let what = format!("MAIN_REPO {shown} does not exist");
        return vec![Check::broken(
            Group::Git,
            what,
            format!("set it in {}", project.config.display()),
        )];
    }
    let branch = match git::root(repo) {
        Ok(None) => {
            return vec![Check::note(
                Group::Git,
                format!("{shown} is not in a git repository: sessions share it, without worktrees"),
                format!("for worktrees: git init {shown}"),
            )];
        }
        Ok(Some(_)) => git::default_branch(repo),
        Err(error) => return vec![Check::failed(Group::Git, error)],
    };
    let mut checks = vec![match branch {
        Ok(Some(branch)) => {
            Check::ok(Group::Git, format!("sessions branch from {branch} of {shown}"))
        }
        Ok(None) => Check::note(
            Group::Git,
            format!("{shown} has no commit yet"),
            format!("git -C {shown} commit --allow-empty -m start"),
        ),
        Err(error) => Check::failed(Group::Git, error),
    }];
    let found = if unsigned { git::check_unsigned(repo).await } else { git::check(repo).await };
    match found {
        Ok(findings) if findings.is_empty() => {
            checks.push(Check::ok(Group::Git, "commits work: identity and signing are in order"));
        }
        Ok(findings) => checks.extend(findings.into_iter().map(|finding| match finding.severity {
            Severity::Blocking => Check::broken(Group::Git, finding.what, finding.remedy),
            Severity::Warning => Check::note(Group::Git, finding.what, finding.remedy),
        })),
        Err(error) => checks.push(Check::failed(Group::Git, error)),
    }
    checks.extend(worktrees(project).await);
    checks
}

/// Programs of the repository's that sessions do without.
async fn barred(patient: &Patient, project: &Project) -> Option<Check> {
    match Programs::of(&patient.dirs.state).findings(&project.main_repo).await {
        Ok(None) => None,
        Ok(Some((what, remedy))) => Some(Check::note(Group::Git, what, remedy)),
        // Said by the checks of the repository.
        Err(_) => None,
    }
}

/// The sessions' worktrees in which git would work on another folder.
async fn worktrees(project: &Project) -> Vec<Check> {
    let mut checks = Vec::new();
    for checkout in Checkout::of_all_sessions(project) {
        if let Err(error) = checkout.confirm(None).await {
            checks.push(Check::failed(Group::Git, error));
        }
    }
    checks
}

/// Actually writes and renames a file, the way mail is delivered: permissions alone do not reveal
/// read-only mounts, quotas and odd file systems.
fn writable(key: &str, folder: &Path) -> Check {
    let shown = folder.display();
    if let Some(what) = unfit(folder) {
        let remedy = format!("fix it, or set {key} to another folder");
        return Check::broken(Group::Project, format!("{key} {shown} {what}"), remedy);
    }
    if !folder.exists() {
        let what = format!("{key} {shown} does not exist");
        return Check::broken(Group::Project, what, format!("mkdir -p {shown}"))
            .fixed_by(Fix::Folder(folder.to_owned()));
    }
    let probe = || -> std::io::Result<()> {
        let dir = tempfile::Builder::new().prefix(".samocode-doctor.").tempdir_in(folder)?;
        let (from, inbox) = (dir.path().join("mail"), dir.path().join("inbox"));
        fs::create_dir(&inbox)?;
        fs::write(&from, "probe")?;
        fs::File::open(&from)?.sync_all()?;
        fs::rename(&from, inbox.join("mail"))?;
        dir.close()
    };
    match probe() {
        Ok(()) => Check::ok(Group::Project, format!("{key} {shown} is writable")),
        Err(error) => Check::broken(
            Group::Project,
            format!("{key} {shown} is not writable: {error}"),
            format!("check its owner and permissions: ls -ld {shown}"),
        ),
    }
}

/// Checks the free space on every disk the project uses, once per disk.
fn disks(project: &Project, floor: u64) -> Vec<Check> {
    let mut seen = BTreeSet::new();
    let folders = [&project.sessions, &project.worktrees, &project.main_repo];
    folders
        .into_iter()
        .filter_map(|folder| {
            let device = fs::metadata(folder).ok()?.dev();
            let room = rustix::fs::statvfs(folder).ok()?;
            seen.insert(device).then(|| room_on(folder, room.f_bavail * room.f_frsize, floor))
        })
        .collect()
}

fn room_on(folder: &Path, free: u64, floor: u64) -> Check {
    let (shown, floor_text) = (folder.display(), size(floor));
    let what = format!("{} free on the disk of {shown}", size(free));
    if free < floor {
        let what = format!("only {what}: sessions pause below {floor_text}");
        return Check::broken(
            Group::Project,
            what,
            "free some space, or lower SAMOCODE_DISK_FLOOR",
        );
    }
    if free < floor.saturating_mul(2) {
        let what = format!("{what}, and sessions pause below {floor_text}");
        return Check::note(Group::Project, what, "free some space");
    }
    Check::ok(Group::Project, what)
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn too_little_room_is_broken_and_little_room_worth_a_look() {
        let status = |free| room_on(Path::new("/x"), free, 100).status;
        assert_eq!(status(99), Status::Broken);
        assert_eq!(status(150), Status::Note);
        assert_eq!(status(200), Status::Ok);
    }

    #[test]
    fn a_folder_is_written_to_for_real_and_left_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(writable("SESSIONS", dir.path()).status, Status::Ok);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        let missing = writable("SESSIONS", &dir.path().join("not/there"));
        assert_eq!(missing.fix, Some(Fix::Folder(dir.path().join("not/there"))));
    }
}
