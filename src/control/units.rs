//! The states of all sessions' units, read in one call.

use std::collections::HashMap;

use crate::service::{self, Error, Scope, ServiceManager, UnitStatus};
use crate::session::Hint as _;

use super::context::Warnings;

/// The state of every session's unit by instance; `None` inside without a service manager.
pub(crate) struct Units(Option<HashMap<String, UnitStatus>>);

impl Units {
    /// Connects to the service manager and reads them.
    pub(crate) async fn ask(scope: Scope, warnings: &Warnings) -> Self {
        match service::connect(scope).await {
            Ok(manager) => Self::of(manager.as_ref(), warnings).await,
            Err(Error::NoManager { .. }) => Self(None),
            Err(error) => {
                warnings
                    .add(format!("{}; showing sessions without their units", error.in_one_line()));
                Self(None)
            }
        }
    }

    /// Reads them from a manager that is already connected.
    pub(crate) async fn of(manager: &dyn ServiceManager, warnings: &Warnings) -> Self {
        match manager.units().await {
            Ok(units) => {
                Self(Some(units.into_iter().map(|unit| (unit.instance.clone(), unit)).collect()))
            }
            Err(error) => {
                warnings
                    .add(format!("{}; showing sessions without their units", error.in_one_line()));
                Self(None)
            }
        }
    }

    /// For when there is no service manager.
    pub(crate) const fn none() -> Self {
        Self(None)
    }

    /// A session's unit; `None` without a service manager. A unit that is not loaded is inactive.
    pub(crate) fn get(&self, instance: &str) -> Option<UnitStatus> {
        let units = self.0.as_ref()?;
        Some(units.get(instance).cloned().unwrap_or_else(|| UnitStatus {
            instance: instance.to_owned(),
            ..UnitStatus::default()
        }))
    }
}
