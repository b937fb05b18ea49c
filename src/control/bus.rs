//! Changes of units, as the service manager reports them.

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;

use crate::service::{self, Scope, ServiceManager, UnitChange};
use crate::session::Hint as _;

use super::context::Warnings;
use super::units::Units;

/// A subscription to the service manager's signals. Without a service manager it stays silent.
pub(super) struct Bus {
    manager: Option<Box<dyn ServiceManager>>,
    changes: BoxStream<'static, UnitChange>,
}

impl Bus {
    /// Listens to the units of these sessions, or of all if there are none.
    pub(super) async fn listen(scope: Scope, instances: &[String], warnings: &Warnings) -> Self {
        let silent = || futures_util::stream::pending().boxed();
        let manager = match service::connect(scope).await {
            Ok(manager) => manager,
            Err(service::Error::NoManager { .. }) => {
                return Self { manager: None, changes: silent() };
            }
            Err(error) => {
                warnings.add(format!("{}; failed units will be noticed late", error.in_one_line()));
                return Self { manager: None, changes: silent() };
            }
        };
        let changes = match manager.watch(instances).await {
            Ok(changes) => changes,
            Err(error) => {
                warnings.add(format!("{}; failed units will be noticed late", error.in_one_line()));
                silent()
            }
        };
        Self { manager: Some(manager), changes }
    }

    /// Waits until the state of a unit changes. Status lines are ignored: there are too many.
    pub(super) async fn changed(&mut self) {
        while let Some(change) = self.changes.next().await {
            if change.active.is_some() {
                return;
            }
        }
        // The connection is lost: from now on rely on the files alone.
        self.manager = None;
        self.changes = futures_util::stream::pending().boxed();
    }

    pub(super) async fn ask(&mut self, warnings: &Warnings) -> Units {
        match &self.manager {
            Some(manager) => Units::of(manager.as_ref(), warnings).await,
            None => Units::none(),
        }
    }
}
