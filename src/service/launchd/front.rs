//! The agents of front ends, which launchd keeps up.

use std::fs;

use super::folder::remove;
use super::manager::Launchd;
use super::operation::unload;
use super::{BOT, WEB, agents};
use crate::service::unit_files::{self, fault};
use crate::service::{
    Active, Error, FrontEnd, Shared, UnitDetail, UnitFile, UnitStatus, Verb, quiet,
};

/// The label of a front end's agent.
pub(super) const fn label_of(front: FrontEnd) -> &'static str {
    match front {
        FrontEnd::Web => WEB,
        FrontEnd::Bot => BOT,
    }
}

impl Launchd {
    /// Writes the agent of a front end, and loads it, again if it differs.
    pub(super) async fn open_front(
        &self,
        shared: Shared<'_>,
        front: FrontEnd,
        file: UnitFile,
    ) -> Result<(), Error> {
        self.folder.install_shared(shared)?;
        unit_files::install(&self.folder.places.at_login, &[file])?;
        self.load_shared(label_of(front)).await
    }

    /// Unloads the agent of a front end, and removes its files.
    pub(super) async fn close_front(&self, front: FrontEnd) -> Result<(), Error> {
        let label = label_of(front);
        // First the file, so that a login in between does not load it.
        if let Some(file) = self.folder.file_of(label) {
            fs::remove_file(&file).map_err(fault("remove", &file))?;
        }
        if !unload(&self.launchctl, label, &quiet).await? {
            return Err(Error::Slow { verb: Verb::Stop, unit: label.to_owned() });
        }
        remove(&self.folder.places.loaded.join(agents::file_name(label)))
    }

    /// What launchd says of a shared agent or a front end's.
    pub(super) async fn detail_of(&self, label: &str) -> Result<UnitDetail, Error> {
        let is_loaded = self.launchctl.job(label).await?.is_some();
        let active = if is_loaded { Active::Active } else { Active::Inactive };
        Ok(UnitDetail {
            status: UnitStatus { name: label.to_owned(), active, ..UnitStatus::default() },
            enabled: self.folder.enabled(label),
            ..UnitDetail::default()
        })
    }
}
