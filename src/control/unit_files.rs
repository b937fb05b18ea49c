//! The shared unit files: printing, installing and checking them.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::service::{self, NEWEST, Scope, ServiceManager, Shared, Spool, Verified};
use crate::session::Hint as _;

use super::context::manager;
use super::error::{Error, Result};
use super::operation::{Operation, Perform};

/// Generates the unit files as they would be installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Print {
    /// For this version of the service manager instead of the running one's.
    #[serde(default)]
    pub for_version: Option<u32>,
}

/// The unit files as they would be installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Printed {
    /// The version of the service manager they are for.
    pub version: u32,
    /// The folder they are installed in.
    pub dir: PathBuf,
    /// The files, in the order to show them.
    pub files: Vec<UnitFile>,
}

/// A unit file or drop-in as samocode would install it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitFile {
    /// The absolute path where it is installed.
    pub path: PathBuf,
    /// The complete contents for the version of systemd that was asked for.
    pub text: String,
}

/// Installs the shared units and watches the wake spool, now and at boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Install {}

/// The shared units were installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    /// The folder that holds the unit files.
    pub dir: PathBuf,
    /// Whether the service manager had to read them again.
    pub reloaded: bool,
    /// The unit that watches the spool for mail.
    pub watch: String,
}

/// Has the service manager's own checker look at the unit files, without installing them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verify {
    /// For this version of the service manager instead of the running one's.
    #[serde(default)]
    pub for_version: Option<u32>,
}

#[async_trait]
impl Perform for Print {
    async fn perform(self, on: &Operation<'_>) -> Result<Printed> {
        let scope = on.caller.scope;
        let version = version(on, self.for_version).await;
        let spool = Spool::of(scope)?;
        let registry = service::registry(scope)?;
        let of = Shared { binary: &on.caller.binary, spool: spool.dir() };
        let dir = registry.dir().to_owned();
        let files = registry.shared(of, version)?.into_iter();
        let files = files.map(|file| UnitFile { path: dir.join(&file.path), text: file.text });
        Ok(Printed { version, files: files.collect(), dir })
    }
}

#[async_trait]
impl Perform for Install {
    async fn perform(self, on: &Operation<'_>) -> Result<Installed> {
        let manager = manager(on.caller.scope).await?;
        let reloaded = install(manager.as_ref(), &on.caller.binary).await?;
        let dir = manager.registry().await?.dir().to_owned();
        let watch = manager.spool_watch().await?.status.name;
        Ok(Installed { dir, reloaded, watch })
    }
}

#[async_trait]
impl Perform for Verify {
    async fn perform(self, on: &Operation<'_>) -> Result<Verified> {
        let scope = on.caller.scope;
        let version = version(on, self.for_version).await;
        let spool = Spool::of(scope)?;
        let of = Shared { binary: &on.caller.binary, spool: spool.dir() };
        Ok(service::registry(scope)?.verify(of, version).await?)
    }
}

/// The requested version, else the running manager's, else the newest one we know.
async fn version(on: &Operation<'_>, asked: Option<u32>) -> u32 {
    if let Some(version) = asked {
        return version;
    }
    let of_manager = async { service::connect(on.caller.scope).await?.version().await };
    match of_manager.await {
        Ok(version) => version,
        // Its agents are the same for every version.
        Err(_) if service::launchd::is_used() => 0,
        Err(error) => {
            on.warnings.add(format!("using units for systemd {NEWEST}: {}", error.in_one_line()));
            NEWEST
        }
    }
}

/// Installs the shared units and watches the spool. Returns whether the manager was reloaded.
pub(super) async fn install(manager: &dyn ServiceManager, binary: &Path) -> Result<bool> {
    let scope = manager.scope();
    if scope == Scope::System && !rustix::process::geteuid().is_root() {
        return Err(Error::refused("only root can install system units")
            .hint("sudo samocode units install --system"));
    }
    let spool = Spool::of(scope)?;
    spool.create(scope)?;
    let shared = Shared { binary, spool: spool.dir() };
    let reloaded = manager.install(shared, None).await?;
    manager.watch_spool().await?;
    Ok(reloaded)
}
