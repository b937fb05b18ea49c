//! Listing sessions: those of a project from its folders, those of this machine from their units.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::service::{self, Registry, Scope};
use crate::session::names;
use crate::session::order;
use crate::session::store::Folder;

use super::context::{Caller, Context, Warnings, project_here};
use super::error::{Attempt as _, Error, Result};
use super::session::Session;
use super::whereabouts;

/// All sessions of the project, newest first: by its folder, and those of its units that lie
/// elsewhere, as where `~` in its file means another user's home.
pub(crate) fn all_with_units(context: &Context) -> Result<Vec<Session>> {
    // Read once, and compared by hash: a thousand sessions may have a unit each.
    let units = service::registry(context.scope())?.all()?;
    let mut found = in_folder(context, &Recorded::of(context, &units))?;
    let here: HashSet<PathBuf> =
        found.iter().map(|session| session.folder.path().to_owned()).collect();
    let root = Some(context.project.root.as_path());
    let elsewhere = units
        .into_iter()
        .filter(|(_, unit)| unit.config.parent() == root && !here.contains(unit.folder.as_path()));
    found.extend(with_folders(elsewhere, &context.warnings).into_iter().map(|(_, it)| it));
    Ok(found)
}

/// All sessions in the project's folder, newest first, each before those below it.
pub(crate) fn all(context: &Context) -> Result<Vec<Session>> {
    in_folder(context, &Recorded::read(context))
}

fn in_folder(context: &Context, recorded: &Recorded) -> Result<Vec<Session>> {
    context.project.check_sessions()?;
    let folder = &context.project.sessions;
    let names = dated_folders(folder, &context.warnings)?;
    let mut found = Vec::with_capacity(names.len());
    for own in names {
        let folder = Folder::new(folder.join(&own));
        let mut below = folder.descendants();
        below.retain(|below| match recorded.check(below.path()) {
            Ok(()) => true,
            Err(error) => {
                context.warnings.add(error.in_one_line());
                false
            }
        });
        for folder in std::iter::once(folder).chain(below) {
            let own = folder.name();
            let name = names::name_in_folder(&own).unwrap_or(&own).to_owned();
            let instance = recorded.instance(context, &name, folder.path());
            found.push(Session { name, instance, folder, warnings: context.warnings.clone() });
        }
    }
    Ok(found)
}

/// All sessions of any project that have a unit, newest first, each with its project's folder.
pub(crate) fn recorded(scope: Scope, warnings: &Warnings) -> Result<Vec<(PathBuf, Session)>> {
    Ok(with_folders(service::registry(scope)?.all()?, warnings))
}

/// The sessions of these units whose folders exist, newest first, each with its project's folder.
fn with_folders(
    units: impl IntoIterator<Item = (String, service::Recorded)>,
    warnings: &Warnings,
) -> Vec<(PathBuf, Session)> {
    let mut found: Vec<(PathBuf, Session)> = units
        .into_iter()
        .filter_map(|(instance, recorded)| {
            let own = recorded.folder.file_name()?.to_string_lossy().into_owned();
            let name = names::name_in_folder(&own).unwrap_or(&own).to_owned();
            let root = recorded.config.parent()?.to_owned();
            let (folder, warnings) = (Folder::new(recorded.folder), warnings.clone());
            Some((root, Session { name, instance, folder, warnings }))
        })
        .filter(|(_, session)| is_in_reach(session))
        .collect();
    found.sort_by_cached_key(|(_, session)| {
        let path = session.folder.path();
        Reverse(age(&session.folder.name(), fs::metadata(path).ok()))
    });
    found
}

/// Whether a session's folder exists; warns if another user does not let us read it.
fn is_in_reach(session: &Session) -> bool {
    match fs::symlink_metadata(session.folder.path()) {
        Ok(meta) if meta.is_symlink() => {
            session.warnings.add(is_a_link(session.folder.path()));
            false
        }
        Ok(meta) => meta.is_dir(),
        Err(error) => {
            if error.kind() == ErrorKind::PermissionDenied {
                let (name, path) = (&session.name, session.folder.path().display());
                session.warnings.add(format!(
                    "{name} is not shown: {path} belongs to another user; run as root to see it"
                ));
            }
            false
        }
    }
}

/// A key that sorts session folders by age: the date in the name, then the creation time if the file
/// system has it, then the name.
fn age(name: &str, meta: Option<fs::Metadata>) -> (String, Option<SystemTime>, String) {
    let day = name.get(..8).unwrap_or_default().to_owned();
    (day, meta.and_then(|meta| meta.created().ok()), name.to_owned())
}

/// The warning about a link in the place of a session's folder.
fn is_a_link(path: &Path) -> String {
    let (own, path) = (path.file_name().unwrap_or_default().to_string_lossy(), path.display());
    format!("{own} is not shown: {path} is a symbolic link")
}

/// The names of the dated session folders, newest first. Warns of links to folders.
pub(super) fn dated_folders(sessions: &Path, warnings: &Warnings) -> Result<Vec<String>> {
    let entries = match fs::read_dir(sessions) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.attempt(|| format!("read {}", sessions.display()))?,
    };
    let mut found: Vec<_> = entries
        .filter_map(Result::ok)
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry))
        .filter(|(name, _)| names::name_in_folder(name).is_some())
        .filter(|(_, entry)| {
            let kind = entry.file_type();
            if kind.as_ref().is_ok_and(|kind| kind.is_symlink()) && entry.path().is_dir() {
                warnings.add(is_a_link(&entry.path()));
            }
            kind.is_ok_and(|kind| kind.is_dir())
        })
        .map(|(name, entry)| age(&name, entry.metadata().ok()))
        .collect();
    order::by(&mut found, |a, b| b.cmp(a));
    Ok(found.into_iter().map(|(_, _, name)| name).collect())
}

/// Which instance belongs to which session folder, from the units' drop-ins.
#[derive(Default)]
pub(super) struct Recorded {
    registry: Option<Box<dyn Registry>>,
    by_folder: HashMap<OsString, String>,
    known: HashSet<String>,
}

impl Recorded {
    pub(super) fn read(context: &Context) -> Self {
        let all = service::registry(context.scope()).and_then(|registry| registry.all());
        Self::of(context, &all.unwrap_or_default())
    }

    fn of(context: &Context, units: &[(String, service::Recorded)]) -> Self {
        let by_folder = units
            .iter()
            .map(|(instance, unit)| (unit.folder.clone().into_os_string(), instance.clone()));
        Self {
            registry: service::registry(context.scope()).ok(),
            by_folder: by_folder.collect(),
            known: units.iter().map(|(instance, _)| instance.clone()).collect(),
        }
    }

    /// The instance of a session: its existing one, else the first free one of `NAME`,
    /// `NAME--PROJECT` and `FOLDER--PROJECT`.
    pub(super) fn instance(&self, context: &Context, name: &str, folder: &Path) -> String {
        if let Some(instance) = self.by_folder.get(folder.as_os_str()) {
            return instance.clone();
        }
        if let Some(instance) = self.moved_here(context, folder) {
            return instance;
        }
        if !self.known.contains(name) || self.is_of_deleted(context, name) {
            return name.to_owned();
        }
        let own = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let project = names::project_slug(&context.project.name);
        let second = format!("{name}--{project}");
        if self.known.contains(&second) { format!("{own}--{project}") } else { second }
    }
}

impl Recorded {
    /// Refuses a folder below a confined session that has neither a record nor a unit: the agent of that
    /// session can have made it, with a past of its own invention.
    pub(super) fn check(&self, folder: &Path) -> Result<()> {
        let is_known = || self.by_folder.contains_key(folder.as_os_str());
        if !Folder::new(folder).lacks_record() || !folder.is_dir() || is_known() {
            return Ok(());
        }
        let place = folder.display();
        let message = format!("{place} is no session that samocode began: it has no record");
        Err(Error::refused(message)
            .hint(format!(
                "an agent can make such a folder, so remove it; if it is yours: mkdir -p {0}/_archive && mv {1} {0}/_archive && samocode restore {2}",
                service::quoted(folder.parent().unwrap_or(folder)),
                service::quoted(folder),
                folder.file_name().unwrap_or_default().to_string_lossy(),
            )))
    }
}

impl Recorded {
    /// Whether an instance belongs to a session of this project whose folder was deleted, so that
    /// the name is free again.
    fn is_of_deleted(&self, context: &Context, instance: &str) -> bool {
        let sessions = &context.project.sessions;
        let known = self.by_folder.iter().find(|(_, known)| *known == instance);
        known.is_some_and(|(folder, _)| {
            let folder = Path::new(folder);
            folder.starts_with(sessions) && sessions.is_dir() && !folder.exists()
        })
    }

    /// The instance of a session that was moved to `folder` while its unit still has the old path.
    fn moved_here(&self, context: &Context, folder: &Path) -> Option<String> {
        let own = folder.file_name();
        let registry = self.registry.as_ref()?;
        let like = self.by_folder.iter().filter(|(known, _)| Path::new(known).file_name() == own);
        like.map(|(_, instance)| instance)
            .find(|instance| {
                let recorded = registry.recorded(instance).ok().flatten();
                recorded
                    .is_some_and(|recorded| whereabouts::is_of(&recorded, &context.project, folder))
            })
            .cloned()
    }
}

/// In system scope: the user id that a session's unit runs as. Inside a project this looks for the
/// project's session; outside, for the instance of that name.
pub(super) fn owner(caller: &Caller, typed: &str) -> Option<u32> {
    if caller.scope != Scope::System {
        return None;
    }
    let here = project_here(caller);
    let all = service::registry(Scope::System).ok()?.all().ok()?;
    let known = all.into_iter().find_map(|(instance, recorded)| {
        let own = recorded.folder.file_name().unwrap_or_default().to_string_lossy();
        let is_typed =
            instance == typed || own == typed || names::name_in_folder(&own) == Some(typed);
        let is_here = match &here {
            Ok(project) if !typed.contains("--") => project.config == recorded.config,
            _ => instance == typed,
        };
        (is_typed && is_here).then_some(recorded)
    })?;
    known.uid
}
