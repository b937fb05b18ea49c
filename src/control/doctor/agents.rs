//! Checks of the agents, each by its own spec, and of the credentials file.

use crate::agent::doctor::examine;
use crate::agent::exam::{About, Exam, Finding, Status as Found};
use crate::agent::{REGISTRY, vocabulary};
use crate::config::{EnvFile, Settings, Warning};
use crate::git::Checkout;
use crate::service::{self, Recorded};
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
    let sessions = sessions_with_units(patient);
    let exam = Exam {
        env: patient.env(),
        units: &units,
        dirs: &patient.dirs,
        file,
        settings,
        is_root: patient.is_root,
        folders: &folders,
        sessions: sessions.len(),
        samocode: &patient.caller.binary,
    };
    let found = examine(&REGISTRY, &exam).await;
    // The remedy for those of another project would begin new ones here.
    let is_here = |recorded: &Recorded| {
        patient.project.as_ref().is_ok_and(|project| project.config == recorded.config)
    };
    let here: Vec<_> = sessions.iter().filter(|(_, recorded)| is_here(recorded)).collect();
    found.into_iter().map(as_check).chain(login_folders(&exam, &here)).collect()
}

/// The sessions that have a unit and are not done.
fn sessions_with_units(patient: &Patient) -> Vec<(String, Recorded)> {
    let registry = service::registry(patient.caller.scope);
    let mut all = registry.and_then(|registry| registry.all()).unwrap_or_default();
    all.retain(|(_, recorded)| {
        let hook = Folder::new(&recorded.folder).read_hook();
        hook.is_none_or(|hook| hook.state != StateName::Done)
    });
    all
}

/// The most sessions to name.
const MOST_NAMED: usize = 3;

/// Sessions whose agents look for their login in another folder than this shell's do. The checks
/// above look in the shell's.
fn login_folders(exam: &Exam<'_>, sessions: &[&(String, Recorded)]) -> Vec<Check> {
    let folders = REGISTRY.specs().filter_map(|spec| spec.manifest().credentials.folder);
    let differences = folders.filter_map(|(variable, _)| {
        let in_file = || exam.file.get(variable).map(|folder| folder.expose());
        let of_all = || exam.units.text(variable).or_else(in_file);
        let here = exam.env.text(variable);
        let differs = |recorded: &Recorded| {
            let own = recorded.environment.iter().find(|(name, _)| name == variable);
            match own {
                Some((_, folder)) => Some(folder.as_str()) != here,
                None => of_all() != here,
            }
        };
        let differing = sessions.iter().filter(|(_, recorded)| differs(recorded));
        let names: Vec<&str> = differing.map(|(instance, _)| instance.as_str()).collect();
        let first = names.first()?;
        let more = match names.len().saturating_sub(MOST_NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let listed = names[..names.len().min(MOST_NAMED)].join(", ");
        Some(Check::note(
            Group::Credentials,
            format!(
                "{variable}, which decides which login is used, is not this shell's for {listed}{more}"
            ),
            format!("record this shell's: samocode enable {first}"),
        ))
    });
    differences.collect()
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::file::ConfigFile;
    use crate::config::{Dirs, Env, Flags};

    #[test]
    fn a_unit_that_uses_another_login_than_this_shell_is_named() {
        let env = Env::from_iter([("HOME", "/h"), ("CLAUDE_CONFIG_DIR", "/work")]);
        let file = EnvFile::of(&ConfigFile::parse(Path::new("env"), b"CODEX_HOME=/c\n").unwrap());
        let settings = Settings::load(&vocabulary(), None, &env, &Flags::default()).unwrap();
        let exam = Exam {
            env: &env,
            units: &Env::default(),
            dirs: &Dirs::user(&env).unwrap(),
            file: &file,
            settings: &settings,
            is_root: false,
            folders: &[],
            sessions: 2,
            samocode: Path::new("/bin/samocode"),
        };
        let session = |name: &str, recorded: &[(&str, &str)]| {
            let pairs = recorded.iter().map(|(name, value)| ((*name).into(), (*value).into()));
            let at = |path: &str| path.into();
            (
                name.to_owned(),
                Recorded {
                    config: at("/c"),
                    folder: at("/s"),
                    environment: pairs.collect(),
                    uid: None,
                },
            )
        };
        let same = session("same", &[("CLAUDE_CONFIG_DIR", "/work"), ("CODEX_HOME", "")]);
        let (none, other) =
            (session("none", &[]), session("other", &[("CLAUDE_CONFIG_DIR", "/x")]));
        let said = |sessions: &[&(String, Recorded)]| {
            let checks = login_folders(&exam, sessions).into_iter();
            checks.map(|check| (check.what, check.remedy)).collect::<Vec<_>>()
        };
        let found = said(&[&same, &none, &other]);
        assert!(found.iter().any(|(what, remedy)| what.starts_with("CLAUDE_CONFIG_DIR")
            && what.ends_with("for none, other")
            && remedy.as_deref().is_some_and(|remedy| remedy.ends_with("enable none"))));
        assert!(said(&[]).is_empty());
    }
}
