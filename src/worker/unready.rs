//! Why the place that a session works in could not be made ready, and what follows from that.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use crate::git;
use crate::session::Hint as _;
use crate::session::event;
use crate::session::journal::Event;
use crate::session::store::StoreError;
use crate::session::{Cause, Needs};

use super::{Trouble, Worker};

/// When git tries again to reach a server.
const RETRY: SignedDuration = SignedDuration::from_secs(60);

/// Why the place is not ready.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unready {
    /// A human has to fix something first; holds the reason.
    #[error("{0}")]
    Blocked(String),
    /// git needs a server that it cannot reach; holds its words.
    #[error("{0}")]
    Offline(String),
    /// The machine is out of something, such as space on the disk.
    #[error(transparent)]
    Exhausted(StoreError),
}

impl Unready {
    /// What follows from an error of git in a folder.
    pub(super) fn of(error: &git::Error, folder: &Path) -> Self {
        if let Some(source) = error.exhausted() {
            let (action, path) = match error {
                git::Error::Io { doing, path, .. } => (*doing, path.clone()),
                _ => ("use git in", folder.to_owned()),
            };
            return Self::Exhausted(StoreError { action, path, source });
        }
        if error.is_unreachable() {
            return Self::Offline(error.in_one_line());
        }
        Self::Blocked(error.in_one_line())
    }
}

impl Worker<'_> {
    /// Blocks or pauses the session. A limit of the machine is an error, and waited out like any other.
    pub(super) async fn hold_unready(&mut self, unready: Unready) -> Result<(), Trouble> {
        match unready {
            Unready::Blocked(reason) => self.block(reason, Needs::HumanDecision),
            Unready::Offline(said) => {
                let detail = self.redactor.redact(&said).into_owned();
                self.hold_back(Event::Paused(event::Paused {
                    cause: Cause::Network,
                    detail,
                    until: Timestamp::now().checked_add(RETRY).ok(),
                    quiet: false,
                }))
                .await
            }
            Unready::Exhausted(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_blocks_nothing() {
        let of = |said: &str| {
            let error = git::Error::Git { doing: "make it".into(), said: said.into() };
            Unready::of(&error, Path::new("/w"))
        };
        let Unready::Exhausted(error) = of("error opening '/w/.git': Read-only file system") else {
            panic!()
        };
        assert!(error.to_string().starts_with("cannot use git in /w: Read-only file system"));
        let Unready::Offline(said) = of("could not fetch 4b825d from promisor remote") else {
            panic!()
        };
        assert_eq!(said, "cannot make it: git says: could not fetch 4b825d from promisor remote");
        assert!(matches!(of("invalid reference: x"), Unready::Blocked(_)));
    }
}
