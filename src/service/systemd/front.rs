//! The units of front ends that the manager keeps up.

use super::manager::Systemd;
use super::{BOT_SERVICE, WEB_SOCKET, units};
use crate::service::{Error, FrontEnd, ServiceManager as _, Shared, Verb, quiet};

/// The unit that keeps a front end up, or starts it.
pub(super) const fn front_unit(front: FrontEnd) -> &'static str {
    match front {
        FrontEnd::Web => WEB_SOCKET,
        FrontEnd::Bot => BOT_SERVICE,
    }
}

impl Systemd {
    /// Runs the bot, now and at boot.
    pub(super) async fn open_bot_service(&self, shared: Shared<'_>) -> Result<(), Error> {
        let version = self.version().await?;
        self.install_units(&units::shared(shared, self.scope, version)?).await?;
        self.reload_if_needed(BOT_SERVICE).await?;
        self.enable_unit(BOT_SERVICE).await?;
        self.reset_failed_unit(BOT_SERVICE).await?;
        self.job(Verb::Restart, BOT_SERVICE, &quiet).await
    }

    /// Keeps a front end up no longer.
    pub(super) async fn close_front(&self, front: FrontEnd) -> Result<(), Error> {
        match front {
            FrontEnd::Web => self.close_web_socket().await,
            FrontEnd::Bot => {
                self.disable_unit(BOT_SERVICE).await?;
                self.job(Verb::Stop, BOT_SERVICE, &quiet).await?;
                self.reset_failed_unit(BOT_SERVICE).await
            }
        }
    }
}
