//! Large files that a session added with git-lfs: their contents lie beside git's objects, and no
//! fetch between repositories takes them along.

use std::fs;
use std::io::{self as std_io, Read as _, Write as _};
use std::path::Path;

use ring::digest::{Context, SHA256};

use super::{OwnRepository, io};
use crate::git::{Error, plain};

/// Where they are, in folders by the first digits of their names.
const LARGE: &str = "lfs/objects";

impl OwnRepository {
    /// Copies those that the project's repository lacks. A file's name is the digest of its
    /// contents; one that has another is left out.
    pub(super) fn copy_lfs(&self) -> Result<(), Error> {
        let from = self.folder.join(LARGE);
        if !is_folder(&self.folder.join("lfs")) || !is_folder(&from) {
            return Ok(());
        }
        let to = self.main()?.place().common.join(LARGE);
        for first in folders(&from) {
            for second in folders(&from.join(&first)) {
                let below = Path::new(&first).join(&second);
                for entry in fs::read_dir(from.join(&below)).into_iter().flatten().flatten() {
                    let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
                    let place = to.join(&below).join(entry.file_name());
                    if is_file && place.symlink_metadata().is_err() {
                        copy(&entry.path(), &place)?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn is_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|meta| meta.is_dir())
}

/// The names of folders in a folder; links are none.
fn folders(folder: &Path) -> Vec<std::ffi::OsString> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let all = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    all.map(|entry| entry.file_name()).collect()
}

fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    let Some((folder, name)) = to.parent().zip(to.file_name()) else { return Ok(()) };
    fs::create_dir_all(folder).map_err(io("create the folder", folder))?;
    let copied = || -> std_io::Result<()> {
        let mut source = plain::open(from)?;
        let mut aside = tempfile::Builder::new().prefix(".samocode-").tempfile_in(folder)?;
        let (mut digest, mut buffer) = (Context::new(&SHA256), vec![0; 64 << 10]);
        loop {
            let count = source.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            digest.update(&buffer[..count]);
            aside.write_all(&buffer[..count])?;
        }
        let digest = digest.finish();
        let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        if name.to_str() == Some(hex.as_str()) {
            aside.as_file().sync_all()?;
            aside.persist(to)?;
        }
        Ok(())
    };
    copied().map_err(io("copy", from))
}
