//! Installs unit files and makes the manager read them.

use std::path::{Path, PathBuf};

use zbus::proxy::CacheProperties;
use zbus_systemd::systemd1::UnitProxy;

use super::files;
use super::manager::{Systemd, is_unknown};
use super::units::UnitSet;
use crate::service::unit_files::Written;
use crate::service::{Error, Scope};

impl Systemd {
    /// The folder for unit files, according to the manager.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub async fn unit_dir(&self) -> Result<PathBuf, Error> {
        if self.scope == Scope::System {
            return files::unit_dir(Scope::System);
        }
        // The manager's XDG_CONFIG_HOME may differ from ours. In its search path the user's own
        // folder comes before /etc.
        let what = "read the service manager's search path";
        let searched = self.manager.unit_path().await.map_err(self.failed(what))?;
        let own = searched.into_iter().find(|dir| dir.ends_with("/systemd/user"));
        own.map(PathBuf::from).map_or_else(|| files::unit_dir(Scope::User), Ok)
    }

    /// Makes the manager read all unit files again.
    async fn reload_files(&self) -> Result<(), Error> {
        self.manager.reload().await.map_err(self.failed("reload the service manager"))
    }

    /// Whether the manager's version of `unit` differs from the files on disk; loads it if
    /// necessary. `drop_in` must be among its files: managers before 246 do not notice a new
    /// drop-in folder until they are reloaded.
    async fn is_stale(&self, unit: &str, drop_in: Option<&Path>) -> Result<bool, Error> {
        let read = async {
            let path = self.manager.load_unit(unit.to_owned()).await?;
            // Not all properties, since some take the manager long to compute.
            let unit = UnitProxy::builder(&self.connection)
                .path(path)
                .cache_properties(CacheProperties::No)
                .build()
                .await?;
            let (load, needs, drop_ins) = futures_util::future::try_join3(
                unit.load_state(),
                unit.need_daemon_reload(),
                unit.drop_in_paths(),
            )
            .await?;
            let unseen =
                drop_in.is_some_and(|path| !drop_ins.iter().any(|seen| Path::new(seen) == path));
            Ok(load == "not-found" || needs || unseen)
        };
        read.await.map_err(self.failed(format!("look up {unit}")))
    }
    /// Writes the unit files that differ, and reloads the manager if one of its loaded units is
    /// stale; returns whether it did.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Call`].
    pub async fn install_units(&self, set: &UnitSet) -> Result<bool, Error> {
        let dir = self.unit_dir().await?;
        let written = files::install(&dir, set)?;
        // A changed template affects every unit made from it, and reading the search path again is
        // cheaper than asking about each.
        let is_drop_in = |path: &Path| path.components().count() > 1;
        if written.iter().any(|(path, was)| *was == Written::Changed && !is_drop_in(path)) {
            self.reload_files().await?;
            return Ok(true);
        }
        // Even if nothing was written now: the process that wrote it may have been killed before
        // the reload.
        for (path, _) in &written {
            let folder = path.parent().and_then(Path::to_str).unwrap_or_default();
            let name = match folder.strip_suffix(".d") {
                Some(unit) => unit.to_owned(),
                None => path.display().to_string(),
            };
            // A template cannot be loaded; its instances are checked when they are installed.
            if name.contains("@.") {
                continue;
            }
            let drop_in = is_drop_in(path).then(|| dir.join(path));
            if self.is_stale(&name, drop_in.as_deref()).await? {
                self.reload_files().await?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reloads the manager if the unit's files have changed since it was loaded; returns whether it
    /// did. The unit need not be loaded.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub async fn reload_if_needed(&self, unit: &str) -> Result<bool, Error> {
        let stale = self.is_stale(unit, None).await?;
        if stale {
            self.reload_files().await?;
        }
        Ok(stale)
    }

    /// Makes a unit start at boot.
    pub(super) async fn enable_unit(&self, unit: &str) -> Result<(), Error> {
        // Persistently (not in /run), and replacing links that point elsewhere.
        let done = self.manager.enable_unit_files(vec![unit.to_owned()], false, true).await;
        done.map(|_| ()).map_err(self.failed(format!("enable {unit}")))
    }

    pub(super) async fn disable_unit(&self, unit: &str) -> Result<(), Error> {
        // Not by the proxy, which passes a third argument that the manager refuses.
        let done =
            self.manager.inner().call_method("DisableUnitFiles", &([unit].as_slice(), false)).await;
        done.map(|_| ()).map_err(self.failed(format!("disable {unit}")))
    }

    /// Makes a failed unit startable again. A unit that is not loaded is not an error.
    pub(super) async fn reset_failed_unit(&self, unit: &str) -> Result<(), Error> {
        match self.manager.reset_failed_unit(unit.to_owned()).await {
            Err(error) if !is_unknown(&error) => {
                Err(self.failed(format!("reset the failure of {unit}"))(error))
            }
            _ => Ok(()),
        }
    }
}
