//! The [`Registry`] of a systemd unit folder.

use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::{convoys, files, installed, units, verify};
use crate::service::{Error, Installed, Recorded, Registry, Scope, Shared, UnitFile, Verified};

/// A folder that a systemd manager reads unit files from.
#[derive(Debug, Clone)]
pub struct UnitFolder {
    scope: Scope,
    dir: PathBuf,
}

impl UnitFolder {
    /// The folder that the environment gives.
    ///
    /// # Errors
    /// [`Error::NoHome`].
    pub fn of(scope: Scope) -> Result<Self, Error> {
        Ok(Self::at(scope, files::unit_dir(scope)?))
    }

    /// The folder that the manager reports.
    pub(super) const fn at(scope: Scope, dir: PathBuf) -> Self {
        Self { scope, dir }
    }
}

#[async_trait]
impl Registry for UnitFolder {
    fn dir(&self) -> &Path {
        &self.dir
    }

    fn instances(&self) -> Result<Vec<String>, Error> {
        files::instances(&self.dir)
    }

    fn recorded(&self, instance: &str) -> Result<Option<Recorded>, Error> {
        files::recorded(&self.dir, instance)
    }

    fn convoy(&self, id: &str) -> Result<Option<PathBuf>, Error> {
        convoys::recorded(&self.dir, id)
    }

    fn starts_at_boot(&self, instance: &str) -> bool {
        let unit = super::service(instance);
        let entries = std::fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let mut wants = entries.filter(|entry| entry.path().extension() == Some("wants".as_ref()));
        wants.any(|entry| std::fs::symlink_metadata(entry.path().join(&unit)).is_ok())
    }

    fn shared(&self, of: Shared<'_>, version: u32) -> Result<Vec<UnitFile>, Error> {
        Ok(units::shared(of, self.scope, version)?.files)
    }

    fn compare(&self, of: Shared<'_>, version: u32) -> Result<Installed, Error> {
        Ok(installed::compare(&self.shared(of, version)?, &self.dir))
    }

    async fn verify(&self, of: Shared<'_>, version: u32) -> Result<Verified, Error> {
        verify::verify(self.scope, of, version).await
    }
}
