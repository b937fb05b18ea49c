//! The unit folder on disk.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::units::{self, UnitSet};
use crate::config::{Env, dirs};
use crate::service::unit_files::{self, Written, fault};
use crate::service::{Error, Recorded, Scope};
use crate::session::names;

/// The unit folder according to the environment, for verbs that do not talk to a manager. If one
/// runs, `ServiceManager::unit_dir` is more reliable.
///
/// # Errors
/// [`Error::NoHome`] without HOME.
pub fn unit_dir(scope: Scope) -> Result<PathBuf, Error> {
    if scope == Scope::System {
        return Ok(PathBuf::from("/etc/systemd/system"));
    }
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
    absolute("XDG_CONFIG_HOME")
        .or_else(|| dirs::home(&Env::of_process()).map(|home| home.join(".config")))
        .map(|config| config.join("systemd/user"))
        .ok_or(Error::NoHome)
}

/// Writes a set of files below `dir` and returns the effect on each.
///
/// # Errors
/// [`Error::File`]; files written before that stay, each complete.
pub fn install(dir: &Path, set: &UnitSet) -> Result<Vec<(PathBuf, Written)>, Error> {
    unit_files::install(dir, &set.files)
}

/// Removes the drop-ins of `instance`. Missing ones are not an error.
///
/// # Errors
/// [`Error::File`].
pub fn remove_session(dir: &Path, instance: &str) -> Result<(), Error> {
    for template in ["samocode", "samocode-failed", "samocode-notices"] {
        let folder = dir.join(format!("{template}@{instance}.service.d"));
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(fault("remove", &folder)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The settings recorded in the drop-in of `instance`; `None` if it has none, or one that is not
/// ours.
///
/// # Errors
/// [`Error::File`] when it cannot be read.
pub fn recorded(dir: &Path, instance: &str) -> Result<Option<Recorded>, Error> {
    if !names::is_instance(instance) {
        return Ok(None);
    }
    let path = dir.join(units::drop_in(instance));
    match fs::read_to_string(&path) {
        Ok(text) => Ok(units::read_session(&text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(fault("read", &path)(error)),
    }
}

/// The instances that have a drop-in, in no particular order.
///
/// # Errors
/// [`Error::File`] when the folder cannot be read.
pub fn instances(dir: &Path) -> Result<Vec<String>, Error> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(fault("read", dir)(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.map_err(fault("read", dir))?.file_name();
        let instance = name
            .to_str()
            .and_then(|name| name.strip_prefix("samocode@")?.strip_suffix(".service.d"))
            .filter(|instance| names::is_instance(instance));
        found.extend(instance.map(ToOwned::to_owned));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::service::UnitFile;

    fn file(path: &str, text: &str) -> UnitSet {
        UnitSet { files: vec![UnitFile { path: PathBuf::from(path), text: text.to_owned() }] }
    }

    #[test]
    fn a_file_is_written_once_and_leaves_no_temporary() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("not/yet");
        let path = "samocode@a.service.d/session.conf";
        let outcome = |text: &str| install(&dir, &file(path, text)).unwrap()[0].1;
        assert_eq!(outcome("1"), Written::New);
        assert_eq!(outcome("1"), Written::Same);
        assert_eq!(outcome("2"), Written::Changed);
        assert_eq!(fs::read_to_string(dir.join(path)).unwrap(), "2");
        let mode = fs::metadata(dir.join(path)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
        assert_eq!(fs::read_dir(dir.join("samocode@a.service.d")).unwrap().count(), 1);
        assert_eq!(instances(&dir).unwrap(), ["a"]);
        remove_session(&dir, "a").unwrap();
        remove_session(&dir, "a").unwrap();
        assert_eq!(instances(&dir).unwrap(), [] as [&str; 0]);
    }

    #[test]
    fn a_name_from_outside_reads_no_other_file() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(recorded(dir.path(), "../../x").unwrap(), None);
        assert_eq!(recorded(dir.path(), "absent").unwrap(), None);
    }
}
