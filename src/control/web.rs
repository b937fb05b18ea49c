//! The units that serve the web page: on demand, or under launchd all the time.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::service::{FrontEnd, Shared, Spool};

use super::context::manager;
use super::error::{Error, Result};
use super::operation::{Operation, Perform};

/// The port of the loopback interface that the unit listens on, unless another is asked for.
pub const PORT: u16 = crate::service::WEB_PORT;

/// Serves the web page, now and at boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Install {
    /// The port of the loopback interface to listen on.
    pub port: u16,
}

/// Serves the web page no longer, now or at boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remove {}

/// The unit that listens for the web page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listening {
    /// Its name.
    pub unit: String,
    /// Whether it listens.
    pub is_up: bool,
}

#[async_trait]
impl Perform for Install {
    async fn perform(self, on: &Operation<'_>) -> Result<Listening> {
        let scope = on.caller.scope;
        let manager = manager(scope).await?;
        let spool = Spool::of(scope)?;
        spool.create(scope)?;
        let shared = Shared { binary: &on.caller.binary, spool: spool.dir() };
        manager.open_web(shared, self.port).await.map_err(|error| {
            let hint = "if another program uses the port: samocode web --install --port PORT";
            Error { hint: Some(hint.to_owned()), ..Error::from(error) }
        })?;
        listening(manager.as_ref()).await
    }
}

#[async_trait]
impl Perform for Remove {
    async fn perform(self, on: &Operation<'_>) -> Result<Listening> {
        let manager = manager(on.caller.scope).await?;
        manager.close(FrontEnd::Web).await?;
        listening(manager.as_ref()).await
    }
}

/// What the manager says of the unit now.
async fn listening(manager: &dyn crate::service::ServiceManager) -> Result<Listening> {
    let status = manager.front_end(FrontEnd::Web).await?.status;
    Ok(Listening { unit: status.name, is_up: status.active.is_up() })
}
