//! Whether the units of a user keep running after logout: what logind says.

use zbus::proxy::CacheProperties;
use zbus_systemd::login1;

use super::bus;
use super::manager::{Systemd, error_name};
use crate::service::{Error, Scope};

impl Systemd {
    /// Whether units survive the user's logout.
    pub(super) async fn units_linger(&self) -> Result<bool, Error> {
        if self.scope == Scope::System {
            return Ok(true);
        }
        let uid = rustix::process::geteuid().as_raw();
        let ask = async {
            let bus = bus::system_bus().await?;
            let logind = login1::ManagerProxy::new(&bus).await?;
            let path = logind.get_user(uid).await?;
            let user = login1::UserProxy::builder(&bus)
                .path(path)
                .cache_properties(CacheProperties::No)
                .build()
                .await?;
            user.linger().await
        };
        match ask.await {
            // A user who is neither logged in nor lingers.
            Err(error) if error_name(&error) == "org.freedesktop.login1.NoSuchUser" => Ok(false),
            other => other.map_err(self.failed("ask logind about lingering")),
        }
    }

    /// Lets them.
    pub(super) async fn make_units_linger(&self) -> Result<(), Error> {
        if self.scope == Scope::System {
            return Ok(());
        }
        let uid = rustix::process::geteuid().as_raw();
        let ask = async {
            let bus = bus::system_bus().await?;
            login1::ManagerProxy::new(&bus).await?.set_user_linger(uid, true, false).await
        };
        ask.await.map_err(|error| match self.failed("turn lingering on")(error) {
            Error::Denied { scope, what, .. } => {
                Error::Denied { scope, what, hint: "run `sudo loginctl enable-linger $USER`" }
            }
            other => other,
        })
    }
}
