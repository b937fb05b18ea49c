//! Files that a service manager reads: whole-file writes that survive a power cut at any point, and
//! their comparison with the wanted ones.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::{Error, Installed, UnitFile};
use crate::session::store::crash_point;

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

/// Adds the attempt to an error of the system.
pub(super) fn fault(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
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

/// Writes files below `dir` and returns the effect on each.
///
/// # Errors
/// [`Error::File`]; files written before that stay, each complete.
pub(super) fn install(dir: &Path, files: &[UnitFile]) -> Result<Vec<(PathBuf, Written)>, Error> {
    files.iter().map(|file| Ok((file.path.clone(), write(dir, file)?))).collect()
}

/// Compares `wanted` with the files in `dir`. `program` reads the program that a file's text runs.
pub(super) fn compare(
    wanted: &[UnitFile],
    dir: &Path,
    program: impl Fn(&str) -> Option<String>,
) -> Installed {
    let mut different = Vec::new();
    let mut found = 0;
    for file in wanted {
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
