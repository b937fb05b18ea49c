//! The units of all sessions, as the service manager has them.

use std::collections::HashMap;

use crate::service::{self, Error, Scope, ServiceManager, UnitStatus};

use super::context::Warnings;

/// The units of all sessions, asked for in one call.
pub(crate) struct Units(Option<HashMap<String, UnitStatus>>);

impl Units {
    /// Asks the manager; where there is none, nothing is known of units.
    pub(crate) async fn ask(scope: Scope, warnings: &Warnings) -> Self {
        match service::connect(scope).await {
            Ok(manager) => Self::of(manager.as_ref(), warnings).await,
            Err(Error::NoManager { .. }) => Self(None),
            Err(error) => {
                warnings.add(format!("{error}; what follows is without the units"));
                Self(None)
            }
        }
    }

    /// Asks this one.
    pub(crate) async fn of(manager: &dyn ServiceManager, warnings: &Warnings) -> Self {
        match manager.units().await {
            Ok(units) => {
                Self(Some(units.into_iter().map(|unit| (unit.instance.clone(), unit)).collect()))
            }
            Err(error) => {
                warnings.add(format!("{error}; what follows is without the units"));
                Self(None)
            }
        }
    }

    /// Where there is no manager.
    pub(crate) const fn none() -> Self {
        Self(None)
    }

    /// A session's unit; `None` where no manager was asked. One that is not listed is inactive.
    pub(crate) fn get(&self, instance: &str) -> Option<UnitStatus> {
        let units = self.0.as_ref()?;
        Some(units.get(instance).cloned().unwrap_or_else(|| UnitStatus {
            instance: instance.to_owned(),
            ..UnitStatus::default()
        }))
    }
}
