//! Units whose session or project is not where they know it: it was moved, or is gone.

use std::path::Path;

use crate::config::Project;
use crate::service::{self, Recorded, Scope};
use crate::session::names;
use crate::session::store::Folder;

use super::context::Context;
use super::error::{Class, Error};

/// What a unit knows is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gone {
    /// The unit's instance.
    pub(crate) instance: String,
    message: String,
    hint: String,
}

impl Gone {
    fn folder(instance: &str, path: &Path) -> Self {
        let message = format!("the folder of '{instance}', {}, is gone", path.display());
        let hint = format!("put it back; or remove its unit with: samocode disable {instance}");
        Self { instance: instance.to_owned(), message, hint }
    }

    fn project(instance: &str, path: &Path) -> Self {
        let message = format!("the project of '{instance}', {}, is gone", path.display());
        let hint = format!(
            "where it is now, run samocode enable {instance}; or remove its unit with: samocode disable {instance}"
        );
        Self { instance: instance.to_owned(), message, hint }
    }
}

impl From<Gone> for Error {
    fn from(gone: Gone) -> Self {
        Self::new(Class::NotFound, gone.message).hint(gone.hint)
    }
}

/// The session of a unit whose folder is gone, by what a person typed: an instance, or a name or a
/// folder's name in this project.
pub(crate) fn gone(context: &Context, typed: &str, name: &str) -> Option<Gone> {
    let mut found = Vec::new();
    for (instance, recorded) in service::registry(context.scope()).ok()?.all().ok()? {
        let own = recorded.folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_here = recorded.folder.parent() == Some(&context.project.sessions)
            || recorded.config == context.project.config;
        let is_named = own == typed || names::name_in_folder(&own).unwrap_or(&own) == name;
        if (instance == typed || (is_here && is_named)) && !recorded.folder.is_dir() {
            found.push((own, Gone::folder(&instance, &recorded.folder)));
        }
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    found.pop().map(|(_, gone)| gone)
}

/// An instance whose project is gone, for verbs outside of any.
pub(crate) fn project_gone(scope: Scope, instance: &str) -> Option<Gone> {
    let recorded = service::recorded(scope, instance).ok().flatten()?;
    is_missing(&recorded.config).then(|| Gone::project(instance, &recorded.config))
}

/// What a unit of this instance looks for in vain.
pub(crate) fn looked_for(instance: &str, config: &Path, folder: &Path) -> Option<Gone> {
    match (is_missing(config), is_missing(folder)) {
        (true, _) => Some(Gone::project(instance, config)),
        (_, true) => Some(Gone::folder(instance, folder)),
        _ => None,
    }
}

/// Whether a unit is that of the session in `folder`: it says so, or it names a place of the same
/// name where there is no session any more, of this project or of one that is not there any more
/// either, as when a person has moved them.
pub(crate) fn is_of(recorded: &Recorded, project: &Project, folder: &Path) -> bool {
    let was_moved = || {
        recorded.folder.file_name() == folder.file_name()
            && is_missing(&recorded.folder)
            && (recorded.config == project.config || is_missing(&recorded.config))
            && Folder::new(folder).is_begun()
    };
    recorded.folder == folder || was_moved()
}

/// Whether a unit would not find its session or its project.
pub(crate) fn is_astray(recorded: &Recorded) -> bool {
    is_missing(&recorded.folder) || is_missing(&recorded.config)
}

/// Whether a path is not there, rather than out of reach.
fn is_missing(path: &Path) -> bool {
    std::fs::metadata(path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}
