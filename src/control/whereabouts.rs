//! Units whose session or project is no longer at the recorded path: moved or deleted.

use std::path::Path;

use crate::config::Project;
use crate::service::{self, Recorded, Scope};
use crate::session::names;
use crate::session::order;
use crate::session::store::Folder;

use super::context::Context;
use super::error::{Class, Error};

/// A unit's session or project no longer exists at the recorded path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gone {
    /// The instance of the unit, which every verb takes as a name.
    pub(crate) instance: String,
    message: String,
    hint: String,
}

impl Gone {
    fn folder(instance: &str, path: &Path) -> Self {
        let message = format!("the folder of '{instance}', {}, no longer exists", path.display());
        let hint = format!("restore it, or remove its unit with: samocode disable {instance}");
        Self { instance: instance.to_owned(), message, hint }
    }

    fn project(instance: &str, path: &Path) -> Self {
        let message = format!("the project of '{instance}', {}, no longer exists", path.display());
        let hint = format!(
            "if you moved it, run there: samocode enable {instance}; or remove its unit with: samocode disable {instance}"
        );
        Self { instance: instance.to_owned(), message, hint }
    }
}

impl From<Gone> for Error {
    fn from(gone: Gone) -> Self {
        Self::new(Class::NotFound, gone.message).hint(gone.hint)
    }
}

/// Finds a unit whose session folder no longer exists, by what was typed: an instance, or a session
/// or folder name of this project.
pub(crate) fn gone(context: &Context, typed: &str, name: &str) -> Option<Gone> {
    let mut found = Vec::new();
    for (instance, recorded) in service::registry(context.scope()).ok()?.all().ok()? {
        let own = recorded.folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_here = recorded.folder.starts_with(&context.project.sessions)
            || recorded.config == context.project.config;
        let is_named = own == typed || names::name_in_folder(&own).unwrap_or(&own) == name;
        if (instance == typed || (is_here && is_named)) && !recorded.folder.is_dir() {
            found.push((own, Gone::folder(&instance, &recorded.folder)));
        }
    }
    order::by(&mut found, |(a, _), (b, _)| a.cmp(b));
    found.pop().map(|(_, gone)| gone)
}

/// Finds a unit whose project no longer exists, for callers outside any project.
pub(crate) fn project_gone(scope: Scope, instance: &str) -> Option<Gone> {
    let recorded = service::recorded(scope, instance).ok().flatten()?;
    is_missing(&recorded.config).then(|| Gone::project(instance, &recorded.config))
}

/// Which of a unit's two paths no longer exists, if either.
pub(crate) fn looked_for(instance: &str, config: &Path, folder: &Path) -> Option<Gone> {
    match (is_missing(config), is_missing(folder)) {
        (true, _) => Some(Gone::project(instance, config)),
        (_, true) => Some(Gone::folder(instance, folder)),
        _ => None,
    }
}

/// Whether a unit belongs to the session in `folder`: it has that path, or the session was moved
/// here. It was moved if the unit's path has the same folder name but no longer exists, and the
/// unit's project is this one or no longer exists either.
pub(crate) fn is_of(recorded: &Recorded, project: &Project, folder: &Path) -> bool {
    let was_moved = || {
        recorded.folder.file_name() == folder.file_name()
            && is_missing(&recorded.folder)
            && (recorded.config == project.config || is_missing(&recorded.config))
            && Folder::new(folder).is_begun()
    };
    recorded.folder == folder || was_moved()
}

/// Whether the unit's session or project is missing from the recorded path.
pub(crate) fn has_missing_paths(recorded: &Recorded) -> bool {
    is_missing(&recorded.folder) || is_missing(&recorded.config)
}

/// Whether a path does not exist. False if that cannot be determined, as without permission.
fn is_missing(path: &Path) -> bool {
    std::fs::metadata(path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}
