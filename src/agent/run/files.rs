//! Files and variables of ours that an agent gets.

use std::io;
use std::path::Path;

use crate::agent::process::StartError;
use crate::agent::{Environment, Launch, variable};
use crate::session::store;

impl Launch {
    /// Adds its defaults to the environment, and writes its files.
    ///
    /// # Errors
    /// A [`StartError`] if a file cannot be written.
    pub fn prepare(&self, environment: &mut Environment) -> Result<(), StartError> {
        for (key, value) in &self.defaults {
            if variable(environment, key).is_none() {
                environment.push(((*key).into(), value.clone()));
            }
        }
        let program = || self.program.display().to_string();
        for (path, content) in &self.files {
            place(path, content)
                .map_err(|error| StartError::Other { program: program(), error })?;
        }
        Ok(())
    }
}

/// Writes a file that the agent reads, unless it is there: other runs may be reading it.
fn place(path: &Path, content: &[u8]) -> io::Result<()> {
    // An agent may have put something else into its place, which reading could wait for.
    let is_file = path.symlink_metadata().is_ok_and(|meta| meta.is_file());
    if is_file && std::fs::read(path).is_ok_and(|found| found == content) {
        return Ok(());
    }
    let named = |error: store::StoreError| io::Error::other(error.to_string());
    if let Some(folder) = path.parent() {
        store::make_folder(folder).map_err(named)?;
    }
    store::replace(path, content).map_err(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_with_its_folders_and_only_when_it_differs() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a/b/settings.json");
        place(&path, b"{}").unwrap();
        let written = std::fs::metadata(&path).unwrap().modified().unwrap();
        place(&path, b"{}").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), written);
        place(&path, b"[]").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"[]");
        let elsewhere = home.path().join("elsewhere");
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        place(&path, b"{}").unwrap();
        assert!(!elsewhere.exists() && path.symlink_metadata().unwrap().is_file());
    }
}
