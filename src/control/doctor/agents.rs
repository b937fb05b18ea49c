//! Checks of the agents, each by its own spec, and of the credentials file.

use std::path::Path;

use crate::agent::doctor::examine;
use crate::agent::exam::{About, Exam, Finding, Status as Found};
use crate::agent::{REGISTRY, vocabulary};
use crate::config::{EnvFile, Settings, Warning};
use crate::git::Checkout;
use crate::service;
use crate::session::state::StateName;
use crate::session::store::Folder;

use super::check::{Check, Fix};
use super::{Group, Patient};

/// Checks the user's credentials file: owner, permissions and contents.
pub(super) fn env_file(patient: &Patient, file: &EnvFile) -> Vec<Check> {
    let path = patient.dirs.env_file();
    let short = patient.dirs.short(&path);
    let unused = vocabulary().not_handed_on(file, &patient.dirs);
    let mut checks: Vec<Check> = file
        .warnings()
        .iter()
        .chain(&unused)
        .map(|warning| match warning {
            Warning::Readable { mode, .. } => Check::broken(
                Group::Credentials,
                format!("{short} can be read by others (mode {mode:04o})"),
                format!("chmod 600 {short}"),
            )
            .fixed_by(Fix::Mode(path.clone(), 0o600)),
            other => Check::note(Group::Credentials, other.to_string(), ""),
        })
        .collect();
    if checks.is_empty() && path.exists() {
        let names: Vec<&str> = file.iter().map(|(name, ..)| name).collect();
        let names = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        checks.push(Check::ok(Group::Credentials, format!("{short} is private and sets {names}")));
    }
    checks
}

/// Checks every agent that some phase uses.
pub(super) async fn look(patient: &Patient, settings: &Settings, file: &EnvFile) -> Vec<Check> {
    let units = match &patient.manager {
        Ok(manager) => manager.environment().await.unwrap_or_default(),
        Err(_) => Vec::new(),
    };
    let units = units.into_iter().collect();
    let folders = patient.project.as_ref().map_or_else(
        |_| Vec::new(),
        |project| {
            let checkouts = Checkout::of_all_sessions(project);
            let worktrees = checkouts.iter().map(|checkout| checkout.root().to_owned());
            std::iter::once(project.main_repo.clone()).chain(worktrees).collect()
        },
    );
    let exam = Exam {
        env: patient.env(),
        units: &units,
        dirs: &patient.dirs,
        file,
        settings,
        is_root: patient.is_root,
        folders: &folders,
        sessions: sessions_with_units(patient),
        samocode: &patient.caller.binary,
    };
    examine(&REGISTRY, &exam).await.into_iter().map(as_check).collect()
}

/// How many sessions have a unit and are not done.
fn sessions_with_units(patient: &Patient) -> usize {
    let registry = service::registry(patient.caller.scope);
    let all = registry.and_then(|registry| registry.all()).unwrap_or_default();
    let is_open = |folder: &Path| {
        let hook = Folder::new(folder).read_hook();
        hook.is_none_or(|hook| hook.state != StateName::Done)
    };
    all.iter().filter(|(_, recorded)| is_open(&recorded.folder)).count()
}

pub(super) fn as_check(finding: Finding) -> Check {
    let Finding { about, status, what, remedy } = finding;
    let group = match about {
        About::Program => Group::Agents,
        About::Credentials => Group::Credentials,
    };
    match status {
        Found::Ok => Check::ok(group, what),
        Found::Note => Check::note(group, what, remedy),
        Found::Broken => Check::broken(group, what, remedy),
    }
}
