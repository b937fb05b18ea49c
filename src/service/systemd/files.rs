//! The unit folder on disk: whole-file writes that survive a power cut at any point.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::units::{self, UnitSet};
use crate::service::{Error, Recorded, Scope, UnitFile};
use crate::session::names;
use crate::session::store::crash_point;

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
        .or_else(|| absolute("HOME").map(|home| home.join(".config")))
        .map(|config| config.join("systemd/user"))
        .ok_or(Error::NoHome)
}

/// The effect of writing one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// The file already had this content.
    Same,
    /// The file did not exist.
    New,
    /// The file had other content.
    Changed,
}

fn fault(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { action, path, source }
}

/// Writes `file` below `dir`, unless it already has that content.
fn write(dir: &Path, file: &UnitFile) -> Result<Written, Error> {
    let path = dir.join(&file.path);
    let written = match fs::read(&path) {
        Ok(text) if text == file.text.as_bytes() => return Ok(Written::Same),
        Ok(_) => Written::Changed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Written::New,
        Err(error) => return Err(fault("read", &path)(error)),
    };
    let folder = path.parent().unwrap_or(dir);
    crash_point("a unit file is to be written");
    fs::create_dir_all(folder).map_err(fault("create", folder))?;
    let save = || {
        let mut temporary = tempfile::Builder::new().prefix(".samocode-").tempfile_in(folder)?;
        temporary.write_all(file.text.as_bytes())?;
        temporary.as_file().set_permissions(Permissions::from_mode(0o644))?;
        temporary.as_file().sync_all()?;
        crash_point("a unit file is written aside");
        temporary.persist(&path).map_err(|error| error.error)?;
        crash_point("a unit file is in its place");
        File::open(folder)?.sync_all()
    };
    save().map_err(fault("write", &path))?;
    if written == Written::New && folder != dir {
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(fault("write", dir))?;
    }
    Ok(written)
}

/// Writes a set of files below `dir` and returns the effect on each.
///
/// # Errors
/// [`Error::File`]; files written before that stay, each complete.
pub fn install(dir: &Path, set: &UnitSet) -> Result<Vec<(PathBuf, Written)>, Error> {
    set.files.iter().map(|file| Ok((file.path.clone(), write(dir, file)?))).collect()
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
    use super::*;

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
