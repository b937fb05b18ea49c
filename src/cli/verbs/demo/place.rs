//! The demo's own folder, which never holds anything else.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::control::Error;
use crate::control::context::Warnings;
use crate::control::request::stop;
use crate::control::session::Session;
use crate::service::{self, Scope, ServiceManager, quiet, retire};
use crate::session::store::{Folder, Lock};

/// The file that marks a demo's folder. Its lock belongs to the demo that is running.
const MARKER: &str = ".samocode-demo";

/// A folder reserved for one demo, for as long as this lives.
#[derive(Debug)]
pub(super) struct Place {
    root: PathBuf,
    _marker: File,
}

impl Place {
    /// Claims a folder that is new, empty or left by an earlier demo.
    ///
    /// # Errors
    /// For a folder with anything else in it, or one that another demo is using.
    pub(super) fn claim(root: &Path) -> anyhow::Result<Self> {
        let path = root.display();
        fs::create_dir_all(root).with_context(|| format!("cannot make {path}"))?;
        // Units and git use the path without symlinks.
        let root = root.canonicalize().with_context(|| format!("cannot open {path}"))?;
        let marker = root.join(MARKER);
        let is_ours = marker.symlink_metadata().is_ok_and(|meta| meta.is_file());
        let mut entries = fs::read_dir(&root).with_context(|| format!("cannot read {path}"))?;
        if !is_ours && entries.next().is_some() {
            return Err(Error::usage(format!("{path} is not empty and not a demo's"))
                .hint("name a new folder: samocode demo DIR")
                .into());
        }
        let write = || -> std::io::Result<File> {
            let mut options = OpenOptions::new();
            let mut file = options.read(true).append(true).create(true).open(&marker)?;
            if !is_ours {
                file.write_all(b"Made by samocode demo, which deletes this whole folder.\n")?;
            }
            Ok(file)
        };
        let file = write().with_context(|| format!("cannot write {}", marker.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { root, _marker: file }),
            Err(TryLockError::WouldBlock) => bail!(
                "a demo is already running in {path}: wait for it, or name another folder: samocode demo DIR"
            ),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", marker.display()))
            }
        }
    }

    /// Whether there is nothing in a folder, or no folder.
    pub(super) fn is_free(root: &Path) -> bool {
        match fs::read_dir(root) {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        }
    }

    /// The folder's path, with symlinks resolved.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Removes an earlier demo's units and files; keeps the folder.
    ///
    /// # Errors
    /// When a unit cannot be removed, or a worker is still running; then no file is deleted.
    pub(super) async fn clear(&self, manager: Option<&dyn ServiceManager>) -> anyhow::Result<()> {
        for (instance, known) in service::registry(Scope::User)?.all().unwrap_or_default() {
            if !known.folder.starts_with(&self.root) {
                continue;
            }
            let Some(manager) = manager else {
                bail!(
                    "an earlier demo is in {}: remove it with samocode demo --remove, or name another folder",
                    self.root.display()
                );
            };
            retire::stop(manager, &instance, &quiet).await?;
            // The waker may still have a token for it, but leaves a stopped session alone.
            let folder = Folder::new(known.folder);
            if folder.path().is_dir() {
                let name = folder.name();
                stop(&Session {
                    name,
                    instance: instance.clone(),
                    folder,
                    warnings: Warnings::default(),
                })?;
            }
            retire::retire(manager, &instance, &quiet).await?;
        }
        for entry in self.entries()? {
            for session in fs::read_dir(&entry).into_iter().flatten().flatten() {
                let folder = Folder::new(session.path());
                if folder.lock().exists() && Lock::is_held(&folder) {
                    bail!("the session in {} is still running", session.path().display());
                }
            }
        }
        for entry in self.entries()? {
            let is_folder = entry.symlink_metadata().is_ok_and(|meta| meta.is_dir());
            let gone = if is_folder { fs::remove_dir_all(&entry) } else { fs::remove_file(&entry) };
            gone.with_context(|| format!("cannot remove {}", entry.display()))?;
        }
        Ok(())
    }

    /// Removes the folder itself, once it is empty.
    pub(super) fn remove(self) -> anyhow::Result<()> {
        let path = self.root.display();
        fs::remove_file(self.root.join(MARKER))
            .and_then(|()| fs::remove_dir(&self.root))
            .with_context(|| format!("cannot remove {path}"))
    }

    /// Everything in the folder except the marker.
    fn entries(&self) -> anyhow::Result<Vec<PathBuf>> {
        let read = || -> std::io::Result<Vec<PathBuf>> {
            fs::read_dir(&self.root)?.map(|entry| Ok(entry?.path())).collect()
        };
        let mut entries = read().with_context(|| format!("cannot read {}", self.root.display()))?;
        entries.retain(|path| path.file_name().is_none_or(|name| name != MARKER));
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_anything_of_a_persons_is_not_taken() {
        let base = tempfile::tempdir().unwrap();
        fs::write(base.path().join("letter"), "Dear").unwrap();
        let error = Place::claim(base.path()).unwrap_err();
        assert!(error.to_string().contains("not empty"), "{error}");
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_place_belongs_to_one_demo_at_a_time_and_an_ended_ones_is_taken_over() {
        let base = tempfile::tempdir().unwrap();
        let root = base.path().join("a/demo");
        let first = Place::claim(&root).unwrap();
        fs::write(root.join("left"), "by the first").unwrap();
        let error = Place::claim(&root).unwrap_err();
        assert!(error.to_string().contains("already running"), "{error}");
        drop(first);
        let second = Place::claim(&root).unwrap();
        assert_eq!(second.entries().unwrap(), [second.root().join("left")]);
        fs::remove_file(root.join("left")).unwrap();
        assert!(!Place::is_free(&root));
        second.remove().unwrap();
        assert!(Place::is_free(&root));
        assert!(!root.exists());
    }
}
