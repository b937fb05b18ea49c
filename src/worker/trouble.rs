//! Errors that end the worker's loop.

use crate::session::store::{JournalError, StoreError};

/// Why the worker left its loop early.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    Unusable(String),
}

impl From<JournalError> for Trouble {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Store(error) => Self::Store(error),
            damaged @ JournalError::Damaged(..) => Self::Unusable(damaged.to_string()),
        }
    }
}
